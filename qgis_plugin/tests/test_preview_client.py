"""The client of ``geosr serve --stdio``: against a stand-in, and against the real one."""

import os
import queue
import subprocess
import sys
import time
from pathlib import Path

import fake_geosr
import pytest
from geosr_super_resolution.preview_client import MOST_CRASHES, PreviewWorker
from geosr_super_resolution.protocol import ANSWERING
from test_protocol import SCENE, python  # noqa: F401 - a fixture
from test_runner import PLUGIN, is_alive, wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")


@pytest.fixture
def fake(tmp_path):
    worker = PreviewWorker(fake_geosr.interpreter(tmp_path))
    yield worker
    worker.close(1.0)


def ask(worker, message, timeout_s=60.0):
    """Return all events that a request leads to."""
    came, events = queue.Queue(), []
    worker.request(message, came.put)
    while not events or events[-1]["event"] not in ANSWERING:
        events.append(came.get(timeout=timeout_s))
    return events


def pid_of(worker):
    return worker._session._child.pid


def test_answers_go_to_their_requests(fake):
    assert not fake.is_running
    assert fake.ready is None
    events = ask(fake, {"do": "preview", "source": "a.tif"})
    assert [event["event"] for event in events] == ["phase", "preview"]
    assert len({event["id"] for event in events}) == 1
    assert fake.ready["models"] == ["m"]
    assert fake.is_running
    assert ask(fake, {"do": "ping"})[-1]["event"] == "ping"


def test_one_process_serves_all(fake):
    ask(fake, {"do": "ping"})
    first = pid_of(fake)
    ask(fake, {"do": "ping"})
    assert pid_of(fake) == first


@pytest.mark.parametrize(
    ("source", "words"), [("crash", "about to crash"), ("memory", "out of memory")]
)
def test_a_crash_is_an_answer_and_the_next_request_starts_anew(fake, source, words):
    answer = ask(fake, {"do": "preview", "source": source})[-1]
    assert (answer["event"], answer["code"]) == ("error", "worker.crashed")
    assert words in answer["message"]
    assert answer["hint"]
    assert ask(fake, {"do": "preview", "source": "a.tif"})[-1]["event"] == "preview"


def test_all_open_requests_hear_of_a_crash(fake):
    came = queue.Queue()
    waiting = [fake.request({"do": "warm"}, came.put) for _ in range(3)]
    ask(fake, {"do": "preview", "source": "crash"})
    heard = [came.get(timeout=10) for _ in waiting]
    assert sorted(event["id"] for event in heard) == waiting
    assert {event["code"] for event in heard} == {"worker.crashed"}


def test_crashes_in_a_row_end_it_until_it_is_started(fake):
    for _ in range(MOST_CRASHES):
        ask(fake, {"do": "preview", "source": "crash"})
        assert wait_until(lambda: not fake.is_running)
    answer = ask(fake, {"do": "ping"})[-1]
    assert answer["code"] == "worker.crashed"
    fake.start()
    assert ask(fake, {"do": "ping"})[-1]["event"] == "ping"


def test_closing_cancels_what_is_open_and_ends_the_process(fake):
    came = queue.Queue()
    fake.request({"do": "warm"}, came.put)
    assert wait_until(lambda: fake.ready is not None)
    pid = pid_of(fake)
    fake.close(3.0)
    assert came.get(timeout=5)["event"] == "cancelled"
    assert wait_until(lambda: not is_alive(pid))
    assert ask(fake, {"do": "ping"})[-1]["event"] == "ping"  # and may start again


def test_no_interpreter(tmp_path):
    worker = PreviewWorker(str(tmp_path / "nowhere"))
    answer = ask(worker, {"do": "ping"})[-1]
    assert answer["code"] == "worker.start"
    worker.close()


def test_another_protocol_is_an_answer(tmp_path):
    worker = PreviewWorker(fake_geosr.interpreter(tmp_path))
    worker._command = [worker._command[0], "serve_of_the_future"]
    answer = ask(worker, {"do": "ping"})[-1]
    assert answer["code"] == "worker.protocol"
    assert answer["hint"] == "Update the plugin GeoSR Super-Resolution."
    worker.close()


@pytest.fixture(scope="module")
def real(python):  # noqa: F811
    log = []
    worker = PreviewWorker(python, on_log=log.append)
    yield worker
    worker.close()
    assert not [line for line in log if "Traceback" in line]


def scene_bounds(worker):
    raster = ask(worker, {"do": "info", "source": str(SCENE)})[-1]["raster"]
    return raster["bounds"]


def test_a_preview_of_the_real_geosr(real):
    west, south, east, north = scene_bounds(real)
    bounds = [west, (south + north) / 2, (west + east) / 2, north]
    message = {"do": "preview", "source": str(SCENE), "bounds": bounds, "model": "bicubic"}
    events = ask(real, {**message, "upscale_factor": 2})
    answer = events[-1]
    assert answer["event"] == "preview", answer
    assert Path(answer["path"]).exists()
    assert answer["width"] > 0
    assert {"phase", "progress"} <= {event["event"] for event in events}


def test_refusals_of_the_real_geosr(real):
    answer = ask(real, {"do": "preview", "source": "/nowhere.tif", "bounds": [0, 0, 1, 1]})[-1]
    assert (answer["event"], answer["code"]) == ("error", "input.unreadable")
    answer = ask(real, {"do": "preview", "source": str(SCENE)})[-1]
    assert "bounds" in answer["message"]
    assert real.is_running


def test_cancelling_in_the_real_geosr(real):
    bounds = scene_bounds(real)
    came = queue.Queue()
    message = {"do": "preview", "source": str(SCENE), "bounds": bounds, "model": "bicubic"}
    numbers = [real.request({**message, "upscale_factor": 2}, came.put) for _ in range(5)]
    for number in numbers[1:]:
        real.cancel(number)
    last = {}
    while len(last) < len(numbers):
        event = came.get(timeout=60)
        if event["event"] in ANSWERING:
            assert event["id"] not in last
            last[event["id"]] = event["event"]
    assert last[numbers[0]] == "preview"
    assert "cancelled" in {last[number] for number in numbers[1:]}


PARENT = """
import sys, time
sys.path.insert(0, sys.argv[1])
from geosr_super_resolution.preview_client import PreviewWorker
worker = PreviewWorker(sys.argv[2])
worker.request({"do": "ping"}, lambda event: print(worker._session._child.pid, flush=True))
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
def test_killing_the_parent_ends_the_real_worker(python, tmp_path):  # noqa: F811
    command = [sys.executable, "-c", PARENT, str(PLUGIN), python]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as parent:
        pid = int(parent.stdout.readline())
        assert list(tmp_path.glob("geosr-serve-*"))
        parent.kill()
    assert wait_until(lambda: not is_alive(pid), 20.0)
    assert not list(tmp_path.glob("geosr-serve-*"))


def test_a_flood_of_requests_does_not_block(tmp_path):
    worker = PreviewWorker(fake_geosr.interpreter(tmp_path))
    worker._command = [worker._command[0], "needs_term"]  # reads nothing
    begun = time.monotonic()
    for _ in range(2000):
        worker.request({"do": "preview", "source": "x" * 200}, lambda event: None)
    assert time.monotonic() - begun < 5
    worker.close(0.2)
    assert not worker.is_running
