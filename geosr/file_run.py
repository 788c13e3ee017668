"""A planned run carried out: from the source's pixels to the output under its name."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from geosr import __version__
from geosr.core.events import (
    EventSink,
    log_event,
    no_events,
    phase_event,
    progress_event,
    start_event,
)
from geosr.core.geometry import GeoGrid
from geosr.engine import Tally, run
from geosr.file_plan import FilePlan
from geosr.io.integrity import check_complete
from geosr.io.raster import RasterReader
from geosr.io.sinks import Sink, open_sink
from geosr.loaded import LoadedModels
from geosr.outputs import output_of


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
        an earlier run had made), ``model``, ``runtime``, ``device``, ``precision``, ``notes``.
    """

    output: str
    grid: GeoGrid
    stats: dict[str, Any]


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
    """

    models: LoadedModels
    on_event: EventSink = no_events
    should_stop: Callable[[], bool] = lambda: False


def run_file(
    plan: FilePlan,
    dst_path: str,
    around: Surroundings,
    *,
    overwrite: bool = False,
    resume: bool = True,
) -> UpscaleReport:
    """Carry out a plan; the output appears under its name once it is complete.

    Raises
    ------
    GeosrError
        One of its kinds, with a hint, for each thing that can go wrong.
    """
    begun = time.monotonic()
    machinery, total, on_event = plan.machinery, plan.blocks.num_tiles, around.on_event
    height, width = plan.output.grid.shape
    output_mpx = height * width * plan.output.count / 1e6
    on_event(
        start_event(
            version=__version__, device=machinery.device, tiles=total, output_mpx=output_mpx
        )
    )
    for note in plan.notes:
        on_event(log_event("warning", note))
    check_complete(plan.source, plan.indexes, plan.window)
    output = output_of(plan, dst_path, overwrite=overwrite, resume=resume)
    with open_sink(output) as sink:
        before = _told_before(sink, around)
        on_event(phase_event("Loading the model"))
        predictor = plan.foreign or around.models.predictor(plan.model, machinery)
        on_event(phase_event("Upscaling"))
        with RasterReader(plan.source, plan.indexes, plan.window) as reader:
            tally = run(
                plan.blocks,
                reader,
                predictor,
                sink,
                plan.work,
                done=sink.done,
                on_tiles=lambda done: on_event(progress_event(before.tiles + done, total)),
                should_stop=around.should_stop,
            )
        on_event(phase_event("Finishing the file"))
    return UpscaleReport(
        dst_path, plan.output.grid, _stats(plan, (before, tally), time.monotonic() - begun)
    )


def _told_before(sink: Sink[Any], around: Surroundings) -> Tally:
    """Return what an earlier run has told of the blocks that it left, and say that it did."""
    before = Tally()
    for note in sink.notes:
        before.add(Tally.from_note(note))
    if sink.news:
        around.on_event(log_event("info" if sink.done else "warning", sink.news))
    return before


def _stats(plan: FilePlan, tallies: tuple[Tally, Tally], seconds: float) -> dict[str, Any]:
    before, now = tallies
    both = Tally()
    both.add(before)
    both.add(now)
    height, width = plan.output.grid.shape
    share = now.tiles / both.tiles if both.tiles else 1.0
    source = plan.window.height * plan.window.width * len(plan.indexes) / 1e6
    output = height * width * plan.output.count / 1e6
    network_s = now.network_s / plan.machinery.threads
    placed = plan.source.has_transform
    return {
        "seconds": round(seconds, 3),
        "tiles": both.tiles,
        "source_mpx_per_s": round(source * share / seconds, 3),
        "output_mpx_per_s": round(output * share / seconds, 3),
        "overhead": round(seconds / network_s, 3) if network_s else None,
        "consistency_error": None if plan.work.resampler else both.consistency_error,
        "unresolved": both.counts.unresolved,
        "clamped": both.counts.clamped,
        "resumed": round(1 - share, 4),
        "model": plan.model.name,
        "runtime": plan.machinery.runtime,
        "device": plan.machinery.device,
        "precision": plan.machinery.precision,
        "pixel_size_before": list(plan.source.grid.pixel_size) if placed else None,
        "pixel_size": list(plan.output.grid.pixel_size) if placed else None,
        "notes": list(plan.notes),
    }
