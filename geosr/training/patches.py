"""Paired patches, cut from high-resolution rasters and degraded as they are drawn."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geosr.core.catalog import KERNEL_RADIUS
from geosr.core.errors import InputFileError
from geosr.core.geometry import Window
from geosr.degrade import DEGRADATIONS, area
from geosr.io.raster import RasterReader, read_facts
from geosr.kernels import interleave, upsample
from geosr.metrics import LUMA, psnr
from geosr.training.recipe import Recipe, Source

_log = logging.getLogger(__name__)

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Pool:
    """Planes ``(h, w)`` scaled to a range of about 1, and how likely each is to be drawn."""

    planes: tuple[Plane, ...]
    odds: NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """A validation image at both resolutions, and what bicubic makes of it in dB."""

    low: Plane
    high: Plane
    border: int
    bicubic: float


VALIDATION_SIDE = 384
"""Validation looks at this much of each plane, in high-resolution pixels."""


def validation_pairs(pool: Pool, recipe: Recipe, upscale_factor: int) -> list[Pair]:
    """Degrade the middle of each validation plane."""
    return [_pair(plane, recipe, upscale_factor) for plane in pool.planes]


def _pair(plane: Plane, recipe: Recipe, s: int) -> Pair:
    height, width = (min(n, VALIDATION_SIDE) // s * s for n in plane.shape)
    row, col = (plane.shape[0] - height) // 2, (plane.shape[1] - width) // 2
    high = plane[row : row + height, col : col + width]
    low = DEGRADATIONS[recipe.degradation](high, s).astype(np.float32)
    reach = KERNEL_RADIUS["bicubic"]
    padded = np.pad(low, reach, mode="reflect")[None]
    plain = interleave(upsample(padded, "bicubic", s))[0]
    return Pair(low, high, 2 * s, psnr(high, plain, data_range=1.0, border=2 * s))


def load_pools(recipe: Recipe, data_dir: str | Path, *, side: int) -> tuple[Pool, Pool]:
    """Read all images of a recipe; return those to train on and those to validate on.

    Planes shorter than ``side`` pixels are left out.

    Raises
    ------
    InputFileError
        If no file matches, or one cannot be read.
    """
    train: list[Plane] = []
    odds: list[float] = []
    held: list[Plane] = []
    for source in recipe.sources:
        paths = sorted(Path(data_dir).glob(source.glob))
        if not paths:
            raise InputFileError(
                f"No file in {data_dir} matches {source.glob}.",
                hint="--data names the folder that the recipe's sources are relative to.",
            )
        kept = [path for path in paths if not _is_held(path, source)]
        planes = [plane for path in kept for plane in _planes(path, source, side)]
        pixels = np.array([plane.size for plane in planes], float)
        train += planes
        odds += list(source.weight * pixels / pixels.sum()) if planes else []
        held += [p for path in paths if _is_held(path, source) for p in _planes(path, source, side)]
        _log.info("%s: %d planes, %.1f Mpx", source.glob, len(planes), pixels.sum() / 1e6)
    share = np.array(odds)
    if not train:
        raise InputFileError(
            f"No image is {side} pixels wide.", hint="Use larger images or a smaller patch."
        )
    return Pool(tuple(train), share / share.sum()), Pool(tuple(held), np.ones(len(held)))


def _is_held(path: Path, source: Source) -> bool:
    return any(fnmatch(path.name, pattern) for pattern in source.validation)


def _planes(path: Path, source: Source, side: int) -> Iterator[Plane]:
    """Yield every band, and the luma of 8-bit colour images, at every reduction asked for."""
    facts = read_facts(str(path))
    bands = min(facts.count, 4) if facts.dtype == "uint8" else facts.count
    whole = Window(0, 0, *facts.grid.shape)
    values, valid = RasterReader(facts, tuple(range(1, bands + 1)), whole).read(whole)
    image = values.astype(np.float32)
    if valid is not None:
        image = _whole_part(image, np.asarray(valid.all(axis=0)))
    if facts.dtype == "uint8":
        image /= 255
        if facts.count >= 3:
            image = np.concatenate([image, np.tensordot(LUMA, image[:3], axes=1)[None]])
    for factor in source.reduce:
        height, width = (n // factor * factor for n in image.shape[1:])
        for plane in area(image[:, :height, :width], factor).astype(np.float32):
            low, high = np.percentile(plane, (0.1, 99.9))
            if min(plane.shape) >= side and high > low:
                yield plane if facts.dtype == "uint8" else (plane - low) / (high - low)


def _whole_part(image: Plane, valid: NDArray[np.bool_]) -> Plane:
    """Cut the rows and columns with holes off, the worst first, until none is left."""
    rows, cols = [0, valid.shape[0]], [0, valid.shape[1]]
    while not valid[slice(*rows), slice(*cols)].all():
        part = ~valid[slice(*rows), slice(*cols)]
        edges = [part[0].mean(), part[-1].mean(), part[:, 0].mean(), part[:, -1].mean()]
        worst = int(np.argmax(edges))
        (rows if worst < 2 else cols)[worst % 2] += 1 if worst % 2 == 0 else -1
    return image[:, slice(*rows), slice(*cols)]


def draw_batch(
    pool: Pool, recipe: Recipe, *, halo: int, step: int, upscale_factor: int
) -> tuple[Plane, Plane]:
    """Return low ``(batch, p + 2 halo, p + 2 halo, 1)`` and high ``(batch, s*p, s*p, 1)``.

    The same recipe, seed and step give the same batch, so a run can go on where it stopped.
    """
    s, several = upscale_factor, len(recipe.factors) > 1
    rng = np.random.default_rng([recipe.seed, step, *([s] if several else [])])
    side = (recipe.patch + 2 * halo) * s
    high = np.empty((recipe.batch_size, side, side), np.float32)
    for sample in high:
        plane = pool.planes[rng.choice(len(pool.planes), p=pool.odds)]
        row, col = (int(rng.integers(0, n - side + 1)) for n in plane.shape)
        sample[:] = _turned(plane[row : row + side, col : col + side], int(rng.integers(8)))
    low = DEGRADATIONS[recipe.degradation](high, s)
    core = slice(halo * s, side - halo * s)
    return low[..., None].astype(np.float32), high[:, core, core, None]


def _turned(patch: Plane, way: int) -> Plane:
    """Return one of the eight rotations and reflections."""
    turned = np.rot90(patch, way % 4)
    return turned[:, ::-1] if way >= 4 else turned
