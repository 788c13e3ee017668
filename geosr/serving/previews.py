"""What requests ask for, done with what stays loaded and open between them."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.api import describe_raster
from geosr.core.answers import answer_event, preview_event
from geosr.core.catalog import find_model
from geosr.core.errors import BoundsError, OptionError
from geosr.core.events import Event, EventSink, phase_event, progress_event
from geosr.core.facts import ModelFacts
from geosr.core.options import UpscaleOptions
from geosr.core.requests import Info, Preview, Warm
from geosr.engine import Predictor, Tally, run
from geosr.file_plan import FilePlan
from geosr.foreign import is_model_path
from geosr.io.gtiff import GeoTiffSink
from geosr.loaded import LoadedModels
from geosr.predictors import Machinery, settle
from geosr.serving.folder import SessionFolder
from geosr.serving.sources import OpenSource, Sources, tile_size
from geosr.serving.view import View, ViewWriter, output_of_view, view_of

STORED = {"COMPRESS": "NONE", "TILED": "NO"}
"""Nothing is quicker to write and to read, and every GDAL can read it."""

MPX = 1e6


class Previews:
    """Makes previews; to be used from one thread.

    Parameters
    ----------
    folder
        Where they go.
    max_mpx
        Source pixels that one may take, times bands, in millions.
    """

    def __init__(self, folder: SessionFolder, *, max_mpx: float) -> None:
        self._folder, self._max_mpx = folder, max_mpx
        self._models = LoadedModels()
        self._sources = Sources(self._models)
        self._met: list[Predictor] = []

    def preview(
        self, request: Preview, tell: EventSink, should_stop: Callable[[], bool]
    ) -> tuple[Event, str | None]:
        """Return the answer to a request, and the path of the file that it names, if it does.

        Raises
        ------
        GeosrError
            One of its kinds, for each thing that can go wrong.
        """
        begun = time.monotonic()
        options = UpscaleOptions(**request.options, format="gtiff", creation_options=STORED)
        with self._sources.opened(request.source, options) as source:
            view = view_of(source.plan, request.bounds, request.bounds_crs)
            self._check_size(source.plan, view)
            tell(phase_event("Loading the model"))
            predictor = source.plan.foreign or self._predictor(
                source.plan.model, source.plan.machinery
            )
            tell(phase_event("Upscaling"))
            path = self._folder.new_path()
            tally = _stored(source, view, predictor, path, (tell, should_stop))
        where: Event = {"path": path}
        if request.answer == "bytes":
            where = {"bytes": base64.b64encode(Path(path).read_bytes()).decode("ascii")}
            os.unlink(path)
        answer = preview_event(
            request,
            source.plan.output.grid.crop(view.output),
            where,
            seconds=round(time.monotonic() - begun, 4),
            stats=_stats(source.plan, view, tally, _notes(request, source.plan, view)),
            placed=source.plan.source.has_transform,
        )
        return answer, where.get("path")

    def warm(self, request: Warm) -> Event:
        """Load a model, and let its network meet the tiles of previews.

        Raises
        ------
        GeosrError
            If it cannot be loaded.
        """
        begun = time.monotonic()
        options = UpscaleOptions(**request.options)
        processors = os.cpu_count() or 1
        if is_model_path(options.model):
            foreign = self._models.foreign(options, bands=request.bands, processors=processors)
            return answer_event(request, model=foreign.facts.name, seconds=_since(begun))
        if options.model_range is not None:
            raise OptionError(
                f"A model range does not apply to {options.model}: it has a card.",
                hint="Leave model_range out.",
            )
        facts = find_model(options.model, options.upscale_factor)
        machinery = settle(facts, options, processors=processors)
        predictor = self._predictor(facts, machinery)
        with ThreadPoolExecutor(machinery.threads) as pool:  # the first tile of a thread is slow
            list(pool.map(predictor.predict, [_empty_tile(facts)] * 2 * machinery.threads))
        return answer_event(request, model=facts.name, seconds=_since(begun))

    def info(self, request: Info) -> Event:
        """Return what a raster is.

        Raises
        ------
        GeosrError
            If it cannot be opened.
        """
        return answer_event(request, raster=describe_raster(request.source))

    def close(self) -> None:
        """Let everything go."""
        self._sources.close()

    def _predictor(self, facts: ModelFacts, machinery: Machinery) -> Predictor:
        """Return a model that has seen a tile.

        That compiles its network, and in one thread: OpenVINO 2026.4 sets up its types in the
        first call of a process, and two calls at once may wait for each other without end.
        """
        predictor = self._models.predictor(facts, machinery)
        if not any(met is predictor for met in self._met):
            predictor.predict(_empty_tile(facts))
            self._met.append(predictor)
        return predictor

    def _check_size(self, plan: FilePlan, view: View) -> None:
        """Refuse more pixels than a preview is to take."""
        (height, width), bands = view.source.shape, len(plan.indexes)
        if height * width * bands <= self._max_mpx * MPX:
            return
        side = int((self._max_mpx * MPX / bands) ** 0.5)
        raise BoundsError(
            f"The view holds {width} x {height} source pixels of {bands} "
            f"band{'s' if bands > 1 else ''}, {height * width * bands / MPX:.1f} million; "
            f"a preview takes at most {self._max_mpx:g} million.",
            hint=f"Zoom in, to {side} x {side} source pixels or less.",
        )


def _empty_tile(facts: ModelFacts) -> NDArray[np.float32]:
    side = tile_size(facts.radius)
    return np.zeros((facts.bands, side, side), np.float32)


def _stored(
    source: OpenSource,
    view: View,
    predictor: Predictor,
    path: str,
    around: tuple[EventSink, Callable[[], bool]],
) -> Tally:
    """Upscale a view into a file."""
    tell, should_stop = around
    total = view.blocks.num_tiles
    with GeoTiffSink(output_of_view(source.plan, view, path)) as sink:
        tally = run(
            view.blocks,
            source.reader,
            predictor,
            ViewWriter(sink, view.output),
            source.plan.work,
            on_tiles=lambda done: tell(progress_event(done, total)),
            should_stop=should_stop,
        )
        source.check_unchanged()
    return tally


def _stats(plan: FilePlan, view: View, tally: Tally, notes: list[str]) -> dict[str, Any]:
    return {
        "source_width": view.source.width,
        "source_height": view.source.height,
        "bands": list(plan.indexes),
        "tiles": tally.tiles,
        "tile_size": view.blocks.tile_size,
        "network_s": round(tally.network_s, 4),
        "consistency_error": None if plan.work.resampler else tally.consistency_error,
        "unresolved": tally.counts.unresolved,
        "clamped": tally.counts.clamped,
        "model": plan.model.name,
        "factor": plan.model.upscale_factor,
        "runtime": plan.machinery.runtime,
        "device": plan.machinery.device,
        "precision": plan.machinery.precision,
        "notes": notes,
    }


def _notes(request: Preview, plan: FilePlan, view: View) -> list[str]:
    """Return what the user should know of a preview."""
    notes = list(plan.notes)
    if not plan.model.exact:
        notes.append(
            f"The whole run gives this only in tiles of {view.blocks.tile_size} pixels, as here."
        )
    if (request.width or view.source.width) < view.source.width or (
        request.height or view.source.height
    ) < view.source.height:
        notes.append(
            "The view shows more source pixels than the screen has. Zoom in to see what the "
            "model adds."
        )
    return notes


def _since(begun: float) -> float:
    return round(time.monotonic() - begun, 4)
