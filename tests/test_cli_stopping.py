"""Stopping from outside, in real processes: signals, the end of standard input, the last resort.

The runs are stand-ins that differ in how they behave when they are asked to stop.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cli_scenes import ROOT

from geosr.cli import stopping
from geosr.core.events import parse_event

PROGRAM = str(Path(__file__).with_name("stand_in_runs.py"))
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
KEPT = ["out.tif", "out.tif.part", "out.tif.part.journal"]


@pytest.fixture
def start(tmp_path):
    """Start ``geosr upscale KIND out.tif`` in its own process; kill it at the end."""
    running = []
    (tmp_path / "out.tif").write_bytes(b"the old one")

    def start(kind, *args, fast=False, wait=True, **kwargs):
        process = subprocess.Popen(
            [sys.executable, PROGRAM, "upscale", kind, str(tmp_path / "out.tif"), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**ENVIRONMENT, "FAST": "1" if fast else ""},
            text=True,
            **kwargs,
        )
        running.append(process)
        process.lines = []
        if wait:
            process.lines.append(process.stdout.readline())
            assert parse_event(process.lines[0]) == {"event": "phase", "message": "running"}
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
        process.wait()


def end_of(process, *, within_s):
    """Return the events and standard error of a process that must end by itself."""
    begun = time.monotonic()
    assert process.wait(within_s + 10) == 1
    assert time.monotonic() - begun < within_s
    return [parse_event(line) for line in process.stdout], process.stderr.read()


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("polls", "SIGINT"),
        ("polls", "SIGHUP"),
        ("waits", "SIGINT"),
        ("waits", "SIGTERM"),
        ("computes", "SIGTERM"),
        ("swallows", "SIGTERM"),
    ],
)
def test_a_signal_stops_the_run_in_a_second_and_a_bit(start, tmp_path, kind, how):
    process = start(kind, "--progress", "json")
    process.send_signal(getattr(signal, how))
    # A second for the run to see it, and half a one for the process to end on a busy machine.
    events, shown = end_of(process, within_s=2.5)
    name = "Ctrl-C" if how == "SIGINT" else how
    assert events == [
        {
            "event": "error",
            "code": "cancelled",
            "message": f"Stopped by {name}; nothing was written.",
            "hint": "",
        }
    ]
    assert shown == ""
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "out.tif": b"the old one"
    }


def test_a_run_that_polls_stops_at_once(start):
    process = start("polls", "--progress", "json")
    process.send_signal(signal.SIGTERM)
    end_of(process, within_s=0.9)  # before it would be interrupted


@pytest.mark.parametrize("kind", ["polls", "waits"])
def test_the_end_of_standard_input_stops_the_run(start, tmp_path, kind):
    process = start(kind, "--progress", "json", "--exit-with-stdin")
    process.stdin.write("anything\n")
    process.stdin.flush()
    time.sleep(0.2)
    assert process.poll() is None  # what comes in is read, and means nothing
    process.stdin.close()
    events, _ = end_of(process, within_s=2.5)
    assert events[-1]["code"] == "cancelled"
    assert events[-1]["message"] == "Stopped by the end of standard input; nothing was written."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.tif"]


def test_without_the_option_standard_input_may_end(start):
    process = start("polls", "--progress", "json")
    process.stdin.close()
    time.sleep(0.3)
    assert process.poll() is None


def test_a_signal_to_a_child_that_a_library_forked_stops_the_child_alone(start):
    process = start("forks", "--progress", "json")
    assert process.wait(20) == 0
    told = [parse_event(line) for line in process.stdout]
    assert told[0]["message"] == "the child ended with -15, asked to stop: False"


def test_a_killed_parent_ends_the_run(tmp_path):
    """Its pipes break: nobody is there to write to, and the old output stays."""
    (tmp_path / "out.tif").write_bytes(b"the old one")
    child = [sys.executable, PROGRAM, "upscale", "waits", str(tmp_path / "out.tif")]
    child += ["--progress", "json", "--exit-with-stdin"]
    program = (
        "import subprocess, sys\n"
        f"pipes = dict.fromkeys(('stdin', 'stdout', 'stderr'), subprocess.PIPE)\n"
        f"child = subprocess.Popen({child!r}, **pipes)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "child.wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as parent:
        pid = int(parent.stdout.readline())
        assert (tmp_path / "out.tif.part").exists()
        parent.kill()
    deadline = time.monotonic() + 5
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(pid)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "out.tif": b"the old one"
    }


def is_running(pid):
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.parametrize("kind", ["stores", "tells"])
def test_a_stopped_run_says_that_it_goes_on(start, tmp_path, kind):
    process = start(kind, "--progress", "json")
    process.send_signal(signal.SIGTERM)
    events, _ = end_of(process, within_s=2.5)
    said = {
        "stores": ("Stopped by SIGTERM; the same command goes on from there.", ""),
        "tells": ("Stopped by SIGTERM; 1 of 2 blocks are kept.", "They count."),
    }
    assert (events[-1]["message"], events[-1]["hint"]) == said[kind]
    assert sorted(path.name for path in tmp_path.iterdir()) == KEPT


def test_without_resuming_nothing_is_kept(start, tmp_path):
    process = start("stores", "--progress", "json", "--no-resume")
    process.send_signal(signal.SIGTERM)
    events, _ = end_of(process, within_s=2.5)
    assert events[-1]["message"] == "Stopped by SIGTERM; nothing was written."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.tif"]


@pytest.mark.parametrize(("option", "left"), [("--no-resume", ["out.tif"]), ("--resume", KEPT)])
def test_a_second_signal_ends_the_process(start, tmp_path, option, left):
    process = start("stubborn", "--progress", "json", option)
    process.send_signal(signal.SIGINT)
    time.sleep(2 * stopping.ECHO_S + 1)  # the interruption came in between, in vain
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    end_of(process, within_s=0.5)
    assert sorted(path.name for path in tmp_path.iterdir()) == left


def test_the_same_signal_twice_at_once_counts_once(start, tmp_path):
    """A terminal and a wrapper such as `uv run` both send it."""
    process = start("waits", "--progress", "json")
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    events, _ = end_of(process, within_s=2.5)
    assert events[-1]["code"] == "cancelled"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.tif"]


@pytest.mark.parametrize("option", ["--no-resume", "--format=gtiff"])
def test_a_run_that_does_not_end_is_ended(start, tmp_path, option):
    (tmp_path / "other.tif.part").touch()  # of another output
    process = start("stubborn", "--progress", "json", option, fast=True)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert process.poll() is None
    end_of(process, within_s=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.tif.part", "out.tif"]


def test_signals_that_are_ignored_stay_ignored(start):
    """As SIGHUP is under nohup."""
    process = start(
        "polls",
        "--progress",
        "json",
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    events, _ = end_of(process, within_s=2)
    assert "SIGTERM" in events[-1]["message"]


def test_people_read_a_sentence(start):
    process = start("waits", wait=False)
    time.sleep(1)  # it says nothing while it runs, as nobody sits at a terminal
    process.send_signal(signal.SIGINT)
    events, shown = end_of(process, within_s=2.5)
    assert events == []
    assert shown == "Error: Stopped by Ctrl-C; nothing was written.\n"


def test_noise_does_not_reach_the_events(start):
    process = start("noisy", "--progress", "json")
    assert process.wait(10) == 0
    assert [parse_event(line)["event"] for line in process.stdout] == ["result"]
    shown = process.stderr.read()
    for source in ("Python", "a C library", "a child"):
        assert f"from {source}\n" in shown


def test_a_reader_that_closes_the_events_stops_the_run(tmp_path):
    command = [sys.executable, PROGRAM, "upscale", "chatty", str(tmp_path / "out.tif")]
    with subprocess.Popen(
        [*command, "--progress", "json"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(10) == 1
        assert process.stderr.read() == b""
    assert list(tmp_path.iterdir()) == []


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in stopping.STOP_SIGNALS]
    threads = threading.active_count()
    stop = stopping.StopRequest()
    with stopping.stop_requests(stop):
        assert [signal.getsignal(number) for number in stopping.STOP_SIGNALS] != before
    assert [signal.getsignal(number) for number in stopping.STOP_SIGNALS] == before
    assert signal.set_wakeup_fd(-1) == -1
    assert threading.active_count() == threads
    assert not stop()


def test_in_another_thread_signals_keep_their_meaning():
    """Python allows no handlers there; `rio` may run a command anywhere."""
    failed = []

    def body():
        try:
            with stopping.stop_requests(stopping.StopRequest()):
                pass
        except ValueError as error:
            failed.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert failed == []


def test_its_own_signal_is_no_second_one_however_late_it_is_heard(monkeypatch):
    """Work that holds Python's lock for long keeps the watching thread from hearing it."""
    monkeypatch.setattr(stopping, "ECHO_S", 0.0)
    done = []
    steps = stopping.StopSteps(0.0, 60.0, lambda: done.append("cleaned"), done.append)
    stop = stopping.StopRequest()
    with stopping.stop_requests(stop, steps=steps):
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        time.sleep(0.3)
        assert done == []
        os.kill(os.getpid(), signal.SIGTERM)  # a second one, though, ends it
        deadline = time.monotonic() + 5
        while len(done) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert done == ["cleaned", 1]


def test_files_are_put_in_order_before_the_last_resort():
    done = []
    steps = stopping.StopSteps(0.0, 0.2, lambda: done.append("cleaned"), done.append)
    stop = stopping.StopRequest()
    with pytest.raises(KeyboardInterrupt), stopping.stop_requests(stop, steps=steps):  # noqa: PT012
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)  # the interruption comes here
    assert stop.reason == "SIGTERM"
    deadline = time.monotonic() + 5
    while len(done) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert done == ["cleaned", 1]
