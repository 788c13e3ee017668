"""A run worked out before anything is written: every mistake a user can make surfaces here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from geosr.contrast import contrasts
from geosr.core.catalog import factors_of, find_model
from geosr.core.errors import NotEnoughMemoryError, OptionError
from geosr.core.facts import ModelFacts
from geosr.core.geometry import GeoGrid, Window
from geosr.core.options import UpscaleOptions
from geosr.core.plan import BlockPlan, ResampledPlan, best_tile_size, block_side
from geosr.engine import Work
from geosr.file_plan import NETWORK_BYTES, FilePlan, megabytes
from geosr.foreign import ForeignPredictor, is_model_path, lay_tiles
from geosr.io.facts import RasterFacts, check_upscalable, read_facts
from geosr.io.model_bands import band_order, check_band_count, taken_bands
from geosr.io.profile import OutputProfile, output_profile, resolve_nodata
from geosr.io.resolution import choose_factor, target_grid, transform_bounds
from geosr.io.zarr.options import require_zarr
from geosr.loaded import LoadedModels
from geosr.predictors import Machinery, settle
from geosr.quantise import Target
from geosr.resample import AreaResampler

Settle = Callable[[ModelFacts, UpscaleOptions], Machinery]
"""What decides on what a model runs."""


def plan_run(
    src_path: str,
    options: UpscaleOptions,
    *,
    processors: int,
    models: LoadedModels | None = None,
    settled: Settle | None = None,
    head: ModelFacts | None = None,
) -> FilePlan:
    """Work a run out from the source's facts and the options; read no pixels but int8's sample.

    Parameters
    ----------
    processors
        Threads of the network, if the options do not tell.
    models
        Keeps networks without a card, once they are opened and probed.
    settled
        Decides on what a model of a card runs; None: this machine does.
    head
        What runs in place of the options' model: see `sigma_options`.

    Raises
    ------
    GeosrError
        One of its kinds for each thing that cannot be done.
    """
    if options.format == "zarr":
        require_zarr()
    source = read_facts(src_path)
    check_upscalable(source, options.indexes)
    indexes = source.all_indexes(options.indexes)
    window = _window(source.grid, options)
    grid = source.grid.crop(window)
    models = models or LoadedModels()
    settled = settled or partial(settle, processors=processors)
    opened = partial(models.foreign, processors=processors)
    foreign = None if head else _foreign(options, source, indexes, opened)
    model = foreign.facts if foreign else head or _named(options, source, grid)
    check_band_count(model, source, indexes)
    machinery = foreign.machinery if foreign else settled(model, options)
    out_grid = _output_grid(grid, model, options)
    dtype = options.dtype or source.dtypes[indexes[0] - 1]
    nodata = resolve_nodata(source, indexes, dtype=dtype, nodata=options.nodata)
    output = output_profile(
        source,
        indexes,
        out_grid,
        dtype=dtype,
        nodata=nodata,
        creation_options=options.creation_options,
        format=options.format,
    )
    work = _work(source.dtypes[indexes[0] - 1], grid, model, output, options)
    order = () if options.indexes else band_order(model, source)
    work = replace(work, threads=machinery.threads, order=order)
    if machinery.precision == "int8":
        found = contrasts(source, indexes, together=model.bands > 1)
        work = replace(work, contrasts=found)
    alpha = _alpha(source, indexes)
    if foreign:
        blocks = _foreign_blocks(foreign, grid, output, options.tile_size, alpha)
    else:
        blocks = _blocks(grid, model, output, work, options, alpha)
    taken = "" if options.indexes else taken_bands(model, source, order)
    told = nodata.note, taken, *(foreign.notes if foreign else ())
    notes = tuple(filter(None, told))
    plan = FilePlan(source, indexes, window, model, machinery, output, blocks, work, foreign, notes)
    _check_memory(plan)
    return plan


def sigma_options(options: UpscaleOptions) -> UpscaleOptions:
    """Return how a head runs beside a model of ``options``: float32, and NaN for holes."""
    return replace(
        options,
        dtype="float32",
        nodata=math.nan,
        precision="auto" if options.precision == "int8" else options.precision,
        uncertainty=None,
        uncertainty_model=None,
    )


def _window(grid: GeoGrid, options: UpscaleOptions) -> Window:
    if options.bounds is None:
        return Window(0, 0, *grid.shape)
    return grid.window(transform_bounds(options.bounds, options.bounds_crs, grid))


def _foreign(
    options: UpscaleOptions,
    source: RasterFacts,
    indexes: tuple[int, ...],
    opened: Callable[..., ForeignPredictor],
) -> ForeignPredictor | None:
    if not is_model_path(options.model):
        if options.model_range is not None:
            raise OptionError(
                f"--model-range does not apply to {options.model}: its result follows the "
                "raster's own units.",
                hint="Leave it out; it is for networks without a card.",
            )
        return None
    if options.resolution is not None:
        raise OptionError(
            "--resolution needs a model with known factors.",
            hint="Leave it out; a network without a card makes the factor that it was built for.",
        )
    alpha = _alpha(source, indexes)
    return opened(options, bands=len(indexes) - (alpha is not None))


def _named(options: UpscaleOptions, source: RasterFacts, grid: GeoGrid) -> ModelFacts:
    if options.resolution is None:
        return find_model(options.model, options.upscale_factor)
    if not source.has_transform:
        raise OptionError(
            f"{source.path} has no geotransform: its pixels have no size on the ground.",
            hint="Use --factor in place of --resolution.",
        )
    _, ratio = target_grid(grid, options.resolution)
    return find_model(options.model, choose_factor(ratio, factors_of(options.model)))


def _output_grid(grid: GeoGrid, model: ModelFacts, options: UpscaleOptions) -> GeoGrid:
    if options.resolution is None:
        return grid.upscale(model.upscale_factor)
    return target_grid(grid, options.resolution)[0]


def _alpha(source: RasterFacts, indexes: tuple[int, ...]) -> int | None:
    return indexes.index(source.alpha) if source.alpha in indexes else None


def _work(
    source_dtype: str,
    grid: GeoGrid,
    model: ModelFacts,
    output: OutputProfile,
    options: UpscaleOptions,
) -> Work:
    resampler = None
    if options.resolution is not None:
        old, new = grid.pixel_size, output.grid.pixel_size
        resampler = AreaResampler(model.upscale_factor, (new[1] / old[1], new[0] / old[0]))
    consistency = options.consistency and model.consistency == "block-mean"
    target = Target(output.dtype, output.nodata.value, exact=consistency and resampler is None)
    same = output.dtype == source_dtype and options.nodata is None and resampler is None
    hole = None if same else output.nodata.fill
    return Work(target, consistency, hole, resampler)


def _blocks(
    grid: GeoGrid,
    model: ModelFacts,
    output: OutputProfile,
    work: Work,
    options: UpscaleOptions,
    alpha: int | None,
) -> BlockPlan:
    halo, factor = model.radius, model.upscale_factor
    per_pixel = output.count * (4 if work.resampler else np.dtype(output.dtype).itemsize)
    side = block_side(factor, bytes_per_output_pixel=per_pixel)
    tile_size = options.tile_size or best_tile_size(grid.shape, block_size=side, halo=halo)
    if not work.resampler:
        return BlockPlan(grid.shape, side, tile_size, halo, factor, alpha)
    return ResampledPlan(
        grid.shape,
        block_side(1, bytes_per_output_pixel=2 * per_pixel),
        tile_size,
        halo,
        factor,
        alpha,
        output_shape=output.grid.shape,
        steps=work.resampler.steps,
    )


def _foreign_blocks(
    foreign: ForeignPredictor,
    grid: GeoGrid,
    output: OutputProfile,
    tile_size: int | None,
    alpha: int | None,
) -> BlockPlan:
    # Blended tiles are added up as float32 before they get the output's dtype.
    itemsize = np.dtype(output.dtype).itemsize if foreign.facts.exact else 4
    side = block_side(foreign.facts.upscale_factor, bytes_per_output_pixel=output.count * itemsize)
    return lay_tiles(foreign, grid.shape, block_size=side, tile_size=tile_size, alpha=alpha)


def _check_memory(plan: FilePlan) -> None:
    """Refuse tiles that do not fit into the memory that is free."""
    free = free_memory()
    needed = plan.machinery.threads * plan.blocks.tile_size**2 * NETWORK_BYTES
    if free is None or plan.model.is_kernel or needed <= free:
        return
    fitting = int((free / plan.machinery.threads / NETWORK_BYTES) ** 0.5) // 16 * 16
    raise NotEnoughMemoryError(
        f"Tiles of {plan.blocks.tile_size} pixels need {megabytes(needed)} of memory; "
        f"{megabytes(free)} are free.",
        hint=f"Use --tile-size {max(fitting, 2 * plan.blocks.halo + 1)}, or --threads 1.",
    )


def free_memory() -> int | None:
    """Return the free memory in bytes; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        fields = dict(line.split(":") for line in lines)
        return int(fields["MemAvailable"].split()[0]) << 10
    except (OSError, ValueError, KeyError):
        return None
