"""The estimate of a run's time: what it is concluded from. None of these tests looks at a clock."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from cli_scenes import files, make_raster, run

from geosr import calibration
from geosr.api import plan_file
from geosr.calibration import Calibrator, Speed
from geosr.core.events import parse_event
from geosr.engine.parts import Tally
from geosr.file_plan import duration
from geosr.io.raster import RasterReader
from geosr.kernels import upsample
from geosr.loaded import LoadedModels


@pytest.fixture(autouse=True)
def scene(tmp_path, monkeypatch):
    """Make ``in.tif`` in an empty folder, and measure briefly."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(calibration, "MEASURED_S", 0.02)
    return make_raster("in.tif", size=200)


class Recorder(LoadedModels):
    """Has a nearest-neighbour model that keeps what it sees, and in which threads."""

    def __init__(self):
        super().__init__()
        self.loads, self.threads, self.seen = 0, set(), []

    def predictor(self, facts, machinery):
        self.loads += 1
        self.facts = facts
        return self

    def predict(self, x):
        self.threads.add(threading.current_thread().name)
        self.seen.append(x)
        return upsample(x, self.facts.family, self.facts.upscale_factor)


def plan(**options):
    return plan_file("in.tif", **{"model": "nearest", **options})


WAYS = {
    "cog": {},
    "bicubic": {"model": "bicubic", "upscale_factor": 4},
    "other size": {"model": "bicubic", "resolution": 3.3},
    "part": {"bounds": (500100, 4999100, 500800, 4999900)},
    "bands": {"indexes": (2,), "dtype": "float32", "nodata": float("nan")},
    "small tiles": {"tile_size": 20, "model": "lanczos"},
    "one pixel": {"bounds": (500100, 4999890, 500110, 4999900)},
}


@pytest.mark.parametrize("name", WAYS)
def test_a_calibrated_plan_is_the_same_with_a_time(name):
    before = plan(**WAYS[name])
    after = Calibrator().calibrated(before)
    assert replace(after, time=None) == before
    assert after.time.seconds > 0
    assert "one block compressed" in after.time.measured
    assert after.to_dict()["seconds"] == round(after.time.seconds, 3)
    (line,) = [line for line in after.lines() if line.startswith("Time")]
    assert line.startswith("Time       about ")
    assert line.endswith(f", measured with {after.time.measured}")
    assert before.to_dict()["seconds"] is None
    assert not [line for line in before.lines() if line.startswith("Time")]


def test_a_zarr_store_is_measured_too():
    pytest.importorskip("zarr", reason="Zarr stores need the package zarr")
    assert "one block compressed" in Calibrator().calibrated(plan(format="zarr")).time.measured


def test_what_gdal_compresses_while_it_writes_is_not_measured():
    assert "without compression" in Calibrator().calibrated(plan(format="gtiff")).time.measured


@pytest.mark.parametrize("kind", ["nearest", "pooled"])
def test_networks_without_a_card_see_tiles_of_their_own_size(kind, monkeypatch):
    foreign_networks = pytest.importorskip("foreign_networks", reason="networks take onnx")
    if kind == "nearest":
        foreign_networks.nearest("net.onnx", side=32)
    else:
        foreign_networks.pooled("net.onnx")  # inexact: its tiles are blended
    before = plan(model="net.onnx")
    sizes = set()
    predict = type(before.foreign).predict

    def recorded(self, x):
        sizes.add(x.shape[1:])
        return predict(self, x)

    monkeypatch.setattr(type(before.foreign), "predict", recorded)
    assert Calibrator().calibrated(before).time is not None
    assert sizes == {(before.blocks.tile_size,) * 2}


def test_all_threads_are_at_work():
    models = Recorder()
    Calibrator(models).calibrated(plan(threads=3))
    assert len({name for name in models.threads if name.startswith("geosr-calibrate")}) == 3
    assert models.loads == 1


def test_the_model_sees_the_raster_itself(scene):
    models = Recorder()
    Calibrator(models).calibrated(plan(indexes=(3,)))
    for x in models.seen:
        assert set(np.unique(x)) <= set(np.unique(scene[2]).astype(x.dtype))


def test_each_window_is_read_once(monkeypatch):
    windows = []
    read = RasterReader.read

    def recorded(self, window):
        windows.append(window)
        return read(self, window)

    monkeypatch.setattr(RasterReader, "read", recorded)
    Calibrator().calibrated(plan())
    assert windows
    assert len(set(windows)) == len(windows)


def test_a_raster_of_holes_has_no_time():
    with rasterio.open("in.tif", "r+") as dst:
        dst.write(np.zeros(dst.shape, np.uint16), 1)
    before = plan(indexes=(1,))
    assert Calibrator().calibrated(before) == before


