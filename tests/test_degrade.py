"""Simulated sensors: block means, point-spread functions with the transfer they promise, noise."""

from __future__ import annotations

import numpy as np
import pytest

from geosr.degrade import DEGRADATIONS, add_noise, area, mtf

FACTORS = (2, 3, 4)


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
@pytest.mark.parametrize("name", DEGRADATIONS)
def test_flat_ground_stays_flat_and_dtypes_stay(name, s):
    degrade = DEGRADATIONS[name]
    for dtype in (np.float32, np.float64):
        low = degrade(np.full((1, 8 * s, 6 * s), 7.3, dtype), s)
        assert low.shape == (1, 8, 6)
        assert low.dtype == dtype
        assert low == pytest.approx(7.3, rel=1e-6)


@pytest.mark.parametrize("s", FACTORS)
@pytest.mark.parametrize("name", DEGRADATIONS)
def test_corners_stay_aligned(name, s):
    """A ramp is sampled at the centres of the blocks: (i + 0.5) * s - 0.5."""
    rows, cols = np.mgrid[: 40 * s, : 44 * s].astype(float)
    low = DEGRADATIONS[name]((rows + 3 * cols)[None], s)[0]
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


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_flips_commute(name, high):
    degrade = DEGRADATIONS[name]
    for flip in (np.s_[:, ::-1], np.s_[:, :, ::-1]):
        assert degrade(high[flip], 2) == pytest.approx(degrade(high, 2)[flip], rel=1e-12)


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
