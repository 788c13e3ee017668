"""A prediction averaged to a resolution of one's own, through the whole engine."""

from __future__ import annotations

import math

import numpy as np
import pytest
from in_memory import ArrayReader, ArrayWriter, enlarged, kernel, scene, upscaled

from geosr.core.geometry import Window
from geosr.core.plan import Block, ResampledPlan
from geosr.engine import Work, run
from geosr.quantise import Target
from geosr.resample import AreaResampler

SHAPE = (33, 38)


def resampled(source, predictor, steps, *, core, block_size, valid=None, **target):
    """Run the engine with output pixels of ``steps`` source pixels; return values and validity."""
    s, halo = predictor.facts.upscale_factor, predictor.facts.radius
    output = tuple(math.floor(n / step + 0.5) for n, step in zip(SHAPE, steps, strict=True))
    plan = ResampledPlan(
        SHAPE, block_size, core + 2 * halo, halo, s, output_shape=output, steps=steps
    )
    target = Target(target.get("dtype", source.dtype.name), target.get("nodata"), exact=False)
    hole = 0 if target.nodata is None else target.nodata
    work = Work(target, True, hole, AreaResampler(s, steps), 2)
    writer = ArrayWriter((len(source), *output), target.dtype)
    tally = run(plan, ArrayReader(source, valid), predictor, writer, work)
    assert (writer.hits == 1).all()
    assert tally.tiles == plan.num_tiles
    return writer.values, writer.valid


@pytest.mark.parametrize("steps", [(0.6, 0.6), (0.75, 0.9), (0.5, 0.51)])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_tiles_and_blocks_do_not_change_a_bit(random_networks, dtype, steps):
    source = scene(SHAPE, bands=2, dtype=dtype)
    valid = np.random.default_rng(0).random(source.shape) > 0.1
    for model in (kernel("bicubic", 3), random_networks[2]):
        for good in (None, valid):
            ends = {"valid": good, "nodata": 3000}
            expected = resampled(source, model, steps, core=50, block_size=1000, **ends)
            for core, block_size in ((9, 1000), (16, 23), (50, 17)):
                result = resampled(source, model, steps, core=core, block_size=block_size, **ends)
                for one, other in zip(result, expected, strict=True):
                    assert np.array_equal(one, other), (core, block_size)


def test_it_is_the_prediction_averaged(random_networks):
    source, steps = scene(SHAPE, dtype="float32"), (0.6, 0.75)
    values, valid = resampled(source, random_networks[2], steps, core=16, block_size=20)
    assert valid.all()
    fine = upscaled(source, random_networks[2]).values
    block = Block(Window(0, 0, *SHAPE), Window(0, 0, *values.shape[1:]))
    expected, _ = AreaResampler(2, steps).averaged(fine, None, block)
    assert np.array_equal(values, expected)
    counts, _ = resampled(source, random_networks[2], steps, core=16, block_size=20, dtype="uint16")
    assert np.array_equal(counts, np.clip(np.rint(expected), 0, 65535))


@pytest.mark.parametrize("poison", [np.nan, np.inf, -9999.0])
def test_holes_stay_holes_and_nothing_else_is_touched(poison):
    source, steps = scene(SHAPE, dtype="float32"), (0.7, 0.7)
    valid = np.ones(source.shape, bool)
    valid[:, 10:20, 5:17] = False
    model = kernel("bicubic", 2)
    holed = np.where(valid, source, np.float32(poison))
    ends = {"valid": valid, "nodata": -9999.0, "core": 11, "block_size": 19}
    values, good = resampled(holed, model, steps, **ends)
    expected, _ = resampled(source, model, steps, **ends)
    assert np.array_equal(values, expected)
    assert np.array_equal(values == -9999, ~good)
    # source rows 10 to 20 are output rows 14.3 to 28.6, of which half is enough
    assert not good[:, 14:28, 8:24].any()
    assert good[:, :14].all()
    assert good[:, 29:].all()


def test_constant_stays_constant(random_networks):
    for dtype, value in (("float32", 0.1), ("uint8", 255), ("int16", -32768), ("uint16", 7)):
        source = np.full((1, *SHAPE), value, dtype)
        values, _ = resampled(source, random_networks[2], (0.6, 0.9), core=16, block_size=20)
        assert (values == source[0, 0, 0]).all()


def test_nearest_averaged_back_is_the_source():
    source = scene(SHAPE, dtype="uint16")
    values, _ = resampled(source, kernel("nearest", 4), (1.0, 1.0), core=10, block_size=13)
    assert np.array_equal(values, source)
    values, _ = resampled(source, kernel("nearest", 4), (0.5, 0.5), core=10, block_size=13)
    assert np.array_equal(values, enlarged(source, 2))
