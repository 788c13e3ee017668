"""`upscale_array`: the whole story."""

from __future__ import annotations

import logging
import os
from collections.abc import Hashable
from dataclasses import asdict, dataclass, replace

import dask
import numpy as np
import xarray
from dask.utils import parse_bytes

from geosr.core.bands import called_so, described_places
from geosr.core.catalog import find_model
from geosr.core.errors import BandError, OptionError
from geosr.core.facts import ModelFacts
from geosr.core.options import UpscaleOptions
from geosr.core.plan import BlockPlan, best_tile_size, block_side
from geosr.engine.overlap import BlendedPlan
from geosr.engine.parts import Work
from geosr.foreign import ForeignPredictor, is_model_path, lay_tiles, open_foreign
from geosr.lazy.blocks import Job, Network
from geosr.lazy.dims import Dims, band_names, find_dims, num_bands, select_bands
from geosr.lazy.graph import upscaled
from geosr.lazy.layout import chunk_steps
from geosr.lazy.place import placed, read_place, renewed
from geosr.lazy.storage import Storage, plan_storage
from geosr.predictors import settle
from geosr.quantise import Target

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Model:
    facts: ModelFacts
    network: Network
    foreign: ForeignPredictor | None


def upscale_array(raster: xarray.DataArray, options: UpscaleOptions) -> xarray.DataArray:
    """Return a raster upscaled, lazily: its pixels are computed when they are asked for.

    They are those that `geosr.upscale_file` writes.

    Parameters
    ----------
    raster
        With rows and columns named as rioxarray knows them; any other dimensions hold bands.
        What is not chunked yet is cut into chunks for the work, and read chunk by chunk.
    options
        Those that say how a file is written or how work is shared are refused: dask does that.

    Raises
    ------
    GeosrError
        One of its kinds, with a hint, for each thing that cannot be done; at once, not when the
        pixels are computed.
    """
    _refuse_file_options(options)
    dims = find_dims(raster)
    raster = select_bands(raster, dims, options.indexes)
    storage = plan_storage(raster, options)
    place = read_place(raster, dims)
    model = _model(options, num_bands(raster, dims))
    factor, together = model.facts.upscale_factor, model.facts.bands
    order = _order(model.facts, raster, dims, options)
    if order:
        raster = raster.isel({dims.band: list(order)})
    chunked = _chunked(raster, dims, factor, together)
    steps = _steps(chunked, dims, factor, storage.dtype)
    plan = _plan(chunked, dims, model, max(steps), options)
    job = _job(chunked, dims, model, plan, storage, options)
    finer = upscaled(chunked.data, job, steps=steps, reach=_reach(job, raster))
    result = placed(finer, chunked, dims, place, factor)
    if order:
        result = result.isel({dims.band: [order.index(n) for n in range(together)]})
    result.attrs = renewed(storage.attrs, place, factor)
    result.encoding = storage.encoding
    return result


def _refuse_file_options(options: UpscaleOptions) -> None:
    threads = "dask decides: dask.config.set(num_workers=...)."
    apart = {
        "resolution": "Use upscale_file, or result.rio.reproject() after it.",
        "bounds": "Slice the array: raster.sel(x=slice(...), y=slice(...)).",
        "format": "Write the result with to_zarr() or rio.to_raster().",
        "creation_options": "Give them to result.rio.to_raster().",
        "overwrite": "Nothing is written here.",
        "uncertainty": "Use upscale_file.",
        "uncertainty_model": "Use upscale_file.",
        "resume": "Nothing is written here.",
        "threads": threads,
        "workers": threads,
        "scheduler": "dask decides: make a dask.distributed.Client before the result is computed.",
    }
    if options.precision == "int8":
        raise OptionError(
            "int8 does not apply to arrays: its scale comes from a sample of all pixels, and none "
            "is computed yet.",
            hint="Use upscale_file, or another precision.",
        )
    plain = asdict(UpscaleOptions())
    for name, value in asdict(options).items():
        if name in apart and value != plain[name]:
            raise OptionError(f"The option {name} does not apply to arrays.", hint=apart[name])


