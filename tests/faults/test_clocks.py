"""A wall clock that jumps, and files from the future: nothing depends on either."""

from __future__ import annotations

import math
import os
import shutil
import time
from dataclasses import replace


def jumps(way, seed):
    """Return the fault of a clock that jumps.

    It does at each look, but not so often with Dask, whose Tornado waits by the wall clock.
    """
    return {"seed": seed, "hours": 30, "looks": 100 if way.name == "parts" else 1}


def test_the_clock_jumps_in_a_run(place, row, any_way):
    jumpy = place(any_way)
    ended = jumpy.run(clock=jumps(any_way, 1))
    jumpy.check_finished(ended)
    check_progress(ended)
    row("clock jumps by hours in a run", "no difference", jumpy)


def test_the_clock_jumps_between_runs(place, row, any_way):
    jumpy = place(any_way)
    at = len(jumpy.wanted.calls) // 3
    assert jumpy.run(calls=jumpy.calls(at), clock=jumps(any_way, 2)).status == -9
    for path, hours in zip(jumpy.folder.iterdir(), (1000, -1000), strict=False):
        os.utime(path, (time.time() + 3600 * hours,) * 2)
    ended = jumpy.check_goes_on(clock=jumps(any_way, 3))
    check_progress(ended)
    row("clock jumps between runs", ended.news, jumpy)


def test_a_source_from_the_future(place, any_way, tmp_path, source):
    future = shutil.copy2(source, tmp_path / "in.tif")
    os.utime(future, (time.time() + 1e7,) * 2)
    early = replace(place(any_way), source=future)
    assert early.run(calls=early.calls(len(early.wanted.calls) // 3)).status == -9
    early.check_goes_on()


def check_progress(ended):
    """Check that progress goes on, and that times are times."""
    events = [event for event in ended.events if event["event"] == "progress"]
    done = [event["done"] for event in events]
    assert done == sorted(done)
    assert done[-1] == events[-1]["total"]
    for event in events:
        assert 0 <= event.get("eta_s", 0) < 600
        assert 0 <= event.get("mpx_per_s", 1) < math.inf
    assert 0 < ended.events[-1]["stats"]["seconds"] < 600
