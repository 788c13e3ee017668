"""Pixel sizes in CRS units and metres, and bounds in other CRSs."""

import math

import pytest
from pyproj import CRS, Geod

from geosr.core.errors import BoundsError, OptionError
from geosr.core.geometry import GeoGrid
from geosr.io.resolution import choose_factor, target_grid, transform_bounds

UTM = CRS.from_epsg(32633).to_wkt()
DEGREES = CRS.from_epsg(4326).to_wkt()
FEET = CRS.from_epsg(2263).to_wkt()  # New York, US survey feet


def utm_grid(shape=(100, 60), step=10.0):
    return GeoGrid(shape, (step, 0.0, 500_000.0, 0.0, -step, 5_000_000.0), UTM)


@pytest.mark.parametrize(
    ("asked", "shape", "ratio"),
    [
        ("5", (200, 120), 2.0),
        (2.5, (400, 240), 4.0),
        ("4", (250, 150), 2.5),
        ("3", (333, 200), 10 / 3),
        ("7", (143, 86), 10 / 7),
        ("5m", (200, 120), 2.0),
        (" 5 m ", (200, 120), 2.0),
    ],
)
def test_the_pixel_size_is_just_what_was_asked(asked, shape, ratio):
    grid, found = target_grid(utm_grid(), asked)
    length = float(str(asked).strip(" m"))
    assert grid.transform == (length, 0.0, 500_000.0, 0.0, -length, 5_000_000.0)
    assert grid.shape == shape
    assert found == pytest.approx(ratio)
    assert grid.crs == UTM


def test_the_far_edge_is_the_nearest_pixel_edge():
    for asked in (3.0, 7.0, 9.9):
        source, (grid, _) = utm_grid(), target_grid(utm_grid(), asked)
        assert abs(grid.bounds[2] - source.bounds[2]) <= asked / 2
        assert abs(grid.bounds[1] - source.bounds[1]) <= asked / 2


def test_one_pixel_stays_at_least_one():
    grid, _ = target_grid(utm_grid(shape=(1, 1)), 9)
    assert grid.shape == (1, 1)


def test_south_up_stays_south_up():
    source = GeoGrid((10, 10), (10.0, 0.0, 0.0, 0.0, 10.0, 0.0), UTM)
    assert target_grid(source, 5)[0].transform == (5.0, 0.0, 0.0, 0.0, 5.0, 0.0)


def test_rotated_pixels_are_measured_along_their_sides():
    turn, step = math.radians(30), 10.0
    c, s = step * math.cos(turn), step * math.sin(turn)
    source = GeoGrid((50, 40), (c, s, 7.0, s, -c, 9.0), UTM)
    grid, ratio = target_grid(source, 4)
    assert grid.pixel_size == pytest.approx((4.0, 4.0))
    assert grid.shape == (125, 100)
    assert ratio == pytest.approx(2.5)
    assert grid.transform == pytest.approx((c * 0.4, s * 0.4, 7.0, s * 0.4, -c * 0.4, 9.0))


def test_pixels_that_are_not_square_become_so():
    source = GeoGrid((30, 20), (10.0, 0.0, 0.0, 0.0, -20.0, 0.0), UTM)
    grid, ratio = target_grid(source, 10)
    assert (grid.shape, grid.pixel_size, ratio) == ((60, 20), (10.0, 10.0), 2.0)


def test_metres_in_feet():
    source = GeoGrid((30, 20), (10.0, 0.0, 0.0, 0.0, -10.0, 0.0), FEET)
    grid, ratio = target_grid(source, "1.524003048006096m")  # 5 US survey feet
    assert grid.pixel_size == pytest.approx((5.0, 5.0), rel=1e-12)
    assert (grid.shape, ratio) == ((60, 40), pytest.approx(2.0))


@pytest.mark.parametrize("latitude", [0.0, 47.0, -70.0])
def test_metres_in_degrees_are_measured_at_the_middle(latitude):
    step = 0.001
    origin = latitude + 50 * step
    source = GeoGrid((100, 80), (step, 0.0, 15.0, 0.0, -step, origin), DEGREES)
    grid, ratio = target_grid(source, "10m")
    width, height = grid.pixel_size
    geod, middle = Geod(ellps="WGS84"), 15.0 + 40 * step
    assert geod.inv(middle, latitude, middle + width, latitude)[2] == pytest.approx(10, rel=1e-5)
    assert geod.inv(middle, latitude, middle, latitude + height)[2] == pytest.approx(10, rel=1e-5)
    assert grid.shape == (
        pytest.approx(100 * step / height, abs=0.5),
        pytest.approx(80 * step / width, abs=0.5),
    )
    assert ratio == pytest.approx(step / min(width, height))
    assert grid.bounds[0] == 15.0
    assert grid.bounds[3] == origin


