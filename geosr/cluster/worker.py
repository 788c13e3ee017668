"""What runs on the workers: a block from the source's file to a part, and questions before that.

A process keeps what it has opened for the next block, for all of its threads.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import socket
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from geosr.cluster.errors import ClusterError
from geosr.cluster.job import Job, Network, traits
from geosr.cluster.parts import Parts
from geosr.core.catalog import ModelFacts
from geosr.core.errors import CancelledError, GeosrError, InputFileError, ModelFileError
from geosr.core.options import UpscaleOptions
from geosr.core.plan import Block
from geosr.core.version import __version__
from geosr.engine.parts import Array, Predictor
from geosr.engine.single import predict_block
from geosr.foreign import is_model_path
from geosr.foreign.opening import choose_machinery
from geosr.io.block_cache import block_cache
from geosr.io.facts import read_facts
from geosr.io.gdal import gdal_version
from geosr.io.output import write_errors
from geosr.io.raster import RasterReader
from geosr.io.sinks import Encoder, encoder_of
from geosr.loaded import LoadedModels
from geosr.predictors import Machinery, settle

P = ParamSpec("P")
T = TypeVar("T")

_KEPT_JOBS = 2
"""Runs that a process stays ready for: that of now, and one of somebody else."""


@dataclass(frozen=True)
class Opened:
    """What a process has opened for a run."""

    reader: RasterReader
    predictor: Predictor
    encoder: Encoder


class OpenedJobs:
    """What a process has opened, for the last few runs; call it from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models = LoadedModels()
        self._kept: OrderedDict[str, Opened] = OrderedDict()

    def get(self, job: Job, threads: int) -> Opened:
        """Return what is open for a run; ``threads`` of them run the network.

        Raises
        ------
        GeosrError
            If something cannot be opened, or is not what the run began with.
        """
        with self._lock:
            if job.parts.run not in self._kept:
                self._kept[job.parts.run] = self._open(job, threads)
            self._kept.move_to_end(job.parts.run)
            while len(self._kept) > _KEPT_JOBS:
                self._kept.popitem(last=False)  # its files close with the last block that reads
            return self._kept[job.parts.run]

    def clear(self) -> None:
        """Let everything go."""
        with self._lock:
            self._kept.clear()
            self._models = LoadedModels()

    def _open(self, job: Job, threads: int) -> Opened:
        if not job.remote:  # or Python shows here what GDAL warns of, however quiet the run is
            logging.getLogger().addHandler(logging.NullHandler())
        _check(job)  # this process may have come since the run began
        plan = job.plan
        if job.network is None:
            machinery = replace(plan.machinery, threads=threads)
            predictor: Predictor = self._models.predictor(plan.model, machinery)
        else:
            predictor = self._foreign(job.network, plan.model, threads)
        reader = RasterReader(plan.source, plan.indexes, plan.window)
        return Opened(reader, predictor, encoder_of(job.output))

    def _foreign(self, network: Network, facts: ModelFacts, threads: int) -> Predictor:
        options = replace(network.options, threads=threads)
        found = self._models.foreign(options, bands=network.bands, processors=threads)
        if (found.facts, found.findings) != (facts, network.findings):
            raise ModelFileError(
                f"{network.options.model} is another network here, or behaves otherwise: "
                f"{found.findings}.",
                hint="Every machine needs the same file at this path.",
            )
        return found


# The one piece of state that modules may have: weights are too large to come with each block.
_OPENED = OpenedJobs()


@dataclass(frozen=True)
class _Interruptible:
    """A predictor that gives up between tiles once its run has ended."""

    predictor: Predictor
    parts: Parts

    @property
    def facts(self) -> ModelFacts:
        """What the model's card says."""
        return self.predictor.facts

    def predict(self, x: Array) -> Array:
        """Predict, if anybody still waits for it."""
        check_run_goes_on(self.parts)
        return self.predictor.predict(x)


