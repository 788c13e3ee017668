"""Simulated sensors: block means, point-spread functions with the transfer they promise, noise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geosr.core.errors import OptionError
from geosr.degrade import (
    DEGRADATIONS,
    SENSORS,
    Degrader,
    add_noise,
    area,
    bicubic,
    mtf,
    sensor_mtf,
)
from geosr.io.opening import open_raster
from geosr.kernels import interleave, upsample

FACTORS = (2, 3, 4)
LINEAR = ("area", "bicubic", "mtf")
RNG = np.random.default_rng(0)


@pytest.fixture
def high():
    return np.random.default_rng(0).normal(500, 100, (2, 24, 36))


@pytest.mark.parametrize("s", FACTORS)
def test_area_is_the_mean_of_each_block(high, s):
    low = area(high, s)
    for band, row, col in np.ndindex(*low.shape):
        block = high[band, row * s : row * s + s, col * s : col * s + s]
        assert low[band, row, col] == pytest.approx(block.mean(), rel=1e-12)


@pytest.mark.parametrize("s", FACTORS)
@pytest.mark.parametrize("name", LINEAR)
def test_flat_ground_stays_flat_and_dtypes_stay(name, s):
    degrade = DEGRADATIONS[name]
    for dtype in (np.float32, np.float64):
        low = degrade(np.full((1, 8 * s, 6 * s), 7.3, dtype), s, RNG)
        assert low.shape == (1, 8, 6)
        assert low.dtype == dtype
        assert low == pytest.approx(7.3, rel=1e-6)


@pytest.mark.parametrize("s", FACTORS)
@pytest.mark.parametrize("name", LINEAR)
def test_corners_stay_aligned(name, s):
    """A ramp is sampled at the centres of the blocks: (i + 0.5) * s - 0.5."""
    rows, cols = np.mgrid[: 40 * s, : 44 * s].astype(float)
    low = DEGRADATIONS[name]((rows + 3 * cols)[None], s, RNG)[0]
    i, j = np.mgrid[:40, :44]
    expected = ((i + 0.5) * s - 0.5) + 3 * ((j + 0.5) * s - 0.5)
    inner = slice(6, -6)  # beyond the edge the ramp is mirrored
    assert low[inner, inner] == pytest.approx(expected[inner, inner], rel=1e-9)


@pytest.mark.parametrize("s", FACTORS)
@pytest.mark.parametrize("wanted", [0.15, 0.25, 0.3])
@pytest.mark.parametrize("axis", [0, 1])
def test_mtf_at_the_low_resolution_s_nyquist_frequency(s, wanted, axis):
    """One cycle in two low-resolution pixels comes through with the amplitude asked for."""
    place = np.arange(60 * s) - (s - 1) / 2  # 0 at the first sample: a crest
    wave = np.cos(np.pi * place / s)
    high = np.broadcast_to(wave, (60 * s, 60 * s))
    high = high.T if axis == 0 else high
    low = mtf(np.ascontiguousarray(high), s, mtf_at_nyquist=wanted)
    crests = np.moveaxis(low, axis, -1)[30, 20:40]
    signs = (-1.0) ** np.arange(20, 40)
    assert crests * signs == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("name", LINEAR)
def test_flips_commute(name, high):
    degrade = DEGRADATIONS[name]
    for flip in (np.s_[:, ::-1], np.s_[:, :, ::-1]):
        flipped = degrade(high[flip], 2, RNG)
        assert flipped == pytest.approx(degrade(high, 2, RNG)[flip], rel=1e-12)


def test_noise_has_the_ratio_asked_for_and_the_seed_decides():
    flat = np.full((400, 500), 800.0)
    noisy = add_noise(flat, snr=50, rng=np.random.default_rng(3))
    assert (noisy - flat).std() == pytest.approx(800 / 50, rel=0.02)
    assert (noisy - flat).mean() == pytest.approx(0, abs=0.2)
    again = add_noise(flat, snr=50, rng=np.random.default_rng(3))
    assert (again == noisy).all()
    assert add_noise(flat.astype(np.float32), snr=50, rng=np.random.default_rng(3)).dtype == "f4"


def test_noise_grows_with_the_signal_by_half():
    halves = np.concatenate([np.full(200_000, 100.0), np.full(200_000, 300.0)])
    noise = add_noise(halves, snr=20, rng=np.random.default_rng(0)) - halves
    dark, bright = noise[:200_000].var(), noise[200_000:].var()
    # At the mean, 200, half of the variance is Poisson: 0.5 * (1 + x / mean).
    assert bright / dark == pytest.approx((1 + 1.5) / (1 + 0.5), rel=0.03)


@pytest.mark.parametrize("s", FACTORS)
def test_mtf_may_differ_across_and_along_the_track(s):
    place = np.arange(60 * s) - (s - 1) / 2
    wave = np.cos(np.pi * place / s) * np.ones((60 * s, 1))
    signs = (-1.0) ** np.arange(20, 40)
    across = mtf(wave, s, mtf_at_nyquist=(0.3, 0.15))[30, 20:40]
    along = mtf(np.ascontiguousarray(wave.T), s, mtf_at_nyquist=(0.3, 0.15))[20:40, 30]
    assert across * signs == pytest.approx(0.3, abs=0.01)
    assert along * signs == pytest.approx(0.15, abs=0.01)


def test_one_transfer_for_both_directions_is_the_pair_of_it(high):
    assert (mtf(high, 3, mtf_at_nyquist=0.2) == mtf(high, 3, mtf_at_nyquist=(0.2, 0.2))).all()


@pytest.mark.parametrize("wrong", [0.0, 1.0, -0.2, (0.2, 1.5), math.nan])
def test_a_transfer_outside_0_to_1_is_refused(high, wrong):
    with pytest.raises(OptionError, match="modulation transfer"):
        mtf(high, 2, mtf_at_nyquist=wrong)


def test_every_sensor_has_its_source_and_numbers_between_0_and_1():
    for name, sensor in SENSORS.items():
        assert len(sensor.source) > 30
        for band in sensor.bands:
            assert all(0 < value < 1 for value in sensor_mtf(name, band))
    assert sensor_mtf("sentinel-2", "B04") == (0.24, 0.24)
    with pytest.raises(OptionError, match="no sensor 'sentinel2'"):
        sensor_mtf("sentinel2", "B04")
    with pytest.raises(OptionError, match="no band 'B4'"):
        sensor_mtf("sentinel-2", "B4")


def matlab_weights(length: int, s: int) -> np.ndarray:
    """Return the matrix of ``imresize`` along one axis, written out from its documentation.

    Output pixel i (from 1) lies at ``u = i*s + (1 - s)/2``; the kernel ``cubic(x/s)/s`` reaches
    ``2*s`` to each side; weights are divided by their sum; indices beyond the ends are mirrored
    with the end pixels repeated.
    """
    mirror = [*range(length), *reversed(range(length))]
    matrix = np.zeros((length // s, length))
    for i in range(1, length // s + 1):
        u = i * s + 0.5 * (1 - s)
        first = math.floor(u - 4 * s / 2)
        taps = [first + k for k in range(4 * s + 2)]
        values = []
        for tap in taps:
            x = abs((u - tap) / s)
            near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
            values.append((near if x <= 1 else far if x <= 2 else 0.0) / s)
        for tap, value in zip(taps, values, strict=True):
            matrix[i - 1, mirror[(tap - 1) % (2 * length)]] += value / sum(values)
    return matrix


@pytest.mark.parametrize("s", FACTORS)
@pytest.mark.parametrize("shape", [(24, 36), (12, 12), (60, 48)])
def test_bicubic_is_matlab_s_imresize(s, shape):
    high = np.random.default_rng(s).normal(0.5, 0.2, shape)
    expected = matlab_weights(shape[0], s) @ high @ matlab_weights(shape[1], s).T
    assert np.abs(bicubic(high, s) - expected).max() < 1e-12
    assert np.abs(bicubic(high.astype("f4"), s) - expected).max() < 1e-6


@pytest.mark.parametrize(("s", "published"), [(2, 33.66), (3, 30.39), (4, 28.42)])
def test_bicubic_row_of_set5(data_dir, s, published):
    """The mean luma PSNR of bicubic on Set5 in every table since SRCNN (Dong et al., 2014).

    Luma is MATLAB's ``rgb2ycbcr``; a border of the factor is left out.
    """
    scores = []
    for path in sorted((data_dir / "paper" / "set5").glob("*.png")):
        with open_raster(str(path)) as src:
            rgb = src.read([1, 2, 3]).astype(float)
        luma = np.rint(16 + np.tensordot([65.481, 128.553, 24.966], rgb / 255, axes=1)) / 255
        height, width = (n // s * s for n in luma.shape)
        truth = luma[:height, :width]
        low = np.pad(bicubic(truth, s), 2, mode="symmetric")
        up = interleave(upsample(low[None], "bicubic", s))[0]
        error = (np.rint(np.clip(up, 0, 1) * 255) - np.rint(truth * 255))[s:-s, s:-s]
        scores.append(20 * np.log10(255 / np.sqrt((error**2).mean())))
    if not scores:
        pytest.skip("the images of Set5 are not here")
    assert len(scores) == 5
    assert np.mean(scores) == pytest.approx(published, abs=0.02)


def test_several_degradations_are_drawn_with_equal_odds():
    high = np.random.default_rng(1).normal(0, 1, (300, 8, 8))
    low = Degrader(("area", "bicubic"))(high, 2, np.random.default_rng(5))
    plain, cubic = area(high, 2), bicubic(high, 2)
    is_area = np.array([(a == b).all() for a, b in zip(low, plain, strict=True)])
    is_cubic = np.array([(a == b).all() for a, b in zip(low, cubic, strict=True)])
    assert (is_area ^ is_cubic).all()
    assert 110 < is_area.sum() < 190
    again = Degrader(("area", "bicubic"))(high, 2, np.random.default_rng(5))
    assert (low == again).all()


def test_one_plain_degradation_draws_nothing(high):
    rng = np.random.default_rng(9)
    assert (Degrader(("mtf",))(high, 2, rng) == mtf(high, 2)).all()
    assert (
        Degrader(("mtf",), mtf_at_nyquist=0.2)(high, 2, rng) == mtf(high, 2, mtf_at_nyquist=0.2)
    ).all()
    assert rng.random() == np.random.default_rng(9).random()


def test_parameters_are_drawn_from_ranges_and_sensors():
    high = np.random.default_rng(1).normal(0, 1, (40, 12, 12))
    spans = Degrader.of("mtf", {"mtf_at_nyquist": [0.15, 0.3], "mtf_along": 0.2})
    assert not spans.is_fixed
    drawn = [spans._transfer(np.random.default_rng(i)) for i in range(40)]
    assert all(0.15 <= across <= 0.3 and along == 0.2 for across, along in drawn)
    assert len({across for across, _ in drawn}) == 40
    sensor = Degrader.of("mtf", {"sensor": "sentinel-2", "bands": ["B02", "B04"]})
    low = sensor(high, 2, np.random.default_rng(0))
    known = [mtf(high, 2, mtf_at_nyquist=value) for value in (0.26, 0.24)]
    which = {
        min(range(2), key=lambda k, i=i: np.abs(low[i] - known[k][i]).max()) for i in range(40)
    }
    assert which == {0, 1}
    assert all(min(np.abs(low[i] - known[k][i]).max() for k in range(2)) == 0 for i in range(40))


def test_noise_of_a_recipe_has_its_ratio():
    flat = np.full((4, 200, 200), 500.0)
    low = Degrader(("area",), snr=40.0)(flat, 2, np.random.default_rng(0))
    assert (low - 500).std() == pytest.approx(500 / 40, rel=0.03)


@pytest.mark.parametrize(
    ("names", "parameters", "message"),
    [
        ("blurry", {}, "'blurry'"),
        ((), {}, "of no name"),
        ("area", {"mtf_at_nyquist": 0.2}, "for the degradation mtf"),
        ("mtf", {"mtf": 0.2}, "unknown keys: mtf"),
        ("mtf", {"mtf_at_nyquist": [0.3, 0.2]}, "number between 0 and 1"),
        ("mtf", {"mtf_at_nyquist": "much"}, "number between 0 and 1"),
        ("mtf", {"sensor": "hubble"}, "no sensor 'hubble'"),
        ("mtf", {"sensor": "sentinel-2", "bands": ["B99"]}, "no band 'B99'"),
        ("mtf", {"sensor": "sentinel-2", "mtf_at_nyquist": 0.2}, "both a sensor"),
        ("mtf", {"bands": ["B02"]}, "bands of no sensor"),
        ("area", {"snr": -3}, "number between 0"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(names, parameters, message):
    with pytest.raises(OptionError, match=message):
        Degrader.of(names, parameters)