def test_the_equator_in_round_numbers():
    """A degree of longitude is 111,319.49 m there (WGS 84: 6,378,137 m times pi / 180)."""
    source = GeoGrid((2, 2), (0.001, 0.0, 0.0, 0.0, -0.001, 0.001), DEGREES)
    grid, _ = target_grid(source, "50m")
    assert grid.pixel_size[0] == pytest.approx(50 / 111_319.49, rel=1e-6)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("10", "not finer"),
        ("25", "not finer"),
        ("10m", "not finer"),
        ("fine", "is no pixel size"),
        ("0", "is no pixel size"),
        ("-3", "is no pixel size"),
        ("5 km", "is no pixel size"),
        ("nan", "is no pixel size"),
        ("1e999", "is no pixel size"),
        ("", "is no pixel size"),
        ("1e", "is no pixel size"),
    ],
)
def test_resolutions_that_are_refused(asked, says):
    with pytest.raises(OptionError, match=says) as caught:
        target_grid(utm_grid(), asked)
    assert caught.value.hint


def test_coarser_along_one_axis_is_refused():
    source = GeoGrid((30, 20), (10.0, 0.0, 0.0, 0.0, -20.0, 0.0), UTM)
    with pytest.raises(OptionError, match="not finer than the raster's own 10 x 20"):
        target_grid(source, 15)


def test_a_raster_without_place_or_crs():
    with pytest.raises(OptionError, match="no geotransform"):
        target_grid(GeoGrid((5, 5), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)), 0.5)
    nowhere = GeoGrid((5, 5), (10.0, 0.0, 0.0, 0.0, -10.0, 0.0))
    assert target_grid(nowhere, 5)[0].shape == (10, 10)
    with pytest.raises(OptionError, match="no CRS"):
        target_grid(nowhere, "5m")


def test_the_next_larger_factor_is_chosen():
    assert choose_factor(2.0, (4, 2, 3)) == 2
    assert choose_factor(2.0 + 1e-12, (2, 3)) == 2  # 10 / 5 may round up
    assert choose_factor(2.01, (2, 3, 4)) == 3
    assert choose_factor(1.1, (2, 3)) == 2
    with pytest.raises(OptionError, match=r"5 times finer .* x2, x4"):
        choose_factor(5, (4, 2))


# Bounds


def test_bounds_in_the_rasters_own_crs_stay_as_they_are():
    box = (500_100.1, 4_999_500.0, 500_300.0, 4_999_900.7)
    assert transform_bounds(box, None, utm_grid()) == box
    assert transform_bounds(box, "EPSG:32633", utm_grid()) == box
    degrees = GeoGrid((5, 5), (1.0, 0.0, 0.0, 0.0, -1.0, 50.0), DEGREES)
    assert transform_bounds((1, 45, 2, 46), "OGC:CRS84", degrees) == (1, 45, 2, 46)


def test_bounds_come_x_first_and_cover_bent_edges():
    west, south, east, north = transform_bounds((12, 45, 18, 46), "EPSG:4326", utm_grid())
    # The central meridian is 15 degrees east: half of 6 degrees at 45 degrees north.
    assert (west + east) / 2 == pytest.approx(500_000)
    assert west == pytest.approx(263_554, abs=2)
    # Parallels bulge to the equator at the central meridian.
    assert south == pytest.approx(4_982_950, abs=2)
    assert north > 5_097_000


@pytest.mark.parametrize(
    ("box", "crs", "grid", "says"),
    [
        ((1, 2, 3, 4), "EPSG:4326", GeoGrid((5, 5), (1.0, 0.0, 0.5, 0.0, -1.0, 0.0)), "no CRS"),
        ((1, 2, 3, 4), "here", utm_grid(), "'here' is no CRS"),
        ((5e9, 5e9, 6e9, 6e9), "EPSG:32632", GeoGrid((5, 5), (1.0, 0, 0, 0, -1.0, 0), DEGREES),
         "the raster's CRS"),
    ],
)  # fmt: skip
def test_bounds_that_cannot_be_placed(box, crs, grid, says):
    with pytest.raises(BoundsError, match=says) as caught:
        transform_bounds(box, crs, grid)
    assert caught.value.hint
