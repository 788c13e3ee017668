"""``geosr evaluate`` and ``geosr compare``: options, files, exit statuses, sentences."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from cli_scenes import ROOT, run
from evaluation_scenes import photo, satellite, scenery, write

import geosr
from geosr.core.events import parse_event


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Go to a folder with a folder of two images."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("images")
    photo("images/a.tif")
    satellite("images/b.tif")
    return tmp_path


def test_a_folder_gives_a_table_a_csv_and_a_report(place):
    args = ("-m", "geosr-lite-x2", "--data", "images", "--report", "r.html", "--csv", "s.csv")
    result = run("evaluate", *args)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["method", "PSNR", "dB"]
    names = ["bicubic", "gdalwarp", "geosr-lite-x2"]
    assert [line.split()[0] for line in lines[1:4]] == names
    assert lines[-2:] == ["r.html", "s.csv"]
    with open("s.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * (3 + 1 + 1) + 3 * (4 + 1)  # bands, luma and all; bands and all
    luma = next(row for row in rows if row["band"] == "luma")
    assert (luma["degradation"], luma["factor"], luma["data_range"]) == ("area", "2", "255.0")
    assert float(luma["psnr"]) > 15
    assert luma["sam"] == ""
    page = Path("r.html").read_text(encoding="utf-8")
    assert "geosr evaluate " + " ".join(args) in page
    assert "made 2 times coarser by the degradation `area`" in page


def test_the_report_is_one_file_that_fetches_nothing(place):
    assert run("evaluate", "--data", "images", "--report", "r.html").exit_code == 0
    page = Path("r.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    addresses = re.findall(r"""(?:src|href|action|data)=["']([^"']*)""", page)
    assert addresses
    assert {a.partition(":")[0] for a in addresses if not a.startswith("#")} == {"data"}
    assert not re.search(r"url\(|@import|https?://", page)


def test_json_is_for_programs(place):
    result = run("evaluate", "--data", "images", "--progress", "json")
    assert result.exit_code == 0, result.output
    events = [parse_event(line) for line in result.stdout.splitlines()]
    assert all(events)
    assert events[0]["event"] == "start"
    done = [event["done"] for event in events if event["event"] == "progress"]
    assert done == sorted(done)
    assert done[-1] == 6
    assert events[-1]["event"] == "result"
    assert [m["method"] for m in events[-1]["methods"]] == [
        "bicubic",
        "gdalwarp -r cubic",
        "geosr-lite",
    ]
    assert (events[-1]["images"], events[-1]["factor"], events[-1]["failed"]) == (2, 2, [])
    assert events[-1]["suitability"] == []  # that is for --self


def test_an_unreadable_file_is_named_and_ends_with_status_1(place):
    Path("images/c.tif").write_bytes(b"II*\0 and no more")
    result = run("evaluate", "--data", "images", "--csv", "s.csv", "--report", "r.html")
    assert result.exit_code == 1
    assert "c.tif failed" in result.stderr
    assert "c.tif" in Path("r.html").read_text(encoding="utf-8")
    with open("s.csv", newline="") as file:
        assert {row["image"] for row in csv.DictReader(file)} == {"a.tif", "b.tif"}
    result = run("evaluate", "--data", "images", "--progress", "json")
    last = parse_event(result.stdout.splitlines()[-1])
    assert [failure["source"] for failure in last["failed"]] == ["c.tif"]
    assert result.exit_code == 1


def test_one_image_has_no_interval(place):
    os.remove("images/a.tif")
    result = run("evaluate", "--data", "images", "--report", "r.html")
    assert result.exit_code == 0
    assert "(one image)" in result.stdout
    assert "One image tells little" in Path("r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (("--data", "nowhere"), 1, "There is no folder nowhere."),
        (("--data", "empty"), 1, "There is no raster in empty."),
        ((), 2, "needs one source of truth"),
        (("--data", "images", "--self", "images/a.tif"), 2, "needs one source of truth"),
        (("--low", "images"), 2, "needs one source of truth"),
        (("--data", "images", "-m", "geosr-litt"), 2, "no model 'geosr-litt'"),
        (("--data", "images", "-m", "geosr-lite-x2", "-f", "4"), 2, "2 times the pixels, not 4"),
        (("--data", "images", "-f", "7"), 2, "no weights for factor 7"),
        (("--data", "images", "--degradation", "aera"), 2, "Did you mean area?"),
        (("--data", "images", "--match"), 2, "--match does not apply to --data"),
        (("--data", "images", "--crops", "3"), 2, "--crops does not apply to --data"),
        (("--self", "images/none.tif"), 1, "none.tif"),
        (("--data", "images", "--report", "there/r.html"), 1, "There is no folder there."),
        (("--data", "images", "--report", "empty"), 1, "empty is a folder."),
        (("--data", "images", "--report", "old.html"), 1, "old.html is there already."),
        (("--data", "images", "--lpips", "no.onnx"), 1, "There is no LPIPS network no.onnx."),
        (("--data", "images", "-b", "4"), 1, "a.tif has no band 4"),
    ],
)
def test_bad_use_is_a_sentence(place, args, status, message):
    os.mkdir("empty")
    Path("old.html").write_text("old")
    result = run("evaluate", *args)
    assert result.exit_code == status, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert Path("old.html").read_text() == "old"


