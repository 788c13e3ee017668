"""Which file of the store holds which block, and which pixels lie in it together."""

from __future__ import annotations

import math
from dataclasses import dataclass

from geosr.core.plan import OUTPUT_TILE, Block
from geosr.io.output import Output

DATA = "band_data"
"""The pixels' array: the name that ``xarray.open_dataset(…, engine="rasterio")`` gives them."""

MASK = "mask"
"""The array that says which pixels are valid."""

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class ZarrLayout:
    """How the arrays are cut; bands, rows and columns in this order.

    Attributes
    ----------
    shape
        Of the pixels' array.
    chunk
        What is compressed together.
    shard
        What lies in one file: a block.
    has_mask
        Whether there is a mask; it is cut alike.
    """

    shape: Triple
    chunk: Triple
    shard: Triple
    has_mask: bool

    def keys(self, block: Block) -> tuple[str, ...]:
        """Return the paths of a block's files inside the store, the pixels' first."""
        window = block.output
        place = f"{window.row_off // self.shard[1]}/{window.col_off // self.shard[2]}"
        mask = (f"{MASK}/c/{place}",) if self.has_mask else ()
        return (f"{DATA}/c/0/{place}", *mask)


def layout_of(output: Output) -> ZarrLayout:
    """Return the layout of an output: one file for each block of its plan.

    With ``INTERLEAVE=BAND`` a chunk holds one band; a file holds all of them anyhow.
    """
    profile = output.profile
    height, width = profile.grid.shape
    first = next(output.blocks.blocks()).output  # no other block is larger
    rows, cols = _sides(first.height, height), _sides(first.width, width)
    planes = 1 if profile.creation_options.get("INTERLEAVE") == "BAND" else profile.count
    return ZarrLayout(
        (profile.count, height, width),
        (planes, rows[0], cols[0]),
        (profile.count, rows[1], cols[1]),
        profile.nodata.write_mask,
    )


def _sides(block: int, length: int) -> tuple[int, int]:
    """Return the sides of a chunk and of a shard along one axis, for blocks of this side."""
    if block < length:
        return math.gcd(block, OUTPUT_TILE), block  # chunks must fit into a shard
    chunk = min(OUTPUT_TILE, length)
    return chunk, -(-length // chunk) * chunk
