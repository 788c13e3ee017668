"""How long a run will take: concluded from a few seconds of its own work on this machine.

A few small tiles of the raster go through the model in as many threads as in the run, and one
block of it through the output's compression. Holes are not counted on: the run will be over
sooner where many tiles have no valid pixel.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from typing import Any

from geosr.core.events import EventSink, no_events, phase_event
from geosr.core.facts import KERNEL_RADIUS, kernel_facts
from geosr.core.geometry import Window
from geosr.core.plan import Block, BlockPlan, ResampledPlan
from geosr.engine import Predictor, Reader
from geosr.engine.parts import Array, Tally, Valid
from geosr.engine.run import ENCODING
from geosr.engine.single import predict_block
from geosr.file_plan import FilePlan, TimeEstimate
from geosr.io.raster import RasterReader
from geosr.io.sinks import encoder_of
from geosr.loaded import LoadedModels
from geosr.outputs import output_of
from geosr.predictors import KernelPredictor

Predicted = tuple[Array, Valid | None, Tally]

MEASURED_S = 1.5
"""How long all threads predict."""

TILE_S = 0.2
"""How long one tile may take: several shall fit into the time."""

FIRST_CORE = 64
"""Side of the first tile's core: every network is quick on it."""

PLACES = 16
"""Where pixels are looked for that are no holes."""

SHARING = 4
"""Different tiles that all threads take turns with."""


@dataclass(frozen=True)
class Speed:
    """What was measured.

    Attributes
    ----------
    source_px_per_s
        Pixels that the model sees in a second, their halo included, in all threads.
    encode_s, encode_cpu_s
        What compression takes for each output pixel of all bands together: seconds by the clock,
        and of all threads together.
    load_s
        Seconds until the model is ready.
    measured
        With what, for people.
    """

    source_px_per_s: float
    encode_s: float
    encode_cpu_s: float
    load_s: float
    measured: str

    def seconds(self, plan: FilePlan, *, processors: int) -> float:
        """Return how long a run takes: prediction and compression overlap as far as cores allow."""
        predict_s = plan.blocks.num_tiles * plan.blocks.tile_size**2 / self.source_px_per_s
        height, width = plan.output.grid.shape
        pixels = height * width
        busy = min(plan.machinery.threads, processors) if plan.machinery.device == "cpu" else 0
        work_s = (predict_s * busy + pixels * self.encode_cpu_s) / processors
        return self.load_s + max(predict_s, pixels * self.encode_s / ENCODING, work_s)


class Calibrator:
    """Adds estimates of time to plans; runs of the same kind are measured once.

    Let the one with the largest raster come first: tiny tiles are slower.
    """

    def __init__(self, models: LoadedModels | None = None, on_event: EventSink = no_events) -> None:
        self._models = models or LoadedModels()
        self._on_event = on_event
        self._speeds: dict[tuple[Any, ...], Speed] = {}

    def calibrated(self, plan: FilePlan) -> FilePlan:
        """Return a plan that knows how long it takes, if there are pixels to measure with.

        Raises
        ------
        GeosrError
            If the model cannot be loaded, or the raster cannot be read.
        """
        key = _kind(plan)
        if key not in self._speeds:
            speed = self._measured(plan)
            if speed is None:
                return plan
            self._speeds[key] = speed
        speed = self._speeds[key]
        seconds = speed.seconds(plan, processors=os.cpu_count() or 1)
        return replace(plan, time=TimeEstimate(seconds, speed.measured))

    def _measured(self, plan: FilePlan) -> Speed | None:
        """Return how fast this kind of run is; None if no valid pixel was found."""
        self._on_event(phase_event("Loading the model"))
        begun = time.monotonic()
        predictor = plan.foreign or self._models.predictor(plan.model, plan.machinery)
        load_s = time.monotonic() - begun
        self._on_event(phase_event("Measuring the speed"))
        with RasterReader(plan.source, plan.indexes, plan.window) as reader:
            return _measured(plan, predictor, _Remembering(reader), load_s)


def _kind(plan: FilePlan) -> tuple[Any, ...]:
    """Return what runs have in common that are as fast for each pixel.

    Tiles may differ, as they do with the rasters' sizes: that changes little.
    """
    output = plan.output
    options = output.creation_options
    return (
        (plan.model.name, plan.machinery, plan.work.resampler is not None),
        (output.count, output.dtype, output.format),
        tuple((name, options[name]) for name in options if not name.startswith("BLOCK")),
    )


