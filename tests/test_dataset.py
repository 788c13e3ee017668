"""``geosr dataset``: what it stores, what it leaves out, and what it says of bad input."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import rasterio
from cli_scenes import ROOT, run
from dataset_scenes import ground, scene, write

from geosr.core.events import parse_event
from geosr.degrade import area, mtf
from geosr.training.dataset import shards
from geosr.training.dataset.index import read_index


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def scenes(here):
    """Four scenes apart from each other."""
    (here / "in").mkdir()
    return [scene(here / "in" / f"s{i}.tif", i, east=1000 * i, bands=2) for i in range(4)]


def make(*args, out="out", status=0):
    result = run("dataset", *args, "--out", out)
    assert result.exit_code == status, result.output
    return result


def stored(folder="out"):
    """Yield each patch with its entry, shard and source, as anyone can read it."""
    index = read_index(Path(folder))
    for patch in index.patches:
        shard = index.shards[patch.shard]
        array = np.load(Path(folder) / shard.file, mmap_mode="r", allow_pickle=False)
        yield array[patch.item], patch, shard, index.sources[patch.source]


def files(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_patches_are_the_source_s_pixels_and_the_index_says_which(scenes):
    result = make("in", "--patch", "32", "--split", "0.7")
    assert "12 patches for training, 4 for validation, from 4 sources in 4 scenes" in result.stdout
    count = 0
    for values, patch, shard, source in stored():
        with rasterio.open(source.path) as src:
            row, col, height, width = patch.window
            expected = src.read(source.bands)[:, row : row + height, col : col + width]
            assert source.transform == tuple(src.transform)[:6]
            assert rasterio.CRS.from_wkt(source.crs) == src.crs
        assert (values == expected).all()
        assert patch.sha256 == sha256(np.ascontiguousarray(values)).hexdigest()[:16]
        assert (source.dtype, source.bands, source.nodata) == ("uint16", (1, 2), (None, None))
        assert source.part == shard.part
        for (low, high), plane in zip(source.scaling, expected, strict=True):
            assert low <= np.percentile(plane, 5) < np.percentile(plane, 95) <= high
        count += 1
    assert count == 16
    for shard in read_index(Path("out")).shards:
        assert sha256(Path("out", shard.file).read_bytes()).hexdigest() == shard.sha256


def test_the_same_command_gives_the_same_bytes(scenes):
    make("in", "--patch", "32", out="one")
    make("in", "--patch", "32", out="two")
    assert files("one") == files("two")
    make("in", "--patch", "32", "--seed", "5", out="three")
    assert files("one")["index.json"] != files("three")["index.json"]


def test_no_scene_is_on_both_sides(here):
    """Overlapping files go together, by a chain too; files that only touch may part."""
    (here / "in").mkdir()
    for i, east in enumerate((0, 60, 120, 1000, 1080, 2000)):  # each 80 wide
        scene(here / "in" / f"{i}.tif", i, east=east)
    make("in", "--patch", "32", "--split", "0.5")
    index = read_index(Path("out"))
    by_name = {Path(s.path).stem: s for s in index.sources}
    assert len({by_name[name].scene for name in "012"}) == 1
    assert len({source.scene for source in index.sources}) == 4
    for part in ("train", "validation"):
        assert index.count(part)
    for number in {source.scene for source in index.sources}:
        assert len({s.part for s in index.sources if s.scene == number}) == 1


def test_files_marked_as_one_scene_stay_together(here):
    (here / "in").mkdir()
    for i, name in enumerate(("lewis_1", "lewis_2", "seneca_1", "seneca_2")):
        scene(here / "in" / f"{name}.tif", i, east=1000 * i)
    make("in", "--patch", "32", "--split", "0.5", "--scene", "^[a-z]+")
    sources = read_index(Path("out")).sources
    assert {Path(s.path).name[:5]: s.scene for s in sources} == {"lewis": 0, "senec": 1}
    assert {s.part for s in sources} == {"train", "validation"}


def test_no_patch_has_a_hole(here):
    values = (ground((96, 96), 1) * 9000 + 10).astype("uint16")
    values[0, 40, 40] = 0
    write("a.tif", values, nodata=0)
    bad = ground((96, 96), 2).astype("float32")
    bad[0, 90, 90] = np.nan
    write("b.tif", bad, origin=(700_000.0, 5e6))
    result = make("a.tif", "b.tif", "--patch", "32", "--split", "1")
    assert "2 holes" in result.stdout
    windows = {(Path(s.path).name, p.window[:2]) for _, p, _, s in stored()}
    assert len(windows) == 16
    assert ("a.tif", (32, 32)) not in windows
    assert ("b.tif", (64, 64)) not in windows
    dtypes = {shard.dtype for shard in read_index(Path("out")).shards}
    assert dtypes == {"uint16", "float32"}


def test_blurred_and_empty_patches_are_left_out(here):
    values = ground((64, 96), 1)
    values[0, :32, :32] = 0.5
    smooth = np.linspace(0, 1, 32)[:, None] * np.linspace(0, 1, 32)
    values[0, :32, 32:64] = smooth
    write("a.tif", values.astype("float32"))
    result = make("a.tif", "--patch", "32", "--split", "1")
    assert "2 blurred" in result.stdout
    assert {p.window[:2] for _, p, _, _ in stored()} == {(0, 64), (32, 0), (32, 32), (32, 64)}
    assert all(p.sharpness > 0.01 for _, p, _, _ in stored())


def test_what_is_there_already_is_left_out_also_across_files(here):
    values = ground((64, 64), 1)
    write("a.tif", values.astype("float32"))
    brighter = 3 + 5 * values + 0.02 * np.random.default_rng(0).standard_normal(values.shape)
    write("copy.tif", brighter.astype("float32"), origin=(900_000.0, 5e6))
    other = ground((64, 64), 2)
    write("other.tif", other.astype("float32"), origin=(300_000.0, 5e6))
    result = make("a.tif", "copy.tif", "other.tif", "--patch", "32", "--split", "1")
    assert "8 patches for training" in result.stdout
    assert "4 duplicates" in result.stdout
    assert {Path(s.path).name for *_, s in stored()} == {"a.tif", "other.tif"}


def test_bytes_and_their_alpha_band(here):
    values = np.concatenate([ground((64, 64), 3, bands=3), np.ones((1, 64, 64))])
    write("rgba.tif", np.rint(values * 255).astype("uint8"), photometric="RGB", alpha="yes")
    make("rgba.tif", "--patch", "32", "--split", "1")
    for values, _, _, source in stored():
        assert values.shape == (3, 32, 32)
        assert source.bands == (1, 2, 3)
        assert source.scaling == ((0, 255),) * 3


def test_low_side_is_stored_if_asked_for(scenes):
    make("in", "--patch", "32", "--degradation", "mtf", "-f", "4", "--split", "1")
    index = read_index(Path("out"))
    assert index.upscale_factor == 4
    for _, patch, shard, source in stored():
        low = np.load(Path("out") / shard.low["file"])[patch.item]
        with rasterio.open(source.path) as src:
            whole = mtf(src.read().astype("float64"), 4)
        row, col = (n // 4 for n in patch.window[:2])
        # What lies around a patch counts, so that its low side is a part of the raster's own.
        assert np.abs(low - whole[:, row : row + 8, col : col + 8]).max() < 0.02
        assert low.dtype == np.float32
    make("in", "--patch", "32", "--degradation", "area", "-f", "2", "--split", "1", out="area")
    for values, patch, shard, _ in stored("area"):
        low = np.load(Path("area") / shard.low["file"])[patch.item]
        assert low == pytest.approx(area(values.astype("float64"), 2), rel=1e-4)


def test_stride_makes_patches_overlap(here):
    scene("a.tif", 1, side=64)
    make("a.tif", "--patch", "32", "--stride", "16", "--split", "1", "--max-likeness", "1")
    assert len({p.window[:2] for _, p, _, _ in stored()}) == 9


def test_shards_are_cut_by_size(scenes, monkeypatch):
    monkeypatch.setattr(shards.ShardWriter.__init__, "__kwdefaults__", {"shard_bytes": 10_000})
    make("in", "--patch", "32", "--split", "1")  # a patch has 4096 bytes
    index = read_index(Path("out"))
    assert [shard.shape[0] for shard in index.shards] == [3, 3, 3, 3, 3, 1]
    assert len(list(stored())) == 16


def test_dry_run_counts_and_writes_nothing(scenes, here):
    before = sorted(here.rglob("*"))
    result = make("in", "--patch", "32", "--dry-run")
    assert "would have 12 patches for training, 4 for validation" in result.stdout
    assert sorted(here.rglob("*")) == before


def test_events_as_json(scenes):
    result = make("in", "--patch", "32", "--progress", "json")
    events = [parse_event(line) for line in result.stdout.splitlines()]
    assert all(events)
    assert events[-1]["event"] == "result"
    assert (events[-1]["train"], events[-1]["validation"], events[-1]["failed"]) == (12, 4, [])
    done = [event["done"] for event in events if event["event"] == "progress"]
    assert done[-1] == 16


def test_a_set_is_not_replaced_unless_asked(scenes):
    make("in", "--patch", "32")
    before = files("out")
    result = make("in", "--patch", "16", status=1)
    assert "out exists" in result.stderr
    assert files("out") == before
    make("in", "--patch", "16", "--overwrite")
    assert read_index(Path("out")).patch == 16
    assert sorted(os.listdir()) == ["in", "out"]


def test_a_folder_of_something_else_is_never_replaced(scenes, here):
    (here / "out").mkdir()
    (here / "out" / "thesis.txt").write_text("years of work")
    result = make("in", "--patch", "32", "--overwrite", status=1)
    assert "no patch set" in result.stderr
    assert (here / "out" / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (("empty",), 1, "holds no rasters"),
        (("one.tif",), 2, "only one scene"),
        (("small.tif",), 1, "No raster has room for a patch of 32 pixels"),
        (("one.tif", "two_bands.tif"), 2, "one.tif has 1 band and two_bands.tif has 2 bands"),
        (("nothing.tif",), 1, "There is no file nothing.tif"),
        (("*.jp2",), 1, "No file matches"),
        ((), 2, "No raster was named"),
        (("one.tif", "--degradation", "area"), 2, "needs a factor"),
        (("one.tif", "-f", "2"), 2, "does not apply"),
        (("one.tif", "--degradation", "soft", "-f", "2"), 2, "no degradation 'soft'"),
        (("one.tif", "--degradation", "area", "-f", "5"), 2, "do not lie on the pixels"),
        (("one.tif", "--split", "2"), 2, "no share"),
        (("one.tif", "-b", "4"), 2, "no band 4"),
        (("one.tif", "two.tif", "--scene", "("), 2, "no regular expression"),
        (("flat.tif", "--split", "1"), 1, "No patch is left: 4 blurred"),
        (("one.tif", "--pairs", "one.tif", "two.tif"), 2, "not both"),
        (("--pairs-csv", "list.csv"), 1, "list.csv cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(here, args, status, message):
    (here / "empty").mkdir()
    scene("one.tif", 1)
    scene("two.tif", 2, east=1000)
    scene("two_bands.tif", 3, east=2000, bands=2)
    scene("small.tif", 4, side=20)
    write("flat.tif", np.full((1, 64, 64), 7, "float32"))
    before = sorted(here.rglob("*"))
    result = make(*args, "--patch", "32", status=status)
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert len(result.stderr.strip().splitlines()) <= 4
    assert sorted(here.rglob("*")) == before


def test_an_unreadable_file_is_named_and_the_others_go_on(scenes, here):
    (here / "in" / "s9.tif").write_bytes(b"this is no raster")
    scene(here / "in" / "s8.tif", 8, east=8000, bands=2)
    cut = (here / "in" / "s8.tif").read_bytes()
    (here / "in" / "s8.tif").write_bytes(cut[: len(cut) // 2])
    result = make("in", "--patch", "32", status=1)
    assert "s9.tif is no raster" in result.stderr
    assert "s8.tif cannot be read at rows" in result.stderr
    index = read_index(Path("out"))
    assert {Path(s.path).name for *_, s in stored()} >= {f"s{i}.tif" for i in range(4)}
    assert index.count("train") > 0


def test_a_full_disk_leaves_nothing(scenes, here, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("geosr.training.dataset.shards.os.fsync", full)
    result = make("in", "--patch", "32", status=1)
    assert "The disk is full" in result.stderr
    assert sorted(os.listdir()) == ["in"]


def test_a_killed_run_leaves_no_half_set_and_the_next_one_sweeps(scenes, here):
    part = here / ".out.part"
    part.mkdir()
    (part / "train-00000.npy").write_bytes(b"half")
    make("in", "--patch", "32")
    assert sorted(os.listdir()) == ["in", "out"]
    assert len(list(stored())) == 16


def test_ctrl_c_leaves_nothing(here):
    for i in range(2):
        scene(f"s{i}.tif", i, east=2000 * i, side=1200)
    command = [sys.executable, "-m", "geosr", "dataset", "s0.tif", "s1.tif", "--out", "out"]
    process = subprocess.Popen(
        [*command, "--patch", "16", "--max-likeness", "1", "--progress", "json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if '"progress"' in line:
            break
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert json.loads(rest.splitlines()[-1])["code"] == "cancelled"
    for _ in range(50):
        if sorted(os.listdir()) == ["s0.tif", "s1.tif"]:
            break
        time.sleep(0.1)
    assert sorted(os.listdir()) == ["s0.tif", "s1.tif"]
