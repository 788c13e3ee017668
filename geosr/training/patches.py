"""Paired patches, cut from high-resolution rasters and degraded as they are drawn.

The planes of rasters are held in memory; those of patch sets are read when they are drawn. Where
a recipe names bands, a plane holds all of them: ``(bands, h, w)`` in place of ``(h, w)``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import InputFileError, OptionError
from geosr.core.facts import KERNEL_RADIUS
from geosr.kernels import interleave, upsample
from geosr.metrics import psnr
from geosr.training.dataset.index import Part
from geosr.training.dataset.stored import AnyPlane, PatchSet, StoredPair
from geosr.training.planes import Plane, band_numbers, check_count, read_cubes, read_planes
from geosr.training.recipe import Recipe, Source

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pool:
    """Planes scaled to a range of about 1, and how likely each is to be drawn."""

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
        kept = [i for i, plane in enumerate(self.planes) if min(plane.shape[-2:]) >= side]
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
    shape = plane.shape[-2:]
    height, width = (min(n, VALIDATION_SIDE) // s * s for n in shape)
    row, col = (shape[0] - height) // 2, (shape[1] - width) // 2
    if isinstance(plane, StoredPair):
        row, col = row // s * s, col // s * s
        low, high = plane.crop(slice(row, row + height), slice(col, col + width))
    else:
        high = plane[..., row : row + height, col : col + width]
        low = recipe.degrader(high[None], s, rng)[0].astype(np.float32)
    reach = KERNEL_RADIUS["bicubic"]
    around = ((0, 0), (reach, reach), (reach, reach))
    padded = np.pad(low.reshape(-1, *low.shape[-2:]), around, mode="reflect")
    plain = interleave(upsample(padded, "bicubic", s)).reshape(high.shape)
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
            cut = partial(_stored_planes, stored, recipe, source)
            found = cut("train")
            train += found
            odds += [source.weight / len(found)] * len(found)
            held += _some(cut("validation"))
            _log.info("%s: %d planes", source.dataset, len(found))
            continue
        paths = sorted(Path(data_dir).glob(source.glob))
        if not paths:
            raise InputFileError(
                f"No file in {data_dir} matches {source.glob}.",
                hint="--data names the folder that the recipe's sources are relative to.",
            )
        kept = [path for path in paths if not _is_held(path, source)]
        of_file = partial(read_cubes, names=recipe.bands) if recipe.bands else read_planes
        planes = [plane for path in kept for plane in of_file(path, source, side)]
        pixels = np.array([plane.size for plane in planes], float)
        train += planes
        odds += list(source.weight * pixels / pixels.sum()) if planes else []
        held += [p for path in paths if _is_held(path, source) for p in of_file(path, source, side)]
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


def _stored_planes(stored: PatchSet, recipe: Recipe, source: Source, part: Part) -> list[AnyPlane]:
    if not recipe.bands:
        return stored.planes(part)
    indexes = band_numbers(source, recipe.bands)
    for entry in stored.index.sources:
        check_count(f"The patch set {stored.folder}", len(entry.scaling), indexes, recipe.bands)
    return stored.cubes(part, indexes)


def _some(planes: list[AnyPlane]) -> list[AnyPlane]:
    count = min(len(planes), VALIDATION_PLANES)
    return [planes[i * len(planes) // count] for i in range(count)]


def _is_held(path: Path, source: Source) -> bool:
    return any(fnmatch(path.name, pattern) for pattern in source.validation)


def draw_batch(
    pool: Pool, recipe: Recipe, *, halo: int, step: int, upscale_factor: int
) -> tuple[Plane, Plane]:
    """Return low ``(batch, p + 2 halo, p + 2 halo, c)`` and high ``(batch, s*p, s*p, c)``.

    ``c`` is 1, or how many bands are seen together: one draw degrades all of them alike. The same
    recipe, seed and step give the same batch, so a run can go on where it stopped.
    """
    s, several = upscale_factor, len(recipe.factors) > 1
    rng = np.random.default_rng([recipe.seed, step, *([s] if several else [])])
    side = (recipe.patch_of(s) + 2 * halo) * s
    bands = (recipe.together,) if recipe.bands else ()
    high = np.empty((recipe.batch_size, *bands, side, side), np.float32)
    paired: dict[int, Plane] = {}  # low sides that are stored
    for number, sample in enumerate(high):
        plane = pool.draw(rng)
        step_of = s if isinstance(plane, StoredPair) else 1
        row, col = (
            int(rng.integers(0, (n - side) // step_of + 1)) * step_of for n in plane.shape[-2:]
        )
        rows, cols, way = slice(row, row + side), slice(col, col + side), int(rng.integers(8))
        if isinstance(plane, StoredPair):
            coarse, fine = plane.crop(rows, cols)
            paired[number] = _turned(coarse, way)
        else:
            fine = plane[..., rows, cols]
        sample[:] = _turned(fine, way)
    low = _low_sides(recipe, high, paired, s, rng)
    core = slice(halo * s, side - halo * s)
    high = high[..., core, core]
    if recipe.bands:
        return np.moveaxis(low, 1, -1).astype(np.float32), np.moveaxis(high, 1, -1)
    return low[..., None].astype(np.float32), high[..., None]


def _low_sides(
    recipe: Recipe, high: Plane, paired: dict[int, Plane], s: int, rng: np.random.Generator
) -> NDArray[np.floating]:
    """Degrade all samples but those that have a low side of their own."""
    if not paired:
        return recipe.degrader(high, s, rng)
    low = np.empty((*high.shape[:-2], *(n // s for n in high.shape[-2:])), np.float32)
    made = [number for number in range(len(high)) if number not in paired]
    if made:
        low[made] = recipe.degrader(high[made], s, rng)
    for number, coarse in paired.items():
        low[number] = coarse
    return low


def _turned(patch: Plane, way: int) -> Plane:
    """Return one of the eight rotations and reflections."""
    turned = np.rot90(patch, way % 4, (-2, -1))
    return turned[..., ::-1] if way >= 4 else turned