class _Remembering:
    """A reader that has read before: the run reads ahead, so reading costs it no time."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._read: dict[Window, tuple[Array, Valid | None]] = {}
        self.shape, self.extent, self.dtype = reader.shape, reader.extent, reader.dtype
        self.count, self.alpha = reader.count, reader.alpha

    def read(self, window: Window) -> tuple[Array, Valid | None]:
        """Return what lies in a window, from memory if it was asked for before."""
        if window not in self._read:
            self._read[window] = self._reader.read(window)
        return self._read[window]


def _measured(
    plan: FilePlan, predictor: Predictor, reader: _Remembering, load_s: float
) -> Speed | None:
    small = plan.blocks if plan.foreign else _with_core(plan.blocks, FIRST_CORE)
    work = partial(predict_block, reader=reader, predictor=predictor, work=plan.work)
    blocks = _valid_blocks(_in_tiles(small), work)
    if not blocks:
        return None
    encode = _encoding(plan, blocks[0], reader)
    if not plan.foreign:  # whose tiles are of sizes that it can take
        side = (TILE_S / _seconds(partial(work, _in_tiles(small), blocks[0]))) ** 0.5
        small = _with_core(plan.blocks, round(FIRST_CORE * side / 16) * 16)
        blocks = _valid_blocks(_in_tiles(small), work)
    rate, tiles = _rate(partial(work, _in_tiles(small)), blocks, plan.machinery.threads)
    threads = plan.machinery.threads
    measured = (
        f"{tiles} tiles of {small.tile_size} pixels in {threads} thread{'s' * (threads > 1)}, "
        f"{'and one block compressed' if any(encode) else 'without compression'}"
    )
    return Speed(rate * small.tile_size**2, *encode, load_s, measured)


def _with_core(plan: BlockPlan, core: int) -> BlockPlan:
    """Return a plan with tiles that are not larger than they were, and at least a few pixels."""
    full = plan.tile_size - 2 * plan.halo
    return replace(plan, tile_size=2 * plan.halo + max(min(core, full), min(16, full)))


def _in_tiles(plan: BlockPlan) -> BlockPlan:
    """Return a plan whose blocks are its tiles."""
    core = plan.tile_size - 2 * plan.halo
    if isinstance(plan, ResampledPlan):
        core = max(int((core - 2) / max(plan.steps)), 1)  # output pixels, and edges inside others
    return replace(plan, block_size=core)


def _valid_blocks(plan: BlockPlan, work: Callable[[BlockPlan, Block], Predicted]) -> list[Block]:
    """Return a few blocks from all over the raster that have pixels to predict."""
    count = plan.num_blocks
    wanted = {(2 * index + 1) * count // (2 * PLACES) for index in range(PLACES)}
    places = [block for block in plan.blocks() if block.number in wanted]
    from_middle = sorted(places, key=lambda block: abs(block.number - count // 2))
    found: list[Block] = []
    begun = time.perf_counter()
    for block in from_middle:
        if work(plan, block)[2].network_s > 0:
            found.append(block)
        late = time.perf_counter() - begun > MEASURED_S
        if len(found) == SHARING or (found and late):
            break
    return found


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _rate(
    work: Callable[[Block], tuple[Array, Valid | None, Tally]],
    blocks: Sequence[Block],
    threads: int,
) -> tuple[float, int]:
    """Return how many tiles all threads predict in a second, and how many they did."""

    def one(number: int) -> None:
        work(blocks[number % len(blocks)])

    def many(number: int) -> tuple[int, float]:
        begun, tiles = time.perf_counter(), 0
        for block in _from(blocks, number):
            tiles += work(block)[2].tiles
            if time.perf_counter() - begun >= MEASURED_S:
                break
        return tiles, time.perf_counter() - begun

    with ThreadPoolExecutor(threads, "geosr-calibrate") as pool:
        list(pool.map(one, range(threads)))  # the first time in a thread is slower
        told = list(pool.map(many, range(threads)))
    return sum(tiles / seconds for tiles, seconds in told), sum(tiles for tiles, _ in told)


def _from(blocks: Sequence[Block], first: int) -> Iterator[Block]:
    start = first % len(blocks)
    return cycle([*blocks[start:], *blocks[:start]])


def _encoding(plan: FilePlan, inside: Block, reader: Reader) -> tuple[float, float]:
    """Return what compression takes for each output pixel: by the clock, and of all threads.

    Both are 0 if GDAL does it while it writes.

    What is compressed is interpolated: pixels as smooth as the run's own.
    """
    if plan.output.format == "gtiff":
        return 0.0, 0.0
    encoder = encoder_of(output_of(plan, "estimate"))
    block = next(block for block in plan.blocks.blocks() if _holds(block.output, inside.output))
    core, factor, halo = block.core, plan.model.upscale_factor, KERNEL_RADIUS["bicubic"]
    values, valid, _ = predict_block(
        BlockPlan(plan.blocks.shape, core.width, 256, halo, factor, plan.blocks.alpha),
        Block(core, core.scale(factor)),
        reader,
        KernelPredictor(kernel_facts("bicubic", factor)),
        replace(plan.work, resampler=None),
    )
    rows, cols = map(slice, block.output.shape)  # fewer, if the pixels come from a resampler
    values, valid = values[:, rows, cols], None if valid is None else valid[:, rows, cols]
    encoder.encode(block, values, valid)  # the first time is slower
    cpu_s = time.process_time()
    seconds = _seconds(partial(encoder.encode, block, values, valid))
    cpu_s = time.process_time() - cpu_s
    pixels = block.output.height * block.output.width
    return seconds / pixels, cpu_s / pixels


def _holds(outer: Window, inner: Window) -> bool:
    row, col = inner.row_off - outer.row_off, inner.col_off - outer.col_off
    return 0 <= row < outer.height and 0 <= col < outer.width
