"""Integer output: sums kept, nothing wraps, no valid pixel looks like a hole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from geosr.quantise import Counts, Target, quantise
from geosr.radiometry import keep_means, working_dtype

INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32")
FLOATS = ("float32", "float64")


def phases_around(source: np.ndarray, squares: int, contrast: float, seed: int = 0) -> np.ndarray:
    """Return random phases whose block means are the source's, in the working dtype."""
    kind = working_dtype(source.dtype.name)
    rng = np.random.default_rng(seed)
    x = source.astype(kind)
    noise = rng.normal(0, contrast, (len(x), squares, *x.shape[1:])).astype(kind)
    return keep_means(x[:, None] + noise, x)


def sums(values: np.ndarray) -> np.ndarray:
    return values.astype(object).sum(axis=1)


@st.composite
def scenes(draw, dtypes=INTEGERS):
    """A source with values anywhere in its range, often at its ends, and phases around it."""
    dtype = draw(st.sampled_from(dtypes))
    info = np.iinfo(dtype)
    near = st.integers(0, 6)
    value = st.one_of(
        st.integers(int(info.min), int(info.max)),
        near.map(lambda n: int(info.min) + n),
        near.map(lambda n: int(info.max) - n),
    )
    values = draw(st.lists(value, min_size=12, max_size=12))
    source = np.array(values, dtype).reshape(1, 3, 4)
    squares = draw(st.sampled_from([4, 9, 16, 64]))
    contrast = draw(st.sampled_from([0.0, 0.3, 5.0, 100.0, float(info.max) / 4]))
    return source, phases_around(source, squares, contrast, draw(st.integers(0, 5)))


@given(scenes())
def test_block_sums_are_exact_over_the_whole_range(scene):
    source, phases = scene
    squares = phases.shape[1]
    dtype = source.dtype.name
    values, counts = quantise(phases, source.astype(phases.dtype), None, Target(dtype))
    assert values.dtype == dtype
    assert (sums(values) == source.astype(object) * squares).all()
    assert counts.unresolved == 0
    assert counts.error == 0


@given(scenes(), st.data())
def test_no_valid_pixel_is_nodata_and_sums_stay_exact(scene, data):
    source, phases = scene
    squares = phases.shape[1]
    info = np.iinfo(source.dtype)
    middle = int(np.median(source))
    nodata = data.draw(
        st.one_of(
            st.sampled_from([int(info.min), int(info.max), 0]),
            st.integers(-3, 3).map(lambda n: min(max(middle + n, int(info.min)), int(info.max))),
        )
    )
    source[source == nodata] = nodata + (1 if nodata < info.max else -1)
    target = Target(source.dtype.name, nodata=nodata)
    values, counts = quantise(phases, source.astype(phases.dtype), None, target)
    assert not (values == nodata).any()
    wrong = sums(values) != source.astype(object) * squares
    assert wrong.sum() == counts.unresolved
    # A block whose source is beside an end of the range and nodata cannot always be exact.
    room = np.minimum(source.astype(object) - int(info.min), int(info.max) - source.astype(object))
    assert not (wrong & (room >= 2)).any()


@pytest.mark.parametrize("squares", [4, 9, 16])
def test_a_flat_block_beside_nodata_is_given_pixels_on_both_sides(squares):
    source = np.full((1, 2, 2), 100, np.uint16)
    phases = phases_around(source, squares, 0.7)
    values, counts = quantise(phases, source.astype("f4"), None, Target("uint16", nodata=101))
    assert not (values == 101).any()
    assert (sums(values) == 100 * squares).all()
    assert counts == Counts()
    assert np.abs(values.astype(int) - 100).max() <= 5


@pytest.mark.parametrize("dtype", INTEGERS)
def test_rounding_moves_no_pixel_by_more_than_one_and_a_bit(dtype):
    source = np.random.default_rng(0).integers(40, 80, (2, 9, 11)).astype(dtype)
    phases = phases_around(source, 4, 6)
    before = phases.copy()
    values, counts = quantise(phases, source.astype(phases.dtype), None, Target(dtype))
    assert np.abs(values - before).max() <= 1
    assert counts == Counts()


