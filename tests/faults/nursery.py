"""A warm process that forks runs of ``geosr`` and workers, each with the faults that are asked for.

A fork costs milliseconds where a new process costs a second. Each line on standard input is a
request in JSON and each on standard output its answer; `fault_runs.Nursery` is the other end.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import sys
from contextlib import suppress

import rasterio

NEEDED = ("geosr.cli.main", "geosr.cli.upscale", "geosr.api", "geosr.io.cog.sink")
NEEDED += ("geosr.io.zarr.sink",)


def serve():
    """Answer requests until they end."""
    warm_up()
    for line in sys.stdin:
        request = json.loads(line)
        answer = WAYS[request.pop("do")](**request)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def warm_up():
    """Import what runs need; no thread may be there afterwards, for a fork would lose it."""
    for name in NEEDED:
        importlib.import_module(name)
    for name in ("distributed.cli.dask_worker", "zarr"):
        with suppress(ImportError):
            importlib.import_module(name)
    with rasterio.Env():
        pass
    gc.freeze()  # no collection in a child copies what is the same in all
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        raise SystemExit(f"{threads} threads are there: it is too late to fork.")


def start(program, args, faults, folder):
    """Fork a run of a program with ``args``; its output goes to files in ``folder``."""
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        status = _run(program, args, faults, folder)
    finally:
        os._exit(status)


def _run(program, args, faults, folder):
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: none outlives the tests
    os.chdir(folder)
    ends = os.pipe()
    os.dup2(ends[0], 0)
    os.environ["NURSERY_STDIN"] = str(ends[1])
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    # Those of the parent speak with the tests.
    sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
    from injected import inject

    module, command = PROGRAMS[program]
    inject(faults)
    try:
        getattr(importlib.import_module(module), command).main(args=args, prog_name=program)
    except SystemExit as end:
        return end.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 71


def wait(pid):
    """Return how a run ended: its exit status, or minus a signal; or ``paused``."""
    _, state = os.waitpid(pid, os.WUNTRACED)
    return "paused" if os.WIFSTOPPED(state) else os.waitstatus_to_exitcode(state)


def send(pid, name):
    """Send a signal to a run."""
    os.kill(pid, getattr(signal, name))


PROGRAMS = {
    "geosr": ("geosr.cli.main", "geosr"),
    "dask worker": ("distributed.cli.dask_worker", "main"),
}
WAYS = {"start": start, "wait": wait, "send": send}

if __name__ == "__main__":
    serve()
