"""One-call functions: what the command line, scripts and notebooks use."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from geosr import __version__
from geosr.core.errors import GeosrError
from geosr.core.events import (
    EventSink,
    log_event,
    no_events,
    phase_event,
    progress_event,
    start_event,
)
from geosr.core.geometry import GeoGrid
from geosr.core.options import UpscaleKeywords, UpscaleOptions
from geosr.engine import Tally, run
from geosr.file_plan import FilePlan, tags_of
from geosr.io.facts import cache_bytes, check_upscalable, read_facts
from geosr.io.integrity import check_complete
from geosr.io.metadata import output_metadata
from geosr.io.output import RasterWriter, check_output
from geosr.io.raster import RasterReader
from geosr.planning import plan_run
from geosr.predictors import load_predictor

if TYPE_CHECKING:
    import xarray

Path = str | os.PathLike[str]


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
        (pixels of all bands), ``consistency_error`` (largest difference between a block's mean
        and its source pixel, in the raster's units), ``unresolved`` (blocks that could not be
        kept exact), ``clamped`` (pixels held inside the dtype's range), ``model``,
        ``runtime``, ``device``, ``precision``, ``notes``.
    """

    output: str
    grid: GeoGrid
    stats: dict[str, Any]


def upscale_file(
    src_path: Path,
    dst_path: Path,
    *,
    on_event: EventSink = no_events,
    should_stop: Callable[[], bool] = lambda: False,
    **options: Unpack[UpscaleKeywords],
) -> UpscaleReport:
    """Super-resolve a raster file into a GeoTIFF on the same footprint.

    The output appears under its name once it is complete; a run that fails leaves what was
    there before.

    Parameters
    ----------
    src_path
        Anything that GDAL reads.
    on_event
        Called with each event of `geosr.core.events`.
    should_stop
        Asked between tiles.
    **options
        See `geosr.core.options.UpscaleOptions`.

    Raises
    ------
    GeosrError
        One of its kinds, with a hint, for each thing that can go wrong.

    Examples
    --------
    >>> import geosr
    >>> geosr.upscale_file("in.tif", "out.tif", upscale_factor=2)  # doctest: +SKIP
    """
    begun = time.monotonic()
    plan = plan_file(src_path, dst_path, **options)
    machinery, total = plan.machinery, plan.blocks.num_tiles
    height, width = plan.output.grid.shape
    on_event(
        start_event(
            version=__version__,
            device=machinery.device,
            tiles=total,
            output_mpx=height * width * plan.output.count / 1e6,
        )
    )
    for note in plan.notes:
        on_event(log_event("warning", note))
    check_complete(plan.source, plan.indexes, plan.window)
    on_event(phase_event("Loading the model"))
    predictor = plan.foreign or load_predictor(plan.model, machinery)
    on_event(phase_event("Upscaling"))
    with _reader(plan) as reader, _writer(plan, dst_path, options) as writer:
        tally = run(
            plan.blocks,
            reader,
            predictor,
            writer,
            plan.work,
            on_tiles=lambda done: on_event(progress_event(done, total)),
            should_stop=should_stop,
        )
        on_event(phase_event("Finishing the file"))
    return UpscaleReport(
        os.fspath(dst_path), plan.output.grid, _stats(plan, tally, time.monotonic() - begun)
    )


def plan_file(
    src_path: Path, dst_path: Path | None = None, **options: Unpack[UpscaleKeywords]
) -> FilePlan:
    """Return what `upscale_file` would do, or raise what it would; nothing is written."""
    chosen = UpscaleOptions(**options)
    plan = plan_run(os.fspath(src_path), chosen, processors=os.cpu_count() or 1)
    if dst_path is not None:
        check_output(
            os.fspath(src_path), dst_path, chosen.overwrite, source_files=plan.source.files
        )
    return plan


