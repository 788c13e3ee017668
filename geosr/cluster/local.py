"""Processes of this machine that share the work: a Dask cluster for the length of a run."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from multiprocessing import resource_tracker
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from geosr.cluster.errors import ClusterError, in_words
from geosr.core.facts import ModelFacts
from geosr.core.options import UpscaleOptions
from geosr.predictors import Machinery, settle

if TYPE_CHECKING:
    from distributed import LocalCluster

T = TypeVar("T")

_HERE = "127.0.0.1"
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # the latter does the same on Windows


def settle_for_processes(facts: ModelFacts, options: UpscaleOptions) -> Machinery:
    """Decide what ``auto`` means for ``workers`` processes, before any of them is started.

    Raises
    ------
    DeviceError, MissingDependencyError
        If what was asked for is not there.
    OptionError
        If two options contradict each other.
    """
    threads = (options.workers or 1) * threads_each(options)
    return settle(facts, replace(options, threads=None), processors=threads)


def threads_each(options: UpscaleOptions) -> int:
    """Return how many threads each of ``workers`` processes of this machine gets."""
    return options.threads or max((os.cpu_count() or 1) // (options.workers or 1), 1)


@contextmanager
def local_cluster(processes: int, threads: int, *, log_level: int) -> Iterator[LocalCluster]:
    """Run a scheduler in this process, and workers in others, started anew and not forked.

    Raises
    ------
    ClusterError
        If they cannot be started.
    """
    import dask
    from distributed import LocalCluster

    settings = {
        # A runtime that has run once does not survive a fork.
        "distributed.worker.multiprocessing-method": "spawn",
        # Dask has memory given back at once; to fetch it again for each tile costs a tenth more.
        "distributed.nanny.pre-spawn-environ": {
            **dask.config.get("distributed.nanny.pre-spawn-environ"),
            "MALLOC_TRIM_THRESHOLD_": None,
        },
    }
    with (
        TemporaryDirectory(prefix="geosr-workers-", ignore_cleanup_errors=True) as folder,
        dask.config.set(settings),
        _environment_kept(),
        _event_loop() as loop,
    ):
        start = partial(
            LocalCluster,
            loop=loop,
            n_workers=processes,
            threads_per_worker=threads,
            processes=True,
            host=_HERE,
            dashboard_address=f"{_HERE}:0",  # any port: another run may have the usual one
            memory_limit=0,  # Dask would pause workers at 80 %, for ever
            local_directory=folder,
            silence_logs=log_level,
            env={"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": "1"},
        )
        try:
            cluster = _uninterrupted(start, undo=_end)
        except (RuntimeError, OSError) as error:
            raise ClusterError(
                f"{processes} worker processes could not be started: {in_words(error)}.",
                hint='A script that asks for workers must do so under `if __name__ == "__main__":`,'
                " since each worker imports it.",
            ) from error
        try:
            yield cluster
        finally:
            _end(cluster)


def _uninterrupted(start: Callable[[], T], *, undo: Callable[[T], None]) -> T:
    """Call ``start`` to its end even if Ctrl-C is pressed meanwhile; then ``undo`` it at once."""
    with ThreadPoolExecutor(1, "geosr-start") as pool:
        starting = pool.submit(start)
        try:
            return starting.result()
        except KeyboardInterrupt:
            undo(starting.result())
            raise


def _end(cluster: LocalCluster) -> None:
    """End the processes at once: nobody waits for their blocks any more."""
    try:
        cluster.sync(_kill_workers, cluster)
    finally:
        cluster.close()


async def _kill_workers(cluster: LocalCluster) -> None:
    for nanny in cluster.workers.values():
        nanny.close_gracefully()  # so that it does not start another one
        if nanny.pid:
            with suppress(ProcessLookupError):
                os.kill(nanny.pid, _KILL)


@contextmanager
def _event_loop() -> Iterator[Any]:
    """Run an event loop whose children do not hear Ctrl-C: it is for this process alone.

    A terminal sends it to all, and Dask would start the workers anew. Threads and processes
    inherit which signals are blocked.
    """
    from distributed.utils import LoopRunner

    runner = LoopRunner()

    def start() -> None:
        if sys.platform != "win32":
            resource_tracker.ensure_running()  # or its first call would unblock the signal again
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        runner.start()

    thread = threading.Thread(target=start, name="geosr-workers")
    thread.start()
    thread.join()
    try:
        yield runner.loop
    finally:
        runner.stop()


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Put the environment back: Dask sets OMP_NUM_THREADS and others here, for its children."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