def test_holes_are_not_measured():
    with rasterio.open("in.tif", "r+") as dst:
        values = np.zeros(dst.shape, np.uint16)
        values[150:, 150:] = 7
        dst.write(values, 1)
    assert Calibrator().calibrated(plan(indexes=(1,))).time is not None


def test_runs_of_the_same_kind_are_measured_once():
    make_raster("other.tif", size=100)
    models = Recorder()
    calibrator = Calibrator(models)
    first = calibrator.calibrated(plan(tile_size=64))
    second = calibrator.calibrated(plan_file("other.tif", model="nearest", tile_size=64))
    assert models.loads == 1
    assert second.time.seconds < first.time.seconds  # it has fewer pixels
    calibrator.calibrated(plan(tile_size=64, dtype="float32"))
    assert models.loads == 2


def test_tiles_and_pixels_are_counted(monkeypatch):
    """Of a tenth of a second for each tile, and none for anything else."""
    now = [0.0]
    clock = threading.Lock()

    def predict_block(plan, block, reader, predictor, work):
        reader.read(block.core.clip(reader.shape))
        with clock:
            now[0] += 0.1
        return np.ones((1, *block.output.shape), np.uint16), None, Tally(tiles=1, network_s=0.1)

    monkeypatch.setattr(calibration, "predict_block", predict_block)
    monkeypatch.setattr(calibration.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(calibration.time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(calibration.time, "process_time", lambda: 0.0)
    before = plan(threads=1, indexes=(1,), tile_size=50)
    after = Calibrator().calibrated(before)
    assert before.blocks.num_tiles == 20
    assert after.time.seconds == pytest.approx(2.0)


SPEED = Speed(
    source_px_per_s=1000.0, encode_s=1e-3, encode_cpu_s=2e-3, load_s=5.0, measured="tiles"
)


@pytest.mark.parametrize(
    ("speed", "threads", "processors", "seconds"),
    [
        # 10,000 source pixels seen take 10 s in two threads; 22,500 pixels are compressed.
        ({}, 2, 4, 5 + 22.5),  # compression is the slowest, in threads of its own
        ({"encode_s": 1e-5, "encode_cpu_s": 2e-5}, 2, 4, 5 + 10),  # prediction is
        ({"encode_s": 1e-5, "encode_cpu_s": 4e-4}, 2, 2, 5 + 10 + 4.5),  # they share processors
        ({"encode_s": 0.0, "encode_cpu_s": 0.0}, 8, 2, 5 + 10),  # threads that wait for another
    ],
)
def test_stages_overlap_as_far_as_there_are_processors(speed, threads, processors, seconds):
    make_raster("small.tif", size=75, width=75, bands=1)
    small = plan_file("small.tif", model="nearest", threads=threads, tile_size=50)
    assert small.blocks.num_tiles * 50**2 == 10_000
    told = replace(SPEED, **speed).seconds(small, processors=processors)
    assert told == pytest.approx(seconds)


def test_a_gpu_leaves_the_processors_to_compression():
    make_raster("small.tif", size=75, width=75, bands=1)
    small = plan_file("small.tif", model="nearest", threads=2, tile_size=50)
    small = replace(small, machinery=replace(small.machinery, device="gpu"))
    speed = replace(SPEED, encode_s=1e-5, encode_cpu_s=4e-4)
    assert speed.seconds(small, processors=2) == pytest.approx(5 + 10)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.01, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (160.2, "2 min 40 s"),
        (3599.7, "1 h 00 min"),
        (3 * 3600 + 61, "3 h 01 min"),
        (100 * 3600, "100 h 00 min"),
    ],
)
def test_times_for_people(seconds, text):
    assert duration(seconds) == text


def test_a_calibrated_dry_run():
    before = files()
    args = ("upscale", "in.tif", "out.tif", "-m", "bicubic", "--dry-run", "--calibrate")
    result = run(*args)
    assert result.exit_code == 0, result.stderr
    told = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert {"Work", "Memory", "Disk", "Time"} <= set(told)
    assert "threads" in told["Time"] or os.cpu_count() == 1
    events = [parse_event(line) for line in run(*args, "--progress", "json").stdout.splitlines()]
    assert [event["event"] for event in events] == ["phase", "phase", "plan"]
    assert events[-1]["plan"]["seconds"] > 0
    assert files() == before


def test_a_calibrated_dry_run_of_many():
    make_raster("other.tif", size=50)
    result = run(
        "upscale", "*.tif", "--out-dir", "out", "-m", "bicubic", "--dry-run", "--calibrate"
    )
    assert result.exit_code == 0, result.stderr
    *lines, last = result.stdout.splitlines()
    assert all(", about " in line for line in lines[:2])
    assert last.startswith("Time       about ")
