"""Where previews lie: a folder that ends with its process, one way or another."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from geosr.core.errors import OutputError
from geosr.io.locking import lock, unlock

PREFIX = "geosr-serve-"
KEPT = 32
"""Previews that are kept; older ones go."""

KEPT_BYTES = 1 << 30
"""And how large they may be together, the newest one left out."""

LOCK = "owner.lock"
"""Name of the file that is locked."""


class SessionFolder:
    """A folder for the previews of one process; a context manager.

    It is locked for as long as its owner lives, whatever ends it: so entering can remove what
    killed processes have left, and nothing of those that live.

    Parameters
    ----------
    parent
        Where to make it; None: where temporary files go.

    Raises
    ------
    OutputError
        On entering, if it cannot be made.
    """

    def __init__(self, parent: Path | None = None) -> None:
        self._parent = parent
        self._path: Path | None = None
        self._fd = -1
        self._kept: deque[Path] = deque()
        self._made = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        parent = self._parent or Path(tempfile.gettempdir())
        try:
            self._path, self._fd = _new_folder(parent)
            if not _is_free(self._path):  # locks work here
                sweep(parent)
        except OSError as error:
            self.remove()
            raise OutputError(
                f"No folder for previews can be made in {parent}: {error.strerror}.",
                hint="Point TMPDIR to a folder that may be written to.",
            ) from error
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()

    def new_path(self) -> str:
        """Return a name for the next preview."""
        if self._path is None:
            raise OutputError("The folder for previews is gone.", hint="Start geosr serve again.")
        self._made += 1
        return str(self._path / f"preview-{self._made:05}.tif")

    def keep(self, path: str) -> None:
        """Keep a preview until `KEPT` others were made, or they grow too large."""
        self._kept.append(Path(path))
        while len(self._kept) > KEPT or (len(self._kept) > 1 and self._old_bytes() > KEPT_BYTES):
            if not _removed(self._kept[0]):
                break  # somebody has it open, and the system does not let go: later
            self._kept.popleft()

    def remove(self) -> None:
        """Remove the folder and all in it, now; call it from any thread, and more than once."""
        with self._lock:
            path, fd, self._path, self._fd = self._path, self._fd, None, -1
        if path is not None:
            _remove_folder(path, fd)

    def _old_bytes(self) -> int:
        return sum(path.stat().st_size for path in list(self._kept)[:-1] if path.exists())


def sweep(parent: Path) -> None:
    """Remove the session folders of processes that are gone."""
    for path in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            state = path.lstat()
            own = not hasattr(os, "getuid") or state.st_uid == os.getuid()
            if path.is_dir() and not path.is_symlink() and own:
                _remove_if_dead(path)


def _new_folder(parent: Path) -> tuple[Path, int]:
    """Make a folder and lock it; another process may sweep it just before."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        with suppress(FileNotFoundError):
            fd = _opened(path)
            with suppress(FileNotFoundError):
                if lock(fd) and os.path.samestat(os.fstat(fd), os.stat(path / LOCK)):
                    return path, fd
            os.close(fd)


def _is_free(path: Path) -> bool:
    """Return whether a folder's lock can be had."""
    fd = _opened(path)
    try:
        return lock(fd)
    finally:
        os.close(fd)


def _remove_if_dead(path: Path) -> None:
    fd = _opened(path)
    if lock(fd):
        _remove_folder(path, fd)
    else:
        os.close(fd)


def _remove_folder(path: Path, fd: int) -> None:
    """Remove a folder that is locked by ``fd``; the lock goes last, or else nothing would stay."""
    for name in path.glob("*"):
        if name.name != LOCK:
            _removed(name)
    with suppress(OSError):
        unlock(fd)
    os.close(fd)
    shutil.rmtree(path, ignore_errors=True)


def _opened(path: Path) -> int:
    return os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)


def _removed(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True
