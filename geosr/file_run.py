"""A planned run carried out: from the source's pixels to the output under its name."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from geosr.cluster import Crew, run_on_cluster
from geosr.core.errors import InputChangedError
from geosr.core.events import (
    EventSink,
    log_event,
    no_events,
    phase_event,
    progress_event,
    start_event,
)
from geosr.core.geometry import GeoGrid
from geosr.core.heads import find_head
from geosr.core.options import UpscaleOptions
from geosr.core.version import __version__
from geosr.delivery import delivered
from geosr.engine import Tally, run
from geosr.file_plan import FilePlan
from geosr.io.changes import same
from geosr.io.identity import source_identity
from geosr.io.integrity import check_complete
from geosr.io.output import Output
from geosr.io.raster import RasterReader
from geosr.io.sinks import Sink, open_sink
from geosr.loaded import LoadedModels
from geosr.outputs import output_of
from geosr.planning import plan_run, sigma_options


@dataclass(frozen=True)
class UpscaleReport:
    """What a run has made.

    Attributes
    ----------
    output
        Path of the file.
    grid
        Its pixel grid.
    stats
        Plain values: ``seconds`` of the run, ``source_mpx_per_s`` and ``output_mpx_per_s``
        (pixels of all bands that this run made), ``overhead`` (time over that of the network
        alone), ``consistency_error`` (largest difference between a block's mean and its source
        pixel, in the raster's units), ``unresolved`` (blocks that could not be kept exact),
        ``clamped`` (pixels held inside the dtype's range), ``resumed`` (share of the output that
        an earlier run had made), ``model`` and its ``factor``, ``runtime``, ``device``,
        ``precision``, ``notes``.
    uncertainty
        What was made to tell how sure it is; None: nothing.
    """

    output: str
    grid: GeoGrid
    stats: dict[str, Any]
    uncertainty: UpscaleReport | None = None


@dataclass(frozen=True)
class Surroundings:
    """What a run shares with others, and whom it tells and asks.

    Attributes
    ----------
    models
        Those loaded already.
    on_event
        Called with each event of `geosr.core.events`.
    should_stop
        Asked between tiles.
    crew
        Workers that share the work; None: this process does it.
    """

    models: LoadedModels
    on_event: EventSink = no_events
    should_stop: Callable[[], bool] = lambda: False
    crew: Crew | None = None

    def plan(self, src_path: str, options: UpscaleOptions) -> FilePlan:
        """Work a run out: see `geosr.planning.plan_run`."""
        planned = partial(
            plan_run,
            src_path,
            processors=os.cpu_count() or 1,
            models=self.models,
            settled=self.crew.settled if self.crew else None,
        )
        plan = planned(options)
        if options.uncertainty is None:
            return plan
        head = find_head(plan.model, options.uncertainty_model)
        return replace(plan, uncertainty=planned(sigma_options(options), head=head))


@contextmanager
def surroundings(
    options: UpscaleOptions,
    on_event: EventSink = no_events,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Surroundings]:
    """Yield what the runs of a call share; workers are called when the first one needs them."""
    around = Surroundings(LoadedModels(), on_event, should_stop)
    crew = Crew(
        options,
        should_stop=should_stop,
        on_log=lambda message: on_event(log_event("info", message)),
    )
    with crew:
        yield replace(around, crew=crew if crew.wanted else None)


def run_file(
    plan: FilePlan, dst_path: str, around: Surroundings, options: UpscaleOptions
) -> UpscaleReport:
    """Carry out a plan; the output appears under its name once it is complete.

    Raises
    ------
    GeosrError
        One of its kinds, with a hint, for each thing that can go wrong.
    """
    begun = time.monotonic()
    on_event = around.on_event
    height, width = plan.output.grid.shape
    on_event(
        start_event(
            version=__version__,
            device=plan.machinery.device,
            tiles=plan.blocks.num_tiles,
            output_mpx=height * width * plan.output.count / 1e6,
        )
    )
    for note in plan.notes:
        on_event(log_event("warning", note))
    check_complete(plan.source, plan.indexes, plan.window)
    output = output_of(plan, dst_path, overwrite=options.overwrite, resume=options.resume)
    with delivered(output, options.temp_dir, on_event, around.should_stop) as local:
        tallies = _run_here(plan, local, around) if local else (Tally(), Tally())
    return UpscaleReport(
        dst_path, plan.output.grid, _stats(plan, tallies, time.monotonic() - begun)
    )


def finished_report(plan: FilePlan, dst_path: str) -> UpscaleReport:
    """Return the report of an output that an earlier run has made and finished."""
    unknown = {"seconds": 0.0, "source_mpx_per_s": 0.0, "output_mpx_per_s": 0.0}
    stats = _stats(plan, (Tally(), Tally()), 1.0)
    known = {**stats, **unknown, "consistency_error": None, "resumed": 1.0}
    return UpscaleReport(dst_path, plan.output.grid, known)


def _run_here(plan: FilePlan, output: Output, around: Surroundings) -> tuple[Tally, Tally]:
    """Make a local output; return what there is to tell of earlier runs, and of this one."""
    on_event, total = around.on_event, plan.blocks.num_tiles
    with open_sink(output) as sink:
        before = _told_before(sink, around)

        def on_tiles(done: int) -> None:
            on_event(progress_event(before.tiles + done, total))

        if around.crew:
            workers = around.crew.workers()
            on_event(phase_event(_stage(plan)))
            on_tiles(0)
            found, tally = run_on_cluster(
                plan, output, sink, workers, on_tiles=on_tiles, should_stop=around.should_stop
            )
            before.add(found)
        else:
            tally = _run_in_threads(plan, sink, around, on_tiles)
        _check_unchanged(plan, output)
        on_event(phase_event("Finishing the file"))
    return before, tally


def _run_in_threads(
    plan: FilePlan, sink: Sink[Any], around: Surroundings, on_tiles: Callable[[int], None]
) -> Tally:
    around.on_event(phase_event("Loading the model"))
    predictor = plan.foreign or around.models.predictor(plan.model, plan.machinery)
    around.on_event(phase_event(_stage(plan)))
    on_tiles(0)  # where a resumed run begins
    with RasterReader(plan.source, plan.indexes, plan.window) as reader:
        return run(
            plan.blocks,
            reader,
            predictor,
            sink,
            plan.work,
            done=sink.done,
            on_tiles=on_tiles,
            should_stop=around.should_stop,
        )


def _stage(plan: FilePlan) -> str:
    return "Telling how sure it is" if plan.model.kind == "sigma" else "Upscaling"


def _check_unchanged(plan: FilePlan, output: Output) -> None:
    """Refuse to finish an output that may be of one source in parts, and of another in others."""
    if not same(output.identity["source"], source_identity(plan.source)):
        raise InputChangedError(
            f"{plan.source.path} has changed while it was read.",
            hint="Run it again when nothing writes to that file.",
        )


def _told_before(sink: Sink[Any], around: Surroundings) -> Tally:
    """Return what an earlier run has told of the blocks that it left, and say that it did."""
    before = Tally()
    for note in sink.notes:
        before.add(Tally.from_note(note))
    if sink.news:
        around.on_event(log_event("info" if sink.done else "warning", sink.news))
    return before


def _is_comparable(plan: FilePlan) -> bool:
    """Return whether the output's blocks can be compared with the source's pixels."""
    return plan.work.resampler is None and plan.model.kind == "picture"


def _stats(plan: FilePlan, tallies: tuple[Tally, Tally], seconds: float) -> dict[str, Any]:
    before, now = tallies
    both = Tally()
    both.add(before)
    both.add(now)
    height, width = plan.output.grid.shape
    share = now.tiles / both.tiles if both.tiles else 1.0
    source = plan.window.height * plan.window.width * len(plan.indexes) / 1e6
    output = height * width * plan.output.count / 1e6
    network_s = 0.0 if plan.model.is_kernel else now.network_s / plan.machinery.threads
    placed = plan.source.has_transform
    return {
        "seconds": round(seconds, 3),
        "tiles": both.tiles,
        "source_mpx_per_s": round(source * share / seconds, 3),
        "output_mpx_per_s": round(output * share / seconds, 3),
        "overhead": round(seconds / network_s, 3) if network_s else None,
        "consistency_error": both.consistency_error if _is_comparable(plan) else None,
        "unresolved": both.counts.unresolved,
        "clamped": both.counts.clamped,
        "resumed": round(1 - share, 4),
        "model": plan.model.name,
        "factor": plan.model.upscale_factor,
        "runtime": plan.machinery.runtime,
        "device": plan.machinery.device,
        "precision": plan.machinery.precision,
        "pixel_size_before": list(plan.source.grid.pixel_size) if placed else None,
        "pixel_size": list(plan.output.grid.pixel_size) if placed else None,
        "notes": list(plan.notes),
        **({"multipliers": plan.model.multipliers} if plan.model.kind == "sigma" else {}),
    }
