"""The runner against a worker that does what the real one does too slowly or never."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import fake_geosr
import pytest
from geosr_super_resolution import child as child_module
from geosr_super_resolution.runner import WorkerCancelled, WorkerError, run_json, run_worker

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")

PLUGIN = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    return fake_geosr.interpreter(tmp_path_factory.mktemp("fake with spaces"))


def run(python, *arguments, is_cancelled=lambda: False, **keywords):
    """Return the result, the events and the log of a run."""
    events, log = [], []
    result = run_worker(
        python,
        arguments,
        on_event=events.append,
        is_cancelled=is_cancelled,
        on_log=log.append,
        **keywords,
    )
    return result, events, log


def failure(python, *arguments, **keywords):
    with pytest.raises(WorkerError) as caught:
        run(python, *arguments, **keywords)
    return caught.value


def is_alive(pid):
    """Return whether a process runs; one that waits for its parent to notice its end does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(holds, timeout_s=15.0):
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


def test_events_come_in_order_and_in_this_thread(python):
    threads = set()

    def seen(event):
        threads.add(threading.current_thread())

    result = run_worker(python, ["good", "ä b"], on_event=seen, is_cancelled=lambda: False)
    assert result["output"] == "out.tif"
    assert threads == {threading.current_thread()}
    _, events, log = run(python, "good", "ä b")
    kinds = [event["event"] for event in events]
    assert kinds == ["start", "progress", "somethingnew", "progress", "result"]
    assert events[2]["words"] == ["ä b"]
    assert log == []


def test_noise_goes_to_the_log(python):
    result, events, log = run(python, "noisy")
    assert result["width"] == 2
    assert len(events) == 5
    assert "Ünïcode on stderr" in log
    assert "{not json}" in log
    assert "[1, 2]" in log
    assert len(log) == 4


def test_twenty_thousand_lines_on_both_streams(python):
    _, events, log = run(python, "talkative", "20000")
    assert [event["done"] for event in events[:-1]] == list(range(20000))
    assert len(log) == 20000


def test_a_refusal_is_told_with_its_hint(python):
    error = failure(python, "refused")
    assert (error.message, error.hint, error.code) == (
        "There is no band 9.",
        "Use 1 to 4.",
        "input.bands",
    )
    assert str(error) == "There is no band 9.\nUse 1 to 4."


def test_a_crash_keeps_the_last_lines(python):
    error = failure(python, "many_lines_then_crash")
    assert error.code == "worker.crashed"
    assert "status 7" in error.message
    assert error.log == tuple(f"line {number}" for number in range(70, 120))


def test_a_traceback_ends_in_one_sentence(python):
    error = failure(python, "traceback")
    assert error.message == "geosr crashed (status 1): RuntimeError: something broke"
    assert "\n" not in error.message
    assert any("Traceback" in line for line in error.log)


@pytest.mark.parametrize("arguments", [("die", "9"), ("status", "137")])
def test_killed_means_out_of_memory(python, arguments):
    error = failure(python, *arguments)
    assert error.code == "worker.killed"
    assert "killed: usually it was out of memory" in error.message
    assert "Lower the tile size" in error.hint


def test_a_signal_has_a_name(python):
    error = failure(python, "die", str(int(signal.SIGSEGV)))
    assert error.message.startswith("geosr crashed (SIGSEGV)")


def test_an_end_without_a_result_is_a_failure(python):
    assert failure(python, "silent").code == "worker.silent"


def test_geosr_is_missing(python):
    error = failure(python, "no_module")
    assert error.code == "worker.missing"
    assert error.message == "geosr is not installed in this environment."


@pytest.mark.parametrize(("protocol", "advice"), [("0", "environment"), ("2", "plugin")])
def test_another_protocol_is_refused_at_once(python, protocol, advice):
    begun = time.monotonic()
    error = failure(python, "speaks", protocol)
    assert error.code == "worker.protocol"
    assert error.hint.startswith(f"Update the {advice}")
    assert time.monotonic() - begun < 5


def test_no_interpreter(tmp_path):
    error = failure(str(tmp_path / "nowhere" / "python"), "good")
    assert error.code == "worker.start"
    assert "No such file" in error.message
    assert failure("bad\0name", "good").code == "worker.start"