def _model(options: UpscaleOptions, bands: int) -> _Model:
    processors = os.cpu_count() or 1
    if is_model_path(options.model):
        foreign = open_foreign(options, bands=bands)
        for note in foreign.notes:
            logger.warning(note)
        path = os.path.abspath(options.model)
        facts, machinery = foreign.facts, foreign.machinery
        network = Network(facts.to_card(), machinery, path, options.model_range, bands)
        return _Model(facts, network, foreign)
    if options.model_range is not None:
        raise OptionError(
            f"The option model_range does not apply to {options.model}: its result follows the "
            "raster's own units.",
            hint="Leave it out; it is for networks without a card.",
        )
    facts = find_model(options.model, options.upscale_factor)
    if facts.bands not in (1, bands):
        raise BandError(
            f"{facts.name} takes {facts.bands_in_words}, not {bands}.",
            hint=f"Choose {facts.bands} of the array's bands with indexes=(...), in this order.",
        )
    # What readers of the card want to know would only make each task larger.
    card = replace(facts, summary="", sources=(), training={}, scores={}).to_card()
    return _Model(facts, Network(card, settle(facts, options, processors=processors)), None)


def _order(
    facts: ModelFacts, raster: xarray.DataArray, dims: Dims, options: UpscaleOptions
) -> tuple[int, ...]:
    """Return where a model's bands are, by their names; say so unless they are called just that."""
    if not facts.band_names or options.indexes:
        return ()
    names = band_names(raster, dims)
    order = described_places(facts.band_names, names)
    taken = [names[place] for place in order or range(len(names))]
    if not called_so(facts.band_names, taken):
        logger.warning(facts.taken(taken, "indexes=(...)"))
    return order


def _chunked(raster: xarray.DataArray, dims: Dims, factor: int, together: int) -> xarray.DataArray:
    """Cut a raster into chunks that the work goes well with; if it has chunks, keep those."""
    if raster.chunks is None:
        bands = num_bands(raster, dims)
        side = block_side(factor, bytes_per_output_pixel=bands * raster.dtype.itemsize)
        chunks: dict[Hashable, int] = dict.fromkeys(raster.dims, 1)
        chunks |= {dims.y: side, dims.x: side}
        if dims.band is not None:
            chunks[dims.band] = bands
        raster = raster.chunk(chunks)
    return raster.chunk({dims.band: -1}) if together > 1 and dims.band is not None else raster


def _steps(raster: xarray.DataArray, dims: Dims, factor: int, dtype: str) -> tuple[int, int]:
    """Return the sides of the result's chunks, in source pixels."""
    y, x = raster.dims.index(dims.y), raster.dims.index(dims.x)
    limit = parse_bytes(dask.config.get("array.chunk-size"))
    itemsize = np.dtype(dtype).itemsize
    return chunk_steps(raster.data.chunks, (y, x), factor, itemsize=itemsize, limit=limit)


def _plan(
    raster: xarray.DataArray, dims: Dims, model: _Model, side: int, options: UpscaleOptions
) -> BlockPlan:
    """Lay tiles for blocks of ``side`` source pixels."""
    shape = (int(raster.sizes[dims.y]), int(raster.sizes[dims.x]))
    if model.foreign:
        return lay_tiles(
            model.foreign, shape, block_size=side, tile_size=options.tile_size, alpha=None
        )
    halo = model.facts.radius
    tile_size = options.tile_size or best_tile_size(shape, block_size=side, halo=halo)
    return BlockPlan(shape, side, tile_size, halo, model.facts.upscale_factor)


def _job(
    raster: xarray.DataArray,
    dims: Dims,
    model: _Model,
    plan: BlockPlan,
    storage: Storage,
    options: UpscaleOptions,
) -> Job:
    facts = model.facts
    wanted = (dims.band, dims.y, dims.x) if facts.bands > 1 else (dims.y, dims.x)
    axes = tuple(raster.dims.index(name) for name in wanted if name is not None)
    consistency = options.consistency and facts.consistency == "block-mean"
    target = Target(storage.dtype, storage.nodata, exact=consistency)
    work = Work(target, consistency, storage.hole)
    stride = model.foreign.stride if model.foreign else 1
    return Job(model.network, plan, work, storage.source_nodata, axes, facts.bands, stride)


def _reach(job: Job, raster: xarray.DataArray) -> int:
    """Return how far a task looks: as far as the network, and again to fill holes it meets."""
    to_the_grid = job.stride - 1  # where the network's own grid begins before the chunk
    if isinstance(job.plan, BlendedPlan):  # whose tiles fill their holes from themselves
        return job.plan.reach + to_the_grid
    may_have_holes = raster.dtype.kind == "f" or job.nodata is not None
    return job.plan.halo * (2 if may_have_holes else 1) + to_the_grid
