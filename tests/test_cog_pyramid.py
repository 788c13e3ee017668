"""Overviews: the mean of the valid pixels among four, whatever the dtype, the holes, the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from rasterio.io import MemoryFile

from geosr.core.options import DTYPES
from geosr.io.cog.pyramid import halved
from geosr.io.opening import open_raster

# Odd sides, one row and one pixel are among them.
SHAPES = st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9))


def plain(values, valid, *, fill, nodata=None):
    """Return what `halved` should, one output pixel at a time, in float64."""
    kind, (bands, height, width) = values.dtype, values.shape
    made = np.zeros((bands, -(-height // 2), -(-width // 2)), kind)
    good = np.ones(made.shape, bool)
    for band, row, col in np.ndindex(made.shape):
        square = band, slice(2 * row, 2 * row + 2), slice(2 * col, 2 * col + 2)
        inside = [float(value) for value in values[square][valid[square]]]
        if not inside:
            made[band, row, col] = np.asarray(fill).astype(kind)
            good[band, row, col] = False
            continue
        mean = math.fsum(value / len(inside) for value in inside)
        made[band, row, col] = mean if kind.kind == "f" else round(mean)  # halves to even
        if kind.kind != "f" and made[band, row, col] == nodata:
            made[band, row, col] += 1 if nodata < np.iinfo(kind).max else -1
    return made, good


def limits(dtype):
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return st.floats(-1e6, 1e6, width=32)
    return st.integers(int(np.iinfo(kind).min), int(np.iinfo(kind).max))


@st.composite
def rasters(draw, dtypes=DTYPES):
    """Return values and which are valid; integers from their whole range, ends included."""
    dtype, shape = draw(st.sampled_from(dtypes)), draw(SHAPES)
    values = draw(npst.arrays(dtype, shape, elements=limits(dtype)))
    valid = draw(st.one_of(st.just(np.ones(shape, bool)), npst.arrays(bool, shape)))
    return values, valid


@given(rasters())
def test_means_are_those_of_a_plain_reference(raster):
    values, valid = raster
    means, good = halved(values, valid, fill=0, nodata=None)
    wanted, wanted_good = plain(values, valid, fill=0)
    assert means.dtype == values.dtype
    if values.dtype.kind == "f":
        np.testing.assert_allclose(means, wanted, rtol=1e-6, atol=1e-6)
    else:
        np.testing.assert_array_equal(means, wanted)
    assert (good is None) == wanted_good.all()
    assert good is None or (good == wanted_good).all()


@given(rasters(), st.data())
def test_no_mean_is_nodata_and_holes_are(raster, data):
    values, valid = raster
    nodata = data.draw(st.sampled_from([int(values.flat[0]), 0, 1]))
    values[values == nodata] += values.dtype.type(1)  # over the end of the range, some of them
    valid = valid & (values != nodata)
    before = values.copy(), valid.copy()
    means, good = halved(values, valid, fill=nodata, nodata=nodata)
    np.testing.assert_array_equal(values, before[0])  # what is written in full is not touched
    np.testing.assert_array_equal(valid, before[1])
    good = np.ones(means.shape, bool) if good is None else good
    assert (means[~good] == nodata).all()
    assert not (means[good] == nodata).any()
    if values.dtype.kind != "f":
        np.testing.assert_array_equal(means, plain(values, valid, fill=nodata, nodata=nodata)[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_halves_go_to_the_even_number_with_and_without_holes(dtype):
    # Sums of four that leave 0, 1, 2 and 3, around zero where there are negative numbers.
    low = -9 if np.dtype(dtype).kind != "u" else 0
    squares = [[n, n, n, n + more] for n in range(low, 9) for more in range(4)]
    values = np.array(squares, dtype).reshape(1, -1, 2)
    values[:, 1::2] = values[:, 1::2, ::-1]
    alone, _ = halved(values, None, fill=0, nodata=None)
    beside = np.concatenate([values, np.zeros_like(values)], axis=2)
    valid = np.ones(beside.shape, bool)
    valid[..., 2:] = False
    among, good = halved(beside, valid, fill=0, nodata=None)
    np.testing.assert_array_equal(among[..., :1], alone)
    assert good[..., 0].all()
    if np.dtype(dtype).kind != "f":
        sums = values.astype(int).reshape(-1, 4).sum(axis=1)
        assert alone.ravel().tolist() == [round(total / 4) for total in sums.tolist()]


@given(rasters(), st.integers(0, 4), st.integers(0, 4), st.integers(0, 9))
def test_pieces_give_what_the_whole_gives(raster, rows, cols, nodata):
    values, valid = raster
    valid = valid & (values != nodata)
    whole, whole_good = halved(values, valid, fill=nodata, nodata=nodata)
    whole_good = np.ones(whole.shape, bool) if whole_good is None else whole_good
    for row in (slice(0, 2 * rows), slice(2 * rows, None)):
        for col in (slice(0, 2 * cols), slice(2 * cols, None)):
            part, part_valid = values[:, row, col], valid[:, row, col]
            if not part.size:
                continue
            made, good = halved(part, part_valid, fill=nodata, nodata=nodata)
            place = slice(None), *(slice(s.start // 2, s.stop and s.stop // 2) for s in (row, col))
            np.testing.assert_array_equal(made, whole[place])
            assert (good is None and whole_good[place].all()) or (good == whole_good[place]).all()


def test_nan_and_infinity_under_a_hole_do_not_spread():
    values = np.array([[[1, np.nan, np.inf, 3], [2, np.nan, 3, 3]]], "float32")
    valid = np.isfinite(values)
    means, good = halved(values, valid, fill=np.nan, nodata=np.nan)
    assert (means.tolist(), good) == ([[[1.5, 3.0]]], None)
    values[0, :, :2] = np.nan
    means, good = halved(values, np.isfinite(values), fill=np.nan, nodata=None)
    assert np.isnan(means[0, 0, 0])
    assert good.tolist() == [[[False, True]]]


def test_a_band_of_its_own_holes():
    values = np.full((2, 2, 2), 4, "uint8")
    valid = np.ones(values.shape, bool)
    valid[1] = False
    means, good = halved(values, valid, fill=9, nodata=9)
    assert (means.ravel().tolist(), good.ravel().tolist()) == ([4, 9], [True, False])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("nodata", [-9999.0, 0.0, 1.9, -1e38, np.inf])
def test_no_float_is_near_enough_for_gdal_to_take_it_for_nodata(dtype, nodata):
    """Means that are not nodata, but that GDAL's masks would call so."""
    kind = np.dtype(dtype).type
    near = kind(nodata) if np.isfinite(nodata) else np.finfo(kind).max
    steps = np.array([0, 1, -1, 3, 7, 1e3, 1e6, -1e6, 2e8], dtype)
    with np.errstate(over="ignore"):
        wanted = near + 2 * np.spacing(near / 2) * steps
    wanted = wanted[np.isfinite(wanted)].reshape(1, 1, -1)
    means, good = halved(
        wanted.repeat(2, 1).repeat(2, 2), None, fill=nodata, nodata=float(kind(nodata))
    )
    assert good is None
    assert np.isfinite(means).all()
    np.testing.assert_allclose(means, wanted, rtol=2e-6, atol=1e-37)
    with MemoryFile() as memory:
        shape = {"width": means.shape[2], "height": 1, "count": 1}
        with open_raster(
            memory.name, "w", driver="GTiff", dtype=dtype, nodata=float(kind(nodata)), **shape
        ) as dst:
            dst.write(means)
        with open_raster(memory.name) as src:
            assert (src.read_masks(1) == 255).all()


@pytest.mark.parametrize("holes", [False, True])
def test_the_largest_numbers_stay_finite(holes):
    values = np.full((1, 2, 4), np.finfo("float64").max)
    values[..., 2:] *= -1
    valid = np.ones(values.shape, bool)
    valid[0, 0, 0] = not holes
    means, _ = halved(values, valid, fill=0, nodata=None)
    np.testing.assert_allclose(means, values[:, :1, ::2], rtol=1e-15)
