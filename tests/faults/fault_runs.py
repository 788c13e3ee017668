"""Runs of ``geosr`` that faults happen to: `nursery` from the tests' side."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import geosr
from geosr.core.events import parse_event

ROOT = Path(geosr.__file__).parent.parent
HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes
    ----------
    status
        Exit status, minus the signal that killed it, or ``paused``.
    events
        Of its standard output.
    shown
        Its standard error.
    """

    status: int | str
    events: list = field(repr=False)
    shown: str

    @property
    def error(self):
        """The event that tells why it failed."""
        last = self.events[-1] if self.events else {}
        assert last.get("event") == "error", (self.status, self.events, self.shown)
        return last

    @property
    def news(self):
        """What it said of an earlier run, in one string."""
        said = [event["message"] for event in self.events if event["event"] == "log"]
        return " ".join(one for one in said if not one.startswith(("Workers", "Dask")))


class Nursery:
    """The other end of `nursery`; a context manager."""

    def __init__(self, folder):
        self._folder = folder
        self._runs = 0

    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "nursery.py")],
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *exc_info):
        self._process.communicate()

    def start(self, *args, **faults):
        """Start ``geosr ARGS``, with faults of `injected`."""
        return self._start("geosr", (*args, "--progress", "json"), faults)

    def start_worker(self, address, **faults):
        """Start a Dask worker, with faults of `injected`."""
        options = ("--no-nanny", "--no-dashboard", "--nthreads", "1", "--memory-limit", "0")
        options += ("--local-directory", self._folder / "workers")
        return self._start("dask worker", (address, *options), faults)

    def _start(self, program, args, faults):
        folder = self._folder / f"run-{self._runs}"
        self._runs += 1
        folder.mkdir()
        args = list(map(str, args))
        pid = self.ask("start", program=program, args=args, faults=faults, folder=str(folder))
        return Run(self, pid, folder)

    def ask(self, do, **request):
        """Return the answer to a request."""
        self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@dataclass(frozen=True)
class Run:
    """A run that was started."""

    nursery: Nursery
    pid: int
    folder: Path

    def send(self, name):
        """Send it a signal."""
        self.nursery.ask("send", pid=self.pid, name=name)

    def kill(self):
        """End it."""
        self.send("SIGKILL")
        self.wait()

    def wait(self):
        """Wait until it has ended, or pauses."""
        status = self.nursery.ask("wait", pid=self.pid)
        lines = (self.folder / "stdout").read_text(encoding="utf-8").splitlines()
        shown = (self.folder / "stderr").read_text(encoding="utf-8")
        if status != "paused":
            shutil.rmtree(self.folder)
        return Ended(status, [event for event in map(parse_event, lines) if event], shown)
