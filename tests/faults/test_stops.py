"""Ctrl-C, SIGTERM and the end of standard input: what is kept, and that nothing else is."""

from __future__ import annotations

import pytest
from fault_places import GTIFF

STOPS = {
    "Ctrl-C": ("SIGINT", ()),
    "SIGTERM": ("SIGTERM", ()),
    "the end of standard input": ("stdin", ("--exit-with-stdin",)),
}


@pytest.fixture(params=STOPS)
def how(request):
    return request.param


def stopped(place, how, at, *options, **more):
    """Run and stop with call number ``at``; return the event at the end."""
    do, its_options = STOPS[how]
    ended = place.run(*its_options, *options, calls=place.calls(at, do, **more))
    assert (ended.status, ended.shown) == (1, "")
    assert ended.error["code"] == "cancelled"
    assert how in ended.error["message"]
    return ended.error


def beside(place):
    """Return the endings of what lies here; parts that workers have made already may, too."""
    return {name.removeprefix(f"{place.way.output}.") for name in place.left} - {"part.blocks"}


def test_a_stopped_run_goes_on(place, row, any_way, how):
    stops = place(any_way)
    third = len(stops.wanted.calls) // 3
    said = stopped(stops, how, third)
    assert beside(stops) == {"part", "part.journal"}
    assert "blocks are kept" in said["message"]
    assert not stops.check_unfinished()
    again = stops.check_goes_on(*STOPS[how][1])
    row(f"{how}", f"{said['message']} {again.news}", stops)


def test_without_resume_nothing_stays(place, row, any_way, how):
    stops = place(any_way)
    said = stopped(stops, how, len(stops.wanted.calls) // 3, "--no-resume")
    assert "kept" not in said["message"] + said["hint"]
    assert list(stops.folder.iterdir()) == []
    stops.check_finished(stops.run("--no-resume"))
    row(f"{how} with --no-resume", said["message"], stops)


def test_before_the_first_block_nothing_stays(place, any_way, how):
    stops = place(any_way)
    stopped(stops, how, 2)
    assert list(stops.folder.iterdir()) == []


def test_while_it_is_finished(place, row, any_way):
    """All blocks are there; the run is interrupted as it waits for the disk, and goes on later."""
    stops = place(any_way)
    last = max(n for n, name in enumerate(stops.wanted.calls) if name in ("replace", "rename"))
    said = stopped(stops, "SIGTERM", last - 1, waits=5)
    assert beside(stops) == {"part", "part.journal"}
    stops.check_unfinished()
    stops.check_goes_on()
    row("SIGTERM while the file is finished", said["message"], stops)


def test_a_plain_geotiff_leaves_nothing(place, how):
    stops = place(GTIFF)
    stopped(stops, how, 0)
    assert list(stops.folder.iterdir()) == []
    stops.check_finished(stops.run())