def upscale(raster: xarray.DataArray, **options: Unpack[UpscaleKeywords]) -> xarray.DataArray:
    """Super-resolve an array lazily: pixels are computed when they are asked for.

    They are the very pixels that `upscale_file` writes. Coordinates and transform are those of
    the finer grid; CRS, nodata, attributes and all other dimensions stay, where rioxarray has
    them. Each chunk of the source becomes one task, so let chunks be large: 1000 pixels a side
    and more.

    Parameters
    ----------
    raster
        Rows and columns are ``y`` and ``x``, ``latitude`` and ``longitude``, ``lat`` and ``lon``,
        or say in their attributes what they are; every other dimension holds bands. Holes are
        NaN, or the nodata value that ``raster.rio.nodata`` tells; a file's mask or alpha band
        makes them only if it is opened with ``masked=True``.
    **options
        See `geosr.core.options.UpscaleOptions`; ``resolution``, ``bounds``,
        ``creation_options``, ``overwrite`` and ``workers`` are for files. An array opened with
        ``masked=True`` stays one of floats; with ``dtype`` it is stored as its file was.

    Returns
    -------
    xarray.DataArray
        On dask, with chunks as many times larger as the pixels are smaller; those beyond
        dask's ``array.chunk-size`` are cut.

    Raises
    ------
    GeosrError
        One of its kinds, with a hint, for each thing that cannot be done.

    Examples
    --------
    A part of a cloud-optimised scene, read over HTTP: only the blocks that the part and its
    surroundings touch are fetched. The finer pixels go to a file chunk by chunk, never all in
    memory.

    >>> import geosr, rioxarray, threading  # doctest: +SKIP
    >>> chunks = {"band": -1, "y": 1024, "x": 1024}  # doctest: +SKIP
    >>> scene = rioxarray.open_rasterio(
    ...     "https://example.com/scene.tif", chunks=chunks, lock=False
    ... )  # doctest: +SKIP
    >>> part = scene.sel(x=slice(437000, 467000), y=slice(5392000, 5362000))  # doctest: +SKIP
    >>> finer = geosr.upscale(part, upscale_factor=2)  # nothing is read yet  # doctest: +SKIP
    >>> finer.rio.to_raster(
    ...     "finer.tif", tiled=True, compress="zstd", lock=threading.Lock()
    ... )  # doctest: +SKIP
    """
    from geosr.lazy import upscale_array

    return upscale_array(raster, UpscaleOptions(**options))


def describe_raster(src_path: Path) -> dict[str, Any]:
    """Return what geosr sees of a raster, and whether it can upscale it, as plain values."""
    facts = read_facts(src_path)
    height, width = facts.grid.shape
    try:
        check_upscalable(facts, ())
        problem, hint = "", ""
    except GeosrError as error:
        problem, hint = error.message, error.hint
    return {
        "path": facts.path,
        "driver": facts.driver,
        "width": width,
        "height": height,
        "bands": facts.count,
        "dtypes": list(facts.dtypes),
        "crs": facts.grid.crs,
        "transform": list(facts.grid.transform) if facts.has_transform else None,
        "pixel_size": list(facts.grid.pixel_size) if facts.has_transform else None,
        "bounds": list(facts.grid.bounds) if facts.has_transform else None,
        "gcps": facts.has_gcps,
        "rpcs": facts.has_rpcs,
        "nodata": list(facts.nodata),
        "masks": list(facts.masks),
        "alpha": facts.alpha,
        "descriptions": list(facts.metadata.descriptions),
        "upscalable": not problem,
        "problem": problem,
        "hint": hint,
    }


def _reader(plan: FilePlan) -> RasterReader:
    return RasterReader(plan.source, plan.indexes, plan.window)


def _writer(plan: FilePlan, dst_path: Path, options: UpscaleKeywords) -> RasterWriter:
    grids = (plan.source.grid, plan.output.grid)
    return RasterWriter(
        dst_path,
        plan.output,
        metadata=output_metadata(plan.source.metadata, plan.indexes, plan.window, grids),
        tags=dict(tags_of(plan, __version__)),
        overwrite=options.get("overwrite", False),
        cache_bytes=cache_bytes(plan.source, plan.indexes) + (64 << 20),
    )


def _stats(plan: FilePlan, tally: Tally, seconds: float) -> dict[str, Any]:
    height, width = plan.output.grid.shape
    source = plan.window.height * plan.window.width * len(plan.indexes) / 1e6
    output = height * width * plan.output.count / 1e6
    error = None if plan.work.resampler else tally.consistency_error
    placed = plan.source.has_transform
    return {
        "seconds": round(seconds, 3),
        "tiles": tally.tiles,
        "source_mpx_per_s": round(source / seconds, 3),
        "output_mpx_per_s": round(output / seconds, 3),
        "consistency_error": error,
        "unresolved": tally.counts.unresolved,
        "clamped": tally.counts.clamped,
        "model": plan.model.name,
        "runtime": plan.machinery.runtime,
        "device": plan.machinery.device,
        "precision": plan.machinery.precision,
        "pixel_size_before": list(plan.source.grid.pixel_size) if placed else None,
        "pixel_size": list(plan.output.grid.pixel_size) if placed else None,
        "notes": list(plan.notes),
    }