def test_overwrite_replaces(place):
    Path("r.html").write_text("old")
    result = run("evaluate", "--data", "images", "-b", "1", "--report", "r.html", "--overwrite")
    assert result.exit_code == 0, result.output
    assert Path("r.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in Path().iterdir()) == ["images", "r.html"]


def test_a_model_of_three_bands_and_an_image_of_four(place):
    networks = pytest.importorskip("foreign_networks")
    networks.nearest("rgb.onnx", bands=3)
    result = run("evaluate", "-m", "rgb.onnx", "--data", "images", "--csv", "s.csv")
    assert result.exit_code == 1
    assert "b.tif failed" in result.stderr
    assert "3 bands" in result.stderr
    with open("s.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {"a.tif"}  # no mean is over other images than the rest
    made = [row for row in rows if row["method"] == "rgb.onnx" and row["band"] == "all"]
    assert len(made) == 1


def test_a_perfect_model_is_told_as_one(place):
    networks = pytest.importorskip("foreign_networks")
    networks.nearest("twice.onnx", bands=1)
    os.remove("images/a.tif")
    blocks = np.rint(scenery((30, 30), bands=1) * 5000).astype(np.uint16)
    write("images/b.tif", blocks.repeat(2, axis=1).repeat(2, axis=2))
    result = run("evaluate", "-m", "twice.onnx", "--data", "images", "--csv", "s.csv")
    assert result.exit_code == 0, result.output
    with open("s.csv", newline="") as file:
        found = {row["method"]: row for row in csv.DictReader(file) if row["band"] == "all"}
    assert found["twice.onnx"]["psnr"] == "inf"
    assert float(found["twice.onnx"]["ssim"]) == pytest.approx(1)
    assert float(found["twice.onnx"]["sharpness"]) == pytest.approx(1)
    assert "100.00" in result.stdout


def test_lpips_by_a_network_of_the_user_s(place):
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper, save

    shape = [1, 3, "h", "w"]
    nodes = [
        helper.make_node("Sub", ["a", "b"], ["d"]),
        helper.make_node("Abs", ["d"], ["m"]),
        helper.make_node("ReduceMean", ["m"], ["y"], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "ab"]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [])
    graph = helper.make_graph(nodes, "distance", inputs, [output])
    opset = helper.make_opsetid("", 17)
    save(helper.make_model(graph, opset_imports=[opset], ir_version=9), "lpips.onnx")
    args = ("--data", "images", "--lpips", "lpips.onnx", "--csv", "s.csv", "--report", "r.html")
    result = run("evaluate", *args)
    assert result.exit_code == 0, result.output
    with open("s.csv", newline="") as file:
        found = [row for row in csv.DictReader(file) if row["band"] == "all"]
    assert all(0 < float(row["lpips"]) < 0.5 for row in found)
    assert "LPIPS" in Path("r.html").read_text(encoding="utf-8")


def test_your_own_scene_answers_whether_a_model_suits_it(place):
    satellite("scene.tif", shape=(260, 260), bands=2, hole=(slice(0, 20), slice(0, 20)))
    args = ("--self", "scene.tif", "--crops", "4", "--crop-size", "64", "--csv", "s.csv")
    result = run("evaluate", *args)
    assert result.exit_code == 0, result.output
    answer = re.search(
        r"Does geosr-lite suit scene.tif\? Yes: \+(\S+) dB over bicubic \(95 % interval \+\S+ to "
        r"\+\S+\), better on [34] of 4 crops\.",
        result.stdout,
    )
    assert answer
    assert float(answer[1]) > 0.3
    again = run("evaluate", *args, "--overwrite", "--seed", "0")
    assert answer[0] in again.stdout
    told = run("evaluate", *args, "--overwrite", "--progress", "json")
    sentences = parse_event(told.stdout.splitlines()[-1])["suitability"]
    assert sentences[0] == answer[0]
    assert "Wald's protocol" in sentences[-1]


def test_a_pair_on_different_grids_is_one_sentence(place):
    photo("low.tif", shape=(40, 40))
    photo("high.tif", shape=(80, 80), pixel=5.0, origin=(500002.0, 5000000.0))
    result = run("evaluate", "--low", "low.tif", "--high", "high.tif")
    assert result.exit_code == 1
    assert "shifted against each other by 0.40 fine pixels" in result.stderr
    assert "--align" in result.stderr
    result = run("evaluate", "--low", "low.tif", "--high", "high.tif", "--align")
    assert result.exit_code == 0, result.output
    photo("high.tif", shape=(160, 160), pixel=2.5)
    result = run("evaluate", "--low", "low.tif", "--high", "high.tif")
    assert result.exit_code == 1
    assert "4 times finer than low.tif, not 2 times" in result.stderr


def start(*args):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "geosr", "evaluate", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on Unix")
def test_ctrl_c_writes_nothing_and_leaves_nothing(place, tmp_path, monkeypatch):
    for number in range(60):
        photo(f"images/more{number}.tif", seed=number)
    os.mkdir("temporary")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    process = start("--data", "images", "--report", "r.html", "--progress", "json")
    try:
        for line in process.stdout:
            event = parse_event(line)
            if event["event"] == "progress" and event["done"] >= 4:
                break
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert time.monotonic() - begun < 30
    assert process.returncode == 1, err
    last = parse_event(out.splitlines()[-1])
    assert (last["event"], last["code"]) == ("error", "cancelled")
    assert "Stopped by Ctrl-C; nothing was written" in last["message"]
    assert not Path("r.html").exists()
    assert list(Path("temporary").iterdir()) == []


def test_an_evaluation_loads_no_tensorflow(place):
    run_it = (
        "import sys; from geosr.cli.main import geosr as g; "
        "a = ['evaluate', '--data', 'images', '-b', '1', '--report', 'r.html']; "
        "g(a, standalone_mode=False); "
        "print({'tensorflow', 'keras', 'scipy', 'matplotlib', 'PIL'} & set(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", run_it]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.splitlines()[-1] == "set()", done.stderr


# geosr compare


@pytest.fixture
def upscaled(place):
    """Make a scene and its super-resolved version; return the finer values."""
    satellite("scene.tif", bands=2)
    geosr.upscale_file("scene.tif", "finer.tif", model="geosr-lite-x2")
    return place


def bands_of(*args):
    result = run("compare", *args, "--progress", "json")
    assert result.exit_code == 0, result.output
    return parse_event(result.stdout.splitlines()[-1])["bands"]


def test_compare_finds_what_geosr_promises(upscaled):
    result = run("compare", "scene.tif", "finer.tif", "--report", "c.html")
    assert result.exit_code == 0, result.output
    assert "2 x 2 pixels" in result.stdout
    for band in bands_of("scene.tif", "finer.tif"):
        assert (band["mean"], band["rmse"], band["largest"]) == (0, 0, 0)
        assert band["correlation"] == pytest.approx(1)
    page = Path("c.html").read_text(encoding="utf-8")
    assert 'role="slider"' in page
    assert not re.search(r"url\(|@import|https?://", page)


def test_compare_by_hand(place):
    image = np.rint(scenery((40, 50), bands=2) * 2000 + 100)
    write("a.tif", image.astype(np.float32))
    finer = image.repeat(3, axis=1).repeat(3, axis=2)
    finer[0] += 2
    finer[1, 3:6, 6:9] += 90
    write("b.tif", finer.astype(np.float32), pixel=10 / 3)
    first, second = bands_of("a.tif", "b.tif")
    assert (first["mean"], first["rmse"], first["largest"]) == pytest.approx((2, 2, 2))
    assert first["correlation"] == pytest.approx(1)
    expected = 90 / 2000, np.sqrt(90**2 / 2000), 90
    assert (second["mean"], second["rmse"], second["largest"]) == pytest.approx(expected)
    coarse = image[1].copy()
    coarse[1, 2] += 90
    wanted = np.corrcoef(coarse.ravel(), image[1].ravel())[0, 1]
    assert second["correlation"] == pytest.approx(wanted)


def test_compare_on_one_grid_and_with_holes(place):
    image = satellite("a.tif", bands=1, hole=(slice(0, 10), slice(0, 80)))
    other = image + 5
    other[:, 10:20] = 0
    write("b.tif", other, nodata=0)
    (band,) = bands_of("a.tif", "b.tif")
    assert (band["mean"], band["largest"]) == (5, 5)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"pixel": 4.0, "shape": (180, 200)}, "different grids"),
        ({"pixel": 20.0, "shape": (36, 40)}, "1 or more of the second must fit"),
        ({"bands": 3}, "scene.tif has 2 bands and other.tif 3"),
        ({"crs": "EPSG:32633"}, "different coordinate systems"),
        ({"hole": (slice(None), slice(None))}, "no valid pixel in common"),
    ],
)
def test_rasters_that_cannot_be_compared(place, other, message):
    satellite("scene.tif", bands=2)
    satellite("other.tif", **{"bands": 2, **other})
    result = run("compare", "scene.tif", "other.tif", "--report", "c.html")
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 2  # a sentence and a hint
    assert not Path("c.html").exists()
