"""Classical kernels against formulas written out, and against GDAL's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject

from geosr.core.facts import KERNEL_FACTORS, KERNEL_RADIUS
from geosr.kernels import interleave, polyphase_weights, to_phases, upsample

KERNELS = tuple(KERNEL_RADIUS)
FACTORS = (2, 3, 4, 5)
SMOOTH = ("bilinear", "bicubic", "lanczos")


def keys_cubic(distance: float) -> float:
    """Keys' convolution kernel, a = -0.5, as in his equation 4."""
    a, x = -0.5, abs(distance)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def lanczos3(distance: float) -> float:
    if distance == 0:
        return 1.0
    x = math.pi * distance
    return 3 * math.sin(x) * math.sin(x / 3) / x**2 if abs(distance) < 3 else 0.0


FORMULAS = {
    "bilinear": lambda distance: max(0.0, 1 - abs(distance)),
    "bicubic": keys_cubic,
    "lanczos": lanczos3,
}


def interpolated(x: np.ndarray, kernel: str, s: int) -> np.ndarray:
    """Interpolate pixel by pixel, edges mirrored; no array arithmetic shared with geosr."""
    height, width = x.shape

    def mirrored(index: int, length: int) -> int:
        return -index if index < 0 else 2 * (length - 1) - index if index >= length else index

    result = np.zeros((height * s, width * s))
    for row, col in np.ndindex(*result.shape):
        y, z = (row + 0.5) / s - 0.5, (col + 0.5) / s - 0.5
        total = weights = 0.0
        for i in range(math.floor(y) - 3, math.floor(y) + 5):
            for j in range(math.floor(z) - 3, math.floor(z) + 5):
                weight = FORMULAS[kernel](y - i) * FORMULAS[kernel](z - j)
                if weight:
                    total += weight * x[mirrored(i, height), mirrored(j, width)]
                    weights += weight
        result[row, col] = total / weights
    return result


def enlarged(x: np.ndarray, kernel: str, s: int) -> np.ndarray:
    """Run `upsample` on a whole image ``(height, width)``, edges mirrored."""
    padded = np.pad(x, KERNEL_RADIUS[kernel], mode="reflect")
    return interleave(upsample(padded[None], kernel, s))[0]


def by_gdal(x: np.ndarray, resampling: Resampling, s: int) -> np.ndarray:
    result = np.zeros((x.shape[0] * s, x.shape[1] * s), np.float64)
    reproject(
        x.astype(np.float64),
        result,
        src_transform=Affine(s, 0, 1000, 0, -s, 2000),
        dst_transform=Affine(1, 0, 1000, 0, -1, 2000),
        src_crs="EPSG:32632",
        dst_crs="EPSG:32632",
        resampling=resampling,
    )
    return result


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 10_000, (11, 13)).astype(np.float64)


@pytest.mark.parametrize("s", FACTORS)
@pytest.mark.parametrize("kernel", SMOOTH)
def test_kernel_is_its_formula(image, kernel, s):
    assert enlarged(image, kernel, s) == pytest.approx(interpolated(image, kernel, s), abs=1e-8)
    single = enlarged(image.astype(np.float32), kernel, s)
    assert single.dtype == np.float32
    assert single == pytest.approx(interpolated(image, kernel, s), abs=0.01)


@pytest.mark.parametrize("s", KERNEL_FACTORS)
def test_nearest_repeats_pixels(image, s):
    for dtype in (np.float32, np.float64):
        expected = image.astype(dtype).repeat(s, axis=0).repeat(s, axis=1)
        assert np.array_equal(enlarged(image.astype(dtype), "nearest", s), expected)


@pytest.mark.parametrize("s", FACTORS)
@pytest.mark.parametrize(
    ("kernel", "resampling"),
    [
        ("nearest", Resampling.nearest),
        ("bilinear", Resampling.bilinear),
        ("bicubic", Resampling.cubic),
        ("lanczos", Resampling.lanczos),
    ],
)
def test_kernel_is_gdal_s(kernel, resampling, s):
    x = np.random.default_rng(1).integers(0, 10_000, (24, 28)).astype(np.float64)
    rim = KERNEL_RADIUS[kernel] * s  # GDAL leaves out what lies beyond the edge
    inner = (slice(rim, -rim or None),) * 2
    theirs = by_gdal(x, resampling, s)[inner]
    # GDAL places its samples in single precision, about 1e-6 of a pixel.
    assert enlarged(x, kernel, s)[inner] == pytest.approx(theirs, abs=0.02)


