"""Patches in files: plain ``.npy`` arrays, written whole and read a patch at a time."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import OutputError
from geosr.training.dataset.index import Part, ShardEntry

Array = NDArray[Any]

SHARD_BYTES = 64 << 20
"""Of a file, about; so much is held for each part and dtype until it is written."""


class ShardWriter:
    """Takes patches and writes a file whenever it has enough of one part and form.

    Without a folder it counts only.
    """

    def __init__(self, folder: Path | None, *, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder, self._bytes = folder, shard_bytes
        self._open: dict[tuple[Any, ...], _Shard] = {}
        self._entries: list[ShardEntry | None] = []

    def add(self, part: Part, high: Array, low: Array | None = None) -> tuple[int, int]:
        """Take a patch ``(bands, h, w)``, and its low side; return its shard and place.

        Raises
        ------
        OutputError
            If the disk is full, or fails.
        """
        form = (part, high.dtype.name, high.shape[0], low is None or (low.dtype.name, low.shape))
        if form not in self._open:
            self._open[form] = _Shard(len(self._entries), part)
            self._entries.append(None)
        shard = self._open[form]
        place = shard.number, len(shard.high)
        shard.high.append(high)
        if low is not None:
            shard.low.append(low)
        if len(shard.high) * high.nbytes >= self._bytes:
            self._write(self._open.pop(form))
        return place

    def close(self) -> list[ShardEntry]:
        """Write what is left, and return the files in the order of their numbers."""
        while self._open:
            self._write(self._open.pop(next(iter(self._open))))
        return [entry for entry in self._entries if entry is not None]

    def _write(self, shard: _Shard) -> None:
        name = f"{shard.part}-{shard.number:05d}"
        high = _stored(self._folder, f"{name}.npy", shard.high)
        low = _stored(self._folder, f"{name}-low.npy", shard.low) if shard.low else None
        self._entries[shard.number] = ShardEntry(part=shard.part, low=low, **high)


@dataclass
class _Shard:
    number: int
    part: Part
    high: list[Array] = field(default_factory=list)
    low: list[Array] = field(default_factory=list)


def _stored(folder: Path | None, name: str, patches: list[Array]) -> dict[str, Any]:
    """Write patches as one array; return what the index says of it."""
    stack = np.ascontiguousarray(np.stack(patches))
    stack = stack.astype(stack.dtype.newbyteorder("<"), copy=False)
    head = BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(stack))
    digest = hashlib.sha256(head.getvalue())
    body = stack.data.cast("B")
    digest.update(body)
    if folder is not None:
        with writing(folder / name), (folder / name).open("wb") as file:
            file.write(head.getvalue())
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
    return {
        "file": name,
        "dtype": stack.dtype.name,
        "shape": stack.shape,
        "offset": len(head.getvalue()),
        "sha256": digest.hexdigest(),
    }


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in a sentence why a file cannot be written.

    Raises
    ------
    OutputError
        If the system says no.
    """
    try:
        yield
    except OSError as error:
        folder = path.parent
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutputError(
                f"The disk is full: {path.name} of the patch set cannot be written.",
                hint="Make room, or use another --out; nothing was left behind.",
            ) from error
        raise OutputError(
            f"The patch set cannot be written in {folder}: {error.strerror or error}.",
            hint="Look at the disk, its quota, and who may write there.",
        ) from error
