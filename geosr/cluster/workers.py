"""Who shares the work: processes of this machine, or the workers of a Dask scheduler."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from geosr.cluster import fitness, worker
from geosr.cluster.errors import ClusterError, in_words
from geosr.cluster.job import Job
from geosr.cluster.local import local_cluster, settle_for_processes, threads_each
from geosr.core.errors import CancelledError, GeosrError, MissingDependencyError, OptionError
from geosr.core.facts import ModelFacts
from geosr.core.options import UpscaleOptions
from geosr.io.opening import reason
from geosr.predictors import Machinery

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 15.0
"""How long a scheduler may take to answer."""

WAIT_S = 60.0
"""How long a scheduler may be without workers, at the beginning and later."""

_POLL_S = 0.2
_ADDRESS = "Give the address that `dask scheduler` prints, such as tcp://10.0.0.1:8786."


@dataclass(frozen=True)
class Workers:
    """The processes that share the work, and the client that talks to them.

    Attributes
    ----------
    client
        Of the Dask scheduler.
    options
        Those of the run or runs.
    versions
        Of the software that decides the bytes.
    wait_s
        How long there may be no worker at all, in seconds.
    """

    client: Client
    options: UpscaleOptions
    versions: Mapping[str, str]
    wait_s: float = WAIT_S

    @property
    def threads(self) -> int:
        """How many blocks all of them work on at once, now."""
        return sum(self.client.nthreads().values())

    @property
    def is_remote(self) -> bool:
        """Whether they are somebody else's, and not processes of this run."""
        return self.options.scheduler is not None

    @property
    def where(self) -> str:
        """The place to name in sentences."""
        return self.options.scheduler or "this machine"

    def common_versions(self) -> Mapping[str, str]:
        """Return the versions of the software that decides the bytes, the same everywhere.

        Raises
        ------
        ClusterError
            If they are not.
        """
        here = fitness.versions()
        for address, found in self._ask(fitness.versions).items():
            if isinstance(found, BaseException):  # an older geosr, or none, has no such function
                raise ClusterError(
                    f"The worker {address} has no geosr {here['geosr']}: {in_words(found)}.",
                    hint="Install the same version of geosr in the workers' environment.",
                ) from found
            fitness.check_same(found, here, f"The worker {address}")
        return here

    def settle(self, facts: ModelFacts, options: UpscaleOptions) -> Machinery:
        """Decide what ``auto`` means on the workers; `geosr.predictors.settle` is for one process.

        Its ``threads`` are those of all workers.

        Raises
        ------
        DeviceError, MissingDependencyError
            If what was asked for is not there.
        OptionError
            If two options contradict each other, or the workers differ.
        """
        if not self.is_remote:
            return settle_for_processes(facts, options)
        asked = replace(options, model=_as_path(options.model), threads=None)
        answers = self._ask(fitness.settle_here, facts, asked)
        kinds: dict[Machinery, str] = {}
        for address, answer in answers.items():
            if isinstance(answer, BaseException):
                raise self._error(address, answer)
            kinds.setdefault(answer, address)
        if len(kinds) > 1:
            differ = "; ".join(
                f"{kind.runtime} on {kind.device} in {kind.precision} at {address}"
                for kind, address in kinds.items()
            )
            raise OptionError(
                f"The workers are not alike: {differ}.",
                hint="Name --runtime, --device and --precision, so that all blocks are made alike.",
            )
        return replace(next(iter(kinds)), threads=self.threads)

    def check_ready(self, job: Job) -> None:
        """Refuse what would go wrong with each block: no source, no shared folder.

        Raises
        ------
        GeosrError
            As the first worker that finds something says it.
        """
        for address, answer in self._ask(fitness.check_ready, job).items():
            if isinstance(answer, BaseException):
                raise self._error(address, answer)

    def _ask(self, function: Callable[..., Any], *args: Any) -> Mapping[str, Any]:
        """Call a function on each worker; return what it gave or raised, by address.

        A worker that is lost meanwhile is left out, if there are others.
        """
        from distributed.comm.core import CommClosedError

        try:
            answers = dict(self.client.run(function, *args, on_error="return"))
        except OSError as error:
            raise self.gone() from error
        if not answers:
            raise self.without_workers()
        lost = {name for name, answer in answers.items() if isinstance(answer, CommClosedError)}
        return {name: answers[name] for name in answers if name not in lost} or answers

    def _error(self, address: str, error: BaseException) -> GeosrError:
        if isinstance(error, GeosrError):
            return error
        return ClusterError(
            f"The worker {address} failed: {in_words(error)}.", hint="Its own log says more."
        )

    def gone(self) -> ClusterError:
        """Return the error that says that the scheduler does not answer any more."""
        return ClusterError(
            f"The Dask scheduler at {self.where} does not answer any more.",
            hint="Look whether it still runs; workers without a scheduler do nothing.",
        )

    def without_workers(self) -> ClusterError:
        """Return the error that says that nobody works."""
        return ClusterError(
            f"The Dask scheduler at {self.where} has had no workers for {self.wait_s:g} s.",
            hint=f"Start some, as with `dask worker {self.where}`, or look at the queue of jobs.",
        )


