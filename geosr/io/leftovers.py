"""The last resort of a stopped run: remove what `RasterWriter` began and could not remove."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def remove_parts(dst_path: str | os.PathLike[str]) -> None:
    """Remove the unfinished files that this process has beside ``dst_path``.

    It needs no GDAL and takes no lock, for it runs while the rest of the process hangs.
    """
    path = Path(os.path.realpath(dst_path))
    begun = f"{path.name}.part-{os.getpid()}"
    with suppress(OSError):
        for entry in os.listdir(path.parent):
            rest = entry.removeprefix(begun)
            if rest != entry and not rest[:1].isdigit():  # not that of process 12 for process 1
                with suppress(OSError):
                    (path.parent / entry).unlink()
