"""A run worked out before anything is written: every mistake a user can make surfaces here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from geosr.core.catalog import ModelFacts, factors_of, find_model
from geosr.core.errors import BandError, NotEnoughMemoryError, OptionError
from geosr.core.geometry import GeoGrid, Window
from geosr.core.options import UpscaleOptions
from geosr.core.plan import BlockPlan, ResampledPlan, best_tile_size, block_side
from geosr.engine import Work
from geosr.foreign import ForeignPredictor, is_model_path, lay_tiles, open_foreign
from geosr.io.facts import RasterFacts, check_upscalable, read_facts
from geosr.io.profile import OutputProfile, output_profile, resolve_nodata
from geosr.io.resolution import choose_factor, target_grid, transform_bounds
from geosr.predictors import Machinery, settle
from geosr.quantise import Target
from geosr.resample import AreaResampler

BLOCKS_IN_FLIGHT = 5
"""Blocks in memory at once: one read ahead, two predicted, two written."""

BASE_BYTES = 250 << 20
"""What Python, GDAL and a runtime take before the first pixel."""

NETWORK_BYTES = 700
"""What a worker's network takes for each pixel of its tile; measured with geosr-lite."""


@dataclass(frozen=True)
class FilePlan:
    """What a run will do.

    Attributes
    ----------
    source, indexes, window
        The raster, its bands, and the part of it that is upscaled.
    model, machinery
        What predicts, and what it runs on.
    output
        The file to be made.
    blocks
        Windows to read, predict and write.
    work
        How pixels are treated.
    foreign
        A network without a card, already opened for its probe; else None.
    notes
        What the user should know.
    """

    source: RasterFacts
    indexes: tuple[int, ...]
    window: Window
    model: ModelFacts
    machinery: Machinery
    output: OutputProfile
    blocks: BlockPlan
    work: Work
    foreign: ForeignPredictor | None
    notes: tuple[str, ...]

    @property
    def ram_bytes(self) -> int:
        """Estimate of the peak of resident memory."""
        itemsize = np.dtype(self.output.dtype).itemsize
        side = max((block.output for block in _few(self.blocks)), key=lambda w: w.height * w.width)
        pixels = side.height * side.width * self.output.count
        kept = itemsize if self.model.exact and not self.work.resampler else 4
        block = int(pixels * (kept + 12 / self.model.upscale_factor**2))
        tile = self.blocks.tile_size**2
        tiles = tile * (NETWORK_BYTES if not self.model.is_kernel else 0)
        phases = tile * 16 * self.model.upscale_factor**2 * self.model.bands
        in_flight = min(BLOCKS_IN_FLIGHT, self.blocks.num_blocks)
        return BASE_BYTES + in_flight * block + self.machinery.workers * (tiles + phases)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        size = self.output.grid.pixel_size
        return {
            "source": self.source.path,
            "source_shape": list(self.window.shape),
            "bands": list(self.indexes),
            "model": self.model.name,
            "factor": self.model.upscale_factor,
            "radius": self.model.radius,
            "runtime": self.machinery.runtime,
            "device": self.machinery.device,
            "precision": self.machinery.precision,
            "workers": self.machinery.workers,
            "width": self.output.grid.shape[1],
            "height": self.output.grid.shape[0],
            "transform": list(self.output.grid.transform),
            "bounds": list(self.output.grid.bounds),
            "pixel_size": list(size),
            "dtype": self.output.dtype,
            "nodata": self.output.nodata.value,
            "creation_options": dict(self.output.creation_options),
            "blocks": self.blocks.num_blocks,
            "tiles": self.blocks.num_tiles,
            "tile_size": self.blocks.tile_size,
            "ram_bytes": self.ram_bytes,
            "disk_bytes": self.output.raw_bytes,
            "notes": list(self.notes),
        }

    def lines(self) -> tuple[str, ...]:
        """Return the plan for people."""
        height, width = self.output.grid.shape
        before, after = self.source.grid.pixel_size, self.output.grid.pixel_size
        machinery = self.machinery
        rows = [
            ("Source", f"{self.window.width} x {self.window.height}, {len(self.indexes)} bands"),
            ("Model", f"{self.model.name}, {machinery.runtime}, {machinery.precision}"),
            ("Output", f"{width} x {height}, {self.output.dtype}"),
            ("Pixel size", f"{before[0]:g} x {before[1]:g} to {after[0]:g} x {after[1]:g}"),
            ("Transform", " ".join(f"{value!r}" for value in self.output.grid.transform)),
            ("Bounds", " ".join(f"{value!r}" for value in self.output.grid.bounds)),
            (
                "Work",
                f"{self.blocks.num_blocks} blocks, {self.blocks.num_tiles} tiles of "
                f"{self.blocks.tile_size} pixels, {machinery.workers} workers",
            ),
            ("Memory", f"about {_megabytes(self.ram_bytes)}"),
            ("Disk", f"at most {_megabytes(self.output.raw_bytes)}, less what compression saves"),
        ]
        return (*(f"{name:<11}{value}" for name, value in rows), *self.notes)


