"""A model's files, given to other programs as they are."""

from __future__ import annotations

from pathlib import Path

from geosr.core.catalog import WEIGHTS_DIR
from geosr.core.errors import ModelFileError, OutputError, OutputExistsError
from geosr.core.facts import ModelFacts
from geosr.predictors import verified_file


def copy_network(facts: ModelFacts, kind: str, path: Path, *, overwrite: bool = False) -> None:
    """Copy a model's ``keras`` or ``onnx`` file: the whole network, in the raster's units.

    Raises
    ------
    ModelFileError
        If it has none, or it was changed.
    OutputError
        If it cannot be written.
    """
    write_new(path, network_file(facts, kind).read_bytes(), overwrite=overwrite)


def network_file(facts: ModelFacts, kind: str) -> Path:
    """Return the path of a model's file, once its digest is the card's.

    Raises
    ------
    ModelFileError
        If the model has none of this kind, or it was changed.
    """
    if kind not in facts.files:
        raise ModelFileError(
            f"{facts.name} has no {kind} file.",
            hint="Kernels have none, and models of several steps only those of their steps.",
        )
    return verified_file(facts, kind, Path(facts.folder or WEIGHTS_DIR))


def write_new(path: Path, content: bytes, *, overwrite: bool) -> None:
    """Write a file that is not there yet, or may be replaced.

    Raises
    ------
    OutputError
        If it cannot be written.
    OutputExistsError
        If it is there and may not be replaced.
    """
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path} is there already.", hint="Use --overwrite to replace it.")
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror}.", hint="Use another path for --out."
        ) from error
