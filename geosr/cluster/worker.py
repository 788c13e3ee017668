"""What runs on the workers: a block from the source's file to a part.

A process keeps what it has opened for the next block, for all of its threads.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

from geosr.cluster.errors import bare_errors
from geosr.cluster.fitness import check
from geosr.cluster.job import Job, Network
from geosr.cluster.parts import Parts
from geosr.core.errors import CancelledError, GeosrError, ModelFileError
from geosr.core.facts import ModelFacts
from geosr.core.plan import Block
from geosr.engine.parts import Array, Predictor
from geosr.engine.single import predict_block
from geosr.io.block_cache import block_cache
from geosr.io.output import write_errors
from geosr.io.raster import RasterReader
from geosr.io.sinks import Encoder, encoder_of
from geosr.loaded import LoadedModels

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
        check(job)  # this process may have come since the run began
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


def receive(job: Job) -> Job:
    """Return a job: as a task of its own it travels once, and is there again if it is lost."""
    return job


@bare_errors
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


def forget() -> None:
    """Let go what this process has opened."""
    _OPENED.clear()


def _threads() -> int:
    """Return how many blocks this process works on at once."""
    from distributed import get_worker

    return int(get_worker().state.nthreads)
