"""What comes out of the engine, pixel by pixel: models that are known by heart, and tiles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_memory import Model, block_means, enlarged, facts, kernel, scene, upscaled

from geosr.core.catalog import find_model
from geosr.core.facts import KERNEL_RADIUS
from geosr.kernels import interleave, upsample
from geosr.predictors import Machinery, load_predictor

KERNELS = tuple(KERNEL_RADIUS)
SIZES = [(1, 1), (1, 9), (8, 1), (2, 3), (3, 40), (23, 17), (33, 32), (40, 41)]
DTYPES = ("uint8", "uint16", "int16", "uint32", "int32", "float32", "float64")


def whole(x: np.ndarray, name: str, s: int) -> np.ndarray:
    """Interpolate a raster in one piece, edges mirrored by numpy, without the engine."""
    reach = KERNEL_RADIUS[name]
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    return interleave(upsample(padded, name, s))


@pytest.mark.parametrize("s", [2, 3, 4, 8])
@pytest.mark.parametrize("dtype", DTYPES)
def test_nearest_repeats_pixels(dtype, s):
    source = scene((23, 17), bands=3, dtype=dtype)
    result = upscaled(source, kernel("nearest", s), core=7, block_size=11)
    assert result.values.dtype == dtype
    assert np.array_equal(result.values, enlarged(source, s))
    assert result.tally.consistency_error == 0


@pytest.mark.parametrize("consistency", [False, True])
def test_a_model_that_repeats_pixels_repeats_them(consistency):
    def repeat(x):
        return np.repeat(x[:, None, 4:-4, 4:-4], 9, axis=1)

    source = scene((19, 26), bands=2)
    model = Model(repeat, facts(3, radius=4))
    result = upscaled(source, model, core=6, block_size=10, consistency=consistency)
    assert np.array_equal(result.values, enlarged(source, 3))


@pytest.mark.parametrize("s", [2, 3])
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_through_the_engine_are_the_kernels(name, s):
    source = scene((23, 18), bands=2, dtype="float64")
    result = upscaled(source, kernel(name, s), core=5, block_size=9, consistency=False)
    assert np.array_equal(result.values, whole(source, name, s))
    counts = upscaled(scene((23, 18)), kernel(name, s), core=5, consistency=False).values
    assert np.array_equal(counts, np.rint(whole(scene((23, 18)).astype("f4"), name, s)))


@pytest.mark.parametrize("consistency", [False, True])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    name=st.sampled_from(KERNELS),
    s=st.integers(2, 4),
    core=st.integers(1, 34),
    block_size=st.integers(1, 40),
    holes=st.booleans(),
)
def test_tiles_and_blocks_do_not_change_a_bit(
    shape, name, s, core, block_size, holes, dtype, consistency
):
    source = scene(shape, dtype=dtype)
    valid = np.random.default_rng(1).random(source.shape) > 0.4 if holes else None
    together = {"valid": valid, "nodata": 5000 if holes else None, "consistency": consistency}
    expected = upscaled(source, kernel(name, s), **together)
    result = upscaled(source, kernel(name, s), core=core, block_size=block_size, **together)
    assert np.array_equal(result.values, expected.values)
    assert np.array_equal(result.valid, expected.valid)
    assert result.tally.counts == expected.tally.counts
    assert result.tally.consistency_error == expected.tally.consistency_error


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("factor", [2, 3])
def test_tiles_do_not_change_a_network_s_bits(random_networks, shape, factor):
    network = random_networks[factor]
    for dtype in ("uint16", "float32"):
        source = scene(shape, dtype=dtype)
        expected = upscaled(source, network)
        contrast = np.ptp(expected.values - enlarged(source, factor).astype("f8"))
        assert contrast > 50 or source.size == 1  # it does something
        for core, block_size in ((5, 1000), (16, 1000), (16, 20), (37, 23), (9, 13)):
            result = upscaled(source, network, core=core, block_size=block_size)
            assert np.array_equal(result.values, expected.values), (dtype, core, block_size)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_tiles_do_not_change_the_shipped_network_s_bits(precision):
    model = find_model("geosr-lite", 2)
    network = load_predictor(model, Machinery("openvino", "cpu", precision, 2))
    source = scene((150, 131), dtype="float32")
    expected = upscaled(source, network).values
    for core, block_size in ((44, 1000), (60, 70), (97, 64), (130, 128)):
        result = upscaled(source, network, core=core, block_size=block_size)
        assert np.array_equal(result.values, expected), (core, block_size)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_workers_do_not_change_a_bit(random_networks, threads):
    source = scene((40, 37), bands=3)
    expected = upscaled(source, random_networks[2], threads=2).values
    result = upscaled(source, random_networks[2], core=9, block_size=20, threads=threads)
    assert np.array_equal(result.values, expected)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_one_source_pixel_further_is_s_output_pixels_further(random_networks, rows):
    source = scene((45, 50), dtype="float32")
    for model in (kernel("lanczos", 3), random_networks[2], random_networks[3]):
        s, rim = model.facts.upscale_factor, model.facts.radius
        result = upscaled(source, model, core=13).values
        moved = upscaled(source[:, rows:, 2:], model, core=13).values
        inner = (slice(None), slice(rim * s, -rim * s), slice(rim * s, -rim * s))
        assert np.array_equal(moved[inner], result[:, rows * s :, 2 * s :][inner])


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("uint8", 0),
        ("uint8", 255),
        ("uint16", 65535),
        ("uint16", 7),
        ("int16", -32768),
        ("int16", -1234),
        ("int32", -2147483648),
        ("int32", 2147483647),
        ("uint32", 4294967295),
        ("float32", 0.1),
        ("float32", -271.14999),
        ("float32", 1e30),
        ("float64", 1 / 3),
        ("float64", -1e-300),
    ],
)
def test_constant_in_constant_out_to_the_rim(random_networks, dtype, value):
    source = np.full((1, 15, 13), value, dtype)
    models = [kernel(name, 3) for name in KERNELS]
    for model in (*models, random_networks[2], random_networks[3]):
        result = upscaled(source, model, core=6, block_size=8)
        assert (result.values == source[0, 0, 0]).all(), model.facts.name
        assert result.tally.consistency_error == 0


def test_a_ramp_stays_a_ramp(random_networks):
    rows, cols = np.mgrid[:40, :44].astype("f8")
    for model in (kernel("bilinear", 3), kernel("bicubic", 4), *random_networks.values()):
        s, rim = model.facts.upscale_factor, (model.facts.radius + 2) * model.facts.upscale_factor
        fine_rows, fine_cols = ((np.mgrid[: 40 * s, : 44 * s] + 0.5) / s) - 0.5
        inner = (slice(rim, -rim),) * 2
        for dtype, off in (("float64", 1e-9), ("float32", 2e-3), ("uint16", 1.0)):
            source = (1000 + 20 * rows + 12 * cols)[None].astype(dtype)
            result = upscaled(source, model, core=17).values[0].astype("f8")
            expected = 1000 + 20 * fine_rows + 12 * fine_cols
            assert np.abs(result - expected)[inner].max() <= off


@pytest.mark.parametrize("turn", [np.s_[:, ::-1], np.s_[:, :, ::-1]], ids=["rows", "columns"])
@pytest.mark.parametrize("name", KERNELS)
def test_flips_commute_with_kernels(name, turn):
    source = scene((21, 26), dtype="float64")
    result = upscaled(source, kernel(name, 3), core=8).values
    flipped = upscaled(source[turn], kernel(name, 3), core=8).values
    assert flipped == pytest.approx(result[turn], abs=1e-9)


@pytest.mark.parametrize(("gain", "offset"), [(0.0001, 0), (1, 10_000), (0.01, 273.15), (3, -5000)])
def test_units_do_not_matter_to_a_network(random_networks, gain, offset):
    source = scene((40, 33), dtype="float32")
    contrast = float(np.ptp(source))
    for network in random_networks.values():
        result = upscaled(source, network, dtype="float64").values
        other = upscaled(source * gain + offset, network).values
        level = np.abs(source * gain + offset).max()
        expected = result * gain + offset
        # 1e-5 of the contrast for the network, and single precision of the values themselves
        assert np.abs(other - expected).max() < 1e-5 * contrast * gain + 4e-7 * level


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32"])
def test_block_sums_of_integers_are_exact(random_networks, dtype):
    source = scene((41, 39), bands=2, dtype=dtype)
    info = np.iinfo(dtype)
    source[0, 5:9, 5:9] = info.max
    source[0, 12:20, 3:11] = info.min
    source[1, ::3, ::2] = info.max - 1
    for model in (kernel("bicubic", 4), *random_networks.values()):
        s = model.facts.upscale_factor
        result = upscaled(source, model, core=16, block_size=25)
        blocks = result.values.astype(object).reshape(2, 41, s, 39, s)
        assert (blocks.sum(axis=(2, 4)) == source.astype(object) * s * s).all()
        assert result.tally.consistency_error == 0
        assert result.tally.counts.unresolved == 0
        assert result.tally.counts.clamped > 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_block_means_of_floats_are_kept_to_rounding(random_networks, dtype):
    source = scene((30, 28), bands=2, dtype=dtype)
    for network in random_networks.values():
        result = upscaled(source, network, core=11)
        s = network.facts.upscale_factor
        error = np.abs(block_means(result.values, s) - source).max()
        step = np.finfo(dtype).eps * 10_000
        assert error < step
        assert result.tally.consistency_error == pytest.approx(float(error), abs=float(step))


@pytest.mark.parametrize(
    ("dtype", "lowest", "highest"), [("uint8", 0, 255), ("int16", -(2**15), 2**15 - 1)]
)
def test_a_smaller_dtype_saturates(dtype, lowest, highest):
    source = np.array([[[-1e9, -40000, -1, 0, 100, 300, 40000, 1e9]]], "float32").repeat(4, axis=1)
    for consistency in (False, True):
        result = upscaled(source, kernel("nearest", 2), dtype=dtype, consistency=consistency)
        expected = np.clip(enlarged(source, 2), lowest, highest)
        assert np.array_equal(result.values, expected)
        assert result.tally.counts.clamped > 0


def test_an_alpha_band_is_repeated_and_never_predicted():
    source = scene((20, 22), bands=4, dtype="uint8")
    seen = []

    def triple(x):
        seen.append(len(x))
        return upsample(x, "bicubic", 2)

    model = Model(triple, replace(facts(2, radius=2), bands=3))
    for alpha in (3, 1):
        result = upscaled(source, model, alpha=alpha, core=9, consistency=False)
        others = [band for band in range(4) if band != alpha]
        assert np.array_equal(result.values[alpha], enlarged(source[alpha], 2))
        expected = np.clip(np.rint(whole(source[others].astype("f4"), "bicubic", 2)), 0, 255)
        assert np.array_equal(result.values[others], expected)
    assert set(seen) == {3}
