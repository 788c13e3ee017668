"""Area averages on a grid that does not fit, against sums written out and against GDAL's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject

from geosr.core.geometry import Window
from geosr.core.plan import Block, ResampledPlan
from geosr.resample import AreaResampler

SHAPE = (31, 38)
STEPS = [(0.75, 0.75), (2 / 3, 0.9), (0.51, 0.5), (1.0, 0.83), (0.6, 0.6)]


def plan_of(steps, s=2, block_size=1000, shape=SHAPE) -> ResampledPlan:
    output = tuple(max(math.floor(n / step + 0.5), 1) for n, step in zip(shape, steps, strict=True))
    return ResampledPlan(shape, block_size, 50, 3, s, output_shape=output, steps=steps)


def averaged(plan: ResampledPlan, image: np.ndarray, valid: np.ndarray | None = None):
    """Resample block by block, each block from its own part of the prediction."""
    s = plan.upscale_factor
    resampler = AreaResampler(s, plan.steps)
    mean = np.full((len(image), *plan.output_shape), np.nan, image.dtype)
    good = np.ones(mean.shape, bool)
    for block in plan.blocks():
        fine = block.core.scale(s).slices
        part = None if valid is None else valid[:, *fine]
        values, known = resampler.averaged(image[:, *fine].copy(), part, block)
        assert values.dtype == image.dtype
        mean[:, *block.output.slices] = values
        if known is not None:
            good[:, *block.output.slices] = known
    return mean, good


def by_hand(plan: ResampledPlan, image: np.ndarray, valid: np.ndarray):
    """Sum up, for each output pixel, what it covers of each fine one."""
    s = plan.upscale_factor
    mean, share = np.zeros((len(image), *plan.output_shape)), np.zeros(plan.output_shape)

    def covered(first: float, last: float, length: int) -> np.ndarray:
        pixels = np.arange(length)
        return np.clip(np.minimum(last, pixels + 1) - np.maximum(first, pixels), 0, 1)

    height, width = image.shape[1:]
    for row, col in np.ndindex(*plan.output_shape):
        (dy, dx) = (step * s for step in plan.steps)
        area = np.outer(
            covered(row * dy, (row + 1) * dy, height), covered(col * dx, (col + 1) * dx, width)
        )
        known = area * valid
        share[row, col] = known.sum() / area.sum()
        if share[row, col] > 0:
            mean[:, row, col] = (np.where(valid, image, 0) * known).sum(axis=(1, 2)) / known.sum()
    return mean, share


def by_gdal(plan: ResampledPlan, image: np.ndarray, nodata: float | None = None) -> np.ndarray:
    s = plan.upscale_factor
    result = np.full((len(image), *plan.output_shape), np.nan)
    reproject(
        image.astype(np.float64),
        result,
        src_transform=Affine(1, 0, 1000, 0, -1, 2000),
        dst_transform=Affine(plan.steps[1] * s, 0, 1000, 0, -plan.steps[0] * s, 2000),
        src_crs="EPSG:32632",
        dst_crs="EPSG:32632",
        src_nodata=nodata,
        dst_nodata=np.nan,
        resampling=Resampling.average,
    )
    return result


@pytest.fixture
def image():
    return np.random.default_rng(0).uniform(0, 1000, (2, SHAPE[0] * 2, SHAPE[1] * 2))


@pytest.mark.parametrize("steps", STEPS)
def test_mean_is_the_sum_of_what_is_covered(image, steps):
    plan = plan_of(steps)
    expected, _ = by_hand(plan, image, np.ones(image.shape[1:], bool))
    mean, good = averaged(plan, image)
    assert good.all()
    assert mean == pytest.approx(expected, rel=1e-9)
    single = averaged(plan, image.astype(np.float32))[0]
    assert single == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("steps", STEPS)
def test_holes_are_left_out_and_half_is_enough(image, steps):
    plan = plan_of(steps)
    valid = np.random.default_rng(1).random(SHAPE) > 0.3
    valid = valid.repeat(2, axis=0).repeat(2, axis=1)
    expected, share = by_hand(plan, image, valid)
    poisoned = np.where(valid, image, np.nan)
    mean, good = averaged(plan, poisoned, np.broadcast_to(valid, image.shape))
    clear = np.abs(share - 0.5) > 1e-4
    assert np.array_equal(good[:, clear], np.broadcast_to(share > 0.5, good.shape)[:, clear])
    assert good[:, np.abs(share - 0.5) < 1e-9].all()
    assert mean[good] == pytest.approx(expected[good], rel=1e-9)


@pytest.mark.parametrize("steps", STEPS)
def test_mean_is_gdal_s(image, steps):
    plan = plan_of(steps)
    inner = (slice(None), slice(1, -1), slice(1, -1))
    mean, _ = averaged(plan, image)
    assert mean[inner] == pytest.approx(by_gdal(plan, image)[inner], abs=0.01)


@pytest.mark.parametrize("steps", STEPS)
def test_mean_beside_holes_is_gdal_s(image, steps):
    plan = plan_of(steps)
    valid = np.random.default_rng(2).random(image.shape) > 0.2
    holed = np.where(valid, image, -9999)
    # one band at a time: GDAL lets a hole count in several bands together only
    theirs = np.concatenate([by_gdal(plan, band[None], nodata=-9999) for band in holed])
    mean, good = averaged(plan, image, valid)
    both = good & np.isfinite(theirs)
    assert both.mean() > 0.7
    inner = (slice(None), slice(1, -1), slice(1, -1))
    both = both[inner]
    assert mean[inner][both] == pytest.approx(theirs[inner][both], abs=0.01)


@given(
    steps=st.tuples(st.floats(0.34, 1), st.floats(0.34, 1)),
    s=st.sampled_from([2, 3]),
    size=st.integers(1, 30),
    holes=st.booleans(),
)
def test_blocks_do_not_change_a_bit(steps, s, size, holes):
    rng = np.random.default_rng(3)
    shape = (17, 13)
    image = rng.normal(500, 90, (1, 17 * s, 13 * s)).astype(np.float32)
    valid = rng.random(image.shape) > 0.4 if holes else None
    whole = averaged(plan_of(steps, s, shape=shape), image, valid)
    parts = averaged(plan_of(steps, s, block_size=size, shape=shape), image, valid)
    for one, other in zip(whole, parts, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(value=st.floats(-1e6, 1e6), steps=st.sampled_from(STEPS), holes=st.booleans())
def test_constant_stays_to_the_last_bit_of_single_precision(dtype, value, steps, holes):
    image = np.full((1, SHAPE[0] * 2, SHAPE[1] * 2), value, dtype)
    valid = np.random.default_rng(4).random(image.shape) > 0.3 if holes else None
    mean, good = averaged(plan_of(steps), image, valid)
    if dtype == np.float32:
        assert (mean[good] == image[0, 0, 0]).all()
    assert mean[good] == pytest.approx(value, rel=1e-14)


def test_a_grid_that_fits_gives_block_means():
    image = np.arange(2 * 12 * 16, dtype=np.float32).reshape(2, 12, 16)
    plan = ResampledPlan((6, 8), 100, 9, 3, 2, output_shape=(6, 8), steps=(1.0, 1.0))
    expected = image.reshape(2, 6, 2, 8, 2).mean(axis=(2, 4))
    assert np.array_equal(averaged(plan, image)[0], expected)


def test_an_offset_far_into_the_raster_keeps_its_place():
    """A block a million pixels in covers just what its first pixel's edge says."""
    resampler = AreaResampler(2, (0.9, 0.9))
    first = 1_000_000
    core = Window(900_000, 900_000, 5, 5)
    ramp = np.arange(900_000 * 2, 900_000 * 2 + 10, dtype=np.float64) + 0.5
    image = np.broadcast_to(ramp, (1, 10, 10)).copy()
    mean, _ = resampler.averaged(image, None, Block(core, Window(first, first, 5, 5)))
    expected = (first + np.arange(5) + 0.5) * 1.8  # the middle of each output pixel
    assert mean[0, 0] == pytest.approx(expected, abs=0.2)  # pixels are flat, so not exact
    assert np.diff(mean[0, 0]) == pytest.approx(1.8, abs=0.35)