def test_cancelling_lets_the_worker_clean_up(python, tmp_path):
    begun = tmp_path / "begun.part"
    with pytest.raises(WorkerCancelled):
        run(python, "polite", str(begun), is_cancelled=begun.exists)
    assert not begun.exists()


def test_a_worker_that_ignores_its_input_is_terminated(python, monkeypatch):
    monkeypatch.setattr(child_module.Child.__init__, "__kwdefaults__", QUICK)
    seen = []
    with pytest.raises(WorkerCancelled):
        run_worker(python, ["needs_term"], on_event=seen.append, is_cancelled=lambda: bool(seen))


QUICK = {"polite_s": 0.2, "firm_s": 0.4, "kill_s": 0.6}


def test_a_stubborn_worker_is_killed_with_its_children(python, tmp_path, monkeypatch):
    monkeypatch.setattr(child_module.Child.__init__, "__kwdefaults__", QUICK)
    pids, seen = tmp_path / "pids", []
    begun = time.monotonic()
    with pytest.raises(WorkerCancelled):
        run_worker(
            python, ["stubborn", str(pids)], on_event=seen.append, is_cancelled=lambda: bool(seen)
        )
    assert time.monotonic() - begun < 20
    for pid in map(int, pids.read_text().split()):
        assert wait_until(lambda pid=pid: not is_alive(pid)), pid


def test_what_a_worker_leaves_running_is_ended(python, tmp_path, monkeypatch):
    monkeypatch.setattr(child_module, "LINGER_S", 0.2)
    pids = tmp_path / "pid"
    result, _, _ = run(python, "leaves_a_child", str(pids))
    assert result["event"] == "result"
    assert wait_until(lambda: not is_alive(int(pids.read_text())))


def test_a_result_that_is_there_counts_although_it_was_cancelled(python):
    seen = []
    result = run_worker(
        python, ["done_when_cancelled"], on_event=seen.append, is_cancelled=lambda: bool(seen)
    )
    assert result["output"] == "out.tif"


def test_an_error_of_the_caller_ends_the_worker(python, tmp_path):
    begun = tmp_path / "begun.part"

    def broken(event):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run_worker(python, ["polite", str(begun)], on_event=broken, is_cancelled=lambda: False)
    assert not begun.exists()


def test_the_child_gets_a_clean_environment(python):
    environ = {
        **os.environ,
        "PYTHONHOME": "/nowhere",
        "PYTHONPATH": "/nowhere",
        "PYTHONEXECUTABLE": "/nowhere",
        "PROJ_LIB": "/nowhere",
        "MINE": "ä",
    }
    result, _, _ = run(python, "environment", environ=environ)
    seen = result["environ"]
    assert seen["MINE"] == "ä"
    assert not {"PYTHONHOME", "PYTHONPATH", "PYTHONEXECUTABLE", "PROJ_LIB"} & set(seen)
    assert result["argv"][-3:] == ["--progress", "json", "--exit-with-stdin"]


def test_json_answers(python):
    assert run_json(python, ["info", "--json"])["geosr"] == "0.1.0"
    with pytest.raises(WorkerError) as caught:
        run_json(python, ["silent"])
    assert caught.value.code == "worker.silent"
    with pytest.raises(WorkerError) as caught:
        run_json(python, ["refused"])
    assert caught.value.code == "input.bands"
    with pytest.raises(WorkerError) as caught:
        run_json(python, ["speaks", "1"], timeout_s=0.3)
    assert caught.value.code == "worker.slow"
    with pytest.raises(WorkerCancelled):
        run_json(python, ["speaks", "1"], is_cancelled=lambda: True)


PARENT = """
import sys
sys.path.insert(0, sys.argv[1])
from geosr_super_resolution.runner import run_worker
run_worker(sys.argv[2], sys.argv[3:], on_event=print, is_cancelled=lambda: False)
"""


def test_a_killed_parent_leaves_no_worker(python, tmp_path):
    """As when QGIS is killed: the system closes the pipe, and the worker cleans up."""
    begun = tmp_path / "begun.part"
    command = [sys.executable, "-c", PARENT, str(PLUGIN), python, "polite", str(begun)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as parent:
        assert wait_until(begun.exists)
        parent.kill()
    assert wait_until(lambda: not begun.exists())
