"""One-call functions: what the command line, scripts and notebooks use."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from geosr.batch.run import BatchReport, find_batch, run_batch
from geosr.batch.uncertainty import check_both, run_both
from geosr.core.errors import GeosrError
from geosr.core.events import EventSink, no_events
from geosr.core.options import UpscaleKeywords, UpscaleOptions
from geosr.file_plan import FilePlan
from geosr.file_run import UpscaleReport, run_file, surroundings
from geosr.io.facts import check_upscalable, read_facts
from geosr.io.output import check_output

if TYPE_CHECKING:
    import xarray

__all__ = [
    "BatchReport",
    "UpscaleReport",
    "describe_raster",
    "plan_file",
    "upscale",
    "upscale_file",
    "upscale_files",
]

Path = str | os.PathLike[str]


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
    there before. A run that was stopped or killed goes on when it is called again in the same
    way: see ``resume`` in `geosr.core.options.UpscaleOptions`.

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
    chosen = UpscaleOptions(**options)
    with surroundings(chosen, on_event, should_stop) as around:
        plan = around.plan(os.fspath(src_path), chosen)
        if plan.uncertainty:
            return run_both(plan, os.fspath(dst_path), around, chosen)
        _check(plan, dst_path, chosen)
        return run_file(plan, os.fspath(dst_path), around, chosen)


def upscale_files(
    sources: Path | Sequence[Path],
    out_dir: Path,
    *,
    assets: Sequence[str] = (),
    on_event: EventSink = no_events,
    should_stop: Callable[[], bool] = lambda: False,
    **options: Unpack[UpscaleKeywords],
) -> BatchReport:
    """Super-resolve many rasters into a folder, which is made if it is missing.

    Models stay loaded from one raster to the next. A raster that cannot be upscaled stops no
    other. Outputs that are there already, and were made in the same way, are skipped: a batch that
    was stopped or killed goes on when it is called again.

    Parameters
    ----------
    sources
        Rasters; patterns such as ``"scenes/**/*.tif"``; lists, ``"@scenes.txt"``; STAC Items and
        lists of items, as JSON in a file or at an http address.
    out_dir
        Outputs are called as their sources, or ``ITEM_ASSET``; they end with ``.tif`` or ``.zarr``.
    assets
        Those of each STAC item; none: those with the role "data", else all GeoTIFF and JPEG 2000.
    on_event, should_stop, **options
        As in `upscale_file`.

    Returns
    -------
    BatchReport
        What was made, what was skipped, and what failed and why.

    Raises
    ------
    CancelledError
        If it was stopped; what is done stays.
    GeosrError
        If two sources would have the same output, or the options would fail with every raster.

    Examples
    --------
    >>> import geosr
    >>> report = geosr.upscale_files("scenes/*.tif", "sharper")  # doctest: +SKIP
    >>> [failure.message for failure in report.failed]  # doctest: +SKIP
    []
    """
    names = [sources] if isinstance(sources, str | os.PathLike) else sources
    chosen = UpscaleOptions(**options)
    batch = find_batch(
        [os.fspath(name) for name in names], os.fspath(out_dir), chosen, assets=assets
    )
    with surroundings(chosen, on_event, should_stop) as around:
        return run_batch(batch, around)


def plan_file(
    src_path: Path, dst_path: Path | None = None, **options: Unpack[UpscaleKeywords]
) -> FilePlan:
    """Return what `upscale_file` would do, or raise what it would; nothing is written."""
    chosen = UpscaleOptions(**options)
    with surroundings(chosen) as around:
        plan = around.plan(os.fspath(src_path), chosen)
    if dst_path is not None and plan.uncertainty:
        check_both(plan, os.fspath(dst_path), chosen)
    elif dst_path is not None:
        _check(plan, dst_path, chosen)
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


def _check(plan: FilePlan, dst_path: Path, options: UpscaleOptions) -> None:
    check_output(
        plan.source.path,
        dst_path,
        options.overwrite,
        source_files=plan.source.files,
        format=options.format,
    )