def test_rounding_is_what_diffusion_gives():
    """The error of each pixel goes to the next of its block, in the order of phases."""
    source = np.array([[[10.0]]], np.float32)
    phases = np.array([9.6, 10.7, 10.3, 9.4], np.float32).reshape(1, 4, 1, 1)
    values, _ = quantise(phases, source, None, Target("uint16"))
    # 9.6 -> 10, -0.4 left; 10.3 -> 10, 0.3 left; 10.6 -> 11, -0.4 left; 9.0 -> 9
    assert values.ravel().tolist() == [10, 10, 11, 9]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("working", [np.float32, np.float64])
def test_casts_saturate_and_never_wrap(dtype, exact, working):
    info = np.iinfo(dtype)
    levels = [-3e38, -1e12, -70_000.0, -1.0, 0.0, 300.0, 2.0**31, 2.0**32, 1e12, 3e38]
    phases = np.repeat(np.array(levels, working).reshape(1, 1, 1, -1), 4, axis=1)
    source = phases[:, 0].copy()
    values, counts = quantise(phases, source, None, Target(dtype, exact=exact))
    expected = np.array([min(max(int(level), info.min), info.max) for level in levels], dtype)
    assert (values == expected).all()
    assert counts.clamped == 4 * sum(not info.min <= level <= info.max for level in levels)


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_clamped_pixels_give_their_rest_to_the_others(dtype):
    info = np.iinfo(dtype)
    low, high = int(info.min), int(info.max)
    source = np.array([[[low + 2, high - 2, low, high]]], np.float32)
    ripple = np.array([-9, -3, 5, 7], np.float32).reshape(1, 4, 1, 1)
    phases = source[:, None] + ripple
    values, counts = quantise(phases, source, None, Target(dtype))
    assert sums(values).ravel().tolist() == [4 * (low + 2), 4 * (high - 2), 4 * low, 4 * high]
    assert (values[..., 2] == low).all()
    assert (values[..., 3] == high).all()
    assert counts.clamped == 2 + 2 + 2 + 2
    assert counts.unresolved == 0


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e30, -5.0, 77.0])
def test_invalid_blocks_touch_nothing(poison, exact):
    source = np.random.default_rng(1).integers(0, 256, (2, 6, 7)).astype(np.uint8)
    valid = np.random.default_rng(2).random(source.shape) > 0.3
    phases = phases_around(source, 4, 30)
    target = Target("uint8", nodata=77.0, exact=exact)
    expected, counts = quantise(phases.copy(), source.astype("f4"), valid, target)
    phases[~np.broadcast_to(valid[:, None], phases.shape)] = poison
    values, again = quantise(phases, np.where(valid, source, poison).astype("f4"), valid, target)
    kept = np.broadcast_to(valid[:, None], values.shape)
    assert np.array_equal(values[kept], expected[kept])
    assert again == counts
    assert not (values[kept] == 77).any()


def test_without_consistency_pixels_are_just_rounded():
    phases = np.random.default_rng(3).uniform(0, 255, (1, 9, 5, 6)).astype(np.float32)
    expected = np.rint(phases)
    values, counts = quantise(
        phases.copy(), phases[:, 0], None, Target("uint8", nodata=None, exact=False)
    )
    assert (values == expected).all()
    assert counts == Counts(error=counts.error)
    values, _ = quantise(phases, phases[:, 0], None, Target("uint8", nodata=90, exact=False))
    assert (values == np.where(expected == 90, 91, expected)).all()


@pytest.mark.parametrize("nodata", [None, np.nan, 0.5])
def test_nodata_that_no_integer_is_means_none(nodata):
    source = np.array([[[0, 1, 255]]], np.float32)
    phases = source[:, None] + np.array([-4, -1, 2, 3], np.float32).reshape(1, 4, 1, 1)
    values, _ = quantise(phases, source, None, Target("uint8", nodata=nodata))
    assert sums(values).ravel().tolist() == [0, 4, 1020]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("working", FLOATS)
