"""``geosr upscale`` stopped and killed in the middle of real runs."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import rasterio
from cli_scenes import NODATA, ROOT, make_raster, run

from geosr.core.events import parse_event

BIG = ("-m", "lanczos", "-f", "4", "--tile-size", "64", "--co", "COMPRESS=DEFLATE")


def start(*args):
    """Start ``geosr upscale`` with events in its own process."""
    return subprocess.Popen(
        [sys.executable, "-m", "geosr", "upscale", *args, "--progress", "json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stop_after(process, wanted, stop):
    """Call ``stop`` once ``wanted`` holds for an event; return all events, status and delay."""
    events, begun = [], None
    for line in process.stdout:
        events.append(parse_event(line))
        if begun is None and wanted(events[-1]):
            begun = time.monotonic()
            stop()
    status = process.wait(30)
    assert begun is not None, events
    return events, status, time.monotonic() - begun


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """Make a raster that takes a few seconds."""
    path = tmp_path_factory.mktemp("big") / "big.tif"
    make_raster(path, size=1000, bands=2)
    return path


def is_at(moment, event):
    """Tell whether an event is at a moment: a phase, or a share of the tiles."""
    if isinstance(moment, str):
        return event.get("message") == moment
    return event["event"] == "progress" and event["done"] >= moment * event["total"]


STOPS = [
    *(("SIGTERM", phase) for phase in ("Loading the model", "Upscaling")),
    *(("SIGTERM", random.Random(seed).uniform(0.05, 0.6)) for seed in range(4)),
    ("SIGINT", 0.3),
    ("SIGINT", "Upscaling"),
    ("stdin", 0.2),
]


@pytest.mark.parametrize(("how", "moment"), STOPS, ids=lambda value: str(value)[:9])
def test_a_stopped_run_leaves_what_was_there(big, tmp_path, how, moment):
    out = tmp_path / "out.tif"
    out.write_bytes(b"the old one")
    with start(str(big), str(out), "--overwrite", "--exit-with-stdin", *BIG) as process:
        ways = {
            "SIGTERM": process.terminate,
            "SIGINT": lambda: process.send_signal(signal.SIGINT),
            "stdin": process.stdin.close,
        }
        events, status, delay = stop_after(process, partial(is_at, moment), ways[how])
        shown = process.stderr.read()
    assert (status, events[-1]["event"]) == (1, "error"), shown
    assert events[-1]["code"] == "cancelled"
    assert shown == ""
    assert delay < 5
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "out.tif": b"the old one"
    }


def test_a_stop_while_the_file_is_finished_leaves_one_or_the_other(big, tmp_path):
    out = tmp_path / "out.tif"
    out.write_bytes(b"the old one")
    with start(str(big), str(out), "--overwrite", *BIG) as process:
        events, status, _ = stop_after(
            process,
            lambda event: event.get("message", "").startswith("Finishing"),
            process.terminate,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["out.tif"]
    if status == 0:
        assert events[-1]["event"] == "result"
        with rasterio.open(out) as dst:
            assert dst.read(1)[-1, -1] != NODATA
    else:
        assert events[-1]["code"] == "cancelled"
        assert out.read_bytes() == b"the old one"


def test_the_next_run_is_not_disturbed_by_a_killed_one(big, tmp_path):
    """A kill -9 leaves a part file, which nobody takes for a result."""
    out = tmp_path / "out.tif"
    with start(str(big), str(out), *BIG) as process:
        _, status, _ = stop_after(process, lambda event: event["event"] == "progress", process.kill)
    assert status == -signal.SIGKILL
    assert not out.exists()
    assert run("upscale", big, out, "-m", "nearest").exit_code == 0
    with rasterio.open(big) as src, rasterio.open(out) as dst:
        np.testing.assert_array_equal(dst.read(1), src.read(1).repeat(2, 0).repeat(2, 1))
