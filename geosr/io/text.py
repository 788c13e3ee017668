"""Text files that appear whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from geosr.core.errors import OutputError, OutputExistsError


def check_text_output(path: str, *, overwrite: bool) -> None:
    """Refuse a text file that cannot be written, or must not be.

    Raises
    ------
    OutputExistsError
        If it is there already.
    OutputError
        If its folder is missing or not writable, or it is a folder itself.
    """
    target = Path(path)
    if target.is_dir():
        raise OutputError(f"{path} is a folder.", hint="Name a file in it.")
    if target.exists() and not overwrite:
        raise OutputExistsError(
            f"{path} is there already.", hint="Add --overwrite, or choose another name."
        )
    if not target.parent.is_dir():
        raise OutputError(f"There is no folder {target.parent}.", hint="Make it first.")
    if not os.access(target.parent, os.W_OK):
        raise OutputError(f"Nothing can be written into {target.parent}.", hint="Choose another.")


def write_text(path: str, text: str) -> None:
    """Write a text file beside its place, and put it there once it is complete.

    Raises
    ------
    OutputError
        If the disk is full, or the folder cannot be written.
    """
    target = Path(path)
    part = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=target.parent, prefix=f".{target.name}.", delete=False, encoding="utf-8"
        ) as file:
            part = Path(file.name)
            file.write(text)
        part.chmod(0o666 & ~_umask())
        part.replace(target)
    except OSError as error:
        if part is not None:
            part.unlink(missing_ok=True)
        raise OutputError(
            f"{path} cannot be written: {error.strerror}.",
            hint="Make room, or choose another disk.",
        ) from error
    except BaseException:
        if part is not None:
            part.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
