"""The progress protocol, from the run's events to the lines that another program reads."""

from __future__ import annotations

import io
import json
import math
import os
import threading

import pytest

from geosr.cli.bar import TextLines
from geosr.cli.pace import Paced
from geosr.cli.progress import JsonLines, finite, thinned
from geosr.core import events
from geosr.core.errors import CancelledError

ALL = (
    events.start_event(version="0.1.0", device="cpu", tiles=7, output_mpx=2.5),
    events.phase_event("Loading the model"),
    events.progress_event(3, 7),
    events.progress_event(3, 7, mpx_per_s=1.25, eta_s=8.0),
    events.file_event("Größe.tif", "out/Größe.tif", index=3, total=120),
    events.log_event("warning", "Größe: 3 µm"),
    events.error_event("input.bands", 'There is no band "9".', "Use 1 to 4.\nOr none."),
    events.result_event("out.tif", width=20, height=10, stats={"seconds": 1.5}),
    events.batch_event(
        done=118,
        skipped=1,
        failed=[
            {
                "source": "in.tif",
                "output": None,
                "code": "input.unreadable",
                "message": "It is empty.",
                "hint": "Fetch it again.",
            }
        ],
    ),
)
LOG = next(event for event in ALL if event["event"] == "log")


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


def paced(*steps, mpx=None, total=100):
    """Return the progress events after pairs of seconds and tiles done; the first begins."""
    now, passed = [0.0], []
    sink = Paced(passed.append, clock=lambda: now[0])
    sink(events.start_event(version="0", device="cpu", tiles=total, output_mpx=mpx))
    sink(events.phase_event("Upscaling"))
    for seconds, done in steps:
        now[0] = float(seconds)
        sink(events.progress_event(done, total))
    return [event for event in passed if event["event"] == "progress"]


def test_speed_and_time_left_come_once_they_are_known():
    first, soon, later = paced((0, 0), (0.1, 1), (10, 20), mpx=50.0)
    assert first == events.progress_event(0, 100)
    assert soon == events.progress_event(1, 100)  # a tenth of a second says nothing
    assert later == events.progress_event(20, 100, mpx_per_s=1.0, eta_s=40.0)


def test_without_pixels_there_is_a_time_left_only():
    assert paced((0, 0), (10, 20))[-1] == events.progress_event(20, 100, eta_s=40.0)


def test_what_an_earlier_run_has_done_does_not_count_for_the_speed():
    # 90 of 100 tiles were there; since then one every two seconds.
    *_, last = paced((5, 90), (7, 91), (9, 92), mpx=100.0)
    assert last == events.progress_event(92, 100, mpx_per_s=0.5, eta_s=16.0)


def test_tiles_without_pixels_are_forgotten_after_half_a_minute():
    quick = [(second / 10, second) for second in range(60)]  # ten tiles a second, for six
    slow = [(6 + 4 * tile, 60 + tile) for tile in range(12)]  # then one in four seconds
    *_, last = paced(*quick, *slow)
    assert last["eta_s"] == (100 - 71) * 4.0


def test_a_tile_that_takes_minutes_still_has_a_speed():
    *_, last = paced((0, 0), (100, 1), (300, 2))
    assert last["eta_s"] == 98 * 200.0


def test_each_phase_is_measured_by_itself():
    now, passed = [0.0], []
    sink = Paced(passed.append, clock=lambda: now[0])
    for start in (0.0, 100.0):
        sink(events.phase_event("Another"))
        for step in range(3):
            now[0] = start + step
            sink(events.progress_event(step, 10))
    assert [event.get("eta_s") for event in passed if event["event"] == "progress"] == [
        *(None, 9.0, 8.0),
        *(None, 9.0, 8.0),
    ]


def test_all_sinks_get_the_same_few_events():
    told: tuple[list[events.Event], ...] = ([], [])
    sink = thinned(*(each.append for each in told))
    sink(events.phase_event("Upscaling"))
    for done in range(1, 2001):
        sink(events.progress_event(done, 2000))
    assert told[0] == told[1]
    assert len(told[0]) < 100
    assert told[0][-1]["done"] == 2000


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


def test_the_bar_shows_stage_pixels_speed_and_time_left(monkeypatch):
    start = {**ALL[0], "output_mpx": 40.0}
    progress = events.progress_event(1, 4, mpx_per_s=10.0, eta_s=3.0)
    screens = shown(start, events.phase_event("Upscaling"), progress, monkeypatch=monkeypatch)
    text = "25%  10.0 of 40.0 Mpx  10.00 Mpx/s  0:03 left"
    room = 80 - 8 - len("Upscaling") - len(f" {text}")
    drawn = "#" * round(room / 4)
    assert screens[2] == [f"Upscaling  [{drawn.ljust(room, '-')}]   {text}"]
    assert len(screens[2][0]) < 80
    assert screens[-1] == [""]  # and it is cleared away