def _bare_errors(function: Callable[P, T]) -> Callable[P, T]:
    """Have a function raise geosr's errors without the errors behind them: GDAL's do not pickle.

    How they came about goes along as a note.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except GeosrError as error:
            bare = type(error)(error.message, hint=error.hint)
            bare.add_note("".join(traceback.format_exception(error)))
        raise bare  # out here nothing is behind it

    return call


def receive(job: Job) -> Job:
    """Return a job: as a task of its own it travels once, and is there again if it is lost."""
    return job


@_bare_errors
def run_block(job: Job, block: Block) -> None:
    """Read, predict and encode a block, and store it as a part; the same again if called again.

    If the run has ended meanwhile, there will be no part.

    Raises
    ------
    GeosrError
        One of its kinds for each thing that can go wrong.
    """
    plan, parts = job.plan, job.parts
    try:
        with block_cache(job.output.cache_bytes):
            opened = _OPENED.get(job, _threads())
            check_run_goes_on(parts)
            predictor = _Interruptible(opened.predictor, parts)
            values, valid, tally = predict_block(
                plan.blocks, block, opened.reader, predictor, plan.work
            )
            encoded = opened.encoder.encode(block, values, valid)
        check_run_goes_on(parts)
        with write_errors(job.output):
            parts.write(block.number, encoded.to_bytes(tally.to_note()))
    except CancelledError:
        return  # nobody waits for an error in this worker's log
    except GeosrError as error:
        if job.remote:
            error.hint = f"{error.hint} It happened on {socket.gethostname()}.".lstrip()
        raise


def check_run_goes_on(parts: Parts) -> None:
    """Give up if the run has ended.

    Raises
    ------
    CancelledError
        Then.
    """
    if not parts.run_goes_on():
        raise CancelledError("The run has ended.")


@_bare_errors
def check_ready(job: Job) -> None:
    """Refuse what would go wrong with each block, before the first one.

    Raises
    ------
    GeosrError
        If the software, the source or the output's folder is not that of the run.
    """
    _check(job)


def _check(job: Job) -> None:
    host = socket.gethostname()
    check_same(versions(), job.versions, f"The worker on {host}")
    _check_folder(job, host)
    path = job.plan.source.path
    try:
        here = read_facts(path)
    except InputFileError as error:
        error.hint = f"{error.hint} All workers must read it; the one on {host} does not.".lstrip()
        raise
    if traits(here) != job.traits:
        raise InputFileError(
            f"{path} is another raster on {host}.",
            hint="All workers need the same file at this path.",
        )


def _check_folder(job: Job, host: str) -> None:
    folder = job.parts.folder
    shared = "The output must lie in a folder that all machines share, under the same path."
    if not job.parts.run_goes_on():
        raise ClusterError(f"The worker on {host} does not see {folder}.", hint=shared)
    trial = Path(folder) / f"{job.parts.run}.{host[:64]}-{os.getpid()}-{threading.get_ident()}"
    try:
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise ClusterError(
            f"The worker on {host} may not write to {folder}: {error.strerror}.", hint=shared
        ) from error


def versions() -> dict[str, str]:
    """Return the versions of the software here that decides the output's bytes."""
    found = {"geosr": __version__, "GDAL": gdal_version()}
    for package in ("numpy", "openvino"):
        with suppress(importlib.metadata.PackageNotFoundError):  # some builds do not say it
            found[package] = importlib.metadata.version(package)
    return found


def check_same(found: Mapping[str, str], wanted: Mapping[str, str], whose: str) -> None:
    """Refuse workers with other software than the rest.

    Raises
    ------
    ClusterError
        If a version differs.
    """
    for name, version in wanted.items():
        if found.get(name) != version:
            raise ClusterError(
                f"{whose} has {name} {found.get(name)}, and this run {version}.",
                hint="Install the same versions everywhere: the output's bytes depend on them.",
            )


@_bare_errors
def settle_here(facts: ModelFacts, options: UpscaleOptions) -> Machinery:
    """Decide what ``auto`` means on this worker.

    Raises
    ------
    DeviceError, MissingDependencyError
        If what was asked for is not here.
    OptionError
        If two options contradict each other.
    """
    if is_model_path(options.model):
        return choose_machinery(Path(options.model), options, processors=1)
    return settle(facts, options, processors=1)


def forget() -> None:
    """Let go what this process has opened."""
    _OPENED.clear()


def _threads() -> int:
    """Return how many blocks this process works on at once."""
    from distributed import get_worker

    return int(get_worker().state.nthreads)
