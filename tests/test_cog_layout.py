"""Tiles of a cloud-optimised GeoTIFF: each made once, by blocks of any size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geosr.core.errors import PlanError
from geosr.core.geometry import Window
from geosr.core.plan import OUTPUT_TILE, BlockPlan, ResampledPlan, block_side
from geosr.io.cog.layout import Level, cog_layout, reduced
from geosr.io.opening import open_raster

TILES = st.sampled_from([1, 2, 4, 16])  # 128 to 512 in files


@st.composite
def cases(draw):
    """Return a plan, the shape of its output, and a tile, as they come together in files."""
    factor, tile = draw(st.integers(1, 8)), (draw(TILES), draw(TILES))
    side = draw(st.integers(1, 4)) * math.lcm(*tile, factor)  # of a block, in output pixels
    length = st.integers(1, max(4 * side // factor, 1))
    shape = draw(length), draw(length)
    if draw(st.booleans()):
        plan = BlockPlan(shape, side // factor, 20, 2, factor)
        return plan, (shape[0] * factor, shape[1] * factor), tile
    steps = tuple(draw(st.floats(1 / factor, 1)) for _ in range(2))
    output = tuple(max(round(n / step), 1) for n, step in zip(shape, steps, strict=True))
    plan = ResampledPlan(shape, side, 20, 2, factor, output_shape=output, steps=steps)
    return plan, output, tile


def layout_for(plan, shape, tile, **changes):
    wanted = {"planes": 1, "has_mask": False, "overviews": True, **changes}
    return cog_layout(plan, shape, tile, **wanted)


@given(cases(), st.integers(1, 3), st.booleans())
def test_blocks_make_each_tile_of_their_levels_once(case, planes, has_mask):
    plan, shape, tile = case
    layout = layout_for(plan, shape, tile, planes=planes, has_mask=has_mask)
    images = dict.fromkeys(layout.images(0, layout.in_block))
    levels = {False: layout.levels, True: layout.mask_levels}
    for level, is_mask in images:
        images[level, is_mask] = np.zeros(levels[is_mask][level].num_tiles, int)
    for block in plan.blocks():
        for (level, is_mask), hits in images.items():
            numbers = list(levels[is_mask][level].numbers(reduced(block.output, level)))
            assert len(numbers) == len(set(numbers))
            hits[numbers] += 1
    assert all((hits == 1).all() for hits in images.values())


@given(cases())
def test_a_blocks_part_of_a_level_is_whole_tiles(case):
    plan, shape, tile = case
    layout = layout_for(plan, shape, tile)
    for level in range(layout.in_block):
        place = layout.levels[level]
        for block in plan.blocks():
            part = reduced(block.output, level)
            assert part.clip(place.shape) == part
            assert (part.row_off % tile[0], part.col_off % tile[1]) == (0, 0)
            ends = part.row_off + part.height, part.col_off + part.width
            for axis in (0, 1):
                assert ends[axis] == place.shape[axis] or ends[axis] % tile[axis] == 0
            # Halved again and again, the block has the shape of its part.
            halves = block.output.shape
            for _ in range(level):
                halves = -(-halves[0] // 2), -(-halves[1] // 2)
            assert halves == part.shape


@given(cases())
@example((BlockPlan((1, 5000), 2048, 532, 10, 2), (2, 10_000), (16, 512)))
@example((BlockPlan((37, 50), 2048, 70, 10, 2), (74, 100), (80, 112)))
def test_overviews_halve_until_one_fits_into_a_tile(case):
    plan, shape, tile = case
    layout = layout_for(plan, shape, tile)
    for level, place in enumerate(layout.levels):
        assert place.shape == tuple(-(-n // 2**level) for n in shape)  # as GDAL has it
        fits = place.shape[0] <= tile[0] and place.shape[1] <= tile[1]
        assert fits == (place is layout.levels[-1])
    assert 1 <= layout.in_block <= len(layout.levels)
    alone = layout_for(plan, shape, tile, overviews=False)
    assert (len(alone.levels), alone.in_block) == (1, 1)


@pytest.mark.parametrize("shape", [(1, 5000), (37, 50), (513, 512), (1000, 777), (5, 9)])
def test_overviews_are_of_gdals_shapes(tmp_path, shape):
    path, tile = str(tmp_path / "a.tif"), (64, 128)
    shapes = [
        level.shape for level in layout_for(BlockPlan(shape, 128, 9, 0, 1), shape, tile).levels
    ]
    profile = {"height": shape[0], "width": shape[1], "count": 1, "dtype": "uint8"}
    with open_raster(path, "w", driver="GTiff", **profile) as dst:
        dst.build_overviews([2**level for level in range(1, len(shapes))])
    for level, wanted in enumerate(shapes[1:]):
        with open_raster(path, OVERVIEW_LEVEL=level) as src:
            assert src.shape == wanted


@given(cases(), st.integers(1, 3))
def test_a_window_is_made_of_the_tiles_that_it_touches(case, planes):
    _, shape, tile = case
    level = Level(shape, tile, planes)
    rows, cols = level.grid
    numbers = np.arange(level.num_tiles).reshape(planes, rows, cols)
    of_pixels = numbers.repeat(tile[0], 1).repeat(tile[1], 2)[:, : shape[0], : shape[1]]
    whole = Window(0, 0, *shape)
    assert list(level.numbers(whole)) == list(range(level.num_tiles))
    last = Window(shape[0] // 2, shape[1] // 3, shape[0] - shape[0] // 2, shape[1] - shape[1] // 3)
    touched = of_pixels[(slice(None), *last.slices)]
    assert list(level.numbers(last)) == sorted(set(touched.ravel().tolist()))


@pytest.mark.parametrize("factor", range(2, 9))
@pytest.mark.parametrize("pixel_bytes", [1, 8, 26, 400])
def test_real_blocks_hold_whole_tiles(factor, pixel_bytes):
    side = block_side(factor, bytes_per_output_pixel=pixel_bytes)
    shape = (3 * side + 7, 2 * side + 1)
    plan = BlockPlan(shape, side, 100, 10, factor)
    output = (shape[0] * factor, shape[1] * factor)
    for tile in (128, 256, OUTPUT_TILE):
        layout = layout_for(plan, output, (tile, tile))
        assert side * factor % (tile << (layout.in_block - 1)) == 0
        further = side * factor % (tile << layout.in_block) == 0
        assert not further or layout.in_block == len(layout.levels)


def test_tiles_that_lie_in_several_blocks_are_refused():
    plan = BlockPlan((100, 100), 24, 20, 2, 1)
    with pytest.raises(PlanError, match="24 x 24 pixels hold no whole tiles of 8 x 16") as caught:
        layout_for(plan, (100, 100), (8, 16))
    assert caught.value.hint
    assert layout_for(plan, (100, 100), (8, 8)).in_block == 1
    assert layout_for(BlockPlan((20, 20), 24, 20, 2, 1), (20, 20), (8, 16)).in_block == 3


def test_a_blocks_images_come_coarse_first_and_before_their_masks():
    plan = BlockPlan((64, 64), 64, 20, 2, 1)
    layout = layout_for(plan, (64, 64), (16, 16), has_mask=True)
    assert list(layout.images(0, 3)) == [
        (2, False), (2, True), (1, False), (1, True), (0, False), (0, True),
    ]  # fmt: skip
    assert [level.planes for level in layout.mask_levels] == [1, 1, 1]
    assert list(layout_for(plan, (64, 64), (16, 16)).images(0, 2)) == [(1, False), (0, False)]
    assert layout_for(plan, (64, 64), (16, 16)).mask_levels == ()
