"""The blind pipeline: its kernels, its resizing and its noise against closed forms; its seed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, special

from geosr.core.errors import OptionError
from geosr.degrade import area, real
from geosr.degrade.blur import bell, bessel_j1, convolved, low_pass
from geosr.degrade.real import FIRST, SECOND, _kernel, _noisy
from geosr.degrade.resizing import resized, weights
from geosr.io.jpeg import through_jpeg


def second_moments(kernel):
    places = np.arange(len(kernel)) - len(kernel) // 2
    y, x = np.meshgrid(places, places, indexing="ij")
    return [(kernel * a * b).sum() for a, b in ((y, y), (x, x), (x, y))]


def test_gaussian_has_the_moments_of_its_sigmas_and_angle():
    yy, xx, xy = second_moments(bell(41, (3.0, 3.0)))
    assert (yy, xx, xy) == pytest.approx((9, 9, 0), rel=1e-4, abs=1e-9)
    angle = 0.6
    yy, xx, xy = second_moments(bell(61, (4.0, 2.0), angle))
    cos, sin = np.cos(angle), np.sin(angle)
    expected = (16 * sin**2 + 4 * cos**2, 16 * cos**2 + 4 * sin**2, 12 * sin * cos)
    assert (yy, xx, xy) == pytest.approx(expected, rel=1e-4)


def test_kin_of_the_gaussian_have_their_formula():
    r2 = (np.arange(11) - 5.0) ** 2 / 2.0**2  # along the middle row
    generalised = bell(11, (2.0, 2.0), profile="generalised", beta=1.7)[5]
    assert generalised / generalised[5] == pytest.approx(np.exp(-0.5 * r2**1.7))
    plateau = bell(11, (2.0, 2.0), profile="plateau", beta=1.4)[5]
    assert plateau / plateau[5] == pytest.approx(1 / (1 + r2**1.4))
    assert bell(11, (2.0, 2.0), profile="plateau", beta=1.4).sum() == pytest.approx(1)


def test_bessel_function_is_scipy_s():
    x = np.linspace(0, 60, 500)
    assert np.abs(bessel_j1(x) - special.j1(x)).max() < 1e-13


@pytest.mark.parametrize("cutoff", [np.pi / 3, 2.0, np.pi])
def test_low_pass_has_its_formula_and_passes_low_frequencies_only(cutoff):
    kernel = low_pass(21, cutoff)
    r = np.hypot(3, 4)
    ratio = cutoff * special.j1(cutoff * r) / (2 * np.pi * r) / (cutoff**2 / (4 * np.pi))
    assert kernel[10 + 3, 10 + 4] / kernel[10, 10] == pytest.approx(ratio)
    spectrum = np.abs(np.fft.fft2(kernel, (256, 256)))[0]
    below, above = int(0.6 * cutoff / (2 * np.pi) * 256), int(1.4 * cutoff / (2 * np.pi) * 256)
    assert spectrum[:below] == pytest.approx(1, abs=0.15)
    assert (spectrum[above:129] < 0.15).all()


def test_convolution_mirrors_the_edge():
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(0, 1, (2, 17, 23)), rng.uniform(0, 1, (7, 7))
    expected = np.stack([ndimage.convolve(plane, kernel, mode="reflect") for plane in x])
    assert np.abs(convolved(x, kernel) - expected).max() < 1e-12


def test_area_by_a_whole_number_is_the_mean_of_blocks():
    x = np.random.default_rng(0).normal(0, 1, (2, 12, 18))
    assert np.abs(resized(x, (4, 6), "area") - area(x, 3)).max() < 1e-12


@pytest.mark.parametrize("method", ["area", "bilinear", "bicubic"])
@pytest.mark.parametrize("count", [7, 20, 33])
def test_resizing_keeps_flat_ground_and_the_places_of_a_ramp(method, count):
    matrix = weights(20, count, method)
    assert matrix.sum(axis=1) == pytest.approx(1)
    places = matrix @ np.arange(20.0)
    expected = (np.arange(count) + 0.5) * 20 / count - 0.5
    if method == "area":  # a pixel is a step: cut each into as many as there are new ones
        steps = np.arange(20.0).repeat(count).reshape(count, 20)
        assert places == pytest.approx(steps.mean(axis=1))
    else:
        inner = (expected >= 1) & (expected <= 18)
        assert places[inner] == pytest.approx(expected[inner])


def test_bilinear_is_the_textbook_s():
    x = np.array([[0.0, 10.0, 40.0]])
    assert resized(x, (1, 6), "bilinear")[0] == pytest.approx([0, 2.5, 7.5, 17.5, 32.5, 40])


def test_jpeg_loses_little_at_a_high_quality_and_more_at_a_low_one():
    rng = np.random.default_rng(0)
    plane = np.clip(ndimage.gaussian_filter(rng.normal(128, 300, (40, 56)), 2), 0, 255)
    plane = plane.astype("uint8")
    errors = [
        np.abs(through_jpeg(plane, quality).astype(float) - plane).mean()
        for quality in (100, 90, 30)
    ]
    assert through_jpeg(plane, 95).shape == plane.shape
    assert errors[0] < 0.6 < errors[1] < errors[2] < 20
    flat = np.full((16, 24), 128, "uint8")  # whose only coefficient is 0 at any quality
    assert (through_jpeg(flat, 30) == flat).all()


def test_noise_has_the_strength_that_was_drawn():
    flat = np.full((200, 200), 0.5)
    spreads = [(_noisy(flat, FIRST, np.random.default_rng(i)) - flat).std() for i in range(60)]
    # Gaussian: 1 to 30 of 255; Poisson: 0.05 to 3 times the square root of 0.5 / 255.
    assert 0.05 * np.sqrt(0.5 / 255) * 0.9 < min(spreads)
    assert max(spreads) < 3 * np.sqrt(0.5 / 255) * 1.05
    assert np.mean(spreads) == pytest.approx(
        (15.5 / 255 + 1.525 * np.sqrt(0.5 / 255)) / 2, rel=0.25
    )


def test_noise_is_sometimes_the_same_in_all_bands():
    flat = np.full((3, 30, 30), 0.5)
    same = 0
    for i in range(200):
        noise = _noisy(flat, SECOND, np.random.default_rng(i)) - flat
        same += bool((noise[0] == noise[1]).all())
    assert 55 < same < 105  # 40 % of 200


def test_kernels_are_drawn_from_the_whole_family():
    rng = np.random.default_rng(0)
    kernels = [_kernel(FIRST, rng) for _ in range(400)]
    assert {len(kernel) for kernel in kernels} == set(range(7, 22, 2))
    assert all(kernel.sum() == pytest.approx(1) for kernel in kernels)
    ringing = sum(bool(kernel.min() < -1e-6) for kernel in kernels)
    assert 20 < ringing < 70  # a tenth are the low pass, which alone goes below 0


@pytest.mark.parametrize("s", [2, 4])
@pytest.mark.parametrize("bands", [0, 3])
def test_the_seed_decides_the_result(s, bands):
    rng = np.random.default_rng(0)
    shape = (bands, 48, 64) if bands else (48, 64)
    high = rng.uniform(0, 1, shape).astype("f4")
    one, again, other = (real(high, s, np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert one.shape == (*shape[:-2], 48 // s, 64 // s)
    assert one.dtype == np.float32
    assert (one == again).all()
    assert (one != other).any()
    assert one.min() >= 0
    assert one.max() <= 1


def test_the_range_carries_the_units():
    high = np.random.default_rng(0).uniform(0, 1, (32, 32))
    plain = real(high, 2, np.random.default_rng(1))
    kelvin = real(250 + 60 * high, 2, np.random.default_rng(1), data_range=(250.0, 310.0))
    assert kelvin == pytest.approx(250 + 60 * plain, abs=1e-6)
    with pytest.raises(OptionError, match="is empty"):
        real(high, 2, np.random.default_rng(1), data_range=(1.0, 1.0))


def test_on_average_the_picture_stays_what_it_was():
    rows, cols = np.mgrid[:64, :64] / 64
    high = 0.2 + 0.3 * rows + 0.3 * cols
    mean = np.mean([real(high, 4, np.random.default_rng(i)) for i in range(60)], axis=0)
    assert np.abs(mean - area(high, 4)).mean() < 0.02
