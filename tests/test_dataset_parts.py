"""The parts of a patch set: scenes and their split, filters, index, and the folder's name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geosr.core.errors import InputFileError, OptionError, OutputBusyError
from geosr.core.geometry import GeoGrid
from geosr.io.crs import same_crs
from geosr.io.footprint import lonlat_boxes
from geosr.io.locking import lock
from geosr.training.dataset.filters import Duplicates, sharpness, thumbnail
from geosr.training.dataset.index import read_index
from geosr.training.dataset.place import new_folder
from geosr.training.dataset.scenes import group_scenes, split_scenes
from geosr.training.dataset.shards import ShardWriter


def grid(x, y, side=100, *, pixel=10.0, epsg=32633, rotated=False):
    rasterio = pytest.importorskip("rasterio")
    crs = rasterio.CRS.from_epsg(epsg).to_wkt() if epsg else None
    turn = pixel * 0.5**0.5
    transform = (turn, turn, x, turn, -turn, y) if rotated else (pixel, 0.0, x, 0.0, -pixel, y)
    return GeoGrid((side, side), transform, crs)


def test_overlapping_footprints_are_one_scene_and_touching_ones_are_two():
    grids = [grid(5e5, 5e6), grid(5e5 + 990, 5e6), grid(5e5 + 1990, 5e6)]
    assert group_scenes("abc", grids) == [0, 0, 1]
    assert group_scenes("abc", [grid(5e5, 5e6), grid(5e5 + 1000, 5e6), None]) == [0, 1, 2]


def test_a_turned_raster_is_compared_by_its_corners():
    """Its box overlaps the other's, itself does not."""
    turned = grid(5e5, 5e6, rotated=True)  # a diamond to the east of its first corner
    inside, beside = grid(5e5 + 600, 5e6 + 50, side=10), grid(5e5 + 10, 5e6 + 690, side=10)
    assert group_scenes("abc", [turned, inside, beside]) == [0, 0, 1]


def test_rasters_in_different_crss_are_compared_on_the_globe():
    utm, lonlat = grid(5e5, 5e6), grid(14.999, 45.155, pixel=0.0001, epsg=4326)
    far = grid(25.0, 45.155, pixel=0.0001, epsg=4326)
    assert group_scenes("abc", [utm, lonlat, far]) == [0, 0, 1]


def test_the_date_line_is_crossed():
    east, west = lonlat_boxes(grid(823_000, 1_100_000, side=1000, epsg=32660))
    assert east[2] == 180
    assert west[0] == -180
    beside = grid(170_000, 1_100_000, side=1000, epsg=32601)  # the zone beyond the line
    assert group_scenes("ab", [grid(823_000, 1_100_000, side=1000, epsg=32660), beside]) == [0, 0]
    assert lonlat_boxes(grid(0, 0, epsg=None)) == ()


def test_crss_are_compared_by_their_meaning():
    rasterio = pytest.importorskip("rasterio")
    one = rasterio.CRS.from_epsg(32633)
    assert same_crs(one.to_wkt(), one.to_wkt(version="WKT1_GDAL"))
    assert not same_crs(one.to_wkt(), rasterio.CRS.from_epsg(32634).to_wkt())
    assert same_crs(None, None)
    assert not same_crs(None, one.to_wkt())


def test_marks_in_names_join_scenes():
    names = ["in/lewis_1.tif", "more/lewis_2.tif", "in/seneca_1.tif", "in/lewis_1.tif"]
    assert group_scenes(names, [None] * 4) == [0, 1, 2, 0]
    assert group_scenes(names, [None] * 4, r"^([a-z]+)_\d") == [0, 0, 1, 0]
    with pytest.raises(OptionError, match="no regular expression"):
        group_scenes(names, [None] * 4, "[")


@given(
    sizes=st.lists(st.integers(1, 50), min_size=2, max_size=12),
    split=st.floats(0.05, 0.99),
    seed=st.integers(0, 99),
)
def test_split_gives_each_side_a_scene_and_validation_at_most_its_share(sizes, split, seed):
    trained = split_scenes(sizes, split, seed)
    assert trained == split_scenes(sizes, split, seed)
    assert any(trained)
    assert not all(trained)
    held = [size for size, is_trained in zip(sizes, trained, strict=True) if not is_trained]
    assert sum(held) <= max((1 - split) * sum(sizes), min(sizes))