def plan_run(src_path: str, options: UpscaleOptions, *, processors: int) -> FilePlan:
    """Work a run out from the source's facts and the options; read no pixel but a probe's.

    Raises
    ------
    GeosrError
        One of its kinds for each thing that cannot be done.
    """
    source = read_facts(src_path)
    check_upscalable(source, options.indexes)
    indexes = source.all_indexes(options.indexes)
    window = _window(source.grid, options)
    grid = source.grid.crop(window)
    foreign = _foreign(options, source, indexes, processors)
    model = foreign.facts if foreign else _named(options, grid)
    _check_bands(model, source, indexes)
    machinery = foreign.machinery if foreign else settle(model, options, processors=processors)
    out_grid = _output_grid(source, grid, model, options)
    dtype = options.dtype or source.dtypes[indexes[0] - 1]
    nodata = resolve_nodata(source, indexes, dtype=dtype, nodata=options.nodata)
    output = output_profile(
        source,
        indexes,
        out_grid,
        dtype=dtype,
        nodata=nodata,
        creation_options=options.creation_options,
    )
    work = _work(source.dtypes[indexes[0] - 1], grid, model, output, options)
    work = replace(work, workers=machinery.workers)
    alpha = _alpha(source, indexes)
    if foreign:
        blocks = _foreign_blocks(foreign, grid, output, options.tile_size, alpha)
    else:
        blocks = _blocks(grid, model, output, work, options, alpha)
    notes = tuple(filter(None, (nodata.note, *(foreign.notes if foreign else ()))))
    plan = FilePlan(source, indexes, window, model, machinery, output, blocks, work, foreign, notes)
    _check_memory(plan)
    return plan


def _window(grid: GeoGrid, options: UpscaleOptions) -> Window:
    if options.bounds is None:
        return Window(0, 0, *grid.shape)
    return grid.window(transform_bounds(options.bounds, options.bounds_crs, grid))


def _foreign(
    options: UpscaleOptions, source: RasterFacts, indexes: tuple[int, ...], processors: int
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
    return open_foreign(options, bands=len(indexes) - (alpha is not None), processors=processors)


def _named(options: UpscaleOptions, grid: GeoGrid) -> ModelFacts:
    if options.resolution is None:
        return find_model(options.model, options.upscale_factor)
    _, ratio = target_grid(grid, options.resolution)
    return find_model(options.model, choose_factor(ratio, factors_of(options.model)))


def _output_grid(
    source: RasterFacts, grid: GeoGrid, model: ModelFacts, options: UpscaleOptions
) -> GeoGrid:
    if options.resolution is None:
        return grid.upscale(model.upscale_factor)
    if not source.has_transform:
        raise OptionError(
            f"{source.path} has no geotransform: its pixels have no size on the ground.",
            hint="Use --factor in place of --resolution.",
        )
    return target_grid(grid, options.resolution)[0]


def _check_bands(model: ModelFacts, source: RasterFacts, indexes: tuple[int, ...]) -> None:
    count = len(indexes) - (_alpha(source, indexes) is not None)
    if model.bands > 1 and count != model.bands:
        raise BandError(
            f"{model.name} takes exactly {model.bands} bands, not {count}.",
            hint=f"Choose {model.bands} of the raster's {source.count} bands with --bidx.",
        )
    if count == 0:
        raise BandError(
            "Only the alpha band was chosen; there is nothing to make sharper.",
            hint="Choose other bands with --bidx.",
        )


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
    needed = plan.machinery.workers * plan.blocks.tile_size**2 * NETWORK_BYTES
    if free is None or plan.model.is_kernel or needed <= free:
        return
    fitting = int((free / plan.machinery.workers / NETWORK_BYTES) ** 0.5) // 16 * 16
    raise NotEnoughMemoryError(
        f"Tiles of {plan.blocks.tile_size} pixels need {_megabytes(needed)} of memory; "
        f"{_megabytes(free)} are free.",
        hint=f"Use --tile-size {max(fitting, 2 * plan.blocks.halo + 1)}, or --workers 1.",
    )


def free_memory() -> int | None:
    """Return the free memory in bytes; None where the system does not say."""
    try:
        _pages, _size = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        with open("/proc/meminfo", encoding="ascii") as lines:
            fields = dict(line.split(":") for line in lines)
        return int(fields["MemAvailable"].split()[0]) << 10
    except (AttributeError, OSError, ValueError, KeyError):
        return None


def _few(plan: BlockPlan) -> list[Any]:
    """Return the first block: no other is larger."""
    return [next(plan.blocks())]


def _megabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def tags_of(plan: FilePlan, version: str) -> Mapping[str, str]:
    """Return what the output's tags say of how it was made."""
    model = plan.model
    tags = {
        "GEOSR_VERSION": version,
        "GEOSR_MODEL": model.name,
        "GEOSR_FACTOR": str(model.upscale_factor),
        "GEOSR_PRECISION": plan.machinery.precision,
        "GEOSR_CONSISTENCY": "block-mean" if plan.work.consistency else "none",
        "GEOSR_EXACT": "yes" if model.exact else "no: tiles are blended",
        "GEOSR_SHA256": model.sha256.get("onnx") or model.sha256.get("keras", ""),
    }
    if plan.foreign:
        tags["GEOSR_PROBE"] = plan.foreign.findings
        tags["GEOSR_MODEL_RANGE"] = " ".join(map(repr, plan.foreign.model_range or ()))
    return {name: value for name, value in tags.items() if value}