@pytest.mark.parametrize("s", KERNEL_FACTORS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_weights_sum_to_one_and_mirror_each_other(kernel, s):
    weights = polyphase_weights(kernel, s)
    assert weights.shape == (s, 2 * KERNEL_RADIUS[kernel] + 1)
    assert weights.sum(axis=1) == pytest.approx(1, abs=1e-15)
    assert weights[::-1, ::-1] == pytest.approx(weights, abs=1e-15)


@pytest.mark.parametrize("kernel", KERNELS)
@given(
    value=hnp.from_dtype(np.dtype(np.float32), allow_nan=False, allow_infinity=False),
    s=st.sampled_from(KERNEL_FACTORS),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_constant_stays_to_the_last_bit(kernel, value, s, dtype):
    flat = np.full((7, 9), value, dtype) * dtype(1 / 3)
    assert (enlarged(flat, kernel, s) == flat[0, 0]).all()


@pytest.mark.parametrize("s", FACTORS)
@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
def test_ramp_stays_a_ramp(kernel, s):
    rows, cols = np.mgrid[:12, :14].astype(float)
    fine_rows, fine_cols = np.mgrid[: 12 * s, : 14 * s]
    expected = 5 + 2 * ((fine_rows + 0.5) / s - 0.5) - 3 * ((fine_cols + 0.5) / s - 0.5)
    inner = (slice(2 * s, -2 * s),) * 2
    result = enlarged(5 + 2 * rows - 3 * cols, kernel, s)
    assert result[inner] == pytest.approx(expected[inner], abs=1e-12)


@pytest.mark.parametrize("s", FACTORS)
@pytest.mark.parametrize("kernel", SMOOTH)
def test_flips_and_transposes_commute(image, kernel, s):
    result = enlarged(image, kernel, s)
    for turn in (np.flipud, np.fliplr, np.transpose, np.rot90):
        turned = enlarged(np.ascontiguousarray(turn(image)), kernel, s)
        assert turned == pytest.approx(turn(result), abs=1e-9)


@pytest.mark.parametrize("s", FACTORS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_one_pixel_further_is_s_pixels_further(kernel, s):
    x = np.random.default_rng(2).normal(0, 1, (1, 16, 17)).astype(np.float32)
    whole = interleave(upsample(x, kernel, s))
    for rows, cols in ((1, 0), (0, 1), (3, 2)):
        part = interleave(upsample(x[:, rows:, cols:], kernel, s))
        assert np.array_equal(part, whole[:, rows * s :, cols * s :])


@pytest.mark.parametrize("s", FACTORS)
@pytest.mark.parametrize("kernel", SMOOTH)
def test_units_do_not_matter(image, kernel, s):
    contrast = np.ptp(image)
    result = enlarged(image, kernel, s)
    assert enlarged(image * 0.0001 + 273.15, kernel, s) == pytest.approx(
        result * 0.0001 + 273.15, abs=1e-12 * contrast
    )
    # Powers of two lose nothing, not even in single precision.
    single = image.astype(np.float32)
    assert np.array_equal(enlarged(single * 4, kernel, s), enlarged(single, kernel, s) * 4)


@given(
    hnp.arrays(np.int16, st.tuples(st.just(2), st.just(9), st.integers(1, 5), st.integers(1, 6)))
)
def test_interleave_and_to_phases_undo_each_other(phases):
    image = interleave(phases)
    assert image.dtype == phases.dtype
    for phase, row, col in np.ndindex(*phases.shape[1:]):
        i, j = divmod(phase, 3)
        assert (image[:, 3 * row + i, 3 * col + j] == phases[:, phase, row, col]).all()
    assert np.array_equal(to_phases(image, 3), phases)


@pytest.mark.parametrize("kernel", KERNELS)
def test_bands_do_not_touch_each_other(kernel):
    x = np.random.default_rng(3).normal(0, 1, (3, 12, 12))
    together = upsample(x, kernel, 3)
    for band in range(3):
        assert np.array_equal(upsample(x[band : band + 1], kernel, 3)[0], together[band])
