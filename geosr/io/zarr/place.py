"""A whole store gets its final name; the one that it replaces is never lost on the way."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from geosr.io.claim import part_of
from geosr.io.output import Output, check_absent, flush

_ROOT = "zarr.json"


def put_store_in_place(output: Output) -> None:
    """Give a whole store, whose files are on the disk already, its final name.

    A folder cannot be renamed over another: the old store moves aside, and goes once the new one
    has its name. A run that is killed between the two renames leaves both; see `recover`.

    Raises
    ------
    OutputExistsError
        If the output has appeared meanwhile and may not be replaced.
    OSError
        If the system refuses.
    """
    part, path, aside = _places(output)
    for folder, _, _ in os.walk(part):
        flush(Path(folder))
    if path.exists():
        check_absent(output)
        shutil.copymode(path, part)
        os.rename(path, aside)
    os.rename(part, path)
    flush(path.parent)
    _remove_aside(aside)


def recover(output: Output) -> None:
    """Bring back the store that a killed run had moved aside, or remove it if it was replaced."""
    _, path, aside = _places(output)
    if not os.path.lexists(aside):
        return
    if path.exists() or not (aside / _ROOT).is_file():
        _remove_aside(aside)
    else:
        os.rename(aside, path)


def _places(output: Output) -> tuple[Path, Path, Path]:
    part = part_of(output.path)
    return part, Path(os.path.realpath(output.path)), part.with_name(f"{part.name}.old")


def _remove_aside(aside: Path) -> None:
    """Remove an old store, its root first: what is left after a kill is never brought back."""
    if aside.is_dir():
        (aside / _ROOT).unlink(missing_ok=True)
        shutil.rmtree(aside)
    else:
        aside.unlink(missing_ok=True)
