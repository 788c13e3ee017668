"""One raster after the other: what is there already is left, and a failure stops no other."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Generic, Literal, TypeVar

from geosr.batch.failures import Failure
from geosr.batch.outputs import Job, check_finished, make_folder, name_outputs
from geosr.batch.sources import find_sources
from geosr.cluster.errors import ClusterError
from geosr.core.errors import (
    BandError,
    BoundsError,
    CancelledError,
    DeviceError,
    MissingDependencyError,
    ModelFileError,
    OptionError,
    OutputBusyError,
    OutputExistsError,
    PlanError,
    UnknownModelError,
)
from geosr.core.events import batch_event, file_event, log_event, result_event
from geosr.core.options import UpscaleOptions
from geosr.file_plan import FilePlan
from geosr.file_run import Surroundings, UpscaleReport, run_file
from geosr.io.output import check_output
from geosr.io.remote import is_remote, shown

Made = TypeVar("Made")

_log = logging.getLogger(__name__)

_OF_ALL = (DeviceError, MissingDependencyError, ModelFileError, PlanError, UnknownModelError)
_OF_ONE = (BandError, BoundsError)


@dataclass(frozen=True)
class Skipped:
    """A file that was left as it is.

    Attributes
    ----------
    source, output
        Its names.
    reason
        ``finished``: it was there, made in the same way; ``busy``: another run is writing it.
    """

    source: str
    output: str
    reason: Literal["finished", "busy"]


@dataclass(frozen=True)
class Outcome(Generic[Made]):
    """How the files of a batch fared.

    Attributes
    ----------
    done
        What was made, in order.
    skipped, failed
        See `Skipped` and `geosr.batch.failures.Failure`.
    """

    done: tuple[Made, ...]
    skipped: tuple[Skipped, ...]
    failed: tuple[Failure, ...]


BatchReport = Outcome[UpscaleReport]


@dataclass(frozen=True)
class Batch:
    """Rasters to upscale in the same way.

    Attributes
    ----------
    jobs
        In their order.
    out_dir
        Where the outputs go.
    options
        Of each run.
    unfound
        What was named and is not among the jobs.
    notes
        What the user should know.
    """

    jobs: tuple[Job, ...]
    out_dir: str
    options: UpscaleOptions
    unfound: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()


def find_batch(
    names: Sequence[str], out_dir: str, options: UpscaleOptions, *, assets: Sequence[str] = ()
) -> Batch:
    """Return the rasters that ``names`` stand for: see `geosr.batch.sources.find_sources`.

    Raises
    ------
    OptionError
        If two of them would have the same output, or ``assets`` or ``uncertainty`` do not apply.
    """
    if options.uncertainty is not None:
        raise OptionError(
            "--uncertainty names one file, and --out-dir takes many sources.",
            hint="Run INPUT OUTPUT --uncertainty SIGMA.tif for each source.",
        )
    found = find_sources(names, assets)
    jobs = name_outputs(found.sources, out_dir, options.format)
    return Batch(jobs, out_dir, options, tuple(found.failures), tuple(found.notes))


def run_batch(batch: Batch, around: Surroundings) -> BatchReport:
    """Upscale all rasters of a batch.

    Raises
    ------
    CancelledError
        If the run was stopped; what is done stays.
    GeosrError
        If the options would fail with every raster.
    """

    def make(job: Job, plan: FilePlan) -> UpscaleReport:
        _check(job, plan, batch.options)
        report = run_file(plan, job.output, around, batch.options)
        height, width = report.grid.shape
        around.on_event(result_event(job.output, width=width, height=height, stats=report.stats))
        return report

    make_folder(batch.out_dir)
    outcome = _Going(batch, around, make).to_the_end()
    failed = [asdict(failure) for failure in outcome.failed]
    around.on_event(
        batch_event(done=len(outcome.done), skipped=len(outcome.skipped), failed=failed)
    )
    return outcome


def plan_batch(batch: Batch, around: Surroundings) -> Outcome[tuple[Job, FilePlan]]:
    """Return what `run_batch` would do; nothing is written.

    Raises
    ------
    GeosrError
        As `run_batch`.
    """

    def look(job: Job, plan: FilePlan) -> tuple[Job, FilePlan]:
        if is_remote(batch.out_dir) or os.path.isdir(batch.out_dir):
            _check(job, plan, batch.options)
        return job, plan

    return _Going(batch, around, look).to_the_end()


def _check(job: Job, plan: FilePlan, options: UpscaleOptions) -> None:
    check_output(
        job.source.path,
        job.output,
        options.overwrite,
        source_files=plan.source.files,
        format=options.format,
    )


@dataclass
class _Going(Generic[Made]):
    """A batch under way."""

    batch: Batch
    around: Surroundings
    carry_out: Callable[[Job, FilePlan], Made]
    done: list[Made] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    before: Failure | None = None  # of the job before, if it failed

    def to_the_end(self) -> Outcome[Made]:
        """Take each job in its turn."""
        for note in self.batch.notes:
            self._tell("warning", note)
        for failure in self.batch.unfound:
            self._fail(failure)
        total = len(self.batch.jobs)
        for index, job in enumerate(self.batch.jobs, 1):
            source = shown(job.source.path)
            self.around.on_event(file_event(source, job.output, index=index, total=total))
            try:
                self._take(job)
                self.before = None
            except BaseException as error:
                if isinstance(error, CancelledError) or self.around.should_stop():
                    raise self._stopped(error, job) from error
                if not isinstance(error, Exception):
                    raise
                _log.debug("Why %s failed, in full", source, exc_info=True)
                failure = Failure.of(source, job.output, error)
                if self._is_of_all(error, failure):
                    raise
                self._fail(failure)
                self.before = failure
        return Outcome(tuple(self.done), tuple(self.skipped), tuple(self.failed))

    def _take(self, job: Job) -> None:
        if self.around.should_stop():
            raise CancelledError("Stopped; nothing of it was written.")
        plan = self.around.plan(job.source.path, self.batch.options)
        try:
            self.done.append(self.carry_out(job, plan))
        except OutputBusyError as error:
            self._skip(job, "busy", f"{error.message} It is left to that.")
        except OutputExistsError:
            check_finished(plan, job.output)
            self._skip(job, "finished", f"{job.output} is finished already.")

    def _skip(self, job: Job, reason: Literal["finished", "busy"], message: str) -> None:
        self.skipped.append(Skipped(shown(job.source.path), job.output, reason))
        self._tell("info", message)

    def _fail(self, failure: Failure) -> None:
        self.failed.append(failure)
        self._tell("warning", f"{failure.source} failed: {failure.message}")

    def _is_of_all(self, error: Exception, failure: Failure) -> bool:
        """Return whether no raster can be upscaled like this.

        That is so if the error is one of the model or the machine, if the workers have failed
        two rasters in a row, or if nothing has come of the first two because the same option is
        wrong.
        """
        if isinstance(error, _OF_ALL):
            return True
        if isinstance(error, ClusterError):
            return self.before is not None and self.before.code == failure.code
        if not isinstance(error, OptionError) or isinstance(error, _OF_ONE):
            return False
        said = [other.message for other in (*self.failed, failure) if other.output]
        enough = min(len(self.batch.jobs), 2)
        return not (self.done or self.skipped) and said == [failure.message] * enough

    def _tell(self, level: str, message: str) -> None:
        self.around.on_event(log_event(level, message))

    def _stopped(self, error: BaseException, job: Job) -> CancelledError:
        finished = [skipped for skipped in self.skipped if skipped.reason == "finished"]
        count, total = len(self.done) + len(finished), len(self.batch.jobs)
        how = "without --overwrite the same" if self.batch.options.overwrite else "the same"
        own = error.message.removeprefix("Stopped; ") if isinstance(error, CancelledError) else ""
        return CancelledError(
            f"Stopped; {count} of {total} files are done, and {how} command goes on.",
            hint=f"{job.output}: {own}" if own else "",
        )
