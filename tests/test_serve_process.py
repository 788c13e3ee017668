"""``geosr serve --stdio`` in a process of its own, driven through pipes as QGIS does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import rasterio
from cli_scenes import ROOT, run
from serving import ANSWERS, bounds_of, noise, replaced, write

from geosr.core.events import parse_event
from geosr.core.requests import Cancel, Ping, Preview, Quit, Warm

LONG = {"model": "lanczos-x8", "tile_size": 32}
"""Takes many seconds for a view of a million pixels."""


class Served:
    """A worker's process, and its events as they come."""

    def __init__(self, process):
        self.process = process
        self.lines = []

    def send(self, *requests):
        for request in requests:
            line = request if isinstance(request, bytes) else request.to_line().encode()
            self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def event(self, *kinds):
        """Return the next event of these kinds; every line must be an event."""
        for line in self.process.stdout:
            self.lines.append(line)
            event = parse_event(line.decode())
            assert event is not None, line
            if event["event"] in (kinds or ANSWERS):
                return event
        raise AssertionError(f"ended after {self.lines}: {self.process.stderr.read()}")

    def ask(self, request):
        self.send(request)
        return self.event()

    def end(self):
        """Close standard input; return the exit status, the last events and standard error."""
        self.process.stdin.close()
        lines = self.process.stdout.readlines()
        events = [parse_event(line.decode()) for line in lines]
        assert None not in events, lines
        return self.process.wait(30), events, self.process.stderr.read().decode()


