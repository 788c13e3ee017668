"""The progress protocol, from the run's events to the lines that another program reads."""

from __future__ import annotations

import io
import json
import math
import os
import threading

import pytest

from geosr.cli.progress import JsonLines, TextLines, finite
from geosr.core import events
from geosr.core.errors import CancelledError

ALL = (
    events.start_event(version="0.1.0", device="cpu", tiles=7, output_mpx=2.5),
    events.phase_event("Loading the model"),
    events.progress_event(3, 7),
    events.log_event("warning", "Größe: 3 µm"),
    events.error_event("input.bands", 'There is no band "9".', "Use 1 to 4.\nOr none."),
    events.result_event("out.tif", width=20, height=10, stats={"seconds": 1.5}),
)


@pytest.mark.parametrize("event", ALL, ids=lambda event: event["event"])
def test_an_event_is_one_line_and_comes_back_the_same(event):
    line = events.format_event(event)
    assert "\n" not in line
    assert events.parse_event(line) == event


@pytest.mark.parametrize(
    "line", ["", "Downloading...", "[1, 2]", "17", "null", '{"event": 3}', "{}"]
)
def test_other_lines_are_no_events(line):
    assert events.parse_event(line) is None


def test_progress_is_thinned_to_ten_a_second_and_the_last_always_comes():
    now, passed = [0.0], []
    sink = events.ThrottledSink(passed.append, clock=lambda: now[0])
    for done in range(1, 1001):
        now[0] += 0.001  # a thousand events in a second
        sink(events.progress_event(done, 1000))
    assert 9 <= len(passed) <= 12
    assert passed[-1] == events.progress_event(1000, 1000)


def test_other_events_are_never_dropped():
    passed: list[events.Event] = []
    sink = events.ThrottledSink(passed.append, clock=lambda: 0.0)
    for event in ALL * 3:
        sink(event)
    assert [event for event in passed if event["event"] != "progress"] == [
        event for event in ALL * 3 if event["event"] != "progress"
    ]


def test_json_lines_are_whole_and_flushed_from_many_threads():
    reader, writer = os.pipe()
    with open(writer, "w", encoding="utf-8") as stream, open(reader, encoding="utf-8") as lines:
        sink = JsonLines(stream)

        def send(thread):
            for number in range(100):
                sink(events.log_event("info", f"{thread}:{number} " + "x" * 50))

        threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        seen = [events.parse_event(lines.readline()) for _ in range(400)]  # nothing is closed yet
        for thread in threads:
            thread.join()
    assert None not in seen
    assert {event["message"].split()[0] for event in seen if event} == {
        f"{thread}:{number}" for thread in range(4) for number in range(100)
    }


def test_a_reader_that_went_away_stops_the_run_once():
    reader, writer = os.pipe()
    os.close(reader)
    stream = open(writer, "w", encoding="utf-8")  # noqa: SIM115 - closing fails below
    sink = JsonLines(stream)
    with pytest.raises(CancelledError, match="Nobody reads"):
        sink(ALL[0])
    sink(ALL[1])  # the error event that follows is dropped
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_a_line_cut_by_an_interruption_spoils_no_other():
    class Cut(io.StringIO):
        def flush(self):
            if self.getvalue().count("{") == 1:
                self.truncate(10)
                self.seek(10)
                raise KeyboardInterrupt

    stream = Cut()
    sink = JsonLines(stream)
    with pytest.raises(KeyboardInterrupt):
        sink(ALL[0])
    sink(ALL[4])
    seen = [events.parse_event(line) for line in stream.getvalue().splitlines()]
    assert seen == [None, ALL[4]]


def test_json_has_no_nan():
    stats = {"nodata": math.nan, "bounds": (1.0, -math.inf), "n": 3, "none": None}
    line = json.dumps(finite(stats), allow_nan=False)
    assert json.loads(line) == {"nodata": "nan", "bounds": [1.0, "-inf"], "n": 3, "none": None}


def shown(*shown_events, bar=True, quiet=False, columns=80, monkeypatch=None, seconds=1.0):
    """Return the lines on a terminal after each event, a second apart."""
    if monkeypatch is not None:
        monkeypatch.setenv("COLUMNS", str(columns))
    stream, now, screens = io.StringIO(), [0.0], []
    lines = TextLines(stream, bar=bar, quiet=quiet, clock=lambda: now[0])
    for event in shown_events:
        lines(event)
        now[0] += seconds
        screens.append(on_screen(stream.getvalue()))
    lines.clear()
    return [*screens, on_screen(stream.getvalue())]


def on_screen(text):
    """Return what a terminal shows of ``text``: a carriage return goes to the line's start."""
    screen = []
    for line in text.split("\n"):
        cells: list[str] = []
        for part in line.split("\r"):
            cells[: len(part)] = part
        screen.append("".join(cells).rstrip())
    return screen


def test_the_bar_shows_pixels_speed_and_time_left(monkeypatch):
    start = {**ALL[0], "output_mpx": 40.0}
    screens = shown(
        start, events.phase_event("Upscaling"), events.progress_event(1, 4), monkeypatch=monkeypatch
    )
    # A quarter after one second: 10 Mpx/s, and three more seconds.
    text = "25%  10.0 of 40.0 Mpx  10.00 Mpx/s  0:03 left"
    room = 80 - 8 - len("Upscaling") - len(f" {text}")
    drawn = "#" * round(room / 4)
    assert screens[2] == [f"Upscaling  [{drawn.ljust(room, '-')}]   {text}"]
    assert len(screens[2][0]) < 80
    assert screens[-1] == [""]  # and it is cleared away


@pytest.mark.parametrize("columns", [20, 40, 60, 79, 200])
def test_the_bar_never_wraps(columns, monkeypatch):
    start = {**ALL[0], "output_mpx": 12345.6}
    progress = [events.progress_event(done, 7) for done in range(8)]
    label = events.phase_event("Upscaling")
    for screen in shown(start, label, *progress, columns=columns, monkeypatch=monkeypatch):
        assert max(map(len, screen)) < columns


def test_a_warning_stands_above_the_bar(monkeypatch):
    phase = events.phase_event("Upscaling")
    screens = shown(phase, ALL[3], monkeypatch=monkeypatch)
    assert screens[1] == ["Warning: Größe: 3 µm", "Upscaling ..."]
    assert screens[2] == ["Warning: Größe: 3 µm", ""]


def test_without_a_bar_only_warnings_and_errors_show():
    assert shown(*ALL, bar=False)[-1] == [
        "Warning: Größe: 3 µm",
        'Error: There is no band "9".',
        "Use 1 to 4.",
        "Or none.",
        "",
    ]


def test_quiet_shows_errors_only():
    assert shown(*ALL, bar=False, quiet=True)[-1][0] == 'Error: There is no band "9".'
