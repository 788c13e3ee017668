"""How a worker takes requests: one answer for each, whatever happens."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from serving import bounds_of, noise, working, write

from geosr.core.catalog import shipped_models
from geosr.core.errors import CancelledError
from geosr.core.events import ThrottledSink
from geosr.core.requests import Cancel, Info, Models, Ping, Preview, Quit, Warm


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with working(tmp_path_factory.mktemp("session")) as asked:
        yield asked


@pytest.fixture(scope="module")
def src(tmp_path_factory):
    return write(tmp_path_factory.mktemp("source") / "in.tif", noise((2, 90, 100)))


REFUSED = {
    "no such file": ({"source": "none.tif"}, "input.unreadable", "no file"),
    "no raster": ({"source": __file__}, "input.unreadable", "no raster"),
    "elsewhere": ({"bounds": (0, 0, 1, 1)}, "input.bounds", "outside"),
    "upside down": ({"bounds": (9, 9, 1, 1)}, "input.bounds", "enclose nothing"),
    "unknown CRS": ({"bounds_crs": "EPSG:1"}, "input.bounds", "EPSG:1"),
    "unknown model": ({"options": {"model": "sharp"}}, "model.unknown", "sharp"),
    "no such band": ({"options": {"indexes": (9,)}}, "input.bands", "band 9"),
    "too fine": ({"options": {"upscale_factor": 9}}, "usage", "factor 9"),
    "tiny tiles": ({"options": {"tile_size": 3}}, "usage.plan", "halo"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_said_in_a_sentence(worker, src, name):
    changed, code, named = REFUSED[name]
    asked = {"source": str(src), "bounds": bounds_of(1, 1, 5, 5), **changed}
    event = worker.ask(Preview(name, **asked))
    assert (event["event"], event["id"], event["code"]) == ("error", name, code), event
    assert named in event["message"]
    assert event["hint"]


def test_a_model_that_cannot_be_warmed_is_said(worker):
    for options, code in (
        ({"model": "sharp"}, "model.unknown"),
        ({"model": "none.onnx"}, "model.unknown"),
        ({"model": "bicubic", "model_range": (0.0, 1.0)}, "usage"),
    ):
        event = worker.ask(Warm(1, options=options))
        assert (event["event"], event["code"]) == ("error", code), event
    assert worker.ask(Warm(2, options={"model": "bicubic"}))["model"] == "bicubic-x2"


def test_a_view_that_is_too_large_says_how_large_it_may_be(src, tmp_path):
    with working(tmp_path, max_mpx=0.008) as worker:
        event = worker.ask(Preview(1, str(src), bounds_of(10, 10, 64, 63)))
        assert event["event"] == "error"
        assert "63 x 64 source pixels of 2 bands" in event["message"]
        assert "63 x 63" in event["hint"]
        assert worker.preview(src, bounds_of(10, 10, 63, 63))["width"] == 126
        worker.preview(src, bounds_of(10, 10, 80, 90), indexes=(1,))


def test_a_view_with_more_pixels_than_the_screen_is_told_of(worker, src):
    for width, height, said in ((21, 25, True), (22, 24, True), (22, 25, False), (None, 25, False)):
        box = bounds_of(31, 40, 25, 22)
        options = {"model": "nearest"}
        event = worker.ask(Preview(1, str(src), box, None, width, height, options=options))
        assert any("screen" in note for note in event["stats"]["notes"]) == said


def test_models_info_ping_and_progress(worker, src):
    assert worker.ask(Ping("p")) == {"event": "ping", "id": "p"}
    models = worker.ask(Models())["models"]
    assert {facts.name for facts in shipped_models()} < {facts["name"] for facts in models}
    raster = worker.ask(Info(3, str(src)))["raster"]
    assert (raster["width"], raster["height"], raster["upscalable"]) == (100, 90, True)
    assert worker.ask(Info(4, "none.tif"))["event"] == "error"
    worker.seen.clear()
    worker.preview(src, bounds_of(0, 0, 90, 100), model="lanczos-x2", tile_size=40)
    kinds = [event["event"] for event in worker.seen]
    assert kinds[:2] == ["phase", "phase"]
    assert set(kinds[2:-1]) == {"progress"}
    assert {event["id"] for event in worker.seen} == {1}
    assert worker.seen[-2]["done"] == worker.seen[-2]["total"] == 9


def test_progress_comes_ten_times_a_second_at_most(src, tmp_path, monkeypatch):
    now = [0.0]
    throttled = partial(ThrottledSink, clock=lambda: now[0])
    monkeypatch.setattr("geosr.serving.worker.ThrottledSink", throttled)
    with working(tmp_path) as worker:
        for moment, shown in ((0.0, [1, 9]), (0.05, [9]), (0.1, [1, 9])):
            now[0] = moment
            worker.seen.clear()
            worker.preview(src, bounds_of(0, 0, 90, 100), model="lanczos-x2", tile_size=40)
            assert [e["done"] for e in worker.seen if e["event"] == "progress"] == shown


class Stub:
    """Stands for `Previews`: each preview waits until it may go on, or is told to stop."""

    def __init__(self):
        self.begun, self.go_on, self.closed = threading.Semaphore(0), threading.Semaphore(0), False
        self.error = None
        self.made = []

    def preview(self, request, tell, should_stop):
        self.begun.release()
        while not self.go_on.acquire(timeout=0.01):
            if should_stop():
                raise CancelledError("Stopped.")
        if self.error:
            raise self.error
        self.made.append(request.id)
        return {"event": "preview", "id": request.id}, None

    def close(self):
        self.closed = True


def view(number, **more):
    return Preview(number, "a.tif", (0, 0, 1, 1), **more)


def cancelled(number):
    return {"event": "cancelled", "id": number}


def test_a_running_preview_is_cancelled_and_the_next_one_made(tmp_path):
    stub = Stub()
    with working(tmp_path, previews=stub) as worker:
        worker.take(view(1))
        stub.begun.acquire()
        worker.take(view(2))
        worker.take(Cancel(1))
        assert worker.event() == cancelled(1)
        stub.go_on.release()
        assert worker.event() == {"event": "preview", "id": 2}
        worker.take(Cancel(2))  # too late, which is no error
        worker.take(Cancel("unknown"))
        assert worker.ask(Ping()) == {"event": "ping", "id": None}
    assert stub.made == [2]
    assert stub.closed
    assert worker.nothing_more()


def test_a_waiting_preview_is_cancelled_at_once(tmp_path):
    stub = Stub()
    with working(tmp_path, previews=stub) as worker:
        worker.take(view(1))
        stub.begun.acquire()
        worker.take(view(2))
        worker.take(view(3))
        assert worker.ask(Cancel(2)) == cancelled(2)  # while the first one runs
        stub.go_on.release(2)
        assert [worker.event()["id"], worker.event()["id"]] == [1, 3]


def test_a_preview_replaces_those_before_it_but_nothing_else(tmp_path):
    stub = Stub()
    with working(tmp_path, previews=stub) as worker:
        worker.take(view(1))
        stub.begun.acquire()
        for number in (2, 3):
            worker.take(view(number))
        worker.take(Info("info", "none.tif"))
        stub.info = lambda request: {"event": "info", "id": request.id}
        worker.take(view(4, replaces=True))
        assert [worker.event() for _ in range(4)] == [
            cancelled(2),
            cancelled(3),
            cancelled(1),
            {"event": "info", "id": "info"},
        ]
        stub.go_on.release()
        assert worker.event() == {"event": "preview", "id": 4}


def test_a_preview_that_was_cancelled_at_its_very_end_leaves_no_file(tmp_path):
    made = tmp_path / "made.tif"
    with working(tmp_path) as worker:

        def preview(request, tell, should_stop):
            made.touch()
            worker.take(Cancel(request.id))
            return {"event": "preview", "id": request.id}, str(made)

        worker.worker._service().preview = preview
        assert worker.ask(view(1)) == cancelled(1)
        assert not made.exists()


def test_an_id_that_is_in_use_is_refused_without_it(tmp_path):
    stub = Stub()
    with working(tmp_path, previews=stub) as worker:
        worker.take(view(1))
        stub.begun.acquire()
        event = worker.ask(view(1))
        assert (event["event"], event["id"]) == ("error", None)
        assert "1" in event["message"]
        worker.take(Cancel(1))
        worker.event()
        stub.go_on.release()
        assert worker.ask(view(1))["event"] == "preview"  # it is free again


@pytest.mark.parametrize(
    ("error", "code", "named"),
    [
        (MemoryError(), "memory", "memory"),
        (ZeroDivisionError("by\nzero"), "failed", "bug in geosr: ZeroDivisionError: by zero"),
        (OSError(28, "No space left on device", "a.tif"), "failed", "No space left"),
    ],
    ids=repr,
)
def test_an_error_inside_a_request_does_not_end_the_worker(tmp_path, caplog, error, code, named):
    stub = Stub()
    stub.go_on.release(2)
    stub.error = error
    with working(tmp_path, previews=stub) as worker:
        event = worker.ask(view(1))
        assert (event["event"], event["id"], event["code"]) == ("error", 1, code)
        assert named in event["message"]
        assert "\n" not in event["message"]
        assert caplog.records[-1].exc_info  # standard error has it in full
        stub.error = None
        assert worker.ask(view(2))["event"] == "preview"


def test_the_end_cancels_what_runs_and_what_waits(tmp_path):
    stub = Stub()
    with working(tmp_path, previews=stub) as worker:
        for number in (1, 2, 3):
            worker.take(view(number))
        stub.begun.acquire()
        assert worker.take(Quit()) is False
        assert worker.worker.close(30)
        events = [worker.event() for _ in range(3)]
        assert sorted(event["id"] for event in events) == [1, 2, 3]
        assert {event["event"] for event in events} == {"cancelled"}
    assert (stub.made, stub.closed) == ([], True)


def test_after_a_stop_nothing_that_waits_is_begun(tmp_path):
    """Before the main thread, which is interrupted, comes to cancel it."""
    stub, stop = Stub(), threading.Event()
    with working(tmp_path, previews=stub, should_stop=stop.is_set) as worker:
        for number in (1, 2):
            worker.take(view(number))
        stub.begun.acquire()
        stop.set()
        assert [worker.event(), worker.event()] == [cancelled(1), cancelled(2)]
        assert not stub.begun.acquire(blocking=False)


def test_what_is_no_request_is_answered_and_forgotten(tmp_path):
    with working(tmp_path, previews=Stub()) as worker:
        assert worker.take("\r\n")
        for line, known in ((b"\xff{", None), ("{}", None), ({"do": "x", "id": 3}, 3)):
            event = worker.ask(line)
            assert (event["event"], event["id"], event["code"]) == ("error", known, "usage")
        assert worker.nothing_more()
