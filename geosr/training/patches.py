"""Paired patches, cut from high-resolution rasters and degraded as they are drawn.

The planes of rasters are held in memory; those of patch sets are read when they are drawn.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import InputFileError, OptionError
from geosr.core.facts import KERNEL_RADIUS
from geosr.core.geometry import Window
from geosr.degrade import area
from geosr.io.raster import RasterReader, read_facts
from geosr.kernels import interleave, upsample
from geosr.metrics import LUMA, psnr
from geosr.training.dataset.stored import AnyPlane, PatchSet, StoredPair
from geosr.training.recipe import Recipe, Source

_log = logging.getLogger(__name__)

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Pool:
    """Planes ``(h, w)`` scaled to a range of about 1, and how likely each is to be drawn."""

    planes: tuple[Plane | AnyPlane, ...]
    odds: NDArray[np.float64]

    def draw(self, rng: np.random.Generator) -> Plane | AnyPlane:
        """Draw a plane, as ``rng.choice`` does, which would add up the odds each time."""
        return self.planes[int(self._cumulative.searchsorted(rng.random(), side="right"))]

    @cached_property
    def _cumulative(self) -> NDArray[np.float64]:
        total = np.asarray(self.odds.cumsum())
        return np.asarray(total / total[-1])

    def of_side(self, side: int) -> Pool:
        """Return what is left of the pool if planes must be ``side`` pixels high and wide.

        Raises
        ------
        InputFileError
            If nothing is.
        """
        kept = [index for index, plane in enumerate(self.planes) if min(plane.shape) >= side]
        if not kept:
            raise InputFileError(
                f"No image is {side} pixels wide.", hint="Use larger images or a smaller patch."
            )
        odds = self.odds[kept]
        return Pool(tuple(self.planes[index] for index in kept), odds / odds.sum())


@dataclass(frozen=True)
class Pair:
    """A validation image at both resolutions, and what bicubic makes of it in dB."""

    low: Plane
    high: Plane
    border: int
    bicubic: float


VALIDATION_SIDE = 384
"""Validation looks at this much of each plane, in high-resolution pixels."""

VALIDATION_PLANES = 96
"""And at so many planes of a patch set, evenly spaced."""


def validation_pairs(pool: Pool, recipe: Recipe, upscale_factor: int) -> list[Pair]:
    """Degrade the middle of each validation plane; what is random about it depends on the seed."""
    return [
        _pair(plane, recipe, upscale_factor, np.random.default_rng([recipe.seed, number]))
        for number, plane in enumerate(pool.planes)
    ]


def _pair(plane: Plane | AnyPlane, recipe: Recipe, s: int, rng: np.random.Generator) -> Pair:
    height, width = (min(n, VALIDATION_SIDE) // s * s for n in plane.shape)
    row, col = (plane.shape[0] - height) // 2, (plane.shape[1] - width) // 2
    if isinstance(plane, StoredPair):
        row, col = row // s * s, col // s * s
        low, high = plane.crop(slice(row, row + height), slice(col, col + width))
    else:
        high = plane[row : row + height, col : col + width]
        low = recipe.degrader(high[None], s, rng)[0].astype(np.float32)
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
    OptionError
        If a patch set has pairs of another factor.
    """
    train: list[Plane | AnyPlane] = []
    odds: list[float] = []
    held: list[Plane | AnyPlane] = []
    for source in recipe.sources:
        if source.dataset:
            stored = _patch_set(Path(data_dir) / source.dataset, recipe, side)
            found = stored.planes("train")
            train += found
            odds += [source.weight / len(found)] * len(found)
            held += _some(stored.planes("validation"))
            _log.info("%s: %d planes", source.dataset, len(found))
            continue
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


def _patch_set(folder: Path, recipe: Recipe, side: int) -> PatchSet:
    stored = PatchSet(folder)
    factor = stored.index.upscale_factor
    if factor and recipe.factors != (factor,):
        raise OptionError(
            f"The patch set {folder} has pairs of factor {factor}, and the recipe is for "
            f"{', '.join(map(str, recipe.factors))}.",
            hint="Change upscale_factor, or make another set with `geosr dataset`.",
        )
    if stored.index.patch < side:
        raise InputFileError(
            f"The patches of {folder} are {stored.index.patch} pixels wide, and the recipe needs "
            f"{side} with what its network looks at around a patch.",
            hint=f"Make the set with --patch {side}, or lower patch in the recipe.",
        )
    if stored.index.count("train") == 0:
        raise InputFileError(
            f"The patch set {folder} has no patches for training.", hint="Make another."
        )
    return stored


def _some(planes: list[AnyPlane]) -> list[AnyPlane]:
    count = min(len(planes), VALIDATION_PLANES)
    return [planes[i * len(planes) // count] for i in range(count)]


def _is_held(path: Path, source: Source) -> bool:
    return any(fnmatch(path.name, pattern) for pattern in source.validation)


def _planes(path: Path, source: Source, side: int) -> Iterator[Plane]:
    """Yield every band, and the luma of 8-bit colour images, at every reduction asked for."""
    facts = read_facts(str(path))
    bands = min(facts.count, 4) if facts.dtype == "uint8" else facts.count
    whole = Window(0, 0, *facts.grid.shape)
    values, valid = RasterReader(facts, tuple(range(1, bands + 1)), whole).read(whole)
    image = values.astype(np.float32)
    if valid is not None and not source.ignore_nodata:
        image = _whole_part(image, np.asarray(valid.all(axis=0)))
        if image[0].size < values[0].size / 2:
            _log.warning("%s: holes leave %d x %d pixels of it", path.name, *image.shape[1:])
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
    side = (recipe.patch_of(s) + 2 * halo) * s
    high = np.empty((recipe.batch_size, side, side), np.float32)
    paired: dict[int, Plane] = {}  # low sides that are stored
    for number, sample in enumerate(high):
        plane = pool.draw(rng)
        step_of = s if isinstance(plane, StoredPair) else 1
        row, col = (int(rng.integers(0, (n - side) // step_of + 1)) * step_of for n in plane.shape)
        rows, cols, way = slice(row, row + side), slice(col, col + side), int(rng.integers(8))
        if isinstance(plane, StoredPair):
            coarse, fine = plane.crop(rows, cols)
            paired[number] = _turned(coarse, way)
        else:
            fine = plane[rows, cols]
        sample[:] = _turned(fine, way)
    low = _low_sides(recipe, high, paired, s, rng)
    core = slice(halo * s, side - halo * s)
    return low[..., None].astype(np.float32), high[:, core, core, None]


def _low_sides(
    recipe: Recipe, high: Plane, paired: dict[int, Plane], s: int, rng: np.random.Generator
) -> NDArray[np.floating]:
    """Degrade all samples but those that have a low side of their own."""
    if not paired:
        return recipe.degrader(high, s, rng)
    low = np.empty((len(high), *(n // s for n in high.shape[1:])), np.float32)
    made = [number for number in range(len(high)) if number not in paired]
    if made:
        low[made] = recipe.degrader(high[made], s, rng)
    for number, coarse in paired.items():
        low[number] = coarse
    return low


def _turned(patch: Plane, way: int) -> Plane:
    """Return one of the eight rotations and reflections."""
    turned = np.rot90(patch, way % 4)
    return turned[:, ::-1] if way >= 4 else turned
