"""Runs that are shared among processes: functions, and a program to be killed in mid-run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from geosr.cluster import open_workers, run_on_cluster
from geosr.core.options import UpscaleOptions
from geosr.file_run import Surroundings, run_file
from geosr.io.sinks import open_sink
from geosr.loaded import LoadedModels
from geosr.outputs import output_of
from geosr.planning import plan_run

ROOT = Path(__file__).resolve().parent.parent
PATHS = (str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", ""))
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, PATHS))}


def plan_of(src, options):
    """Return a plan of many small blocks, each one tile of the output."""
    plan = plan_run(str(src), options, processors=1)
    side = 512 // plan.model.upscale_factor
    return replace(plan, blocks=replace(plan.blocks, block_size=side))


def run_alone(src, dst, **options):
    """Upscale a file in this process; return the report."""
    chosen = UpscaleOptions(**options)
    return run_file(plan_of(src, chosen), str(dst), Surroundings(LoadedModels()), chosen)


def run_shared(
    workers, src, dst, *, on_tiles=lambda tiles: None, should_stop=lambda: False, **options
):
    """Upscale a file with workers; return the numbers of tiles found and made."""
    chosen = replace(UpscaleOptions(**options), scheduler=workers.options.scheduler)
    plan = plan_of(src, chosen)
    output = output_of(plan, str(dst), overwrite=chosen.overwrite, resume=chosen.resume)
    with open_sink(output) as sink:
        tallies = run_on_cluster(
            plan,
            output,
            sink,
            replace(workers, options=chosen),
            on_tiles=on_tiles,
            should_stop=should_stop,
        )
    return tuple(tally.tiles for tally in tallies)


@dataclass
class Scheduler:
    """A Dask scheduler and its workers, as processes of their own."""

    address: str
    process: subprocess.Popen
    workers: list[subprocess.Popen] = field(default_factory=list)

    def add_worker(self, *args: str, **environment: str) -> subprocess.Popen:
        """Start a worker; it is there a few seconds later."""
        command = [sys.executable, "-m", "distributed.cli.dask_worker", self.address]
        command += ["--no-dashboard", "--nthreads", "1", "--no-nanny", *args]
        self.workers.append(started(command, stderr=subprocess.DEVNULL, **environment))
        return self.workers[-1]


@contextmanager
def scheduler() -> Iterator[Scheduler]:
    """Start a Dask scheduler on a free port; end it and its workers."""
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    command += ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
    process = started(command, stderr=subprocess.PIPE)
    running = Scheduler("", process)
    try:
        found = None
        while found is None:
            found = re.search(r"Scheduler at:\s+(tcp://\S+)", process.stderr.readline())
        running.address = found[1]
        yield running
    finally:
        for each in (*running.workers, process):
            each.kill()
            each.communicate()


def started(command, *, stderr, start_new_session=False, **environment):
    """Start a process that finds geosr and the tests' modules."""
    return subprocess.Popen(
        command,
        env={**ENVIRONMENT, **environment},
        cwd=tempfile.gettempdir(),  # as on another machine
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=start_new_session,
    )


def client(src, dst, **options):
    """Start this program."""
    command = [sys.executable, __file__, str(src), str(dst), json.dumps(options)]
    return started(command, stderr=subprocess.PIPE)


def main() -> None:
    """Run as ``SRC DST OPTIONS``; print the workers' processes, then the tiles that are done."""
    src, dst, text = sys.argv[1:]
    options = json.loads(text)
    places = {name: options.pop(name, None) for name in ("workers", "scheduler")}
    with open_workers(UpscaleOptions(**places)) as workers:
        say(list(workers.client.run(os.getpid).values()))
        told = run_shared(workers, src, dst, on_tiles=say, **options)
    say(told)


def say(value) -> None:
    """Write a line for the parent."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
