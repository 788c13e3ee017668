"""Nodata through the engine: what is under it stays under it, and nobody sees its edge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from in_memory import Model, block_means, enlarged, facts, kernel, scene, upscaled

from geosr.core.catalog import find_model
from geosr.kernels import upsample
from geosr.predictors import Machinery, load_predictor
from geosr.radiometry import fill_holes

SHAPE = (44, 47)


def wedge(shape: tuple[int, int] = SHAPE, bands: int = 1) -> np.ndarray:
    """Return a slanted field of valid pixels, with a lake in it."""
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    good = (cols > 8 + rows // 4) & ((rows - 22) ** 2 + (cols - 34) ** 2 > 30)
    return np.broadcast_to(good, (bands, *shape)).copy()


def rings(valid: np.ndarray) -> np.ndarray:
    """Return how many pixels away the nearest invalid one is, by rows, columns or diagonally."""
    distance = np.zeros(valid.shape, int)
    inside = valid.copy()
    while inside.any():
        distance += inside
        padded = np.pad(inside, ((0, 0), (1, 1), (1, 1)), constant_values=True)
        views = [
            padded[:, r : r + valid.shape[1], c : c + valid.shape[2]]
            for r in range(3)
            for c in range(3)
        ]
        inside = np.logical_and.reduce(views)
    return distance


@pytest.fixture
def models(random_networks):
    return (kernel("bicubic", 2), kernel("lanczos", 3), *random_networks.values())


@pytest.mark.parametrize("poison", [0, 1, 9000, 65535])
def test_integers_under_the_mask_change_nothing_valid(models, poison):
    source, valid = scene(SHAPE), wedge()
    for model in models:
        expected = upscaled(source, model, valid=valid, core=17, block_size=30)
        changed = np.where(valid, source, np.uint16(poison))
        result = upscaled(changed, model, valid=valid, core=17, block_size=30)
        fine = enlarged(valid, model.facts.upscale_factor)
        assert np.array_equal(result.values[fine], expected.values[fine])
        assert result.tally.counts == expected.tally.counts
        # and the holes are the source's own, enlarged
        assert (result.values[~fine] == poison).all()
        assert np.array_equal(result.valid, fine)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, -3.4028234663852886e38, 0.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_under_the_mask_change_nothing_valid(models, dtype, poison):
    source, valid = scene(SHAPE, dtype=dtype), wedge()
    for model in models:
        expected = upscaled(source, model, valid=valid, core=17)
        changed = np.where(valid, source, source.dtype.type(poison))
        result = upscaled(changed, model, valid=valid, core=17)
        fine = enlarged(valid, model.facts.upscale_factor)
        assert np.array_equal(result.values[fine], expected.values[fine])
        holes = np.full(int((~fine).sum()), poison, dtype)
        assert np.array_equal(result.values[~fine], holes, equal_nan=True)


def test_holes_get_the_value_asked_for(models):
    source, valid = scene(SHAPE, bands=2), wedge(bands=2)
    for model in models:
        result = upscaled(source, model, valid=valid, dtype="int16", nodata=-9999, hole=-9999)
        fine = enlarged(valid, model.facts.upscale_factor)
        assert np.array_equal(result.values == -9999, ~fine)


@pytest.mark.parametrize("tile", [9, 17, 30])
def test_tiles_and_blocks_do_not_change_a_bit_beside_holes(random_networks, tile):
    source = scene(SHAPE)
    valid = wedge() & (np.random.default_rng(0).random(source.shape) > 0.02)
    for network in random_networks.values():
        expected = upscaled(source, network, valid=valid)
        for block_size in (13, 25, 1000):
            result = upscaled(source, network, valid=valid, core=tile, block_size=block_size)
            assert np.array_equal(result.values, expected.values)
            assert result.tally.counts == expected.tally.counts


@pytest.mark.parametrize("name", ["bicubic", "geosr-lite"])
def test_no_dark_rim_beside_nodata(name):
    """Beside the wedge the picture is nearly what it is without a wedge, never pulled to 0."""
    machinery = Machinery("openvino", "cpu", "float32", 2)
    model = load_predictor(find_model(name, 2), machinery)
    source, valid = scene((80, 83), dtype="float32", seed=4), wedge((80, 83))
    distance = rings(valid)
    zeroed = np.where(valid, source, 0)
    truth = upscaled(source, model, consistency=False).values
    filled = upscaled(zeroed, model, valid=valid, consistency=False).values - truth
    dark = upscaled(zeroed, model, consistency=False).values - truth
    for ring in (1, 2, 3):
        here = enlarged(distance == ring, 2)
        error, harm = np.abs(filled[here]).mean(), np.abs(dark[here]).mean()
        assert error <= 0.25 * harm + 1, ring
        assert abs(filled[here].mean()) < 8, ring  # of 8000
    here = enlarged(distance == 1, 2)
    assert dark[here].mean() < -200  # so there was something to see


def test_nearest_valid_pixels_are_nearest_even_under_lanczos():
    """A bright field beside a hole rings, but no more than beside a mirrored edge."""
    source = np.full((1, 30, 30), 5000, "float32")
    valid = np.ones(source.shape, bool)
    valid[:, :, :11] = False
    source[~valid] = -9999
    result = upscaled(source, kernel("lanczos", 4), valid=valid)
    assert (result.values[enlarged(valid, 4)] == 5000).all()


@pytest.mark.parametrize("nodata", [0, 4000, 65535])
def test_a_valid_pixel_is_never_nodata(models, nodata):
    rng = np.random.default_rng(5)
    source = scene(SHAPE)
    source[0, 25:, :] = np.clip(nodata + rng.integers(-3, 4, source[0, 25:].shape), 0, 65535)
    valid = source != nodata
    for model in models:
        s = model.facts.upscale_factor
        for consistency in (False, True):
            result = upscaled(
                source, model, valid=valid, nodata=nodata, consistency=consistency, core=20
            )
            fine = enlarged(valid, s)
            assert np.array_equal(result.values != nodata, fine)
        means = block_means(result.values, s)
        wrong = valid & (np.abs(means - source) > 1e-9)
        assert wrong.sum() == result.tally.counts.unresolved
        near_ends = (source <= 2) | (source >= 65533)
        assert not (wrong & ~near_ends).any()


def test_an_all_nodata_raster_is_enlarged_without_the_network():
    def refuse(x):
        raise AssertionError("nothing is to be predicted")

    source = np.full((2, 40, 30), 7, np.uint8)
    model = Model(refuse, facts(3, radius=5))
    valid = np.zeros(source.shape, bool)
    result = upscaled(source, model, valid=valid, core=11, block_size=20)
    assert (result.values == 7).all()
    assert not result.valid.any()
    assert result.tally.consistency_error == 0


def test_bands_have_holes_of_their_own(random_networks):
    source, valid = scene(SHAPE, bands=3), wedge(bands=3)
    valid[1] = np.random.default_rng(6).random(SHAPE) > 0.1
    valid[2] = True
    together = upscaled(source, random_networks[2], valid=valid, core=19)
    for band in range(3):
        alone = upscaled(
            source[band : band + 1], random_networks[2], valid=valid[band : band + 1], core=19
        )
        assert np.array_equal(together.values[band], alone.values[0])


def test_a_joint_model_sees_the_filled_bands():
    """What the network is shown under the mask comes from its neighbours, never from the file."""
    source, valid = scene(SHAPE, bands=2, dtype="float32"), wedge(bands=2)
    valid[1] = True
    expected = fill_holes(source, valid, reach=2)
    seen = []

    def bicubic(x):
        seen.append(x.copy())
        return upsample(x, "bicubic", 2)

    model = Model(bicubic, replace(facts(2, radius=2), bands=2))
    upscaled(np.where(valid, source, np.float32("nan")), model, valid=valid)
    (x,) = seen
    assert np.array_equal(x[:, 2:46, 2:49], expected)
    assert np.isfinite(x).all()


@pytest.mark.parametrize("block_size", [10, 1000])
def test_a_reader_that_says_all_valid_changes_nothing(block_size):
    source = scene(SHAPE)
    expected = upscaled(source, kernel("bicubic", 2), core=9)
    valid = np.ones(source.shape, bool)
    result = upscaled(source, kernel("bicubic", 2), valid=valid, core=9, block_size=block_size)
    assert np.array_equal(result.values, expected.values)
