"""Scores, against other people's."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio

from geosr.metrics import consistency_error, luma, psnr


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
