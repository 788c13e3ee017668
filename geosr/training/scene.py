"""Cells of one scene: read by windows up to a memory budget, some held back for the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import InputFileError, NotEnoughMemoryError
from geosr.core.geometry import Window
from geosr.io.raster import RasterFacts, RasterReader, check_upscalable
from geosr.radiometry import fill_holes
from geosr.training.bands import common_gain

Bands = NDArray[np.float32]

HELD_SHARE, HELD_AT_MOST = 0.25, 16
"""Cells held back: this share of all, at least two."""

VALID_SHARE = 0.95
"""Of a patch's pixels: scattered holes, such as saturated pixels, are filled and not scored."""


@dataclass(frozen=True)
class Cell:
    """A square of a scene, scaled so that the range of each band, or of the widest, is about 1.

    Attributes
    ----------
    window
        Where it lies, in pixels of the scene.
    values
        ``(bands, side, side)``; holes near valid pixels are filled from them.
    valid
        ``(side, side)``, True where all bands are.
    starts
        First rows and columns ``(2, n)`` of the patches with few holes, see `VALID_SHARE`.
    """

    window: Window
    values: Bands
    valid: NDArray[np.bool_]
    starts: NDArray[np.int32]


@dataclass(frozen=True)
class Scene:
    """What is read of a scene: cells to learn from, and cells held back.

    Attributes
    ----------
    facts
        Of the raster.
    indexes
        Numbers of the bands, from 1; without alpha and, if each is seen by itself, flat ones.
    together
        Whether a network sees the bands together: they are in its order and have one gain.
    learned, held
        The cells.
    """

    facts: RasterFacts
    indexes: tuple[int, ...]
    together: bool
    learned: tuple[Cell, ...]
    held: tuple[Cell, ...]


def read_scene(
    facts: RasterFacts,
    indexes: tuple[int, ...],
    *,
    side: int,
    seed: int,
    memory: int,
    together: bool = False,
) -> Scene:
    """Read cells of a scene, seeded, each with room for a patch of ``side`` pixels.

    The scene is cut into squares, in a seeded order; a quarter of those that hold a valid patch
    is held back, and of the others as many are kept as fit into ``memory`` bytes.

    Parameters
    ----------
    indexes
        Numbers of the bands to read, from 1.
    together
        Whether a network sees them together, in this order.

    Raises
    ------
    InputFileError
        If the scene cannot be read, or has too few valid pixels for two cells.
    NotEnoughMemoryError
        If ``memory`` does not suffice for four cells.
    UnsupportedRasterError, BandError
        If its bands cannot be super-resolved.
    """
    check_upscalable(facts, indexes)
    windows = _cells(facts.grid.shape, side)
    # 16: float64 while the ranges are found, then float32, and what was read.
    size = 16 * len(indexes) * windows[0].height ** 2 if windows else 1
    budget = memory // size
    if windows and budget < 4:
        raise NotEnoughMemoryError(
            f"{memory >> 20} MiB do not hold four cells of {windows[0].height} pixels a side.",
            hint="Raise --memory, or use a scene of fewer bands.",
        )
    order = np.random.default_rng(seed).permutation(len(windows))
    whole = Window(0, 0, *facts.grid.shape)
    with RasterReader(facts, indexes, whole) as reader:
        valid_cells = _valid_cells(reader, [windows[i] for i in order], side)
        cells = [cell for cell, _ in zip(valid_cells, range(budget), strict=False)]
    if len(cells) < 2:
        raise InputFileError(
            f"{facts.path} has {'one place' if cells else 'no place'} of {side} x {side} valid "
            "pixels; adapting takes two: one to learn from, one for the verdict.",
            hint="Use a larger scene, or a model that looks less far.",
        )
    low, span = _ranges(cells, together=together)
    kept = np.flatnonzero(span)
    if not kept.size:
        raise InputFileError(
            f"{facts.path} is flat: there is nothing to learn from it.",
            hint="Use a scene with detail.",
        )
    low, span = low[kept, None, None], span[kept, None, None]
    scaled = [
        replace(cell, values=((cell.values[kept] - low) / span).astype(np.float32))
        for cell in cells
    ]
    held = min(max(round(HELD_SHARE * len(cells)), 2 if len(cells) > 3 else 1), HELD_AT_MOST)
    seen = tuple(indexes[i] for i in kept)
    return Scene(facts, seen, together, tuple(scaled[held:]), tuple(scaled[:held]))


