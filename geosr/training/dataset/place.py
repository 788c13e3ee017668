"""The folder of a patch set: it gets its name once everything in it is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geosr.core.errors import OutputBusyError, OutputError, OutputExistsError
from geosr.io.locking import lock
from geosr.io.output import flush
from geosr.training.dataset.index import INDEX
from geosr.training.dataset.shards import writing


def check_place(folder: Path, *, overwrite: bool) -> None:
    """Refuse a destination that cannot be written, or must not be.

    Raises
    ------
    OutputExistsError
        If it is there, and ``overwrite`` was not asked for.
    OutputError
        If it is something else than a patch set, or has no place.
    """
    if not folder.parent.is_dir():
        raise OutputError(f"There is no folder {folder.parent}.", hint="Make it first.")
    if not os.access(folder.parent, os.W_OK | os.X_OK):
        raise OutputError(
            f"The folder {folder.parent} may not be written to.",
            hint="Write elsewhere, or ask for permission.",
        )
    if not os.path.lexists(folder):
        return
    is_ours = (folder / INDEX).is_file()
    if not is_ours and not (folder.is_dir() and not any(folder.iterdir())):
        raise OutputError(
            f"The output {folder} is there, and it is no patch set.", hint="Name another --out."
        )
    if is_ours and not overwrite:
        raise OutputExistsError(
            f"The patch set {folder} exists.", hint="Use --overwrite to replace it."
        )


@contextmanager
def new_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a folder to write in, which becomes ``folder`` at the end; nothing stays of a failure.

    What a killed run left is removed.

    Raises
    ------
    OutputBusyError
        If another run is making the same.
    OutputError
        As `check_place`, or if the system says no.
    """
    check_place(folder, overwrite=overwrite)
    part = folder.with_name(f".{folder.name}.part")
    busy = folder.with_name(f".{folder.name}.lock")
    with writing(busy):
        descriptor = os.open(busy, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not lock(descriptor):
            raise OutputBusyError(
                f"Another run is making {folder}.", hint="Wait for it, or use another --out."
            )
        shutil.rmtree(part, ignore_errors=True)
        try:
            with writing(part / INDEX):
                part.mkdir()
            yield part
            flush(part)
            with writing(folder / INDEX):
                _swap(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
            busy.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _swap(part: Path, folder: Path) -> None:
    if folder.is_dir():
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        part.rename(folder)
        shutil.rmtree(old)
    else:
        part.rename(folder)
    flush(folder.parent)
