"""Tiles that pass into each other: for networks that have no radius."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_memory import ArrayReader

from geosr.core.errors import PredictionError
from geosr.core.facts import ModelFacts, kernel_facts
from geosr.core.geometry import Window
from geosr.core.plan import Block, BlockPlan
from geosr.engine import Work, run
from geosr.engine.overlap import BlendedPlan, shares, spread
from geosr.predictors import KernelPredictor
from geosr.quantise import Target

FACTOR = 2


class Picture:
    """An array as a `Writer`; each pixel is written once."""

    def __init__(self, reader, dtype):
        height, width = reader.shape
        self.values = np.zeros((reader.count, height * FACTOR, width * FACTOR), dtype)
        self.hits = np.zeros(self.values.shape[1:], int)

    def encode(self, block, values, valid):
        return values

    def commit(self, block, values, note):
        self.values[:, *block.output.slices] = values
        self.hits[block.output.slices] += 1


@dataclass(frozen=True)
class OfTheTile:
    """Repeats pixels and adds ``strength`` times the mean of all that the tile shows."""

    facts: ModelFacts
    halo: int
    strength: float = 1.0

    def predict(self, x):
        inner = x[:, self.halo : x.shape[1] - self.halo, self.halo : x.shape[2] - self.halo]
        mean = x.mean(axis=(1, 2), dtype=np.float64).astype(x.dtype)
        added = inner + x.dtype.type(self.strength) * mean[:, None, None]
        return np.repeat(added[:, None], FACTOR**2, axis=1)


def facts(bands=1):
    return ModelFacts("of-the-tile", "of-the-tile", FACTOR, 0, bands=bands, exact=False)


def predicted(values, *, valid=None, predictor=None, work=None, threads=1, alpha=None, **plan):
    """Return a raster upscaled through blended tiles."""
    plan = {"block_size": 1000, "tile_size": 24, "halo": 3, "overlap": 6, **plan}
    plan = BlendedPlan(values.shape[1:], upscale_factor=FACTOR, alpha=alpha, **plan)
    work = work or Work(Target("float32", exact=False), consistency=False)
    reader = ArrayReader(values, valid, alpha)
    picture = Picture(reader, work.target.dtype)
    predictor = predictor or OfTheTile(facts(), plan.halo)
    tally = run(plan, reader, predictor, picture, replace(work, threads=threads))
    assert tally.tiles == plan.num_tiles
    assert (picture.hits == 1).all()
    return picture.values


def noise(shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).uniform(100, 9000, shape).astype(dtype)


@given(length=st.integers(1, 400), core=st.integers(2, 60), data=st.data())
def test_cores_cover_all_and_share_enough(length, core, data):
    overlap = data.draw(st.integers(0, core - 1))
    starts = spread(length, core=core, overlap=overlap)
    assert starts[0] == 0
    if length <= core:
        assert starts == [0]
        return
    assert starts[-1] + core == length
    gaps = np.diff(starts)
    assert (gaps > 0).all()
    assert (gaps <= core - overlap).all()
    assert len(starts) == 1 + -(-(length - core) // (core - overlap))  # no more than needed
    assert gaps.max() - gaps.min() <= 1


@given(
    length=st.integers(1, 120),
    block_size=st.integers(1, 50),
    halo=st.integers(0, 4),
    core=st.integers(2, 40),
    data=st.data(),
)
def test_shares_sum_to_one_and_belong_to_the_raster(length, block_size, halo, core, data):
    overlap = data.draw(st.integers(0, core // 2))
    plan = BlendedPlan((length, 7), block_size, core + 2 * halo, halo, 3, overlap=overlap)
    starts = spread(length, core=core, overlap=plan.overlap)
    whole = shares(plan, Block(Window(0, 0, length, 7), Window(0, 0, 3 * length, 21)), 0)
    for block in plan.blocks():
        share = shares(plan, block, 0)
        np.testing.assert_allclose(share.sum(axis=0), 1, rtol=0, atol=4e-16)
        assert (share >= 0).all()
        first = block.core.row_off
        for start, own in zip(plan.starts(block, 0), share, strict=True):
            there = whole[starts.index(start + first)]
            np.testing.assert_array_equal(own, there[:, first : first + block.core.height])


def test_shares_rise_slowly():
    plan = BlendedPlan((200, 9), 512, 48, 4, 2, overlap=16)
    block = next(plan.blocks())
    fine = shares(plan, block, 0).swapaxes(1, 2).reshape(-1, 400)
    assert np.abs(np.diff(fine)).max() <= 2 / (16 * 2)  # 1.5 of a straight ramp, and a bit
    assert fine.max() == 1


@pytest.mark.parametrize("shape", [(1, 70, 95), (2, 25, 61), (1, 18, 19), (1, 5, 70), (1, 1, 1)])
@pytest.mark.parametrize("dtype", ["uint16", "float32", "int32"])
def test_blocks_and_workers_do_not_show(shape, dtype):
    values = noise(shape, dtype)
    valid = np.random.default_rng(1).random(shape) > 0.2
    work = Work(Target(dtype))
    for good in (None, valid):
        whole = predicted(values, valid=good, work=work)
        for block_size, threads in ((8, 1), (17, 3), (32, 2), (1000, 4)):
            options = {"block_size": block_size, "threads": threads}
            made = predicted(values, valid=good, work=work, **options)
            np.testing.assert_array_equal(made, whole)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("value", [0.1, 37, 1 / 3 * 250])
def test_a_constant_stays_constant_to_the_last_bit(dtype, value):
    values = np.full((1, 61, 83), value, dtype)
    keeping = OfTheTile(facts(), 3, strength=0.0)
    work = Work(Target(dtype, exact=False), consistency=False)
    made = predicted(values, predictor=keeping, work=work)
    np.testing.assert_array_equal(made, np.full((1, 122, 166), value, dtype))


def test_what_tiles_agree_on_is_kept():
    values = noise((2, 64, 51))
    kernel = KernelPredictor(kernel_facts("bicubic", FACTOR))
    made = predicted(values, predictor=kernel, halo=2, tile_size=20, overlap=5)
    reader = ArrayReader(values)
    picture = Picture(reader, "float32")
    work = Work(Target("float32", exact=False), consistency=False)
    run(BlockPlan((64, 51), 1000, 70, 2, FACTOR), reader, kernel, picture, work)
    np.testing.assert_allclose(made, picture.values, rtol=0, atol=2e-3)  # of 9,000, as float32


def test_the_weights_are_those_of_the_tiles():
    values = noise((1, 16, 30))
    made = predicted(values, tile_size=16, halo=0, overlap=2)
    means = [values[0, :, at : at + 16].mean() for at in (0, 14)]
    assert spread(30, core=16, overlap=2) == [0, 14]
    added = made[0, 0] - values[0, 0].repeat(2)
    np.testing.assert_allclose(added[:28], means[0], atol=2e-3)
    np.testing.assert_allclose(added[32:], means[1], atol=2e-3)
    ramp = (np.arange(4) + 0.5) / 4  # over the 4 output pixels that both tiles have
    weight = ramp**2 * (3 - 2 * ramp)
    expected = means[0] * (1 - weight) + means[1] * weight
    np.testing.assert_allclose(added[28:32], expected, atol=2e-3)


def steepest(picture, source):
    """Return the largest step of what was added to the source, along rows and columns."""
    added = picture[0] - source[0].repeat(2, 0).repeat(2, 1)
    return max(np.abs(np.diff(added, axis=axis)).max() for axis in (0, 1))


def test_no_seam_shows():
    values = noise((1, 120, 130)) + np.linspace(0, 9000, 130, dtype="float32")
    plan = {"tile_size": 40, "halo": 4}
    cut = steepest(predicted(values, overlap=0, **plan), values)
    blended = steepest(predicted(values, overlap=16, **plan), values)
    assert cut > 500
    assert blended < cut / 10  # the step is spread over 32 output pixels


def test_a_seam_is_no_steeper_than_the_picture():
    rows, cols = np.mgrid[0:120, 0:130].astype("float32")
    values = (5000 + 4000 * np.sin(cols / 7) * np.cos(rows / 9))[None].astype("float32")
    made = predicted(values, tile_size=40, halo=4, overlap=16)[0]
    steps = np.abs(np.diff(made, axis=1))
    starts = spread(130, core=32, overlap=16)
    edges = {2 * at for at in starts} | {2 * (at + 32) for at in starts}
    at_edges = [edge - 1 for edge in edges if 0 < edge < 260]
    inside = np.delete(steps, at_edges, axis=1)
    assert steps[:, at_edges].max() <= inside.max()


def test_values_under_holes_do_not_matter():
    values, valid = noise((2, 60, 70), "uint16"), np.ones((2, 60, 70), bool)
    valid[:, 12:40, 20:50] = False
    other = np.where(valid, values, 7).astype("uint16")
    work = Work(Target("uint16", 0), hole=0.0)
    made = predicted(values, valid=valid, work=work)
    np.testing.assert_array_equal(predicted(other, valid=valid, work=work, block_size=16), made)
    np.testing.assert_array_equal(made == 0, ~valid.repeat(2, 1).repeat(2, 2))


def test_a_hole_does_not_darken_its_rim():
    values, valid = np.full((1, 80, 80), 500, "float32"), np.ones((1, 80, 80), bool)
    valid[:, 5:75, 5:75] = False
    work = Work(Target("float32", exact=False), consistency=False)
    made = predicted(values, valid=valid, work=work)
    np.testing.assert_array_equal(made[valid.repeat(2, 1).repeat(2, 2)], 1000)


@pytest.mark.parametrize("alpha", [0, 1, 2])
def test_bands_go_together_and_alpha_apart(alpha):
    class Swapping(OfTheTile):
        def predict(self, x):
            assert len(x) == 2
            return super().predict(x)[::-1]

    values = noise((3, 40, 50))
    made = predicted(values, predictor=Swapping(facts(2), 3, strength=0.0), alpha=alpha)
    source = values.repeat(2, 1).repeat(2, 2)
    first, second = (band for band in range(3) if band != alpha)
    np.testing.assert_allclose(made[first], source[second], rtol=0, atol=2e-3)
    np.testing.assert_allclose(made[second], source[first], rtol=0, atol=2e-3)
    np.testing.assert_array_equal(made[alpha], source[alpha])


def test_block_sums_are_exact():
    values = noise((1, 50, 60), "uint16")
    made = predicted(values, work=Work(Target("uint16")))
    sums = made[0].reshape(50, 2, 60, 2).astype(int).sum(axis=(1, 3))
    np.testing.assert_array_equal(sums, values[0].astype(int) * 4)


def test_a_broken_network_is_refused():
    class Broken(OfTheTile):
        def predict(self, x):
            return super().predict(x) * np.float32(np.nan)

    with pytest.raises(PredictionError, match="NaN or infinity"):
        predicted(noise((1, 50, 60)), predictor=Broken(facts(), 3), threads=2)
