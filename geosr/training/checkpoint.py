"""A run's state on the disk, replaced in one go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from keras import ops

from geosr.core.errors import InputFileError, OutputError


def save_checkpoint(path: Path, variables: list[Any], facts: dict[str, Any]) -> None:
    """Write variables and facts beside the old checkpoint and put them in its place.

    Raises
    ------
    OutputError
        If that fails, a full disk included; the old checkpoint is still there then.
    """
    values = {f"v{i}": ops.convert_to_numpy(v.value) for i, v in enumerate(variables)}
    with replacing(path) as partial:
        np.savez(partial, facts=json.dumps(facts), **values)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a new file, which takes the place of ``path`` if all goes well.

    Raises
    ------
    OutputError
        If it cannot be written; ``path`` is left as it was.
    """
    partial = path.with_suffix(f".part{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        kept = "The one before it is kept. " if path.exists() else ""
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}.",
            hint=f"{kept}Make room on the disk, then give the same command again.",
        ) from error


def load_checkpoint(path: Path) -> tuple[dict[str, Any], list[Any]]:
    """Return the facts and the values of the variables, in their order.

    Raises
    ------
    InputFileError
        If the file is damaged.
    """
    try:
        # Opened here: numpy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            facts: dict[str, Any] = json.loads(str(saved["facts"]))
            return facts, [saved[f"v{i}"] for i in range(len(saved.files) - 1)]
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise InputFileError(
            f"The checkpoint {path} is damaged: {error}.",
            hint="Use --no-resume to start anew.",
        ) from error
