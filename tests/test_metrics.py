"""Scores, against other people's."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from geosr.metrics import (
    Interval,
    bootstrap_mean,
    consistency_error,
    consistency_rmse,
    correctness,
    edge_sharpness,
    ergas,
    luma,
    psnr,
    radial_spectrum,
    sam,
    ssim,
    uiqi,
)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (3, 20, 24)).astype(np.uint8)
    estimate = np.clip(truth + rng.normal(0, 4, truth.shape), 0, 255).astype(np.uint8)
    return truth, estimate


@pytest.mark.parametrize("data_range", [255, 1.0, 10_000])
def test_psnr_is_scikit_image_s(pair, data_range):
    expected = peak_signal_noise_ratio(*pair, data_range=data_range)
    assert psnr(*pair, data_range=data_range) == pytest.approx(expected, rel=1e-12)


def test_psnr_does_not_wrap_unsigned_differences():
    black, white = np.zeros((1, 4, 4), np.uint8), np.full((1, 4, 4), 255, np.uint8)
    assert psnr(black, white, data_range=255) == psnr(white, black, data_range=255) == 0


def test_psnr_leaves_the_border_out(pair):
    truth, estimate = pair
    estimate = estimate.copy()
    inner = psnr(truth, estimate, data_range=255, border=4)
    estimate[:, :4] = 0
    estimate[:, :, -4:] = 0
    assert psnr(truth, estimate, data_range=255, border=4) == inner
    assert psnr(truth, estimate, data_range=255) < inner


def test_equal_images_score_infinity(pair):
    assert psnr(pair[0], pair[0], data_range=255) == float("inf")


def test_luma_is_full_range_bt_601(pair):
    # scikit-image's is the studio swing of the same weights: 16 to 235 of 255.
    studio = rgb2ycbcr(np.moveaxis(pair[0], 0, -1))[..., 0]
    assert luma(pair[0]) == pytest.approx((studio - 16) * 255 / 219, abs=0.01)
    assert luma(np.full((4, 2, 2), 200, np.uint8)) == pytest.approx(200)


def test_consistency_error_is_the_largest_block_s():
    source = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    output = source.repeat(3, axis=1).repeat(3, axis=2)
    assert consistency_error(source, output, 3) == 0
    output[0, 4, 7] += 9  # in the block of source pixel (1, 2)
    output[0, 0, 0] -= 4.5
    assert consistency_error(source, output, 3) == pytest.approx(1)
    valid = np.ones(source.shape, bool)
    valid[0, 1, 2] = False
    assert consistency_error(source, output, 3, valid) == pytest.approx(0.5)
    assert consistency_error(source, output, 3, ~np.ones_like(valid)) == 0


@pytest.fixture
def planes():
    """Two planes of wide values that resemble each other."""
    rng = np.random.default_rng(3)
    truth = rng.normal(0, 1, (40, 52)).cumsum(axis=0).cumsum(axis=1) * 5 + 3000
    return truth, truth + rng.normal(0, 20, truth.shape)


def test_ssim_is_scikit_image_s(planes):
    expected = structural_similarity(
        *planes, data_range=900, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(*planes, data_range=900) == pytest.approx(expected, rel=1e-9)
    assert ssim(planes[0], planes[0], data_range=900) == pytest.approx(1)
    assert np.isnan(ssim(planes[0][:10], planes[1][:10], data_range=900))


def test_ssim_leaves_windows_with_holes_out(planes):
    truth, estimate = planes
    valid = np.ones(truth.shape, bool)
    valid[20:, :] = False
    spoilt = np.where(valid, estimate, -1e6)
    expected = ssim(truth[:20], estimate[:20], data_range=900)
    assert ssim(truth, spoilt, data_range=900, valid=valid) == pytest.approx(expected)
    assert np.isnan(ssim(truth, spoilt, data_range=900, valid=~np.ones_like(valid)))


def test_psnr_leaves_holes_out(pair):
    truth, estimate = pair
    valid = np.zeros(truth.shape[1:], bool)
    valid[2:9, 3:20] = True
    expected = psnr(truth[:, 2:9, 3:20], estimate[:, 2:9, 3:20], data_range=255)
    assert psnr(truth, estimate, data_range=255, valid=valid) == pytest.approx(expected)
    assert np.isnan(psnr(truth, estimate, data_range=255, valid=~np.ones_like(valid)))


def wang_and_bovik(x, y):
    """Return their index, window by window, as the paper writes it."""
    values = []
    for row in range(x.shape[0] - 7):
        for col in range(x.shape[1] - 7):
            a, b = (plane[row : row + 8, col : col + 8].ravel() for plane in (x, y))
            cov = ((a - a.mean()) * (b - b.mean())).sum() / 63
            top = 4 * cov * a.mean() * b.mean()
            values.append(top / ((a.var(ddof=1) + b.var(ddof=1)) * (a.mean() ** 2 + b.mean() ** 2)))
    return np.mean(values)


def test_uiqi_is_the_paper_s(planes):
    truth, estimate = (plane[:20, :24] for plane in planes)
    assert uiqi(truth, estimate) == pytest.approx(wang_and_bovik(truth, estimate), rel=1e-6)
    assert uiqi(truth, truth) == pytest.approx(1)


def test_uiqi_of_flat_planes_compares_their_means():
    one = np.ones((9, 9))
    assert uiqi(one, one) == pytest.approx(1)
    assert uiqi(one, 3 * one) == pytest.approx(2 * 3 / (1 + 9))
    assert uiqi(0 * one, 0 * one) == pytest.approx(1)


def test_sam_is_an_angle():
    truth = np.array([3.0, 0.0])[:, None, None] * np.ones((2, 4, 5))
    tilted = np.array([1.0, 1.0])[:, None, None] * np.ones((2, 4, 5))
    assert sam(truth, tilted) == pytest.approx(45)
    assert sam(truth, 7 * truth) == pytest.approx(0, abs=1e-9)
    assert sam(truth, truth[::-1]) == pytest.approx(90)
    small = np.array([1.0, 1e-7])[:, None, None] * np.ones((2, 4, 5))
    assert sam(truth, small) == pytest.approx(np.degrees(1e-7), rel=1e-6)
    truth[:, 0] = 0  # no direction
    tilted[:, 0] = [[5.0], [-3.0]]
    assert sam(truth, tilted) == pytest.approx(45)
    assert np.isnan(sam(truth[:1], tilted[:1]))
    assert np.isnan(sam(0 * truth, tilted))


def test_ergas_by_hand():
    truth = np.stack([np.full((4, 6), 100.0), np.full((4, 6), 50.0)])
    estimate = truth + np.array([3.0, -4.0])[:, None, None]
    expected = 100 / 4 * np.sqrt(((3 / 100) ** 2 + (4 / 50) ** 2) / 2)
    assert ergas(truth, estimate, upscale_factor=4) == pytest.approx(expected)
    estimate[:, 0, 0] = 1e9
    valid = np.ones((4, 6), bool)
    valid[0, 0] = False
    assert ergas(truth, estimate, upscale_factor=4, valid=valid) == pytest.approx(expected)
    truth[1] -= 50  # a mean of zero has no relative error
    assert ergas(truth, truth + 3, upscale_factor=4) == pytest.approx(100 / 4 * 3 / 100)


def test_edge_sharpness_of_blurred_edges():
    columns = np.arange(64) - 31.5
    step = np.vstack([np.where(columns > 0, 1.0, 0.0)] * 20)
    soft = np.vstack([np.clip(columns / 8 + 0.5, 0, 1)] * 20)  # a ramp of 8 pixels
    assert edge_sharpness(step, step) == pytest.approx(1)
    # Sobel sees a step as 1 over two pixels, and the ramp as 2/8 over the same.
    assert edge_sharpness(step, soft) == pytest.approx(0.25)
    assert edge_sharpness(step, 1.3 * step) == pytest.approx(1.3)
    assert edge_sharpness(step, -step) == pytest.approx(-1)
    assert edge_sharpness(step, 0 * step) == 0
    assert np.isnan(edge_sharpness(0 * step, step))


def test_noise_is_no_sharpness(planes):
    rng = np.random.default_rng(0)
    step = np.kron(rng.integers(0, 2, (8, 8)), np.ones((16, 16))) * 100.0
    noisy = step + rng.normal(0, 30, step.shape)
    assert edge_sharpness(step, noisy) == pytest.approx(1, abs=0.05)


def test_edge_sharpness_leaves_holes_out():
    step = np.where(np.arange(40) > 20, 1.0, 0.0)[None] * np.ones((20, 1))
    spoilt, valid = step.copy(), np.ones(step.shape, bool)
    spoilt[5:8, 18:24] = 900
    valid[5:8, 18:24] = False
    assert edge_sharpness(step, spoilt, valid=valid, share=0.05) == pytest.approx(1)


def test_radial_spectrum_of_white_noise_is_its_variance():
    noise = np.random.default_rng(0).normal(50, 3, (256, 200))
    frequencies, power = radial_spectrum(noise, bins=16)
    assert frequencies[[0, -1]] == pytest.approx([0.5 / 32, 0.5 - 0.5 / 32])
    assert power[1:] == pytest.approx(9, rel=0.2)
    assert power.mean() == pytest.approx(9, rel=0.05)


def test_radial_spectrum_of_a_wave_lies_at_its_frequency():
    rows, cols = np.mgrid[:120, :160]
    wave = np.sin(2 * np.pi * (0.12 * rows + 0.16 * cols))  # 0.2 cycles per pixel
    frequencies, power = radial_spectrum(wave, bins=25)
    assert frequencies[power.argmax()] == pytest.approx(0.2, abs=0.011)
    assert power.max() > 1e3 * np.median(power)


def test_radial_spectrum_does_not_see_holes_as_edges():
    noise = np.random.default_rng(0).normal(0, 1, (128, 128))
    valid = np.ones(noise.shape, bool)
    valid[40:50, 40:50] = False
    spoilt = np.where(valid, noise, 1e4)
    assert radial_spectrum(spoilt, valid=valid)[1].mean() == pytest.approx(1, rel=0.1)


def by_the_paper(d_im, d_om):
    """Return the three shares of one pixel."""
    beyond = 1 - np.exp(-0.05 * (d_im + d_om - 1))
    away = np.array([d_im + d_om * beyond, d_om + d_im * beyond, np.exp(-0.05 * d_im * d_om)])
    near = np.exp(-away / 0.25)
    return near / near.sum()


@pytest.mark.parametrize(
    ("made", "d_im", "d_om"), [(14, 0, 1), (10, 1, 0), (30, 4, 5), (12, 0.5, 0.5)]
)
def test_correctness_by_hand(made, d_im, d_om):
    low, truth = np.full((1, 6, 6), 10.0), np.full((1, 6, 6), 10.0)
    truth[0, 2, 2:5] = 14.0  # all detail there is
    estimate = np.where(truth == 14, made, 10.0)
    found = correctness(low, estimate, truth, distance="l1")
    shares = by_the_paper(d_im, d_om)
    assert [found.improvement, found.omission, found.hallucination] == pytest.approx(shares)


def test_correctness_calls_things_by_their_names():
    rng = np.random.default_rng(0)
    low = rng.uniform(100, 200, (3, 30, 30))
    truth = low + rng.normal(0, 20, low.shape)
    other = low + rng.normal(0, 60, low.shape)
    for made, name in ((truth, "improvement"), (low, "omission"), (other, "hallucination")):
        found = vars(correctness(low, made, truth))
        assert max(found, key=found.get) == name
        assert sum(found.values()) == pytest.approx(1)


def test_correctness_without_detail_is_unknown():
    flat = np.ones((2, 5, 5))
    assert np.isnan(correctness(flat, flat, flat).improvement)
    nothing = np.zeros((5, 5), bool)
    assert np.isnan(correctness(flat, flat, flat + 1, valid=nothing).omission)


def test_consistency_rmse_and_a_mask_for_all_bands():
    source = np.zeros((2, 2, 3))
    output = source.repeat(2, axis=1).repeat(2, axis=2)
    output[1, 0, 0] = 8.0  # its block's mean is 2
    assert consistency_rmse(source, output, 2) == pytest.approx(np.sqrt(4 / 12))
    valid = np.ones((2, 3), bool)
    valid[0, 0] = False
    assert consistency_rmse(source, output, 2, valid) == 0
    assert consistency_error(source, output, 2, valid) == 0


def test_bootstrap_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    runs = [bootstrap_mean(rng.normal(3, 1, 40), seed=1, draws=500) for _ in range(400)]
    covered = np.mean([run.low <= 3 <= run.high for run in runs])
    assert 0.90 <= covered <= 0.98  # the percentile bootstrap is a little too narrow


def test_bootstrap_is_seeded_and_leaves_nan_out():
    values = [1.0, 2.0, float("nan"), 4.0]
    assert bootstrap_mean(values, seed=5) == bootstrap_mean(values, seed=5)
    found = bootstrap_mean(values)
    assert (found.mean, found.count) == (pytest.approx(7 / 3), 3)
    assert 1 <= found.low < found.mean < found.high <= 4
    assert bootstrap_mean([2.5]) == Interval(2.5, None, None, 1)
    assert np.isnan(bootstrap_mean([]).mean)
