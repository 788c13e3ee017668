"""How a raster is cut for a network without a card."""

from __future__ import annotations

from math import lcm

from geosr.core.errors import OptionError
from geosr.core.plan import BlockPlan, best_tile_size
from geosr.engine.overlap import BlendedPlan
from geosr.foreign.predictor import ForeignPredictor

LARGEST_CORE = 256
"""Side of a tile's core where nothing else is asked for: nobody knows what the network needs."""

WIDE_CORE = 512
"""The same for networks that look far: of a small tile, they would see little but its halo."""

WIDE_HALO = 16
"""Halo from which on a core is wide, in source pixels."""

BLENDED_TILE = 256
"""Side of a blended tile where nothing else is asked for, in source pixels."""

OVERLAP = 64
"""Source pixels over which one blended tile passes into the next, if the core is large enough."""


def lay_tiles(
    foreign: ForeignPredictor,
    shape: tuple[int, int],
    *,
    block_size: int,
    tile_size: int | None,
    alpha: int | None,
) -> BlockPlan:
    """Plan blocks and tiles: of the network's own size, on its grid, blended if need be.

    Raises
    ------
    OptionError
        If ``tile_size`` is none that the network takes.
    """
    fixed = foreign.network.layout.form.side
    if fixed is not None and tile_size not in (None, fixed):
        raise OptionError(
            f"{foreign.facts.name} takes tiles of {fixed} pixels, not {tile_size}.",
            hint="Leave --tile-size out.",
        )
    halo, factor = foreign.facts.radius, foreign.facts.upscale_factor
    if not foreign.facts.exact:
        size = fixed or tile_size or _blended_size(foreign, shape)
        overlap = max(min(OVERLAP, (size - 2 * halo) // 3), 0)
        return BlendedPlan(shape, block_size, size, halo, factor, alpha, overlap=overlap)
    size = _exact_size(foreign, shape, block_size, fixed, tile_size)
    block_size = lcm(block_size, foreign.stride)
    return BlockPlan(shape, block_size, size, halo, factor, alpha)


def _blended_size(foreign: ForeignPredictor, shape: tuple[int, int]) -> int:
    wanted = min(BLENDED_TILE, max(shape) + 2 * foreign.facts.radius)
    return foreign.network.layout.legal_side(wanted)


def _exact_size(
    foreign: ForeignPredictor,
    shape: tuple[int, int],
    block_size: int,
    fixed: int | None,
    tile_size: int | None,
) -> int:
    halo, stride = foreign.facts.radius, foreign.stride
    if fixed is not None:
        return 2 * halo + (fixed - 2 * halo) // stride * stride
    if tile_size is None:
        largest = LARGEST_CORE if halo < WIDE_HALO else WIDE_CORE
        best = best_tile_size(shape, block_size=block_size, halo=halo, largest=largest)
        return -(-best // stride) * stride  # the halo is a multiple, so the core is too
    if tile_size % stride:
        raise OptionError(
            f"{foreign.facts.name} needs tiles of a multiple of {stride} pixels, not {tile_size}.",
            hint=f"Use --tile-size {max(tile_size // stride, 1) * stride}.",
        )
    return tile_size
