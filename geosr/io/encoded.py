"""A block as it will lie in the output: ready-made pieces, which travel and wait as bytes."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from geosr.core.errors import OutputError

_MAGIC = b"geosr block 1\n"


@dataclass(frozen=True)
class EncodedBlock:
    """What a format stores of one block.

    Attributes
    ----------
    blobs
        Pieces in the format's own order; an empty one is not stored.
    """

    blobs: tuple[bytes, ...]

    def to_bytes(self, note: Mapping[str, float]) -> bytes:
        """Return the block and its note as a file of its own, with a checksum."""
        body = b"".join(self.blobs)
        head = json.dumps(
            {"sizes": [len(blob) for blob in self.blobs], "note": note, "crc": zlib.crc32(body)}
        )
        return b"%s%s\n%s" % (_MAGIC, head.encode(), body)

    @classmethod
    def from_bytes(cls, data: bytes) -> tuple[EncodedBlock, dict[str, float]]:
        """Return what `to_bytes` was made of.

        Raises
        ------
        OutputError
            If the bytes are not whole.
        """
        head, _, body = data.removeprefix(_MAGIC).partition(b"\n")
        try:
            facts = json.loads(head)
            whole = data.startswith(_MAGIC) and zlib.crc32(body) == facts["crc"]
        except (ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            raise OutputError("A part of the output is damaged.", hint="Run it again.")
        blobs, at = [], 0
        for size in facts["sizes"]:
            blobs.append(body[at : at + size])
            at += size
        return cls(tuple(blobs)), facts["note"]