def test_one_scene_cannot_be_split():
    with pytest.raises(OptionError, match="only one scene"):
        split_scenes([40], 0.9, 0)
    assert split_scenes([40], 1.0, 0) == [True]


def test_sharpness_is_the_noise_of_white_noise_and_nothing_of_a_slope():
    rng = np.random.default_rng(0)
    assert sharpness(0.03 * rng.standard_normal((1, 200, 200))) == pytest.approx(0.03, rel=0.02)
    rows, cols = np.mgrid[:40, :40] / 40
    assert sharpness((2 * rows + 3 * cols)[None]) == pytest.approx(0, abs=1e-12)
    assert sharpness(np.full((2, 8, 8), 4.0)) == 0


def test_thumbnails_are_block_means_and_their_product_a_correlation():
    rng = np.random.default_rng(0)
    one = np.kron(rng.uniform(0, 1, (1, 16, 16)), np.ones((3, 3)))
    other = np.kron(rng.uniform(0, 1, (1, 16, 16)), np.ones((3, 3)))
    expected = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert thumbnail(one) @ thumbnail(other) == pytest.approx(expected, abs=1e-6)
    assert thumbnail(5 + 3 * one) @ thumbnail(one) == pytest.approx(1, abs=1e-6)
    assert (thumbnail(np.full((2, 40, 50), 7.0)) == 0).all()
    odd = rng.uniform(0, 1, (2, 37, 53))
    assert np.linalg.norm(thumbnail(odd)) == pytest.approx(1)


def test_duplicates_are_known_among_many():
    rng = np.random.default_rng(0)
    patches = rng.uniform(0, 1, (600, 1, 32, 32))
    seen = Duplicates(0.98)
    assert all(seen.is_new(patch) for patch in patches)
    assert not any(seen.is_new(patch + 0.005 * rng.standard_normal((32, 32))) for patch in patches)


def test_a_folder_is_made_by_one_run_at_a_time(tmp_path):
    with (tmp_path / ".set.lock").open("w") as other:
        assert lock(other.fileno())
        with (
            pytest.raises(OutputBusyError, match="Another run is making"),
            new_folder(tmp_path / "set", overwrite=False),
        ):
            pass


def test_a_failure_leaves_the_old_set(tmp_path):
    with new_folder(tmp_path / "set", overwrite=False) as part:
        (part / "index.json").write_text("old")

    def fail():
        with new_folder(tmp_path / "set", overwrite=True) as part:
            (part / "index.json").write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (tmp_path / "set" / "index.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_shards_are_plain_arrays(tmp_path):
    writer = ShardWriter(tmp_path)
    big_endian = np.arange(48, dtype=">u2").reshape(3, 4, 4)
    assert writer.add("train", big_endian) == (0, 0)
    assert writer.add("validation", big_endian.astype("f4")) == (1, 0)
    assert writer.add("train", big_endian + 1) == (0, 1)
    entries = writer.close()
    first = np.load(tmp_path / entries[0].file, allow_pickle=False)
    assert first.shape == entries[0].shape == (2, 3, 4, 4)
    assert first.dtype == np.dtype("<u2")
    assert (first[1] == big_endian + 1).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file"),
        ("{", "Expecting"),
        ('{"format": "coco"}', "something else"),
        ('{"format": "geosr patches", "version": 99}', "version 99"),
        ("[]", "no patch set"),
    ],
)
def test_an_index_that_is_none_is_one_sentence(tmp_path, text, message):
    if text is not None:
        (tmp_path / "index.json").write_text(text)
    with pytest.raises(InputFileError, match=message):
        read_index(tmp_path)


def test_index_is_json_for_everyone(tmp_path):
    from cli_scenes import run
    from dataset_scenes import scene

    scene(tmp_path / "a.tif", 1, side=40, dtype="float32", nodata=float("nan"))
    args = (tmp_path / "a.tif", "--out", tmp_path / "set", "--patch", "16", "--split", "1")
    assert run("dataset", *args).exit_code == 0

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    text = (tmp_path / "set" / "index.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=refuse)["sources"][0]["nodata"] == ["nan"]