@contextmanager
def open_workers(
    options: UpscaleOptions,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    on_log: Callable[[str], None] = lambda message: None,
    wait_s: float = WAIT_S,
) -> Iterator[Workers]:
    """Yield the workers that ``options`` ask for, once one is there and all are fit for work.

    Processes of this machine are started, and ended when the context is left.

    Raises
    ------
    ClusterError
        If nobody answers, no worker comes, or they have other versions.
    MissingDependencyError
        If `dask.distributed` is not installed.
    OptionError
        If the options do not fit together.
    """
    _check_options(options)
    if find_spec("distributed") is None:
        raise MissingDependencyError(
            "--workers and --scheduler need dask.distributed, which is not installed.",
            hint='pip install "geosr[distributed]"',
        )
    from distributed.utils import silence_logging_cmgr

    level = _log_level()
    with ExitStack() as stack:
        stack.enter_context(silence_logging_cmgr(level))
        place: Any = options.scheduler
        if options.workers is not None:
            cluster = local_cluster(options.workers, threads_each(options), log_level=level)
            place = stack.enter_context(cluster)
        client = _connected(place, options.scheduler)
        stack.enter_context(client)
        workers = Workers(client, options, {}, wait_s)
        _wait(workers, should_stop, on_log)
        workers = replace(workers, versions=workers.common_versions())
        _tell(workers, on_log)
        yield workers
        if workers.is_remote and client.status == "running":
            client.run(worker.forget, on_error="ignore")


def _check_options(options: UpscaleOptions) -> None:
    if options.scheduler is not None and options.threads is not None:
        raise OptionError(
            "--threads does not apply with --scheduler: its workers have threads of their own.",
            hint="Leave it out; `dask worker --nthreads N` sets them.",
        )
    if options.format == "gtiff":
        raise OptionError(
            "--format gtiff is written by one process.",
            hint="Use --format cog, or leave --workers and --scheduler out.",
        )


def _connected(place: Any, address: str | None) -> Client:
    """Return a client of a cluster, or of the scheduler at an address."""
    from distributed import Client
    from distributed.comm.addressing import get_address_host_port

    try:
        if address is not None:
            get_address_host_port(address)  # a client that fails at it cannot be closed again
        return Client(place, timeout=CONNECT_S, set_as_default=False)
    except ValueError as error:
        raise OptionError(
            f"{address!r} is no address of a Dask scheduler: {reason(error)}.", hint=_ADDRESS
        ) from error
    except OSError as error:
        raise ClusterError(
            f"No Dask scheduler answers at {address}: {reason(error)}.", hint=_ADDRESS
        ) from error


def _wait(workers: Workers, should_stop: Callable[[], bool], on_log: Callable[[str], None]) -> None:
    begun = time.monotonic()
    told = False
    while not workers.client.nthreads():
        if should_stop():
            raise CancelledError("Stopped; the output was not written.")
        waited = time.monotonic() - begun
        if waited > workers.wait_s:
            raise workers.without_workers()
        if waited > 1 and not told:
            on_log(f"Waiting for workers at {workers.where}")
            told = True
        time.sleep(_POLL_S)


def _tell(workers: Workers, on_log: Callable[[str], None]) -> None:
    threads = workers.client.nthreads()
    on_log(f"Workers: {len(threads)}, threads: {sum(threads.values())}")
    link = workers.client.dashboard_link
    if link and _has_dashboard(workers):
        on_log(f"Dask dashboard: {link}")


def _has_dashboard(workers: Workers) -> bool:
    """Return whether the link shows something: without bokeh it says that bokeh is missing."""
    return workers.is_remote or find_spec("bokeh") is not None


def _log_level() -> int:
    """Return from which level on Dask's log lines are shown: as many as of geosr's own, or less."""
    ours = logging.getLogger("geosr").getEffectiveLevel()
    if ours <= logging.DEBUG:
        return logging.INFO
    return logging.WARNING if ours <= logging.INFO else logging.CRITICAL


def _as_path(model: str) -> str:
    return os.path.abspath(model) if os.path.exists(model) else model
