"""Many rasters in one go: what is found, what is made, skipped and refused."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from cli_scenes import ROOT, files, make_raster, run
from remote_servers import RangeServer

from geosr import file_run, loaded
from geosr.api import upscale_files
from geosr.batch import stac
from geosr.batch.run import Outcome
from geosr.batch.sources import find_sources
from geosr.cluster.errors import ClusterError
from geosr.core.errors import (
    CancelledError,
    OptionError,
    OutputError,
    UnknownModelError,
)
from geosr.core.events import parse_event

NEAREST = {"model": "nearest"}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def scenes():
    """Make ``scenes/{a,b,c}.tif``; return their names."""
    Path("scenes").mkdir()
    names = [f"scenes/{name}.tif" for name in "abc"]
    for name in names:
        make_raster(name, bands=1)
    return names


def found(*names, assets=()):
    """Return paths and stems of what names stand for."""
    told = find_sources(names, assets)
    assert told.failures == []
    return [(source.path, source.stem) for source in told.sources]


def failures(*names, assets=()):
    """Return what is wrong with names."""
    return [(one.source, one.message) for one in find_sources(names, assets).failures]


def outputs():
    return sorted(path.name for path in Path("out").iterdir())


# What names stand for


@pytest.mark.parametrize(
    "pattern", ["scenes/*.tif", "scenes/[abc].tif", "scenes/?.tif", "**/*.tif"]
)
def test_a_pattern_stands_for_its_files_in_order(scenes, pattern):
    assert found(pattern) == [(name, Path(name).stem) for name in scenes]


def test_two_stars_go_into_folders(scenes):
    Path("scenes/2024/07").mkdir(parents=True)
    make_raster("scenes/2024/07/d.tif", bands=1)
    assert [stem for _, stem in found("scenes/**/*.tif")] == ["d", "a", "b", "c"]
    assert len(found("scenes/*")) == 3  # a folder is no raster


def test_a_file_with_brackets_is_itself(scenes):
    os.rename("scenes/a.tif", "scenes/[b].tif")
    assert found("scenes/[b].tif") == [("scenes/[b].tif", "[b]")]


@pytest.mark.parametrize(
    "name",
    [
        "https://example.com/scene.tif?sig=a*b",
        "s3://bucket/scene[1].tif",
        'NETCDF:"day*.nc":b4',
        "/vsizip/a.zip/b?.tif",
    ],
)
def test_other_names_of_gdal_are_no_patterns(name):
    assert [path for path, _ in found(name)] == [name]


def test_a_pattern_without_files_is_a_sentence(scenes):
    assert failures("scenes/*.jp2", "scenes/a.tif") == [
        ("scenes/*.jp2", "No file matches scenes/*.jp2.")
    ]


def test_a_list_has_a_source_a_line(scenes):
    Path("list.txt").write_text("\ufeff# mine\n\nscenes/[ab].tif\r\n  other.tif  \n#scenes/c.tif\n")
    assert [path for path, _ in found("@list.txt", "last.tif")] == [
        "scenes/a.tif",
        "scenes/b.tif",
        "other.tif",
        "last.tif",
    ]


def test_a_list_may_be_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("a.tif\nb.tif\n"))
    assert [stem for _, stem in found("@-")] == ["a", "b"]


def test_what_is_wrong_with_lists_is_said():
    Path("empty.txt").write_text("# none yet\n")
    assert failures("@empty.txt", "@missing.txt", "fine.tif") == [
        ("@empty.txt", "The list empty.txt names no source."),
        ("@missing.txt", "The list missing.txt cannot be read: No such file or directory."),
    ]


def test_a_source_that_is_named_twice_comes_once(scenes):
    assert len(found("scenes/*.tif", "scenes/b.tif")) == 3


def test_no_output_leaves_its_folder():
    Path("items.json").write_text(json.dumps(item("../../etc/x", red=asset("a.tif", ["data"]))))
    assert found("items.json") == [("a.tif", "_.._etc_x_red")]


# STAC


def item(name="S2A", **assets):
    """Return a STAC item; assets are given by their name."""
    return {"type": "Feature", "stac_version": "1.0.0", "id": name, "assets": assets}


def listed(*items, **more):
    return {"type": "FeatureCollection", "features": list(items), **more}


def asset(href, roles=None, kind=None):
    return {"href": href, "roles": roles, "type": kind}


RED = asset("red.tif", ["data", "reflectance"])
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
THUMBNAIL = asset("t.tif", ["thumbnail", "data"], COG)


@pytest.mark.parametrize(
    ("assets", "wanted", "chosen"),
    [
        ({"red": RED, "nir": RED, "meta": asset("m.xml", ["metadata"])}, (), ["red", "nir"]),
        ({"red": RED, "visual": asset("v.tif", ["visual"], COG)}, (), ["red"]),
        ({"a": asset("a.tif", None, COG), "b": asset("b", kind="image/jp2")}, (), ["a", "b"]),
        ({"a": asset("a.tif", [], "IMAGE/TIFF"), "b": asset("b.png", kind="image/png")}, (), ["a"]),
        ({"thumb": THUMBNAIL, "red": RED}, (), ["red"]),
        ({"overview": asset("o.tif", None, COG), "red": asset("r", kind=COG)}, (), ["red"]),
        ({"red": RED, "nir": RED, "scl": RED}, ("scl", "red"), ["scl", "red"]),
        ({"thumb": THUMBNAIL, "red": RED}, ("thumb",), ["thumb"]),
    ],
)
def test_the_assets_of_an_item(assets, wanted, chosen):
    Path("item.json").write_text(json.dumps(item(**assets)))
    told = find_sources(["item.json"], wanted)
    assert told.failures == []
    assert [source.asset for source in told.sources] == chosen
    assert [source.stem for source in told.sources] == [f"S2A_{name}" for name in chosen]


@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("red.tif", "stac/red.tif"),
        ("./bands/red.tif", "stac/bands/red.tif"),
        ("/data/red.tif", "/data/red.tif"),
        ("file:///data/red%20band.tif", "/data/red band.tif"),
        ("https://example.com/red.tif?sig=1", "https://example.com/red.tif?sig=1"),
        ("s3://bucket/red.tif", "s3://bucket/red.tif"),
        ("/vsizip/a.zip/red.tif", "/vsizip/a.zip/red.tif"),
    ],
)
def test_places_of_assets_are_relative_to_their_file(href, path):
    Path("stac").mkdir()
    Path("stac/item.json").write_text(json.dumps(item(red=asset(href, ["data"]))))
    assert found("stac/item.json") == [(path, "S2A_red")]


def test_a_list_of_items_may_be_one_page_of_several():
    page = listed(item("a", red=RED), item("b", red=RED), links=[{"rel": "next", "href": "?p=2"}])
    Path("page.geojson").write_text(json.dumps(page))
    told = find_sources(["page.geojson"])
    assert [source.stem for source in told.sources] == ["a_red", "b_red"]
    assert told.notes == [
        "page.geojson is one page of a longer list; only the items on it are upscaled."
    ]


def test_an_item_without_the_asset_stops_no_other():
    Path("items.json").write_text(json.dumps(listed(item("a", red=RED), item("b", nir=RED))))
    told = find_sources(["items.json"], ["red"])
    assert [source.stem for source in told.sources] == ["a_red"]
    (failure,) = told.failures
    assert (failure.source, failure.hint) == ("items.json: b", "It has: nir.")
    assert failure.message == "The item b has no asset 'red'."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "no JSON"),
        ("[1]", "no STAC Item"),
        (json.dumps({"type": "Collection", "id": "s2"}), "a STAC Collection"),
        (json.dumps({"type": "Feature", "geometry": None}), "no STAC Item"),
        (json.dumps(listed()), "no items"),
        (json.dumps(listed({"type": "Feature", "properties": {}})), "no items"),
        (json.dumps(item(meta=asset("m.xml", ["metadata"]))), "no asset that is known to be data"),
        (json.dumps(item(red={"roles": ["data"]})), "no asset"),
        (None, "cannot be read: No such file"),
    ],
)
def test_what_is_wrong_with_items_is_said(content, words):
    if content is not None:
        Path("item.json").write_text(content)
    ((source, message),) = failures("item.json")
    assert source.startswith("item.json")
    assert words in message


def test_assets_without_items_are_refused(scenes):
    with pytest.raises(OptionError, match="--asset"):
        find_sources(scenes, ["red"])


def test_items_over_http():
    """With the assets beside them, and a signature that no message shows."""
    Path("www/v1/bands").mkdir(parents=True)
    make_raster("www/v1/bands/a.tif", bands=1)
    page = listed(item("a", red=asset("bands/a.tif", ["data"])))
    Path("www/v1/search").write_text(json.dumps(page))
    with RangeServer(Path("www")) as server:
        report = upscale_files(f"{server.address}/v1/search?token=secret", "out", **NEAREST)
        assert report.failed == ()
        assert [one.output for one in report.done] == ["out/a_red.tif"]
        ((source, message),) = failures(f"{server.address}/v1/items/none?token=secret")
        assert "the server says 404" in message
        assert "secret" not in source + message
    ((_, message),) = failures(f"{server.address}/v1/search")
    assert "refused" in message


def test_only_json_is_asked_for_over_http():
    assert stac.is_stac("https://example.com/v1/collections/s2/items?limit=10")
    assert not stac.is_stac("https://example.com/data/scene")
    assert not stac.is_stac("items")


# What is made


def test_each_raster_is_upscaled_into_the_folder(scenes):
    events = []
    report = upscale_files("scenes/*.tif", "new/out", on_event=events.append, **NEAREST)
    assert isinstance(report, Outcome)
    assert [one.output for one in report.done] == [f"new/out/{name}.tif" for name in "abc"]
    assert (report.skipped, report.failed) == ((), ())
    for name in "abc":
        with (
            rasterio.open(f"scenes/{name}.tif") as src,
            rasterio.open(f"new/out/{name}.tif") as dst,
        ):
            np.testing.assert_array_equal(dst.read(1), src.read(1).repeat(2, 0).repeat(2, 1))
    told = [event for event in events if event["event"] in ("file", "start", "result", "batch")]
    assert [event["event"] for event in told] == [*("file", "start", "result") * 3, "batch"]
    assert told[3] == {
        "event": "file",
        "source": "scenes/b.tif",
        "output": "new/out/b.tif",
        "index": 2,
        "total": 3,
    }
    assert (told[5]["output"], told[5]["width"]) == ("new/out/b.tif", 88)
    assert told[-1] == {"event": "batch", "done": 3, "skipped": 0, "failed": []}


def test_a_zarr_store_for_each(scenes):
    pytest.importorskip("zarr", reason="Zarr stores need the package zarr")
    first = upscale_files(scenes[:2], "out", format="zarr", **NEAREST)
    assert [one.output for one in first.done] == ["out/a.zarr", "out/b.zarr"]
    again = upscale_files(scenes[:2], "out", format="zarr", **NEAREST)
    assert [one.reason for one in again.skipped] == ["finished"] * 2
    moved = upscale_files(
        scenes[:1], "out", format="zarr", bounds=(500100, 4999700, 500200, 4999900), **NEAREST
    )
    assert "out/a.zarr exists, with 88 x 80 pixels" in moved.failed[0].message
    Path("out/b.zarr/band_data/zarr.json").write_text("{}")
    assert "out/b.zarr exists, and cannot be read" in (
        upscale_files(scenes[1:2], "out", format="zarr", **NEAREST).failed[0].message
    )


def test_a_failure_stops_no_other(scenes):
    Path("scenes/b.tif").write_bytes(b"")
    report = upscale_files([*scenes, "no*.tif", "missing.tif"], "out", **NEAREST)
    assert [one.output for one in report.done] == ["out/a.tif", "out/c.tif"]
    assert [(one.source, one.output, one.code) for one in report.failed] == [
        ("no*.tif", None, "input.unreadable"),
        ("scenes/b.tif", "out/b.tif", "input.unreadable"),
        ("missing.tif", "out/missing.tif", "input.unreadable"),
    ]
    assert report.failed[1].message == "scenes/b.tif is empty."
    assert all(one.hint for one in report.failed)
    assert outputs() == ["a.tif", "c.tif"]


def test_a_bug_with_one_raster_stops_no_other(scenes, monkeypatch):
    plan = file_run.Surroundings.plan

    def faulty(around, path, options):
        if path == "scenes/b.tif":
            raise KeyError("x")
        return plan(around, path, options)

    monkeypatch.setattr(file_run.Surroundings, "plan", faulty)
    report = upscale_files(scenes, "out", **NEAREST)
    assert len(report.done) == 2
    assert report.failed[0].message == "This is a bug in geosr: KeyError: 'x'"


def test_two_sources_of_one_name_are_refused_before_anything_runs(scenes):
    Path("other").mkdir()
    make_raster("other/B.tiff", bands=1)
    with pytest.raises(OptionError, match=r"scenes/b\.tif and other/B\.tiff would both become"):
        upscale_files([*scenes, "other/B.tiff"], "out", **NEAREST)
    assert not Path("out").exists()


@pytest.mark.parametrize(("lost", "tried"), [("abc", "ab"), ("ac", "abc"), ("bc", "abc")])
def test_workers_that_fail_twice_in_a_row_end_the_batch(scenes, monkeypatch, lost, tried):
    plan, seen = file_run.Surroundings.plan, []

    def faulty(around, path, options):
        seen.append(Path(path).stem)
        if seen[-1] in lost:
            raise ClusterError(f"Lost with {path}.")
        return plan(around, path, options)

    monkeypatch.setattr(file_run.Surroundings, "plan", faulty)
    if lost == "ac":
        assert len(upscale_files(scenes, "out", **NEAREST).failed) == 2
    else:
        with pytest.raises(ClusterError, match=f"scenes/{tried[-1]}"):
            upscale_files(scenes, "out", **NEAREST)
    assert "".join(seen) == tried


def test_a_folder_that_cannot_be_made_ends_the_batch(scenes):
    Path("out").write_text("a file")
    with pytest.raises(OutputError, match="The folder out cannot be made"):
        upscale_files(scenes, "out", **NEAREST)


def test_sources_in_their_own_folder_are_refused_one_by_one(scenes):
    report = upscale_files(scenes, "scenes", overwrite=True, **NEAREST)
    assert len(report.failed) == 3
    assert "is the input itself" in report.failed[0].message


# What is there already


def test_what_is_finished_is_skipped(scenes):
    upscale_files(scenes[:2], "out", **NEAREST)
    before = Path("out/a.tif").stat().st_mtime_ns, Path("out/b.tif").stat().st_mtime_ns
    events = []
    report = upscale_files(scenes, "out", on_event=events.append, **NEAREST)
    assert [one.output for one in report.done] == ["out/c.tif"]
    assert [(one.source, one.reason) for one in report.skipped] == [
        ("scenes/a.tif", "finished"),
        ("scenes/b.tif", "finished"),
    ]
    assert before == (Path("out/a.tif").stat().st_mtime_ns, Path("out/b.tif").stat().st_mtime_ns)
    assert {"event": "log", "level": "info", "message": "out/a.tif is finished already."} in events
    assert events[-1]["skipped"] == 2


def test_another_version_of_geosr_has_finished_it_as_well(scenes):
    upscale_files(scenes[:1], "out", **NEAREST)
    with rasterio.open("out/a.tif", "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dst:
        dst.update_tags(GEOSR_VERSION="0.0.9")
    assert len(upscale_files(scenes[:1], "out", **NEAREST).skipped) == 1


OTHER = {
    "model": ({"model": "bicubic"}, "was made with model nearest-x2, not with model bicubic-x2"),
    "factor": ({"upscale_factor": 3}, "model nearest-x2, factor 2, not with model nearest-x3"),
    "part": ({"bounds": (500100, 4999700, 500200, 4999900)}, "with 88 x 80 pixels"),
    "dtype": ({"dtype": "float32"}, "1 band of uint16"),
}


@pytest.mark.parametrize("name", OTHER)
def test_what_was_made_in_another_way_is_a_failure(scenes, name):
    upscale_files(scenes[:1], "out", **NEAREST)
    before = Path("out/a.tif").read_bytes()
    options, words = OTHER[name]
    report = upscale_files(scenes[:1], "out", **{**NEAREST, **options})
    (failure,) = report.failed
    assert failure.code == "output.exists"
    assert words in failure.message
    assert "--overwrite" in failure.hint
    assert Path("out/a.tif").read_bytes() == before
    assert (
        len(
            upscale_files(
                scenes[:1],
                "out",
                overwrite=True,
                **NEAREST,
            ).done
        )
        == 1
    )


def test_the_same_size_elsewhere_is_another_part(scenes):
    west, east = (500100, 4999700, 500200, 4999900), (500200, 4999700, 500300, 4999900)
    upscale_files(scenes[:1], "out", bounds=west, **NEAREST)
    assert len(upscale_files(scenes[:1], "out", bounds=west, **NEAREST).skipped) == 1
    (failure,) = upscale_files(scenes[:1], "out", bounds=east, **NEAREST).failed
    assert "lies elsewhere" in failure.message


def test_what_geosr_has_not_made_is_a_failure(scenes):
    Path("out").mkdir()
    make_raster("out/a.tif", bands=1)
    Path("out/b.tif").write_bytes(b"precious")
    report = upscale_files(scenes, "out", **NEAREST)
    assert [one.message for one in report.failed] == [
        "The output out/a.tif exists, and geosr has not made it.",
        "The output out/b.tif exists, and cannot be read: out/b.tif is no raster that GDAL knows.",
    ]
    assert len(report.done) == 1
    assert Path("out/b.tif").read_bytes() == b"precious"


def test_what_another_run_is_writing_is_left_to_it(scenes):
    Path("out").mkdir()
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from geosr.io.claim import Claim\n"
            "with Claim('out/b.tif'):\n print('claimed', flush=True); input()",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout.readline() == b"claimed\n"
        report = upscale_files(scenes, "out", **NEAREST)
        holder.communicate(b"\n")
    assert [one.output for one in report.done] == ["out/a.tif", "out/c.tif"]
    assert [(one.output, one.reason) for one in report.skipped] == [("out/b.tif", "busy")]
    assert report.failed == ()


# Mistakes that would hit each file


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"model": "bicubik"}, UnknownModelError, "bicubik"),
        ({"model": "no.onnx"}, UnknownModelError, "no.onnx"),
        ({"upscale_factor": 9}, OptionError, "factor 9"),
        ({"tile_size": 1, "model": "bicubic"}, OptionError, "Tiles of 1"),
        ({"creation_options": {"FOO": "1"}}, OptionError, "FOO"),
        ({"model_range": (0, 1)}, OptionError, "--model-range"),
        ({"device": "gpu"}, OptionError, "--device"),
        ({"threads": 0}, OptionError, "threads"),
    ],
)
def test_a_mistake_that_would_hit_each_file_stops_at_once(scenes, options, error, words):
    seen = []
    with pytest.raises(error) as caught:
        upscale_files(scenes, "out", on_event=seen.append, **{**NEAREST, **options})
    assert words in caught.value.message + caught.value.hint
    assert caught.value.exit_status == 2
    assert [event["index"] for event in seen if event["event"] == "file"] != [1, 2, 3]
    assert not [event for event in seen if event["event"] == "batch"]


def test_a_band_that_some_have_is_a_failure_of_the_others(scenes):
    make_raster("scenes/c.tif", bands=3)
    report = upscale_files(scenes, "out", indexes=(3,), **NEAREST)
    assert [one.output for one in report.done] == ["out/c.tif"]
    assert [one.code for one in report.failed] == ["input.bands"] * 2


def test_an_option_that_suits_one_raster_is_a_failure_of_another(scenes):
    with rasterio.open("scenes/b.tif", "r+") as dst:
        dst.transform = rasterio.Affine(5, 0, 500000, 0, -5, 5000000)
    report = upscale_files(scenes, "out", resolution=5, **NEAREST)
    assert [one.output for one in report.done] == ["out/a.tif", "out/c.tif"]
    assert "is not finer" in report.failed[0].message


# One model for all


def test_a_model_is_loaded_once(scenes, monkeypatch):
    calls = []
    load = loaded.load_predictor
    monkeypatch.setattr(
        loaded, "load_predictor", lambda *args, **keys: calls.append(args) or load(*args, **keys)
    )
    assert len(upscale_files(scenes, "out", **NEAREST).done) == 3
    assert len(calls) == 1


def test_a_network_without_a_card_is_probed_once(scenes, monkeypatch):
    foreign_networks = pytest.importorskip("foreign_networks", reason="networks take onnx")
    calls = []
    open_foreign = loaded.open_foreign
    monkeypatch.setattr(
        loaded,
        "open_foreign",
        lambda *args, **keys: calls.append(args) or open_foreign(*args, **keys),
    )
    foreign_networks.nearest("net.onnx")
    assert len(upscale_files(scenes, "out", model="net.onnx").done) == 3
    assert len(calls) == 1
    again = upscale_files(scenes, "out", model="net.onnx")
    assert [one.reason for one in again.skipped] == ["finished"] * 3


# Stops


def stopping(after):
    """Return a sink and a question: stop once that many files are begun and have progressed."""
    seen = []

    def should_stop():
        begun = [event for event in seen if event["event"] == "start"]
        return len(begun) >= after

    return seen.append, should_stop


def test_a_stop_ends_the_batch_and_says_how_far_it_came(scenes):
    upscale_files(scenes[:1], "out", **NEAREST)
    on_event, should_stop = stopping(after=2)
    with pytest.raises(CancelledError) as caught:
        upscale_files(scenes, "out", on_event=on_event, should_stop=should_stop, **NEAREST)
    assert caught.value.message == "Stopped; 2 of 3 files are done, and the same command goes on."
    assert caught.value.hint.startswith("out/c.tif: ")
    assert outputs() == ["a.tif", "b.tif"]
    report = upscale_files(scenes, "out", **NEAREST)
    assert (len(report.skipped), len(report.done)) == (2, 1)


def test_a_stop_of_an_overwriting_batch_says_how_to_go_on(scenes):
    on_event, should_stop = stopping(after=2)
    with pytest.raises(CancelledError, match=r"1 of 3 .* without --overwrite the same command"):
        upscale_files(
            scenes, "out", overwrite=True, on_event=on_event, should_stop=should_stop, **NEAREST
        )


def test_an_interruption_by_a_stop_is_one(scenes):
    on_event, should_stop = stopping(after=1)

    def interrupted(event):
        on_event(event)
        if should_stop():
            raise KeyboardInterrupt

    with pytest.raises(CancelledError, match="0 of 3 files"):
        upscale_files(scenes, "out", on_event=interrupted, should_stop=should_stop, **NEAREST)


def test_an_interruption_without_a_stop_passes(scenes):
    def interrupted(event):
        if event["event"] == "phase":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale_files(scenes, "out", on_event=interrupted, **NEAREST)


# The command


def test_a_batch_from_the_command_line(scenes):
    Path("scenes/b.tif").write_bytes(b"")
    args = ("upscale", "scenes/*.tif", "--out-dir", "out", "-m", "nearest")
    result = run(*args)
    assert result.exit_code == 1
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [
        ["[1/3]", "out/a.tif"],
        ["[3/3]", "out/c.tif"],
        ["2", "done,"],
    ]
    assert result.stderr == (
        "Warning: scenes/b.tif failed: scenes/b.tif is empty.\n"
        "Failed: scenes/b.tif\n  scenes/b.tif is empty.\n  Fetch or copy the file again.\n"
    )
    events = [parse_event(line) for line in run(*args, "--progress", "json").stdout.splitlines()]
    assert events[-1]["event"] == "batch"
    assert (events[-1]["done"], events[-1]["skipped"]) == (0, 2)
    assert events[-1]["failed"][0]["source"] == "scenes/b.tif"


def test_wrong_usage_in_a_batch_ends_with_2(scenes):
    result = run("upscale", "scenes/*.tif", "--out-dir", "out", "-m", "bicubik")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: There is no model 'bicubik'.\n")


def test_a_dry_run_has_a_line_for_each_file_and_totals(scenes):
    Path("scenes/b.tif").write_bytes(b"")
    before = files()
    args = ("upscale", "scenes/*.tif", "--out-dir", "out", "-m", "nearest", "--dry-run")
    result = run(*args)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[:2] == [
        "out/a.tif  88 x 80, 1 band of uint16, 1 blocks",
        "out/c.tif  88 x 80, 1 band of uint16, 1 blocks",
    ]
    told = dict(line.split(maxsplit=1) for line in lines[2:])
    assert told["Files"] == "2 to make, 0 skipped, 1 failed"
    assert told["Work"] == "2 blocks, 2 tiles"
    assert set(told) == {"Files", "Work", "Memory", "Disk"}
    assert "Failed: scenes/b.tif" in result.stderr
    plan = parse_event(run(*args, "--progress", "json").stdout.splitlines()[-1])["plan"]
    assert [one["output"] for one in plan["files"]] == ["out/a.tif", "out/c.tif"]
    assert plan["disk_bytes"] == 2 * 88 * 80 * 2
    assert plan["ram_bytes"] == plan["files"][0]["ram_bytes"]
    assert plan["seconds"] is None
    assert [one["source"] for one in plan["failed"]] == ["scenes/b.tif"]
    assert files() == before
    assert not Path("out").exists()


def test_a_dry_run_says_what_is_finished(scenes):
    upscale_files(scenes[:1], "out", **NEAREST)
    result = run("upscale", *scenes, "--out-dir", "out", "-m", "nearest", "--dry-run")
    assert result.exit_code == 0
    assert "2 to make, 1 skipped, 0 failed" in result.stdout
    assert "out/a.tif is finished already." in result.stderr


@pytest.mark.parametrize("option", ["--resume", "--no-resume"])
def test_a_stopped_command_leaves_whole_files_only(scenes, option):
    make_raster("scenes/b.tif", bands=2, size=1200)
    args = (*scenes, "--out-dir", "out", "-m", "lanczos", "-f", "4", "--tile-size", "32", option)
    process = subprocess.Popen(
        [sys.executable, "-m", "geosr", "upscale", *args, "--progress", "json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        events = []
        for line in process.stdout:
            events.append(parse_event(line))
            if events[-1]["event"] == "progress" and events[-1]["total"] > 1000:
                process.send_signal(signal.SIGINT)
                break
        events += [parse_event(line) for line in process.stdout]
    assert process.returncode == 1
    assert events[-1]["event"] == "error"
    assert events[-1]["message"] == (
        "Stopped by Ctrl-C; 1 of 3 files are done, and the same command goes on."
    )
    assert events[-1]["hint"].startswith("out/b.tif: ")
    assert outputs() == ["a.tif"]  # of b.tif no block was stored so soon


def test_no_sources_are_a_batch_too():
    assert upscale_files([], "out") == Outcome(done=(), skipped=(), failed=())
