"""Plans: each pixel once, whatever the sizes; what a prediction needs is read."""

from __future__ import annotations

import math
import time
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geosr.core.errors import PlanError
from geosr.core.geometry import Window
from geosr.core.plan import (
    OUTPUT_TILE,
    BlockPlan,
    ResampledPlan,
    best_tile_size,
    block_side,
    num_blocks,
    plan_blocks,
    plan_tiles,
)

SHAPES = st.tuples(st.integers(1, 50), st.integers(1, 50))
HALOS = st.integers(0, 6)


@st.composite
def block_plans(draw):
    halo = draw(HALOS)
    return BlockPlan(
        draw(SHAPES),
        block_size=draw(st.integers(1, 30)),
        tile_size=draw(st.integers(1, 30)) + 2 * halo,
        halo=halo,
        upscale_factor=draw(st.integers(2, 5)),
    )


@st.composite
def resampled_plans(draw):
    halo, factor = draw(HALOS), draw(st.integers(2, 4))
    shape = draw(SHAPES)
    steps = tuple(draw(st.floats(1 / factor, 1.0)) for _ in range(2))
    rounding = draw(st.sampled_from([math.floor, round, math.ceil]))
    output = tuple(max(rounding(n / step), 1) for n, step in zip(shape, steps, strict=True))
    return ResampledPlan(
        shape,
        block_size=draw(st.integers(1, 40)),
        tile_size=draw(st.integers(1, 30)) + 2 * halo,
        halo=halo,
        upscale_factor=factor,
        output_shape=output,
        steps=steps,
    )


@given(shape=SHAPES, core=st.integers(1, 20), halo=HALOS)
def test_cores_cover_each_pixel_once(shape, core, halo):
    hits = np.zeros(shape, int)
    for tile in plan_tiles(shape, tile_size=core + 2 * halo, halo=halo):
        hits[tile.core.slices] += 1
        assert tile.core.clip(shape) == tile.core
        assert tile.read == tile.core.grow(halo)
        assert max(tile.read.shape) <= core + 2 * halo
    assert (hits == 1).all()


@pytest.mark.parametrize(("tile_size", "halo"), [(6, 3), (5, 3), (0, 0), (4, -1)])
def test_tiles_without_core_are_refused(tile_size, halo):
    with pytest.raises(PlanError) as caught:
        plan_tiles((9, 9), tile_size=tile_size, halo=halo)
    assert caught.value.hint


def test_a_plan_without_core_is_refused_with_the_size_that_works():
    with pytest.raises(PlanError) as caught:
        BlockPlan((9, 9), block_size=9, tile_size=20, halo=10, upscale_factor=2)
    assert "21" in caught.value.hint
    BlockPlan((9, 9), block_size=9, tile_size=21, halo=10, upscale_factor=2)


@given(block_plans())
def test_tiles_of_all_blocks_cover_source_and_output_once(plan):
    s = plan.upscale_factor
    source, output = np.zeros(plan.shape, int), np.zeros([n * s for n in plan.shape], int)
    blocks, tiles = 0, 0
    for block in plan.blocks():
        blocks += 1
        output[block.output.slices] += 1
        assert block.output == block.core.scale(s)
        for tile in plan.tiles(block):
            tiles += 1
            source[tile.core.shift(block.core.row_off, block.core.col_off).slices] += 1
            assert tile.core.clip(block.core.shape) == tile.core
    assert (source == 1).all()
    assert (output == 1).all()
    assert plan.num_blocks == blocks == num_blocks(plan.shape, block_size=plan.block_size)
    assert plan.num_tiles == tiles


@given(resampled_plans())
def test_resampled_blocks_cover_the_output_once_and_hold_its_source(plan):
    output = np.zeros(plan.output_shape, int)
    blocks, tiles = 0, 0
    for block in plan.blocks():
        blocks += 1
        tiles += len(plan.tiles(block))
        output[block.output.slices] += 1
        assert block.core.clip(plan.shape) == block.core
        assert min(block.core.shape) >= 1
        for axis in (0, 1):
            first = (block.output.row_off, block.output.col_off)[axis]
            last = first + block.output.shape[axis]
            core = block.core.slices[axis]
            length, step = plan.shape[axis], plan.steps[axis]
            needed = min(first * step, length - 1), min(last * step, length)
            assert core.start <= needed[0] + 2e-6
            assert core.stop >= needed[1] - 2e-6
            # and not a pixel more
            assert core.start + 1 > needed[0]
            assert core.stop - 1 < max(needed[1], core.start + 1)
    assert (output == 1).all()
    assert plan.num_blocks == blocks
    assert plan.num_tiles == tiles


@given(SHAPES, st.integers(1, 60), HALOS, st.integers(1, 40))
def test_best_tile_size_sees_the_fewest_pixels(shape, block_size, halo, largest):
    def seen(tile_size):
        plan = BlockPlan(shape, block_size, tile_size, halo, 2)
        return plan.num_tiles * tile_size**2

    best = best_tile_size(shape, block_size=block_size, halo=halo, largest=largest)
    longest = min(largest, block_size, max(shape))
    allowed = [core + 2 * halo for core in range(max(longest // 3, 1), longest + 1)]
    assert best in allowed
    assert seen(best) == min(map(seen, allowed))


@pytest.mark.parametrize("factor", range(1, 9))
@pytest.mark.parametrize("size", [1, 2, 8, 16, 64, 400])
def test_block_side_fits_output_tiles_and_memory(factor, size):
    limit = 64 << 20
    side = block_side(factor, bytes_per_output_pixel=size, limit=limit)
    output = side * factor
    assert output % OUTPUT_TILE == 0
    unit = math.lcm(OUTPUT_TILE, factor)
    assert output == unit or (output <= 4608 and output**2 * size <= limit)


@given(SHAPES, st.integers(1, 60))
def test_blocks_come_row_by_row(shape, block_size):
    blocks = list(plan_blocks(shape, block_size=block_size))
    places = [(block.row_off, block.col_off) for block in blocks]
    assert places == sorted(places)
    assert all(row % block_size == 0 and col % block_size == 0 for row, col in places)
    assert sum(block.height * block.width for block in blocks) == shape[0] * shape[1]


def test_a_continent_is_planned_at_once():
    plan = BlockPlan((400_000, 300_000), 1024, 532, 10, 2)
    begun = time.perf_counter()
    assert plan.num_tiles == (390 * 2 + 2) * (292 * 2 + 2)  # last rows: 640 px, last columns: 992
    assert plan.num_blocks == 391 * 293
    assert sum(1 for _ in plan.blocks()) == plan.num_blocks
    assert time.perf_counter() - begun < 5  # one second on an idle machine
    last = next(iter(islice(plan.blocks(), plan.num_blocks - 1, None)))
    assert last.core == Window(390 * 1024, 292 * 1024, 640, 992)
