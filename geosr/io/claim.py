"""The right to write an output, and the journal of what is written of it: one file for both.

Beside ``OUT`` lie, while it is made, ``OUT.part`` with its pixels and ``OUT.part.journal``. The
journal is locked for as long as its owner lives, whatever ends it; so nobody waits for the dead,
and what a dead run left is taken over or swept by the next one. Each line is JSON and its CRC. The
first names the owner and the second what the run is; then there is one for each block.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from geosr.core.errors import OutputBusyError, OutputError
from geosr.io.locking import lock, unlock

Record = dict[str, Any]

_OWNER_BYTES = 256  # the first line, overwritten in place by each owner


def part_of(dst_path: str | os.PathLike[str]) -> Path:
    """Return the path of an output's pixels while it is made.

    Of a link the file that it points to is replaced, not the link.
    """
    path = Path(os.path.realpath(dst_path))
    return path.with_name(f"{path.name}.part")


def journal_of(dst_path: str | os.PathLike[str]) -> Path:
    """Return the path of an output's journal while it is made."""
    part = part_of(dst_path)
    return part.with_name(f"{part.name}.journal")


class Claim:
    """Holds an output for this process; a context manager.

    Parameters
    ----------
    dst_path
        Name of the output.

    Attributes
    ----------
    records
        What an earlier run has left, from the line that tells what it is; empty if nothing.

    Raises
    ------
    OutputBusyError
        On entering, if another run has it.
    OutputError
        If the journal cannot be written.
    """

    def __init__(self, dst_path: str | os.PathLike[str]) -> None:
        self._name = os.fspath(dst_path)
        self._path = journal_of(dst_path)
        self._fd = -1
        self.records: list[Record] = []

    def __enter__(self) -> Self:
        try:
            self._fd = self._locked()
            self.records = self._read()
            self._write_owner()
        except OSError as error:
            if self._fd >= 0 and os.fstat(self._fd).st_size <= _OWNER_BYTES:
                with suppress(OSError):  # there is nothing in it that a later run could use
                    self.remove()
            self.release()
            if isinstance(error, OutputError):
                raise
            raise OutputError(
                f"{self._path} cannot be written: {error.strerror}.",
                hint="geosr keeps track of its work there, beside the output.",
            ) from error
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def restart(self, identity: Mapping[str, Any]) -> None:
        """Forget what was there, and begin the journal of a run that is ``identity``."""
        os.ftruncate(self._fd, _OWNER_BYTES)
        self.records = []
        self.add({"identity": dict(identity)})

    def add(self, record: Record) -> None:
        """Append a line. What it speaks of must be on the disk by then."""
        os.lseek(self._fd, 0, os.SEEK_END)
        _write_all(self._fd, _line(record))
        self.records.append(record)

    def remove(self) -> None:
        """Remove the journal: the output is done, or given up."""
        if self._fd < 0:
            return
        if sys.platform == "win32":  # no file goes there while it is open
            self.release()
        self._path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Let the output go, and leave the journal for the next run."""
        if self._fd >= 0:
            unlock(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _locked(self) -> int:
        """Open the journal and lock it; an owner may remove it just then."""
        while True:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            if not lock(fd):
                owner = _owner(os.read(fd, _OWNER_BYTES))
                os.close(fd)
                raise OutputBusyError(
                    f"Another run is writing {self._name}{_in_words(owner)}.",
                    hint="Wait for it, stop it, or name another output.",
                )
            with suppress(OSError):
                if os.path.samestat(os.fstat(fd), os.stat(self._path)):
                    return fd
            os.close(fd)

    def _read(self) -> list[Record]:
        """Return the good lines, and cut off what comes behind them."""
        with open(self._path, "rb") as file:
            file.seek(_OWNER_BYTES)
            records, end = [], _OWNER_BYTES
            for line in file:
                record = _record(line)
                if record is None:
                    break
                records.append(record)
                end += len(line)
        if os.fstat(self._fd).st_size > end:
            os.ftruncate(self._fd, end)
        return records if records and "identity" in records[0] else []

    def _write_owner(self) -> None:
        owner = json.dumps({"host": socket.gethostname()[:64], "pid": os.getpid()})
        os.lseek(self._fd, 0, os.SEEK_SET)
        _write_all(self._fd, owner.encode().ljust(_OWNER_BYTES - 1) + b"\n")


def remove_own(dst_path: str | os.PathLike[str]) -> None:
    """Remove what this process has begun beside an output: the last resort of a stopped run.

    It needs no GDAL and takes no lock, for it runs while the rest of the process hangs.
    """
    journal = journal_of(dst_path)
    with suppress(OSError):
        with open(journal, "rb") as file:
            owner = _owner(file.read(_OWNER_BYTES))
        if owner == {"host": socket.gethostname()[:64], "pid": os.getpid()}:
            sweep(dst_path)
            journal.unlink()


def sweep_finished(dst_path: str | os.PathLike[str]) -> None:
    """Remove what is left beside an output by a run that was killed once it had its name.

    What a run needs that would replace the output stays, and so does what a living one has.
    """
    part = part_of(dst_path)
    if part.exists() or not journal_of(dst_path).exists():
        return
    with suppress(OSError), Claim(dst_path) as claim:
        begun = blocks_of_output(dst_path).exists() and len(claim.records) < 2
        if not begun and not part.exists():
            sweep(dst_path)
            claim.remove()


def blocks_of_output(dst_path: str | os.PathLike[str]) -> Path:
    """Return the folder where workers put an output's blocks."""
    part = part_of(dst_path)
    return part.with_name(f"{part.name}.blocks")


def sweep(dst_path: str | os.PathLike[str], *, blocks: bool = True) -> None:
    """Remove what is beside an output besides its journal; ``blocks``: those of workers, too."""
    part = part_of(dst_path)
    for path in (part, blocks_of_output(dst_path)) if blocks else (part,):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for suffix in (".aux.xml", ".msk", ".ovr"):
        part.with_name(part.name + suffix).unlink(missing_ok=True)


def _line(record: Record) -> bytes:
    text = json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogateescape")
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _record(line: bytes) -> Record | None:
    """Return what a line holds; None if it is not whole."""
    crc, _, text = line[:-1].partition(b" ")
    if line[-1:] != b"\n" or crc != b"%08x" % zlib.crc32(text):
        return None
    record: Record = json.loads(text.decode("utf-8", "surrogateescape"))
    return record


def _owner(line: bytes) -> Record:
    with suppress(ValueError):
        owner = json.loads(line)
        if isinstance(owner, dict):
            return owner
    return {}


def _in_words(owner: Record) -> str:
    return f": process {owner['pid']} on {owner['host']}" if {"pid", "host"} <= set(owner) else ""


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