def _cells(shape: tuple[int, int], side: int) -> list[Window]:
    """Return squares that do not overlap: larger ones where that leaves enough of them."""
    for factor in (2.0, 1.5, 1.0):
        size = int(side * factor)
        rows, cols = (n // size for n in shape)
        if rows * cols >= 12 or factor == 1.0:
            break
    top, left = (shape[0] - rows * size) // 2, (shape[1] - cols * size) // 2
    return [
        Window(top + row * size, left + col * size, size, size)
        for row in range(rows)
        for col in range(cols)
    ]


def _valid_cells(reader: RasterReader, windows: list[Window], side: int) -> Iterator[Cell]:
    for window in windows:
        values, valid = reader.read(window)
        good = np.isfinite(values).all(axis=0)
        if valid is not None:
            good &= valid.all(axis=0)
        starts = _starts(good, side)
        if starts.size:
            whole = np.broadcast_to(good, values.shape)
            filled = fill_holes(values.astype(np.float64), whole, reach=side // 3)
            yield Cell(window, filled, good, starts)


def _starts(good: NDArray[np.bool_], side: int) -> NDArray[np.int32]:
    """Return where squares of ``side`` pixels with few holes begin, by a summed-area table."""
    sums = np.pad(good.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return np.array(np.nonzero(inside >= VALID_SHARE * side * side), np.int32)


def _ranges(cells: list[Cell], *, together: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return where the range of each band begins and how wide it is, by percentiles."""
    some = slice(None, None, 4)
    pixels = np.concatenate(
        [cell.values[:, some, some][:, cell.valid[some, some]] for cell in cells], axis=1
    )
    pairs = [(float(low), float(high)) for low, high in np.percentile(pixels, (0.1, 99.9), 1).T]
    low, high = np.array(common_gain(pairs) if together else pairs).T
    return low, high - low


def draw_patches(
    scene: Scene, *, side: int, count: int, seed: int, step: int
) -> tuple[Bands, NDArray[np.bool_]]:
    """Return patches ``(count, bands, side, side)`` and valid pixels ``(count, side, side)``.

    One of any band, or all bands that are seen together; turned any way. The same seed and step
    draw the same.
    """
    rng = np.random.default_rng([seed, step])
    odds = np.array([cell.starts.shape[1] for cell in scene.learned], float)
    bands = len(scene.indexes) if scene.together else 1
    patches = np.empty((count, bands, side, side), np.float32)
    valid = np.empty((count, side, side), bool)
    for patch, good in zip(patches, valid, strict=True):
        cell = scene.learned[rng.choice(len(odds), p=odds / odds.sum())]
        row, col = cell.starts[:, rng.integers(cell.starts.shape[1])]
        place = slice(row, row + side), slice(col, col + side)
        one = slice(None)
        if not scene.together:
            number = int(rng.integers(len(cell.values)))
            one = slice(number, number + 1)
        way = int(rng.integers(8))
        patch[:] = _turned(cell.values[one, *place], way)
        good[:] = _turned(cell.valid[place], way)
    return patches, valid


def _turned(x: NDArray[Any], way: int) -> NDArray[Any]:
    turned = np.rot90(x, way % 4, axes=(-2, -1))
    return turned[..., ::-1] if way >= 4 else turned


def held_patch(cell: Cell, side: int) -> tuple[Bands, NDArray[np.bool_]]:
    """Return the patch ``(bands, side, side)`` nearest to the middle of a cell, and its valid."""
    middle = (np.array(cell.window.shape)[:, None] - side) / 2
    nearest = int(np.abs(cell.starts - middle).sum(axis=0).argmin())
    row, col = cell.starts[:, nearest]
    place = slice(row, row + side), slice(col, col + side)
    return cell.values[:, *place], cell.valid[place]
