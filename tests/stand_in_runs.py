"""A program: ``geosr upscale`` with runs that differ in how they behave when they are stopped.

INPUT names the run. With the environment's ``FAST`` the last steps of a stop come soon.
"""

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
import types

from geosr.cli import main, upscale
from geosr.core.errors import CancelledError
from geosr.core.events import phase_event


@contextlib.contextmanager
def output(path):
    part = f"{path}.part-{os.getpid()}"  # as geosr.io.output does
    with open(part, "wb"):
        pass
    try:
        yield
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)


def chatty(on_event, should_stop):
    while True:
        on_event(phase_event("more"))


def polls(on_event, should_stop):
    while not should_stop():
        time.sleep(0.01)
    raise CancelledError("seen")


def waits(on_event, should_stop):  # as for a worker that does not answer
    queue.Queue().get()


def computes(on_event, should_stop):
    while True:
        sum(range(1000))


def swallows(on_event, should_stop):  # a stop shows as another error
    try:
        threading.Event().wait()
    except KeyboardInterrupt as error:
        raise SystemError("a callback failed") from error


def stubborn(on_event, should_stop):
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(60)


def noisy(on_event, should_stop):
    sys.stdout.write("from Python\n")
    os.write(1, b"from a C library\n")
    subprocess.run(["echo", "from a child"], check=True)


RUNS = (chatty, polls, waits, computes, swallows, stubborn, noisy)


def upscale_file(src_path, dst_path, *, on_event, should_stop, **options):
    run = {run.__name__: run for run in RUNS}[src_path]
    with output(dst_path):
        on_event(phase_event("running"))
        run(on_event, should_stop)
    grid = types.SimpleNamespace(shape=(1, 2))
    return types.SimpleNamespace(output=dst_path, grid=grid, stats={})


if __name__ == "__main__":
    api = types.ModuleType("geosr.api")
    api.upscale_file = upscale_file
    sys.modules["geosr.api"] = api
    upscale.report_lines = lambda report: (report.output,)
    if os.environ.get("FAST"):
        steps = upscale.StopSteps
        upscale.StopSteps = lambda **kept: steps(0.1, 1.0, **kept)
    main.main()
