"""Blocks on their way from the workers to the output: one file each, in a folder beside it.

A part gets its name once it is whole and on the disk, so its existence is the journal. The name
holds a digest of what decides the output's bytes: a worker that did not hear of a run's end cannot
disturb the next one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geosr.io.claim import blocks_of_output
from geosr.io.output import Output


@dataclass(frozen=True)
class Parts:
    """The folder of an output's parts; it pickles, and each machine finds it by its path.

    Attributes
    ----------
    folder
        Its absolute path.
    key
        Digest of what decides the output's bytes.
    run
        Name of this run, like no other's.
    """

    folder: str
    key: str
    run: str

    @classmethod
    def of(cls, output: Output, run: str) -> Parts:
        """Return where the parts of an output go."""
        about = json.dumps(output.identity, sort_keys=True, default=_plain)
        about += "" if output.resume else run  # then nobody else's parts fit
        key = hashlib.sha256(about.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return cls(str(blocks_of_output(output.path)), key, run)

    def begin(self) -> None:
        """Make the folder, and say there that the run goes on.

        What fits neither this output nor this run is removed first.
        """
        folder = Path(self.folder)
        folder.mkdir(exist_ok=True)
        for name in os.listdir(folder):
            if self._number(name) is None:
                (folder / name).unlink(missing_ok=True)
        self._sign.touch()

    def end(self) -> None:
        """Say that the run has ended. Parts stay, for the sink to remove or for a later run."""
        with suppress(OSError):  # the sink may have removed all, or the disk may be lost
            self._sign.unlink(missing_ok=True)
            Path(self.folder).rmdir()

    def run_goes_on(self) -> bool:
        """Return whether the run has not ended yet, as far as can be seen from here."""
        if self._sign.exists():
            return True
        _look_again(self._sign.parent.parent)
        return _is_listed(self._sign)

    def found(self) -> set[int]:
        """Return the numbers of the blocks whose parts are there."""
        numbers = map(self._number, os.listdir(self.folder))
        return {number for number in numbers if number is not None}

    def write(self, number: int, data: bytes) -> None:
        """Store a block's part; if another worker does the same, either's stays, and both fit.

        Raises
        ------
        OSError
            If that is not possible.
        """
        path = self._path(number)
        writer = f"{socket.gethostname()[:64]}-{os.getpid()}-{threading.get_ident()}"
        unfinished = path.with_name(f"{path.name}.{writer}")
        try:
            with open(unfinished, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise

    def read(self, number: int) -> bytes:
        """Return a block's part.

        Raises
        ------
        OSError
            If it is not there.
        """
        path = self._path(number)
        if not path.exists():
            _look_again(path.parent)
        return path.read_bytes()

    def remove(self, number: int) -> None:
        """Remove a block's part."""
        self._path(number).unlink(missing_ok=True)

    @property
    def _sign(self) -> Path:
        return Path(self.folder) / f"{self.run}.run"

    def _path(self, number: int) -> Path:
        return Path(self.folder) / f"{number:08d}-{self.key}.part"

    def _number(self, name: str) -> int | None:
        """Return whose part a file is, if it is a whole one of this output."""
        found = re.fullmatch(rf"(\d+)-{self.key}\.part", name)
        return int(found[1]) if found else None


def _look_again(folder: Path) -> None:
    """List a folder: network file systems then ask their server again what is in it.

    They remember for a minute that a file was not there (nfs(5), "lookupcache").
    """
    with suppress(OSError):
        os.listdir(folder)


def _is_listed(path: Path) -> bool:
    with suppress(OSError):
        return path.name in os.listdir(path.parent)
    return False


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else repr(value)
