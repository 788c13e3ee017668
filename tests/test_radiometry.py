"""Holes, mirrored edges, detail and block means, against definitions written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geosr.radiometry import BOX, fill_holes, high_pass, keep_means, mirror, working_dtype

FINITE = st.floats(-1e6, 1e6, width=32)


def mirrored_index(index: int, length: int) -> int:
    """Walk to and fro between the first and the last pixel."""
    if length == 1:
        return 0
    index %= 2 * (length - 1)
    return min(index, 2 * (length - 1) - index)


@given(
    shape=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    before=st.tuples(st.integers(0, 25), st.integers(0, 25)),
    after=st.tuples(st.integers(0, 25), st.integers(0, 25)),
)
def test_mirror_goes_to_and_fro(shape, before, after):
    x = np.arange(2 * shape[0] * shape[1]).reshape(2, *shape)
    rows, cols = (
        [mirrored_index(i, n) for i in range(-b, n + a)]
        for n, b, a in zip(shape, before, after, strict=True)
    )
    assert np.array_equal(mirror(x, before, after), x[:, rows][:, :, cols])


def test_mirror_is_numpy_s_reflect():
    x = np.random.default_rng(0).normal(0, 1, (2, 12, 15))
    expected = np.pad(x, ((0, 0), (4, 7), (11, 2)), mode="reflect")
    assert np.array_equal(mirror(x, (4, 11), (7, 2)), expected)


@pytest.mark.parametrize(
    ("stored", "working"),
    [
        ("uint8", "float32"),
        ("int8", "float32"),
        ("uint16", "float32"),
        ("int16", "float32"),
        ("uint32", "float64"),
        ("int32", "float64"),
        ("float32", "float32"),
        ("float64", "float64"),
    ],
)
def test_working_dtype_holds_every_value_and_block_sum(stored, working):
    dtype = working_dtype(stored)
    assert dtype == working
    if np.dtype(stored).kind in "iu":
        for value in (np.iinfo(stored).min, np.iinfo(stored).max):
            assert int(dtype.type(value) * 64) == value * 64  # x8: 64 pixels a block


def by_hand(x: np.ndarray) -> np.ndarray:
    """Subtract the mean of 9 x 9 pixels, in double precision."""
    x = x.astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(x, (BOX, BOX), axis=(1, 2))
    margin = BOX // 2
    return x[:, margin:-margin, margin:-margin] - windows.mean(axis=(3, 4))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("level", [0.0, 300.0, 60_000.0])
def test_high_pass_takes_the_mean_of_81_pixels_away(level, dtype):
    x = (np.random.default_rng(0).normal(0, 1, (2, 20, 23)) + level).astype(dtype)
    detail = high_pass(x)
    assert detail.dtype == np.float32
    assert detail.shape == (2, 12, 15)
    # relative to the detail, not to the level
    assert detail == pytest.approx(by_hand(x), abs=1e-6)


@given(value=st.floats(-1e30, 1e30), dtype=st.sampled_from([np.float32, np.float64]))
def test_high_pass_of_a_constant_is_zero_to_the_last_bit(value, dtype):
    assert not high_pass(np.full((1, 11, 12), value, dtype)).any()


def test_high_pass_does_not_depend_on_the_cut():
    x = np.random.default_rng(1).normal(1000, 50, (1, 90, 70)).astype(np.float32)
    whole = high_pass(x)
    for rows, cols in ((0, 5), (31, 2), (64, 40)):
        part = high_pass(x[:, rows : rows + 26, cols : cols + 21])
        assert np.array_equal(part, whole[:, rows : rows + 18, cols : cols + 13])


def test_high_pass_stays_finite_at_the_ends_of_the_range():
    largest = np.finfo(np.float32).max
    assert np.isfinite(high_pass(np.full((1, 9, 9), largest, np.float32))).all()


def disc(shape=(40, 44), centre=(20, 22), radius=9.5) -> np.ndarray:
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    return (rows - centre[0]) ** 2 + (cols - centre[1]) ** 2 > radius**2


def distance_to(valid: np.ndarray) -> np.ndarray:
    """Return how many rings of eight neighbours away the nearest valid pixel is."""
    distance = np.where(valid, 0, 10**6)
    rows, cols = np.nonzero(valid)
    for row, col in np.ndindex(*valid.shape):
        if rows.size:
            distance[row, col] = np.maximum(np.abs(rows - row), np.abs(cols - col)).min()
    return distance


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 0.0, 3e38, -9999.0])
def test_filling_never_looks_under_the_mask(poison):
    x = np.random.default_rng(0).normal(500, 20, (2, 40, 44)).astype(np.float32)
    valid = np.stack([disc(), disc(radius=4)])
    poisoned = np.where(valid, x, np.float32(poison))
    assert np.array_equal(fill_holes(x, valid, reach=6), fill_holes(poisoned, valid, reach=6))


@given(
    valid=hnp.arrays(bool, (1, 13, 17)),
    reach=st.integers(0, 6),
    seed=st.integers(0, 9),
)
def test_filled_values_lie_between_the_valid_ones(valid, reach, seed):
    x = np.random.default_rng(seed).normal(500, 20, valid.shape).astype(np.float32)
    before = x.copy()
    filled = fill_holes(x, valid, reach=reach)
    assert np.array_equal(x, before)
    assert np.array_equal(filled[valid], x[valid])
    distance = distance_to(valid[0])[None]
    near = (distance > 0) & (distance <= reach)
    assert (filled[distance > reach] == 0).all()
    if near.any():
        assert filled[near].min() >= x[valid].min()
        assert filled[near].max() <= x[valid].max()


def test_each_ring_is_the_mean_of_the_one_before():
    x = np.zeros((1, 5, 7), np.float64)
    valid = np.zeros(x.shape, bool)
    x[0, 2, 0], x[0, 3, 0] = 10, 20
    valid[0, 2:4, 0] = True
    filled = fill_holes(x, valid, reach=2)
    assert filled[0, :, 0] == pytest.approx([10, 10, 10, 20, 20])
    assert filled[0, :, 1] == pytest.approx([10, 10, 15, 15, 20])
    assert filled[0, :, 2] == pytest.approx([10, 12.5, 40 / 3, 50 / 3, 17.5])
    assert (filled[0, :, 3:] == 0).all()


def test_filling_does_not_depend_on_the_cut():
    reach = 5
    x = np.random.default_rng(2).normal(0, 1, (1, 60, 60)).astype(np.float32)
    valid = (np.random.default_rng(3).random(x.shape) > 0.97) & disc((60, 60), (30, 30), 14)
    whole = fill_holes(x, valid, reach=reach)
    for row, col in ((20, 25), (35, 30), (0, 40)):
        rows, cols = (
            slice(max(row - reach, 0), row + 9 + reach),
            slice(col - reach, col + 9 + reach),
        )
        part = fill_holes(x[:, rows, cols], valid[:, rows, cols], reach=reach)
        inner = part[:, row - rows.start :, reach:-reach][:, :9]
        assert np.array_equal(inner, whole[:, row : row + 9, col : col + 9])


def test_an_all_invalid_band_becomes_zero_and_a_whole_one_stays():
    x = np.full((2, 6, 6), np.nan, np.float32)
    x[1] = 7
    valid = np.isfinite(x)
    filled = fill_holes(x, valid, reach=3)
    assert (filled[0] == 0).all()
    assert (filled[1] == 7).all()


@pytest.mark.parametrize("squares", [4, 9, 16])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_means_are_kept_to_rounding(squares, dtype):
    rng = np.random.default_rng(0)
    source = rng.uniform(1000, 9000, (2, 7, 8)).astype(dtype)
    phases = (source[:, None] + rng.normal(0, 300, (2, squares, 7, 8))).astype(dtype)
    wide = phases.astype(np.longdouble)
    detail = wide - wide.mean(axis=1, keepdims=True)
    kept = keep_means(phases.copy(), source)
    assert kept.dtype == dtype
    step = np.finfo(dtype).eps * 10_000
    wide = kept.astype(np.longdouble)
    assert np.abs(wide.mean(axis=1) - source).max() < step
    # the block moves as one
    assert np.abs(wide - wide.mean(axis=1, keepdims=True) - detail).max() < 2 * step


@given(value=FINITE, squares=st.sampled_from([4, 9, 16, 25, 64]))
def test_a_flat_block_stays_to_the_last_bit(value, squares):
    source = np.full((1, 3, 4), value, np.float32) * np.float32(1 / 3)
    phases = np.repeat(source[:, None], squares, axis=1)
    assert (keep_means(phases.copy(), source) == source[:, None]).all()
