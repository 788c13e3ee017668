"""Arrays as the engine's ends, and models that are quickly said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from geosr.core.facts import ModelFacts, kernel_facts
from geosr.core.geometry import Window
from geosr.core.plan import BlockPlan
from geosr.engine import Tally, Work, run
from geosr.predictors import KernelPredictor
from geosr.quantise import Target


@dataclass(frozen=True)
class ArrayReader:
    """``(bands, height, width)`` as a `Reader`."""

    values: np.ndarray
    valid: np.ndarray | None = None
    alpha: int | None = None

    @property
    def shape(self):
        return self.values.shape[1:]

    @property
    def extent(self):
        return Window(0, 0, *self.shape)

    @property
    def dtype(self):
        return self.values.dtype.name

    @property
    def count(self):
        return len(self.values)

    def read(self, window):
        assert window == window.clip(self.shape), "reads outside the raster"
        place = window.slices
        valid = None if self.valid is None else self.valid[:, *place].copy()
        return self.values[:, *place].copy(), valid


class ArrayWriter:
    """An array as a `Writer`."""

    def __init__(self, shape, dtype):
        self.values = np.zeros(shape, dtype)
        self.valid = np.ones(shape, bool)
        self.hits = np.zeros(shape[1:], int)

    def encode(self, block, values, valid):
        return values, valid

    def commit(self, block, encoded, note):
        self.write(block.output, *encoded)

    def write(self, window, values, valid):
        assert values.dtype == self.values.dtype
        assert values.shape[1:] == window.shape
        self.values[:, *window.slices] = values
        self.hits[window.slices] += 1
        if valid is not None:
            self.valid[:, *window.slices] = valid


@dataclass(frozen=True)
class Model:
    """Any function of padded pixels to phases as a `Predictor`."""

    predict: Callable[[np.ndarray], np.ndarray]
    facts: ModelFacts


def kernel(name: str, factor: int) -> KernelPredictor:
    return KernelPredictor(kernel_facts(name, factor))


def facts(factor: int, radius: int, bands: int = 1) -> ModelFacts:
    return ModelFacts("stand-in", "stand-in", factor, radius, bands=bands)


@dataclass
class Result:
    values: np.ndarray
    valid: np.ndarray
    tally: Tally = field(repr=False)


def upscaled(
    source: np.ndarray,
    predictor,
    *,
    valid: np.ndarray | None = None,
    alpha: int | None = None,
    dtype: str | None = None,
    nodata: float | None = None,
    hole: float | None = None,
    consistency: bool = True,
    core: int | None = None,
    block_size: int = 1000,
    threads: int = 2,
) -> Result:
    """Run the engine on arrays; ``core`` is the side of a tile without its halo.

    Without it there is one tile, of one of a few sizes: networks are compiled for each.
    """
    s, halo = predictor.facts.upscale_factor, predictor.facts.radius
    kind = dtype or source.dtype.name
    bands, height, width = source.shape
    core = core or next(n for n in (16, 50, 200, 1000) if n >= max(height, width))
    plan = BlockPlan((height, width), block_size, core + 2 * halo, halo, s, alpha)
    writer = ArrayWriter((bands, height * s, width * s), kind)
    work = Work(Target(kind, nodata, exact=consistency), consistency, hole, None, threads)
    tally = run(plan, ArrayReader(source, valid, alpha), predictor, writer, work)
    assert (writer.hits == 1).all()
    assert tally.tiles == plan.num_tiles
    return Result(writer.values, writer.valid, tally)


def enlarged(x: np.ndarray, factor: int) -> np.ndarray:
    return x.repeat(factor, axis=-2).repeat(factor, axis=-1)


def block_means(image: np.ndarray, factor: int) -> np.ndarray:
    bands, height, width = image.shape
    blocks = image.reshape(bands, height // factor, factor, width // factor, factor)
    return blocks.astype(np.float64).mean(axis=(2, 4))


def scene(
    shape: tuple[int, int], *, bands: int = 1, dtype: str = "uint16", seed: int = 0
) -> np.ndarray:
    """Return fields with sharp edges, a ramp and noise: 1000 to 9000; uint8: 20 to 220."""
    rng = np.random.default_rng(seed)
    height, width = shape
    coarse = rng.uniform(1000, 8000, (bands, height // 7 + 1, width // 7 + 1))
    fields = enlarged(coarse, 7)[:, :height, :width]
    ramp = np.linspace(0, 800, width)
    x = fields + ramp + rng.normal(0, 30, (bands, height, width))
    x = np.clip(x, 1000, 9000)
    if dtype == "uint8":
        x = x / 40 - 5
    return np.rint(x).astype(dtype) if np.dtype(dtype).kind in "iu" else x.astype(dtype)
