"""TIFF directories: read those that GDAL writes, and write one over ready-made tiles.

GDAL writes every tag itself, into a small file or one without tiles; here they are only taken
over, and the places of the tiles filled in. Little-endian files only: GDAL is told to write such.

References
----------
.. [1] TIFF 6.0 (1992), section 2, and https://www.awaresystems.be/imaging/tiff/bigtiff.html
.. [2] https://gdal.org/drivers/raster/cog.html, the file's layout and its ghost area.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEW_SUBFILE_TYPE, WIDTH, HEIGHT, PHOTOMETRIC = 254, 256, 257, 262
TILE_OFFSETS, TILE_BYTE_COUNTS = 324, 325
REDUCED, MASK = 1, 4  # bits of NEW_SUBFILE_TYPE
_SHORT, _LONG, _LONG8 = 3, 4, 16

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_SIZES |= {13: 4, 16: 8, 17: 8, 18: 8}

_GHOST = b"LAYOUT=IFDS_BEFORE_DATA\nKNOWN_INCOMPATIBLE_EDITION=NO\n "


@dataclass(frozen=True)
class Tag:
    """A tag's value as it lies in the file.

    Attributes
    ----------
    kind
        The TIFF type's number.
    count
        How many values there are.
    data
        Their bytes.
    """

    kind: int
    count: int
    data: bytes

    @classmethod
    def long(cls, value: int) -> Tag:
        """Return a tag of one whole number of 32 bits."""
        return cls(_LONG, 1, struct.pack("<I", value))

    @classmethod
    def short(cls, value: int) -> Tag:
        """Return a tag of one whole number of 16 bits."""
        return cls(_SHORT, 1, struct.pack("<H", value))

    def numbers(self) -> NDArray[np.uint64]:
        """Return the values of a tag of whole numbers."""
        kinds = {1: "<u1", _SHORT: "<u2", _LONG: "<u4", _LONG8: "<u8"}
        return np.frombuffer(self.data, kinds[self.kind]).astype(np.uint64)


Tags = Mapping[int, Tag]


@dataclass(frozen=True)
class Image:
    """One image of a file: its tags, and where its tiles lie; a tile of no bytes is left out."""

    tags: Tags
    offsets: NDArray[np.uint64]
    counts: NDArray[np.uint64]


def read_directories(data: bytes | memoryview) -> list[dict[int, Tag]]:
    """Return the tags of each directory of a little-endian TIFF in memory."""
    big = bytes(data[:4]) == b"II+\0"
    (place,) = struct.unpack_from("<Q" if big else "<I", data, 8 if big else 4)
    found = []
    while place:
        tags, place = _read_directory(data, place, big)
        found.append(tags)
    return found


def header(images: Sequence[Image], *, big: bool) -> bytes:
    """Return all that stands before the tiles; its length does not depend on where they lie.

    ``images`` come as they are chained: the full resolution, its mask, the first overview, ….
    """
    ghost = b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n%s" % (len(_GHOST), _GHOST)
    start = (16 if big else 8) + len(ghost)
    start += start % 2
    magic = struct.pack("<2sHHHQ", b"II", 43, 8, 0, start)
    if not big:
        magic = struct.pack("<2sHI", b"II", 42, start)
    parts = [magic, ghost, b"\0" * (start - len(magic) - len(ghost))]
    place = start
    for number, image in enumerate(images):
        part = _directory(image, place, big=big, last=number == len(images) - 1)
        parts.append(part)
        place += len(part)
    return b"".join(parts)


def _read_directory(data: bytes | memoryview, place: int, big: bool) -> tuple[dict[int, Tag], int]:
    (count,) = struct.unpack_from("<Q" if big else "<H", data, place)
    place += 8 if big else 2
    entry, room = (20, 8) if big else (12, 4)
    tags = {}
    for at in range(place, place + count * entry, entry):
        code, kind = struct.unpack_from("<HH", data, at)
        (values,) = struct.unpack_from("<Q" if big else "<I", data, at + 4)
        size = values * _SIZES[kind]
        where = at + entry - room
        if size > room:
            (where,) = struct.unpack_from("<Q" if big else "<I", data, where)
        tags[code] = Tag(kind, values, bytes(data[where : where + size]))
    (following,) = struct.unpack_from("<Q" if big else "<I", data, place + count * entry)
    return tags, following


def _directory(image: Image, place: int, *, big: bool, last: bool) -> bytes:
    """Return a directory that stands at ``place``, with the values that it points to behind it."""
    tags = dict(image.tags)
    kind, dtype = (_LONG8, "<u8") if big else (_LONG, "<u4")
    tags[TILE_OFFSETS] = Tag(kind, len(image.offsets), image.offsets.astype(dtype).tobytes())
    tags[TILE_BYTE_COUNTS] = Tag(_LONG, len(image.counts), image.counts.astype("<u4").tobytes())
    entry, room, pointer = (20, 8, "<Q") if big else (12, 4, "<I")
    size = (8 if big else 2) + len(tags) * entry + room
    entries = [struct.pack("<Q" if big else "<H", len(tags))]
    behind: list[bytes] = []
    end = place + size
    for code in sorted(tags):
        tag = tags[code]
        value = tag.data
        if len(value) > room:
            behind.append(value + b"\0" * (len(value) % 2))
            value = struct.pack(pointer, end)
            end += len(behind[-1])
        entries.append(struct.pack("<HH", code, tag.kind))
        entries.append(struct.pack(pointer, tag.count) + value.ljust(room, b"\0"))
    end += -end % 8
    entries.append(struct.pack(pointer, 0 if last else end))
    whole = b"".join(entries + behind)
    return whole + b"\0" * (end - place - len(whole))
