"""Damage that GDAL does not see: blocks that are not in the file, and broken checksums."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rasterio.enums import Interleaving

from geosr.core.errors import InputFileError
from geosr.core.geometry import Window
from geosr.io.facts import RasterFacts
from geosr.io.opening import open_source

Block = tuple[int, int, int]
"""Band (from 1), row and column of a block, in blocks."""

_MOST_BLOCKS = 100_000  # looked up in a second or so; a cut-off end shows in a sample as well


def has_checksums(facts: RasterFacts) -> bool:
    """Return whether the raster is a local GeoTIFF whose blocks end with a checksum."""
    return is_local_tiff(facts) and facts.compression == "deflate"


def is_local_tiff(facts: RasterFacts) -> bool:
    """Return whether the raster is a GeoTIFF in a file of this machine."""
    return facts.driver == "GTiff" and os.path.isfile(facts.path)


def blocks_of(src: Any, indexes: Sequence[int], window: Window) -> Iterator[Block]:
    """Yield the blocks that hold bands ``indexes`` of ``window`` in an open GeoTIFF."""
    rows, cols = src.block_shapes[0]
    bands = indexes if src.interleaving != Interleaving.pixel else (1,)
    for band in bands:
        for row in range(window.row_off // rows, -(-(window.row_off + window.height) // rows)):
            for col in range(window.col_off // cols, -(-(window.col_off + window.width) // cols)):
                yield band, row, col


def place_of(src: Any, block: Block) -> tuple[int, int] | None:
    """Return the first byte and the number of bytes of a block; None if it is not in the file."""
    band, row, col = block
    # https://gdal.org/drivers/raster/gtiff.html, metadata domain TIFF; x before y.
    offset = src.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band)
    size = src.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=band)
    return (int(offset), int(size)) if offset and size and int(size) else None


def first_lost_block(
    src: Any, file_bytes: int, *, blocks: Iterable[Block] | None = None, sparse: bool = True
) -> Block | None:
    """Return the first block of an open GeoTIFF that ends behind the file's end, or None.

    With ``sparse``, blocks that were never written may be missing.
    """
    if blocks is None:
        blocks = blocks_of(src, src.indexes, Window(0, 0, *src.shape))
    for block in blocks:
        place = place_of(src, block)
        if (place is None and not sparse) or (place is not None and sum(place) > file_bytes):
            return block
    return None


def check_complete(facts: RasterFacts, indexes: Sequence[int], window: Window) -> None:
    """Refuse a GeoTIFF whose end is missing, before any work is done; others are let pass.

    Raises
    ------
    InputFileError
        If a block of bands ``indexes`` in ``window`` lies behind the end of the file.
    """
    if not is_local_tiff(facts):
        return
    with open_source(facts.path) as src:
        blocks = tuple(blocks_of(src, facts.all_indexes(indexes), window))
        sample = blocks[:: math.ceil(len(blocks) / _MOST_BLOCKS)] if blocks else ()
        size = os.path.getsize(facts.path)
        lost = first_lost_block(src, size, blocks=sample)
    if lost is not None:
        raise InputFileError(
            f"{facts.path} is cut off: it has {size} bytes, and the block in row {lost[1]} and "
            f"column {lost[2]} of its blocks, band {lost[0]}, would lie behind them.",
            hint="Fetch or copy it again, or leave this part out with --bounds.",
        )


class Checksums:
    """Checks the checksum of each DEFLATE block once.

    libtiff stops reading a block when it has all pixels, before the checksum: flipped bits
    would pass as a picture.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._good: set[Block] = set()

    def broken(self, src: Any, indexes: Sequence[int], window: Window) -> Block | None:
        """Return the first block in ``window`` whose data are damaged, or None."""
        blocks = [b for b in blocks_of(src, indexes, window) if b not in self._good]
        if not blocks:
            return None
        with open(self._path, "rb") as file:
            for block in blocks:
                place = place_of(src, block)
                if place is not None:
                    file.seek(place[0])
                    try:
                        zlib.decompressobj().decompress(file.read(place[1]))
                    except zlib.error:
                        return block
                self._good.add(block)
        return None
