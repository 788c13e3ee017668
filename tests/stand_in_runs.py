"""A program: ``geosr upscale`` with runs that differ in how they behave when they are stopped.

INPUT names the run. With the environment's ``FAST`` the last steps of a stop come soon.
"""

import contextlib
import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import types

from geosr.cli import main, upscale
from geosr.core.errors import CancelledError
from geosr.core.events import phase_event
from geosr.io.claim import Claim, part_of, sweep


@contextlib.contextmanager
def output(path, resume):
    """Yield a claim on an output, and leave of it what a sink would leave."""
    part = part_of(path)
    with Claim(path) as claim:
        claim.restart({"run": "stand-in"})
        part.touch()
        try:
            yield claim
            os.replace(part, path)
            claim.remove()
        except BaseException:
            if not (resume and len(claim.records) > 1):
                sweep(path)
                claim.remove()
            raise


def chatty(on_event, should_stop, claim):
    while True:
        on_event(phase_event("more"))


def polls(on_event, should_stop, claim):
    while not should_stop():
        time.sleep(0.01)
    raise CancelledError("seen")


def waits(on_event, should_stop, claim):  # as for a worker that does not answer
    queue.Queue().get()


def computes(on_event, should_stop, claim):
    while True:
        sum(range(1000))


def swallows(on_event, should_stop, claim):  # a stop shows as another error
    try:
        threading.Event().wait()
    except KeyboardInterrupt as error:
        raise SystemError("a callback failed") from error


def stubborn(on_event, should_stop, claim):
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(60)


def stores(on_event, should_stop, claim):  # and does not see that it is to stop
    claim.add({"block": 0})
    queue.Queue().get()


def tells(on_event, should_stop, claim):  # what it has stored
    claim.add({"block": 0})
    try:
        polls(on_event, should_stop, claim)
    except CancelledError as error:
        raise CancelledError("Stopped; 1 of 2 blocks are kept.", hint="They count.") from error


def noisy(on_event, should_stop, claim):
    sys.stdout.write("from Python\n")
    os.write(1, b"from a C library\n")
    subprocess.run(["echo", "from a child"], check=True)


def forks(on_event, should_stop, claim):  # as a library does, and ends its child
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    time.sleep(0.5)
    os.kill(child.pid, signal.SIGTERM)
    child.join()
    time.sleep(0.5)
    on_event(phase_event(f"the child ended with {child.exitcode}, asked to stop: {should_stop()}"))


RUNS = (chatty, polls, waits, computes, swallows, stubborn, stores, tells, noisy, forks)


def upscale_file(src_path, dst_path, *, on_event, should_stop, resume, **options):
    run = {run.__name__: run for run in RUNS}[src_path]
    with output(dst_path, resume) as claim:
        on_event(phase_event("running"))
        run(on_event, should_stop, claim)
    grid = types.SimpleNamespace(shape=(1, 2))
    return types.SimpleNamespace(output=dst_path, grid=grid, stats={}, uncertainty=None)


if __name__ == "__main__":
    api = types.ModuleType("geosr.api")
    api.upscale_file = upscale_file
    sys.modules["geosr.api"] = api
    upscale.report_lines = lambda report: (report.output,)
    if os.environ.get("FAST"):
        steps = upscale.StopSteps
        upscale.StopSteps = lambda **kept: steps(0.1, 1.0, **kept)
    main.main()
