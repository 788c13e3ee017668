"""``geosr upscale`` stopped and killed in the middle of real runs."""

from __future__ import annotations

import random
import signal
from functools import partial

import numpy as np
import pytest
import rasterio
from cli_processes import is_at, start, stop_after
from cli_scenes import make_raster, run

from geosr.core.events import parse_event

BIG = ("-m", "lanczos", "-f", "4", "--tile-size", "64", "--co", "COMPRESS=DEFLATE")


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """Make a raster that takes a few seconds, in five blocks."""
    path = tmp_path_factory.mktemp("big") / "big.tif"
    make_raster(path, size=160, width=4400, bands=2)
    return path


@pytest.fixture(scope="module")
def undisturbed(big, tmp_path_factory):
    """Return the bytes that a run makes of it."""
    out = tmp_path_factory.mktemp("undisturbed") / "out.tif"
    assert run("upscale", big, out, *BIG).exit_code == 0
    return out.read_bytes()


WHEN = [
    ("SIGTERM", "Loading the model"),
    ("SIGTERM", "Upscaling"),
    *(("SIGTERM", random.Random(seed).uniform(0.05, 0.6)) for seed in range(2)),
    ("SIGTERM", 0.65),
    ("SIGINT", 0.5),
    ("stdin", 0.6),
]


def stopped(big, out, how, moment, *args):
    """Stop a run at a moment; return its last event."""
    with start(str(big), str(out), "--exit-with-stdin", *BIG, *args) as process:
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
    return events[-1]


@pytest.mark.parametrize(("how", "moment"), WHEN, ids=lambda value: str(value)[:9])
def test_a_stopped_run_goes_on_where_it_was(big, undisturbed, tmp_path, how, moment):
    out = tmp_path / "out.tif"
    out.write_bytes(b"the old one")
    error = stopped(big, out, how, moment, "--overwrite")
    assert out.read_bytes() == b"the old one"
    left = sorted(path.name for path in tmp_path.iterdir())
    if "the same command goes on" in error["message"]:
        assert left == ["out.tif", "out.tif.part", "out.tif.part.journal"]
    else:
        assert "not written" in error["message"] or "nothing was written" in error["message"]
        assert left == ["out.tif"]
    again = run("upscale", big, out, "--overwrite", *BIG, "--progress", "json")
    assert again.exit_code == 0, again.stderr
    events = [parse_event(line) for line in again.stdout.splitlines()]
    assert (events[-1]["stats"]["resumed"] > 0) == (len(left) > 1)
    assert [path.name for path in tmp_path.iterdir()] == ["out.tif"]
    assert out.read_bytes() == undisturbed


def test_late_in_a_run_something_is_kept(big, tmp_path):
    error = stopped(big, tmp_path / "out.tif", "SIGTERM", 0.6)
    assert "of 5 blocks are kept" in error["message"]
    assert error["message"].startswith("Stopped by SIGTERM; ")


@pytest.mark.parametrize(("how", "moment"), [("SIGTERM", 0.6), ("stdin", 0.6)])
def test_without_resuming_a_stopped_run_leaves_what_was_there(big, tmp_path, how, moment):
    out = tmp_path / "out.tif"
    out.write_bytes(b"the old one")
    error = stopped(big, out, how, moment, "--overwrite", "--no-resume")
    assert "goes on" not in error["message"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "out.tif": b"the old one"
    }


def test_a_stop_while_the_file_is_finished_leaves_one_or_the_other(big, undisturbed, tmp_path):
    out = tmp_path / "out.tif"
    out.write_bytes(b"the old one")
    with start(str(big), str(out), "--overwrite", *BIG) as process:
        events, status, _ = stop_after(
            process,
            lambda event: event.get("message", "").startswith("Finishing"),
            process.terminate,
        )
    names = sorted(path.name for path in tmp_path.iterdir())
    if events[-1]["event"] == "result":
        assert status in (0, -signal.SIGTERM)  # which came when all was over
        assert names == ["out.tif"]
        assert out.read_bytes() == undisturbed
    else:
        assert events[-1]["code"] == "cancelled"
        assert names == ["out.tif", "out.tif.part", "out.tif.part.journal"]
        assert out.read_bytes() == b"the old one"


def test_the_next_run_is_not_disturbed_by_a_killed_one(big, tmp_path):
    """A kill -9 leaves a part file, which nobody takes for a result, and another run sweeps."""
    out = tmp_path / "out.tif"
    with start(str(big), str(out), *BIG) as process:
        _, status, _ = stop_after(process, lambda event: event["event"] == "progress", process.kill)
    assert status == -signal.SIGKILL
    assert not out.exists()
    assert run("upscale", big, out, "-m", "nearest").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out.tif"]
    with rasterio.open(big) as src, rasterio.open(out) as dst:
        np.testing.assert_array_equal(dst.read(1), src.read(1).repeat(2, 0).repeat(2, 1))
