"""The first stage: a block's pixels with their halo, holes filled, edges mirrored."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from geosr.core.plan import Block
from geosr.engine.parts import Array, Reader, Valid
from geosr.radiometry import fill_holes, mirror, working_dtype


@dataclass(frozen=True)
class LoadedBlock:
    """A block's pixels.

    Attributes
    ----------
    block
        Where they lie.
    raw, valid
        The core as stored, and where it is valid; None: everywhere.
    x
        The core and its halo, ready for the network.
    """

    block: Block
    raw: Array
    valid: Valid | None
    x: Array


Loaded = TypeVar("Loaded", bound=LoadedBlock)


def read_ahead(
    blocks: Iterable[Block], load: Callable[[Block], Loaded], pool: ThreadPoolExecutor
) -> Iterator[Loaded]:
    """Yield the blocks, the next one being read meanwhile."""
    coming: deque[Future[Loaded]] = deque()
    for block in blocks:
        coming.append(pool.submit(load, block))
        if len(coming) > 1:
            yield coming.popleft().result()
    while coming:
        yield coming.popleft().result()


def load_block(block: Block, reader: Reader, halo: int, *, gaps: bool = False) -> LoadedBlock:
    """Read a block, fill its holes from around it, and mirror it at the raster's edges.

    With ``gaps``, what is too deep in a hole to be filled becomes NaN, else 0. Another band may
    be valid there, and a network that sees both must not take the 0 for an edge.
    """
    core, wide = block.core, block.core.grow(halo)
    seen = inner = wide.within(reader.extent)
    raw, valid = reader.read(seen)
    around = core.grow(2 * halo).within(reader.extent)
    if valid is not None and valid.any() and not valid.all() and around != seen:
        raw, valid = reader.read(around)  # filling a hole looks as far again as the network
        seen = around
    x = raw.astype(working_dtype(reader.dtype), copy=True)
    if valid is not None:
        x = fill_holes(x, valid, reach=halo, beyond=np.nan if gaps else 0.0)
    before = inner.row_off - wide.row_off, inner.col_off - wide.col_off
    after = (
        wide.row_off + wide.height - inner.row_off - inner.height,
        wide.col_off + wide.width - inner.col_off - inner.width,
    )
    x = mirror(x[:, *inner.shift(-seen.row_off, -seen.col_off).slices], before, after)
    place = core.shift(-seen.row_off, -seen.col_off).slices
    good = None if valid is None else valid[:, *place]
    return LoadedBlock(block, raw[:, *place], None if good is None or good.all() else good, x)
