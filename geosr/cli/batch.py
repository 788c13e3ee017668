"""``geosr upscale SOURCE... --out-dir DIR``: many rasters, and what people read of them.

This loads the engine: `geosr.cli.upscale` imports it when it is needed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import click

from geosr.batch.failures import Failure
from geosr.batch.outputs import Job
from geosr.batch.run import Outcome, find_batch, plan_batch
from geosr.calibration import Calibrator
from geosr.cli.session import Session
from geosr.core.events import Event
from geosr.core.options import UpscaleKeywords, UpscaleOptions
from geosr.file_plan import FilePlan, duration, megabytes
from geosr.file_run import surroundings


def upscale_many(
    session: Session,
    sources: Sequence[str],
    out_dir: str,
    keywords: UpscaleKeywords,
    *,
    assets: Sequence[str],
) -> None:
    """Upscale all sources, and say how each fared; ends with status 1 if one failed."""
    from geosr.api import upscale_files  # here, so that tests can put another in its place

    begun = time.monotonic()
    report = upscale_files(
        sources,
        out_dir,
        assets=assets,
        on_event=_Told(session),
        should_stop=session.stop,
        **keywords,
    )
    if session.tells_people:
        click.echo(f"{_counts(report)} in {duration(time.monotonic() - begun)}")
    _end(report.failed)


def plan_many(
    session: Session,
    sources: Sequence[str],
    out_dir: str,
    keywords: UpscaleKeywords,
    *,
    assets: Sequence[str],
    calibrate: bool,
) -> None:
    """Say what `upscale_many` would do; ends with status 1 if something would fail."""
    options = UpscaleOptions(**keywords)
    batch = find_batch(sources, out_dir, options, assets=assets)
    with surroundings(options, session.emit, session.stop) as around:
        planned = plan_batch(batch, around)
        plans = list(planned.done)
        if calibrate:
            plans = _calibrated(plans, Calibrator(around.models, session.emit))
    totals = _totals([plan for _, plan in plans])
    files = [{**plan.to_dict(), "output": job.output} for job, plan in plans]
    fared = {
        "skipped": [asdict(skipped) for skipped in planned.skipped],
        "failed": [asdict(failure) for failure in planned.failed],
    }
    session.emit({"event": "plan", "plan": {"files": files, **totals, **fared}})
    if session.progress != "json":
        click.echo("\n".join((*map(_plan_line, plans), *_total_lines(totals, planned))))
    _end(planned.failed)


class _Told:
    """Passes events on, and has a line for each file that is done."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._place = ""

    def __call__(self, event: Event) -> None:
        """Take an event."""
        self._session.emit(event)
        if event["event"] == "file":
            self._place = f"[{event['index']}/{event['total']}]"
        elif event["event"] == "result" and self._session.tells_people:
            click.echo(f"{self._place} {event['output']}  {event['stats']['seconds']:.1f} s")


def _calibrated(
    plans: Sequence[tuple[Job, FilePlan]], calibrator: Calibrator
) -> list[tuple[Job, FilePlan]]:
    by_size = sorted(plans, key=lambda planned: -planned[1].output.raw_bytes)
    timed = {job.output: calibrator.calibrated(plan) for job, plan in by_size}
    return [(job, timed[job.output]) for job, _ in plans]


def _totals(plans: Sequence[FilePlan]) -> Event:
    """Return what all files take together; of memory, what the largest takes."""
    times = [plan.time.seconds for plan in plans if plan.time]
    return {
        "blocks": sum(plan.blocks.num_blocks for plan in plans),
        "tiles": sum(plan.blocks.num_tiles for plan in plans),
        "ram_bytes": max((plan.ram_bytes for plan in plans), default=0),
        "disk_bytes": sum(plan.output.raw_bytes for plan in plans),
        "seconds": round(sum(times), 1) if times and len(times) == len(plans) else None,
    }


def _plan_line(planned: tuple[Job, FilePlan]) -> str:
    job, plan = planned
    height, width = plan.output.grid.shape
    bands = f"{plan.output.count} band{'s' * (plan.output.count > 1)}"
    took = f", about {duration(plan.time.seconds)}" if plan.time else ""
    return (
        f"{job.output}  {width} x {height}, {bands} of {plan.output.dtype}, "
        f"{plan.blocks.num_blocks} blocks{took}"
    )


def _total_lines(totals: Event, planned: Outcome[tuple[Job, FilePlan]]) -> Iterator[str]:
    counts = _counts(planned).replace("done", "to make", 1)
    yield f"{'Files':<11}{counts}"
    yield f"{'Work':<11}{totals['blocks']} blocks, {totals['tiles']} tiles"
    yield f"{'Memory':<11}about {megabytes(totals['ram_bytes'])}"
    yield f"{'Disk':<11}at most {megabytes(totals['disk_bytes'])}, less what compression saves"
    if totals["seconds"] is not None:
        yield f"{'Time':<11}about {duration(totals['seconds'])}"


def _counts(outcome: Outcome[Any]) -> str:
    done, skipped, failed = map(len, (outcome.done, outcome.skipped, outcome.failed))
    return f"{done} done, {skipped} skipped, {failed} failed"


def _end(failed: Sequence[Failure]) -> None:
    if failed:
        raise click.exceptions.Exit(1)
