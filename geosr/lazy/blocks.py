"""What a dask task does: a piece of the source, with its surroundings, to a chunk of the result.

Runs in any thread, process or machine: all that it needs is a `Job`, which is small and pickles,
and holds no weights. Each process loads the model once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from geosr.core.errors import ModelFileError
from geosr.core.facts import ModelFacts
from geosr.core.geometry import Window
from geosr.core.options import UpscaleOptions
from geosr.core.plan import Block, BlockPlan
from geosr.engine.parts import Array, Predictor, Valid, Work
from geosr.engine.single import predict_block
from geosr.foreign import open_foreign
from geosr.io.raster import equals_nodata
from geosr.predictors import Machinery, load_predictor


@dataclass(frozen=True)
class Network:
    """What a process needs to know to load the model.

    Attributes
    ----------
    card
        The model's facts, as JSON.
    machinery
        What it runs on, settled once, so that all processes compute the same.
    path, model_range, bands
        Of a network without a card: its file, what it was opened with, bands of the raster.
    """

    card: str
    machinery: Machinery
    path: str = ""
    model_range: tuple[float, float] | None = None
    bands: int = 1

    def load(self) -> Predictor:
        """Return the model, ready to run; the same one for all threads of the process."""
        with _LOADING:
            return _load(self)


# The one piece of state that modules may have: weights are too large to come with each task.
_LOADING = threading.Lock()  # lru_cache alone would let each thread load them for itself


@lru_cache(maxsize=4)
def _load(network: Network) -> Predictor:
    facts, machinery = ModelFacts.from_card(network.card), network.machinery
    if not network.path:
        return load_predictor(facts, replace(machinery, threads=os.cpu_count() or 1))
    options = UpscaleOptions(
        model=network.path,
        model_range=network.model_range,
        device=machinery.device,
        precision=machinery.precision,
        runtime=machinery.runtime,
    )
    foreign = open_foreign(options, bands=network.bands)
    if foreign.facts != facts:
        raise ModelFileError(
            f"{network.path} is not what it was when the array was made.",
            hint="Every machine needs the same file at this path.",
        )
    return foreign


@dataclass(frozen=True)
class Job:
    """What all tasks of an array have in common.

    Attributes
    ----------
    network
        What predicts.
    plan
        Tiles; the blocks are dask's own.
    work
        How pixels are treated.
    nodata
        Value that marks holes in the source, besides NaN.
    axes
        Where rows and columns are, and before them the bands if the model sees them together.
    together
        Bands that the model sees together.
    stride
        Blocks must begin at a multiple of it, in source pixels.
    """

    network: Network
    plan: BlockPlan
    work: Work
    nodata: float | None
    axes: tuple[int, ...]
    together: int = 1
    stride: int = 1


@dataclass(frozen=True)
class Part:
    """What a task is given of a source chunk.

    Attributes
    ----------
    row, col
        The source pixel where it begins.
    strip
        Which of the strips of `cut_rim` it is; None: it is the chunk itself.
    """

    row: int
    col: int
    strip: int | None = None


@dataclass(frozen=True)
class Piece:
    """One task's part of the raster.

    Attributes
    ----------
    core
        Source pixels that become the chunk.
    seen
        These and their surroundings, inside the raster.
    parts
        What is given of the source chunks that ``seen`` meets.
    """

    core: Window
    seen: Window
    parts: tuple[Part, ...]


def cut_rim(chunk: Array, y: int, x: int, depth: int) -> tuple[Array, Array, Array, Array]:
    """Return a chunk's first rows, last rows, first columns and last columns, ``depth`` of each.

    They are copies: the chunk itself can be dropped.
    """
    values = np.asarray(chunk)
    first, last = slice(0, depth), slice(-depth, None)
    strips = [
        values[tuple(cut if axis == place else slice(None) for place in range(values.ndim))].copy()
        for axis in (y, x)
        for cut in (first, last)
    ]
    return strips[0], strips[1], strips[2], strips[3]


def upscale_piece(job: Job, piece: Piece, *given: Array | Sequence[Array]) -> Array:
    """Return one chunk of the result, in the dimension order of the source.

    Parameters
    ----------
    given
        For each of ``piece.parts`` the source chunk, or the strips of its rim.
    """
    last = tuple(range(-len(job.axes), 0))
    parts = (
        one if part.strip is None else one[part.strip]
        for part, one in zip(piece.parts, given, strict=True)
    )
    pixels = _pasted(piece, [np.moveaxis(np.asarray(values), job.axes, last) for values in parts])
    around = pixels.shape[:-2]
    images = pixels.reshape(-1, job.together, *piece.seen.shape)
    factor = job.plan.upscale_factor
    shape = piece.core.scale(factor).shape
    result = np.empty((*images.shape[:2], *shape), job.work.target.dtype)
    predictor = job.network.load()
    for image, values in zip(images, result, strict=True):
        reader = _Pixels(job.plan.shape, piece.seen, image, job.nodata)
        block = _block(piece.core, job.stride, factor)
        inner = piece.core.shift(-block.core.row_off, -block.core.col_off).scale(factor)
        whole, _, _ = predict_block(job.plan, block, reader, predictor, job.work)
        values[...] = whole[:, *inner.slices]
    return np.moveaxis(result.reshape(*around, *shape), last, job.axes)


@dataclass(frozen=True)
class _Pixels:
    """Pixels in memory as an `engine.Reader`, of which only a part of the raster is there.

    Attributes
    ----------
    shape
        ``(height, width)`` of the whole raster.
    seen
        Where ``values`` ``(bands, height, width)`` lie in it.
    """

    shape: tuple[int, int]
    seen: Window
    values: Array
    nodata: float | None
    alpha: int | None = None

    @property
    def extent(self) -> Window:
        """The whole raster."""
        return Window(0, 0, *self.shape)

    @property
    def dtype(self) -> str:
        """The dtype name."""
        return self.values.dtype.name

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.values)

    def read(self, window: Window) -> tuple[Array, Valid | None]:
        """Return values as stored and which of them are valid."""
        place = window.shift(-self.seen.row_off, -self.seen.col_off)
        values = self.values[:, *place.slices]
        valid = np.ones(values.shape, np.bool_)
        if values.dtype.kind == "f":
            valid &= np.isfinite(values)
        if self.nodata is not None:
            valid &= ~equals_nodata(values, self.nodata)
        return values, None if valid.all() else valid


def _block(core: Window, stride: int, factor: int) -> Block:
    """Return the smallest block on the network's own grid that holds ``core``."""
    rows, cols = core.row_off % stride, core.col_off % stride
    wide = Window(core.row_off - rows, core.col_off - cols, core.height + rows, core.width + cols)
    return Block(wide, wide.scale(factor))


def _pasted(piece: Piece, given: Sequence[Array]) -> Array:
    """Return the pixels of ``piece.seen``, rows and columns last."""
    pixels = np.empty((*given[0].shape[:-2], *piece.seen.shape), given[0].dtype)
    for values, part in zip(given, piece.parts, strict=True):
        rows = list(_shared(part.row, values.shape[-2], piece.seen.row_off, piece.seen.height))
        cols = list(_shared(part.col, values.shape[-1], piece.seen.col_off, piece.seen.width))
        pixels[..., rows[1], cols[1]] = values[..., rows[0], cols[0]]
    return pixels


def _shared(first: int, count: int, other: int, other_count: int) -> Iterator[slice]:
    """Yield where two stretches of pixels overlap, counted from the start of each."""
    start, end = max(first, other), min(first + count, other + other_count)
    for origin in (first, other):
        yield slice(start - origin, max(end - origin, start - origin))