def test_the_bar_of_a_resumed_run_starts_where_the_earlier_one_ended(monkeypatch):
    start = {**ALL[0], "output_mpx": 40.0}
    screens = shown(start, events.progress_event(30, 40), monkeypatch=monkeypatch)
    assert "75%  30.0 of 40.0 Mpx" in screens[1][0]
    assert "left" not in screens[1][0]  # that is not known yet


def test_the_bar_ends_with_the_time_that_it_took(monkeypatch):
    start, phase = {**ALL[0], "output_mpx": 40.0}, events.phase_event("Upscaling")
    last = events.progress_event(4, 4, mpx_per_s=10.0, eta_s=0.0)
    screens = shown(start, phase, last, monkeypatch=monkeypatch, seconds=40.0)
    assert screens[2][0].endswith("100%  40.0 of 40.0 Mpx  10.00 Mpx/s  1:20 elapsed")


def test_in_a_batch_the_bar_names_the_file(monkeypatch):
    file = events.file_event("in/a.tif", "out/a.tif", index=3, total=120)
    phase, progress = events.phase_event("Upscaling"), events.progress_event(1, 4)
    screens = shown(file, ALL[0], phase, progress, monkeypatch=monkeypatch)
    assert screens[2] == ["[3/120] a.tif Upscaling ..."]
    assert screens[3][0].startswith("[3/120] a.tif Upscaling  [")


@pytest.mark.parametrize(
    ("columns", "label"),
    [
        (100, "[3/120] a.tif Upscaling"),
        (62, "[3/120] a.tif Upscaling"),
        (61, "[3/120] Upscaling"),
        (48, "[3/120]"),
        (40, ""),
    ],
)
def test_numbers_matter_more_than_names(monkeypatch, columns, label):
    file = events.file_event("in/a.tif", "out/a.tif", index=3, total=120)
    progress = events.progress_event(1, 4, mpx_per_s=10.0, eta_s=3.0)
    phase = events.phase_event("Upscaling")
    *_, drawn, _ = shown(file, phase, progress, columns=columns, monkeypatch=monkeypatch)
    assert drawn[0].startswith(f"{label} ".lstrip())
    assert drawn[0].endswith("25%  1 of 4  10.00 Mpx/s  0:03 left")


@pytest.mark.parametrize("kind", ["result", "batch"])
def test_the_bar_makes_room_for_what_was_made(monkeypatch, kind):
    phase = events.phase_event("Finishing the file")
    last = next(event for event in ALL if event["event"] == kind)
    screens = shown(phase, last, monkeypatch=monkeypatch)
    assert screens[0] == ["Finishing the file ..."]
    assert screens[1][-1] == ""


def test_the_files_that_failed_are_listed_however_quiet_it_is():
    assert shown(*ALL, bar=False, quiet=True)[-1][-4:] == [
        "Failed: in.tif",
        "  It is empty.",
        "  Fetch it again.",
        "",
    ]


def test_the_address_of_a_dashboard_stands_above_the_bar(monkeypatch):
    progress = events.progress_event(1, 4)
    log = events.log_event("info", "Dask dashboard: http://10.0.0.1:8787/status")
    screens = shown(progress, log, monkeypatch=monkeypatch)
    assert screens[1][0] == "Dask dashboard: http://10.0.0.1:8787/status"
    assert screens[1][1].startswith("Working  [")


@pytest.mark.parametrize("columns", [20, 40, 60, 79, 200])
def test_the_bar_never_wraps(columns, monkeypatch):
    start = {**ALL[0], "output_mpx": 12345.6}
    progress = [events.progress_event(done, 7) for done in range(8)]
    label = events.phase_event("Upscaling")
    name = "S2A_MSIL2A_20240806T102021_N0511_R065_T32TMT.tif"
    file = events.file_event(name, name, index=12345, total=67890)
    for screen in shown(file, start, label, *progress, columns=columns, monkeypatch=monkeypatch):
        assert max(map(len, screen)) < columns


def test_a_warning_stands_above_the_bar(monkeypatch):
    phase = events.phase_event("Upscaling")
    screens = shown(phase, LOG, monkeypatch=monkeypatch)
    assert screens[1] == ["Warning: Größe: 3 µm", "Upscaling ..."]
    assert screens[2] == ["Warning: Größe: 3 µm", ""]


def test_without_a_bar_only_warnings_and_errors_show():
    assert shown(*ALL, bar=False)[-1] == [
        "Warning: Größe: 3 µm",
        'Error: There is no band "9".',
        "Use 1 to 4.",
        "Or none.",
        "Failed: in.tif",
        "  It is empty.",
        "  Fetch it again.",
        "",
    ]


def test_quiet_shows_errors_only():
    assert shown(*ALL, bar=False, quiet=True)[-1][0] == 'Error: There is no band "9".'