def test_floats_pass_unchanged(dtype, working):
    phases = np.random.default_rng(0).normal(0, 1, (1, 4, 3, 3)).astype(working)
    values, counts = quantise(phases.copy(), phases[:, 0], None, Target(dtype))
    assert values.dtype == dtype
    assert np.array_equal(values, phases.astype(dtype))
    error = np.abs(values.mean(axis=1, dtype=np.float64) - phases[:, 0]).max()
    assert counts == Counts(error=pytest.approx(error, rel=1e-5))


def test_large_doubles_do_not_become_infinite_singles():
    phases = np.array([1e300, -1e300, 1.0, -0.0]).reshape(1, 4, 1, 1)
    values, _ = quantise(phases, phases[:, 0], None, Target("float32"))
    largest = np.finfo(np.float32).max
    assert values.ravel().tolist() == [largest, -largest, 1.0, 0.0]


def masked_by_gdal(values: np.ndarray, nodata: float) -> np.ndarray:
    profile = {"driver": "GTiff", "width": values.size, "height": 1, "count": 1}
    profile |= {"dtype": values.dtype, "nodata": nodata, "transform": Affine.scale(2)}
    with MemoryFile() as memory:
        with memory.open(**profile) as dst:
            dst.write(values.reshape(1, 1, -1))
        with memory.open() as src:
            return src.read_masks(1)[0] == 0


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("nodata", [0.0, -9999.0, 1e20, 1.5, 1.9999, 1e-30])
def test_valid_floats_keep_clear_of_what_gdal_takes_for_nodata(dtype, nodata):
    marker = np.dtype(dtype).type(nodata)
    near = [marker]
    for direction in (-np.inf, np.inf):
        value = marker
        for _ in range(12):
            value = np.nextafter(value, marker.dtype.type(direction))
            near.append(value)
    near += [marker * marker.dtype.type(1 + part) for part in (-1e-5, -1e-6, -4e-7, 4e-7, 1e-6, 1)]
    phases = np.array(near, dtype).reshape(1, -1, 1, 1)
    assert masked_by_gdal(phases, nodata).any()
    values, _ = quantise(phases.copy(), phases[:, 0], None, Target(dtype, nodata=nodata))
    assert not masked_by_gdal(values, nodata).any()
    assert values == pytest.approx(phases, rel=2e-6, abs=1e-37)
    far = np.abs(phases / nodata - 1) > 1e-6 if nodata else phases != 0
    assert np.array_equal(values[far], phases[far])


@pytest.mark.parametrize("nodata", [-3.4028234663852886e38, 3.4028234663852886e38])
def test_the_last_float_as_nodata_leaves_room_for_valid_pixels(nodata):
    phases = np.array([nodata, -1e39, 1e39, 7.0]).reshape(1, 4, 1, 1)
    values, _ = quantise(phases, phases[:, 0], None, Target("float32", nodata=nodata))
    assert np.isfinite(values).all()
    assert not (values == np.float32(nodata)).any()
    assert values[0, 3, 0, 0] == 7


def test_nan_nodata_changes_no_float():
    phases = np.array([np.nan, 1.0, 0.0, np.inf], np.float32).reshape(1, 4, 1, 1)
    values, _ = quantise(phases.copy(), phases[:, 0], None, Target("float32", nodata=np.nan))
    assert np.array_equal(values, phases, equal_nan=True)


@pytest.mark.parametrize(
    ("dtype", "nodata", "limits"),
    [
        ("uint8", None, (0, 255)),
        ("uint8", 0, (1, 255)),
        ("uint8", 255, (0, 254)),
        ("uint8", 128, (0, 255)),
        ("int16", -32768, (-32767, 32767)),
        ("int16", -9999, (-32768, 32767)),
        ("uint32", 2**32 - 1, (0, 2**32 - 2)),
    ],
)
def test_limits_leave_nodata_out(dtype, nodata, limits):
    assert Target(dtype, nodata).limits == limits


def test_counts_add_up():
    assert Counts(1, 2, 0.5) + Counts(3, 4, 0.25) == Counts(4, 6, 0.5)
