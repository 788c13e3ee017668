"""Sources that are cut off, repaired, replaced and rewritten, before a run, in it and between."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import pytest
import rasterio
from fault_places import NUM_BLOCKS, make_scene


@pytest.fixture(params=["uncompressed", "deflate"])
def how(request):
    return request.param


@pytest.fixture
def own(place, way, tmp_path, how):
    """Return a place with a source of its own, which the test may damage."""
    compress = {} if how == "uncompressed" else {"compress": how}
    return replace(place(way), source=make_scene(tmp_path / "in.tif", **compress))


@pytest.fixture(scope="session")
def other(tmp_path_factory):
    """Make another source of the same shape."""
    return make_scene(tmp_path_factory.mktemp("other") / "in.tif", seed=2)


def test_a_source_cut_off_in_mid_run(own, row, how):
    whole = own.source.read_bytes()
    cut = {"path": str(own.source), "at": 4, "do": "truncate", "size": len(whole) * 2 // 3}
    ended = own.run(source=cut)
    assert (ended.status, ended.error["code"]) == (1, "input.unreadable")
    assert re.search(r"rows \d+ to \d+, columns \d+ to \d+", ended.error["message"])
    assert "copy it again" in ended.error["hint"]
    assert not own.check_unfinished()
    assert own.left
    again = own.run()
    assert "is cut off" in again.error["message"]
    own.source.write_bytes(whole)
    repaired = own.run()
    own.check_finished(repaired)
    assert "The source has changed since the earlier run" in repaired.news
    row(f"source cut off at block 4, {how}", ended.error["message"], own)


def test_a_source_cut_off_before(own, row, how):
    whole = own.source.read_bytes()
    own.source.write_bytes(whole[: len(whole) * 2 // 3])
    ended = own.run()
    assert (ended.status, ended.error["code"]) == (1, "input.unreadable")
    assert "row" in ended.error["message"]
    assert list(own.folder.iterdir()) == []
    own.source.write_bytes(whole)
    own.check_finished(own.run())
    row(f"source cut off before, {how}", ended.error["message"], own)


def test_a_source_replaced_between_runs(place, source, other, row, way, tmp_path, undisturbed):
    path = shutil.copy2(source, tmp_path / "in.tif")
    there = replace(place(way), source=path)
    assert there.run(calls=there.calls(len(there.wanted.calls) // 3)).status == -9
    shutil.copy2(other, path)
    there = replace(there, wanted=undisturbed(other, way))
    ended = there.run()
    there.check_finished(ended)
    assert "The source has changed since the earlier run; this one starts anew." in ended.news
    assert ended.events[-1]["stats"]["resumed"] == 0
    row("source replaced between runs", ended.news, there)


@pytest.mark.parametrize("do", ["rewrite", "replace"])
def test_a_source_changed_in_mid_run(place, source, other, row, way, tmp_path, undisturbed, do):
    """Half of the output could be of one source and half of the other: that is no result."""
    path, new = shutil.copy2(source, tmp_path / "in.tif"), shutil.copy2(other, tmp_path / "new.tif")
    there = replace(place(way), source=path)
    change = {"path": str(path), "at": NUM_BLOCKS // 2, "do": do, "other": str(new)}
    ended = there.run(source=change)
    assert (ended.status, ended.error["code"]) == (1, "input.changed")
    assert list(there.folder.iterdir()) == []
    there = replace(there, wanted=undisturbed(other, way))
    there.check_finished(there.run())
    row(f"source changed in mid-run, {do}", ended.error["message"], there)


def test_statistics_of_the_source_may_come_and_change(place, source, way, tmp_path):
    """A viewer has GDAL compute them, and keep them beside the source."""
    path = shutil.copy2(source, tmp_path / "in.tif")
    beside = tmp_path / "in.tif.aux.xml"
    beside.write_text("<PAMDataset/>")
    with rasterio.open(path) as src:
        assert str(beside) in src.files
    there = replace(place(way), source=path)
    assert there.run(calls=there.calls(len(there.wanted.calls) // 3)).status == -9
    beside.write_text("<PAMDataset><Metadata/></PAMDataset>")
    there.check_goes_on()
