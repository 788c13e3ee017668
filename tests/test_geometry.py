"""Grids and windows: corners stay where they are, to the last bit where floats allow it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rasterio.transform import Affine, array_bounds

from geosr.core.errors import BoundsError, OptionError
from geosr.core.geometry import GeoGrid, Window

OFFSETS = st.integers(-40, 40)
LENGTHS = st.integers(0, 40)
WINDOWS = st.builds(Window, OFFSETS, OFFSETS, LENGTHS, LENGTHS)
SHAPES = st.tuples(st.integers(1, 12000), st.integers(1, 12000))
STEPS = st.one_of(
    st.sampled_from([0.1, 0.25, 0.3, 0.5, 1 / 3, 10.0, 20.0, 30.0, 0.05, 8.983152841195215e-05]),
    st.floats(1e-5, 1e4),
)
ORIGINS = st.one_of(st.sampled_from([0.0, 500000.0, -180.0, 399960.0]), st.floats(-1e7, 1e7))


@st.composite
def grids(draw, rotated=False):
    """Grids of all kinds: north-up, south-up, mirrored, non-square, rotated, sheared."""
    along, across = (draw(STEPS) * draw(st.sampled_from([-1, 1])) for _ in range(2))
    place = draw(ORIGINS), draw(ORIGINS)
    if not rotated:
        return GeoGrid(draw(SHAPES), (along, 0.0, place[0], 0.0, across, place[1]), "CRS")
    angle, shear = draw(st.floats(0.01, 1.5)), draw(st.floats(-0.5, 0.5))
    a, d = along * math.cos(angle), along * math.sin(angle)
    b, e = -across * math.sin(angle + shear), across * math.cos(angle + shear)
    return GeoGrid(draw(SHAPES), (a, b, place[0], d, e, place[1]), "CRS")


def matrix(grid: GeoGrid) -> np.ndarray:
    """Return the transform as a matrix on ``(col, row, 1)``."""
    return np.array([grid.transform[:3], grid.transform[3:], (0, 0, 1)])


def pixels(window: Window) -> set[tuple[int, int]]:
    rows, cols = window.slices
    return {(r, c) for r in range(rows.start, rows.stop) for c in range(cols.start, cols.stop)}


@given(WINDOWS, st.tuples(LENGTHS, LENGTHS))
def test_clip_keeps_just_the_pixels_inside(window, shape):
    inside = {(r, c) for r, c in pixels(window) if 0 <= r < shape[0] and 0 <= c < shape[1]}
    assert pixels(window.clip(shape)) == inside


@given(WINDOWS, st.integers(0, 5), OFFSETS, OFFSETS)
def test_grow_and_shift_move_pixels(window, margin, rows, cols):
    grown = window.grow(margin)
    assert grown.shape == (window.height + 2 * margin, window.width + 2 * margin)
    assert pixels(window.shift(rows, cols)) == {(r + rows, c + cols) for r, c in pixels(window)}
    assert window.grow(margin).grow(-margin) == window


def test_scaled_window_covers_the_blocks_of_its_pixels():
    high = np.arange(6 * 8).reshape(6, 8)
    blocks = np.repeat(np.repeat(high, 3, axis=0), 3, axis=1)
    window = Window(1, 2, 3, 4)
    expected = np.repeat(np.repeat(high[window.slices], 3, axis=0), 3, axis=1)
    assert (blocks[window.scale(3).slices] == expected).all()


def test_negative_windows_and_empty_grids_are_refused():
    with pytest.raises(OptionError):
        Window(0, 0, -1, 3)
    with pytest.raises(OptionError):
        GeoGrid((0, 3), (1.0, 0.0, 0.0, 0.0, -1.0, 0.0))


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("factor", [2, 4, 8])
@given(data=st.data())
def test_powers_of_two_keep_corners_to_the_last_bit(data, factor, rotated):
    grid = data.draw(grids(rotated=rotated))
    finer = grid.upscale(factor)
    assert finer.shape == (grid.shape[0] * factor, grid.shape[1] * factor)
    assert finer.corners == grid.corners
    assert finer.bounds == grid.bounds
    assert finer.crs == grid.crs


@pytest.mark.parametrize("factor", [3, 5, 6, 7])
@given(grid=grids())
def test_other_factors_keep_corners_wherever_a_float_can(grid, factor):
    finer = grid.upscale(factor)
    for axis, step, origin in ((1, 0, 2), (0, 4, 5)):
        near = grid.transform[step] / factor
        count, start = grid.shape[axis] * factor, grid.transform[origin]
        wanted = grid.transform[step] * grid.shape[axis] + start
        floats = [near]
        for direction in (-math.inf, math.inf):
            value = near
            for _ in range(3):
                value = math.nextafter(value, direction)
                floats.append(value)
        got = finer.transform[step]
        assert got in floats
        if any(value * count + start == wanted for value in floats):
            assert got * count + start == wanted
        else:  # no float does it: as near as one rounding of the step comes
            assert abs(got * count + start - wanted) <= 2 * abs(wanted - start) * 2.0**-52
    assert finer.corners[0] == grid.corners[0]


@pytest.mark.parametrize("factor", [3, 5, 6, 7])
@pytest.mark.parametrize(
    "transform",
    [
        (10.0, 0.0, 399960.0, 0.0, -10.0, 5700000.0),  # Sentinel-2
        (30.0, 0.0, 483285.0, 0.0, -30.0, 4423215.0),  # Landsat
        (0.3, 0.0, 733601.0, 0.0, -0.3, 3725139.0),  # an orthophoto
        (1 / 3, 0.0, 2600000.0, 0.0, -1 / 3, 1200000.0),
        (0.00026949458523585647, 0.0, 5.0, 0.0, -0.00026949458523585647, 49.0),
        (25.0, 0.0, 4321000.0, 0.0, 25.0, 3210000.0),  # south-up
    ],
)
def test_real_grids_keep_bounds_to_the_last_bit(transform, factor):
    for shape in ((10980, 10980), (7721, 7601), (513, 1), (97, 1031)):
        grid = GeoGrid(shape, transform)
        assert grid.upscale(factor).corners == grid.corners


@pytest.mark.parametrize("factor", [3, 5, 6, 7])
@given(grid=grids(rotated=True))
def test_rotated_corners_stay_within_a_billionth_of_a_pixel(grid, factor):
    size = max(grid.pixel_size)
    reach = max(abs(value) for corner in grid.corners for value in corner)
    for new, old in zip(grid.upscale(factor).corners, grid.corners, strict=True):
        assert math.dist(new, old) <= 8 * 2.0**-52 * max(reach, size * max(grid.shape))


@given(grids(rotated=True), st.integers(2, 8), st.data())
def test_every_pixel_keeps_its_place(grid, factor, data):
    row = data.draw(st.integers(0, grid.shape[0]))
    col = data.draw(st.integers(0, grid.shape[1]))
    expected = matrix(grid) @ np.diag([1 / factor, 1 / factor, 1]) @ (col * factor, row * factor, 1)
    assert grid.upscale(factor).xy(row * factor, col * factor) == pytest.approx(
        expected[:2], rel=1e-12, abs=1e-6
    )


@given(grids())
def test_bounds_are_rasterio_s(grid):
    west, south, east, north = array_bounds(*grid.shape, Affine(*grid.transform))
    expected = min(west, east), min(south, north), max(west, east), max(south, north)
    assert grid.bounds == pytest.approx(expected, rel=1e-15)


def test_pixel_size_is_measured_along_rotated_sides():
    angle = math.radians(30)
    grid = GeoGrid(
        (4, 5),
        (3 * math.cos(angle), -2 * math.sin(angle), 0, 3 * math.sin(angle), 2 * math.cos(angle), 0),
    )
    assert grid.pixel_size == pytest.approx((3, 2))
    assert grid.is_rotated
    assert not GeoGrid((4, 5), (3.0, 0, 0, 0, 2.0, 0)).is_rotated


@given(grids(), st.data())
def test_window_finds_a_crop_again(grid, data):
    row, col = (data.draw(st.integers(0, n - 1)) for n in grid.shape)
    height = data.draw(st.integers(1, grid.shape[0] - row))
    width = data.draw(st.integers(1, grid.shape[1] - col))
    reach = max(abs(value) for value in grid.bounds)
    assume(reach * 2.0**-52 < 1e-7 * min(grid.pixel_size))  # floats can tell its pixels apart
    window = Window(row, col, height, width)
    assert grid.window(grid.crop(window).bounds) == window


@given(grids(rotated=True), st.data())
def test_window_of_a_rotated_grid_holds_the_whole_box(grid, data):
    inner = [data.draw(st.floats(0.2, 0.8)) for _ in range(2)]
    x, y = grid.xy(inner[0] * grid.shape[0], inner[1] * grid.shape[1])
    reach = 0.1 * max(grid.pixel_size)
    far = max(abs(value) for value in grid.bounds)
    assume(far * 2.0**-52 < 1e-7 * min(grid.pixel_size))
    window = grid.window((x - reach, y - reach, x + reach, y + reach))
    for corner in ((x - reach, y - reach), (x + reach, y + reach)):
        col, row, _ = np.linalg.solve(matrix(grid), (*corner, 1))
        rows, cols = window.slices
        row, col = (min(max(v, 0), n) for v, n in zip((row, col), grid.shape, strict=True))
        assert rows.start - 1e-3 <= row <= rows.stop + 1e-3
        assert cols.start - 1e-3 <= col <= cols.stop + 1e-3


@pytest.mark.parametrize(
    "bounds", [(5, 5, 5, 9), (9, 5, 5, 9), (200, 0, 300, 50), (0, 101, 9, 120)]
)
def test_bounds_that_hold_nothing_are_refused(bounds):
    grid = GeoGrid((10, 10), (10.0, 0.0, 0.0, 0.0, -10.0, 100.0))
    with pytest.raises(BoundsError) as caught:
        grid.window(bounds)
    assert caught.value.hint