@contextmanager
def serving(temporary, *args, code=None):
    """Start a worker whose temporary files go to a folder of their own."""
    temporary.mkdir(exist_ok=True)
    command = ["-c", code] if code else ["-m", "geosr"]
    with subprocess.Popen(
        [sys.executable, *command, "serve", "--stdio", *args],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        served = Served(process)
        watchdog = threading.Timer(60, process.kill)  # no test waits without end
        watchdog.start()
        try:
            served.ready = served.event("ready")
            yield served
        finally:
            watchdog.cancel()
            process.kill()


@pytest.fixture
def temporary(tmp_path):
    return tmp_path / "temporary"


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return write(tmp_path_factory.mktemp("large") / "large.tif", noise((1, 1000, 1000)))


def left(temporary):
    return sorted(str(path.relative_to(temporary)) for path in temporary.rglob("*"))


def test_a_session_from_ready_to_quit(tmp_path, temporary):
    values = noise((3, 60, 70)), noise((3, 60, 70), seed=1)
    src = write(tmp_path / "in.tif", values[0])
    with serving(temporary) as served:
        assert served.lines == [json.dumps(served.ready).encode() + b"\n"]
        assert (served.ready["protocol"], served.ready["max_mpx"]) == (1, 4.0)
        assert {"geosr-lite-x2", "bicubic"} < set(served.ready["models"])
        warm = served.ask(Warm("w", options={"model": "geosr-lite", "upscale_factor": 2}))
        assert (warm["event"], warm["id"], warm["model"]) == ("warm", "w", "geosr-lite-x2")
        for number in (0, 1):
            box = bounds_of(5, 6, 40, 50)
            event = served.ask(Preview(number, str(src), box, options={"model": "geosr-lite-x2"}))
            assert (event["event"], event["id"]) == ("preview", number), event
            with rasterio.open(event["path"]) as part:
                assert part.shape == (80, 100)
                means = part.read().reshape(3, 40, 2, 50, 2).mean(axis=(2, 4))
            assert np.abs(means - values[number][:, 5:45, 6:56]).max() < 0.5
            replaced(src, values[1])
        served.send(Quit())
        assert served.end() == (0, [], "")
    assert left(temporary) == []


def test_a_preview_is_cancelled_in_mid_run(large, temporary):
    whole = bounds_of(0, 0, 1000, 1000)
    with serving(temporary) as served:
        served.send(Preview(1, str(large), whole, options=LONG))
        assert served.event("progress")["id"] == 1
        served.send(Cancel(1))
        assert served.event() == {"event": "cancelled", "id": 1}
        done = [json.loads(line) for line in served.lines if b"progress" in line]
        assert done[-1]["done"] < done[-1]["total"]
        (folder,) = temporary.iterdir()
        assert [path.name for path in folder.iterdir()] == ["owner.lock"]
        served.send(Preview(2, str(large), whole, options=LONG))
        served.event("progress")
        small = bounds_of(0, 0, 9, 9)
        served.send(Preview(3, str(large), small, replaces=True, options={"model": "nearest"}))
        assert served.event() == {"event": "cancelled", "id": 2}
        assert (served.event()["id"], left(temporary)[-1][-17:]) == (3, "preview-00003.tif")


def test_lines_that_are_no_requests_are_refused_and_the_worker_lives_on(temporary):
    lines = [
        b"hello",
        b"\xff\xfe",
        b"[]",
        b'{"do": "upscale", "id": 4}',
        b'{"do": "preview", "id": 5, "source": "in.tif"}',
        b"[" * 100_000,
        b"x" * (3 << 20),  # longer than a request may be
    ]
    with serving(temporary) as served:
        served.send(b"", b"\r", *lines)
        events = [served.event() for _ in lines]
        assert {event["event"] for event in events} == {"error"}
        assert [event["id"] for event in events] == [None, None, None, 4, 5, None, None]
        assert served.ask(Ping(6)) == {"event": "ping", "id": 6}
        served.send(b'{"do": "quit"}')
        assert served.end() == (0, [], "")


def test_the_last_line_counts_without_its_end(temporary):
    with serving(temporary) as served:
        served.process.stdin.write(Ping(1).to_line().encode())
        status, events, shown = served.end()
    assert (status, events, shown) == (0, [{"event": "ping", "id": 1}], "")


@pytest.mark.parametrize("moment", ["idle", "in mid-run"])
@pytest.mark.parametrize("how", ["stdin", "SIGTERM", "SIGINT"])
def test_an_end_from_outside_leaves_no_file(large, temporary, how, moment):
    with serving(temporary) as served:
        assert served.ask(Ping())["event"] == "ping"
        small = Preview(1, str(large), bounds_of(0, 0, 9, 9), options={"model": "nearest"})
        assert served.ask(small)["event"] == "preview"
        assert len(left(temporary)) == 3
        cancelled = []
        if moment == "in mid-run":
            whole = bounds_of(0, 0, 1000, 1000)
            served.send(Preview(2, str(large), whole, options=LONG), Preview(3, "x", whole))
            served.event("progress")
            cancelled = [{"event": "cancelled", "id": number} for number in (2, 3)]
        if how != "stdin":
            served.process.send_signal(getattr(signal, how))
            served.process.wait(30)
        status, events, shown = served.end()
        answers = [event for event in events if event["event"] != "progress"]
        if how != "stdin":
            error = answers.pop()
            assert (error["event"], error["code"]) == ("error", "cancelled")
            reason = {"SIGTERM": "SIGTERM", "SIGINT": "Ctrl-C"}[how]
            assert error["message"] == f"Stopped by {reason}; its previews are gone."
        assert sorted(answers, key=lambda event: event["id"]) == cancelled
        assert (status, shown) == (int(how != "stdin"), "")
    assert left(temporary) == []


def test_after_a_kill_the_next_worker_sweeps(large, temporary):
    with serving(temporary) as served:
        asked = Preview(1, str(large), bounds_of(0, 0, 9, 9), options={"model": "nearest"})
        served.ask(asked)
        served.process.kill()
        served.process.wait(30)
    assert len(left(temporary)) == 3
    with serving(temporary) as served:
        assert len(left(temporary)) == 2  # its own folder and lock
        served.send(Quit())
        assert served.end()[0] == 0
    assert left(temporary) == []


def test_work_that_hangs_does_not_keep_the_process(temporary, tmp_path):
    """As when a disk or a server does not answer."""
    begun = tmp_path / "begun"
    code = (
        "import pathlib, time\n"
        "import geosr.serving\n"
        "from geosr.serving import previews\n"
        "geosr.serving.CLOSE_S = 0.3\n"
        "def info(self, request):\n"
        f"    pathlib.Path({str(begun)!r}).touch()\n"
        "    time.sleep(100)\n"
        "previews.Previews.info = info\n"
        "from geosr.cli.main import main\n"
        "main()\n"
    )
    with serving(temporary, code=code) as served:
        served.send(b'{"do": "info", "id": 1, "source": "x"}', b'{"do": "ping"}')
        assert served.event()["event"] == "ping"
        deadline = time.monotonic() + 20
        while not begun.exists() and time.monotonic() < deadline:
            time.sleep(0.01)  # what waits in the queue would just be cancelled
        assert served.end() == (1, [], "")
    assert left(temporary) == []


def test_nothing_else_gets_to_standard_output(temporary):
    """What a library prints, or a child of it, goes to standard error."""
    code = (
        "import os, threading\n"
        "from geosr.serving import previews\n"
        "def info(self, request):\n"
        "    print('noise')\n"
        "    os.system('echo more noise')\n"
        "    return {'event': 'info', 'id': request.id}\n"
        "previews.Previews.info = info\n"
        "from geosr.cli.main import main\n"
        "main()\n"
    )
    with serving(temporary, code=code) as served:
        assert served.ask(b'{"do": "info", "id": 1, "source": "x"}')["event"] == "info"
        served.send(Quit())
        status, events, shown = served.end()
    assert (status, events) == (0, [])
    assert sorted(shown.split()) == ["more", "noise", "noise"]


def test_a_child_that_a_library_forks_and_ends_does_not_end_the_worker(temporary):
    """OpenVINO does so when it is imported."""
    code = (
        "import multiprocessing, time\n"
        "from geosr.serving import previews\n"
        "def info(self, request):\n"
        "    child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,))\n"
        "    child.start()\n"
        "    time.sleep(0.3)\n"
        "    child.terminate()\n"
        "    child.join(20)\n"
        "    return {'event': 'info', 'id': request.id, 'status': child.exitcode}\n"
        "previews.Previews.info = info\n"
        "from geosr.cli.main import main\n"
        "main()\n"
    )
    with serving(temporary, code=code) as served:
        event = served.ask(b'{"do": "info", "id": 1, "source": "x"}')
        assert event["status"] == -signal.SIGTERM
        assert served.ask(Ping())["event"] == "ping"
        served.send(Quit())
        assert served.end()[:2] == (0, [])


def test_a_reader_that_has_gone_ends_nothing_but_the_talk(large, temporary):
    with serving(temporary) as served:
        served.process.stdout.close()
        served.send(Preview(1, str(large), bounds_of(0, 0, 9, 9)))
        time.sleep(0.2)
        served.process.stdin.close()
        assert served.process.wait(30) in (0, 1)
        assert served.process.stderr.read() == b""
    assert left(temporary) == []


def test_wrong_usage_says_what_to_do(tmp_path):
    result = run("serve")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--stdio" in result.stderr
    assert run("serve", "--stdio", "--max-mpx", "0").exit_code == 2


def test_a_folder_that_cannot_be_made_is_an_event(tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    code = (
        "import tempfile\n"
        f"tempfile.gettempdir = lambda: {str(blocked)!r}\n"
        "from geosr.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", "--stdio"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    event = parse_event(done.stdout.decode())
    assert (done.returncode, event["code"], event["event"]) == (1, "output.unwritable", "error")


def test_the_ready_line_comes_before_rasterio_and_a_runtime_are_loaded(temporary):
    code = (
        "import sys, threading\n"
        "from geosr.core import answers\n"
        "import geosr.serving\n"
        "ready = geosr.serving.ready_event\n"
        "def told(**known):\n"
        "    heavy = {'rasterio', 'numpy', 'openvino', 'keras', 'xarray'} & set(sys.modules)\n"
        "    return {**ready(**known), 'heavy': sorted(heavy)}\n"
        "geosr.serving.ready_event = told\n"
        "from geosr.cli.main import main\n"
        "main()\n"
    )
    with serving(temporary, code=code) as served:
        assert served.ready["heavy"] == []
