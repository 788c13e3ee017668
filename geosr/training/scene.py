"""Cells of one scene: read by windows up to a memory budget, some held back for the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import InputFileError, NotEnoughMemoryError
from geosr.core.geometry import Window
from geosr.io.raster import RasterFacts, RasterReader, check_upscalable, read_facts
from geosr.radiometry import fill_holes

Bands = NDArray[np.float32]

HELD_SHARE, HELD_AT_MOST = 0.25, 16
"""Cells held back: this share of all, at least two."""

VALID_SHARE = 0.95
"""Of a patch's pixels: scattered holes, such as saturated pixels, are filled and not scored."""


@dataclass(frozen=True)
class Cell:
    """A square of a scene, each band scaled so that its range is about 1.

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
        Numbers of the bands, from 1; without alpha and without flat ones.
    learned, held
        The cells.
    """

    facts: RasterFacts
    indexes: tuple[int, ...]
    learned: tuple[Cell, ...]
    held: tuple[Cell, ...]


def read_scene(path: str | Path, *, side: int, seed: int, memory: int) -> Scene:
    """Read cells of a scene, seeded, each with room for a patch of ``side`` pixels.

    The scene is cut into squares, in a seeded order; a quarter of those that hold a valid patch
    is held back, and of the others as many are kept as fit into ``memory`` bytes.

    Raises
    ------
    InputFileError
        If the scene cannot be read, or has too few valid pixels for two cells.
    NotEnoughMemoryError
        If ``memory`` does not suffice for four cells.
    UnsupportedRasterError, BandError
        If its bands cannot be super-resolved.
    """
    facts = read_facts(str(path))
    indexes = tuple(n for n in range(1, facts.count + 1) if n != facts.alpha)
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
            f"{path} has {'one place' if cells else 'no place'} of {side} x {side} valid pixels; "
            "adapting takes two: one to learn from, one for the verdict.",
            hint="Use a larger scene, or a model that looks less far.",
        )
    scaled, kept = _scaled(cells, indexes, path)
    held = min(max(round(HELD_SHARE * len(cells)), 2 if len(cells) > 3 else 1), HELD_AT_MOST)
    return Scene(facts, kept, tuple(scaled[held:]), tuple(scaled[:held]))


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


def _scaled(
    cells: list[Cell], indexes: tuple[int, ...], path: str | Path
) -> tuple[list[Cell], tuple[int, ...]]:
    """Scale each band by its percentiles; leave flat bands out."""
    some = slice(None, None, 4)
    pixels = np.concatenate(
        [cell.values[:, some, some][:, cell.valid[some, some]] for cell in cells], axis=1
    )
    low, high = np.percentile(pixels, (0.1, 99.9), axis=1)
    kept = np.flatnonzero(high > low)
    if not kept.size:
        raise InputFileError(
            f"{path} is flat: there is nothing to learn from it.", hint="Use a scene with detail."
        )
    low, span = low[kept, None, None], (high - low)[kept, None, None]
    scaled = [
        replace(cell, values=((cell.values[kept] - low) / span).astype(np.float32))
        for cell in cells
    ]
    return scaled, tuple(indexes[i] for i in kept)


def draw_patches(
    scene: Scene, *, side: int, count: int, seed: int, step: int
) -> tuple[Bands, NDArray[np.bool_]]:
    """Return patches ``(count, side, side)`` and which of their pixels are valid.

    Of any band, turned any way; the same seed and step draw the same.
    """
    rng = np.random.default_rng([seed, step])
    odds = np.array([cell.starts.shape[1] for cell in scene.learned], float)
    patches = np.empty((count, side, side), np.float32)
    valid = np.empty(patches.shape, bool)
    for patch, good in zip(patches, valid, strict=True):
        cell = scene.learned[rng.choice(len(odds), p=odds / odds.sum())]
        row, col = cell.starts[:, rng.integers(cell.starts.shape[1])]
        place = slice(row, row + side), slice(col, col + side)
        band = cell.values[rng.integers(len(cell.values))]
        way = int(rng.integers(8))
        patch[:], good[:] = _turned(band[place], way), _turned(cell.valid[place], way)
    return patches, valid


def _turned(x: NDArray[Any], way: int) -> NDArray[Any]:
    turned = np.rot90(x, way % 4)
    return turned[:, ::-1] if way >= 4 else turned


def held_patch(cell: Cell, side: int) -> tuple[Bands, NDArray[np.bool_]]:
    """Return the patch ``(bands, side, side)`` nearest to the middle of a cell, and its valid."""
    middle = (np.array(cell.window.shape)[:, None] - side) / 2
    nearest = int(np.abs(cell.starts - middle).sum(axis=0).argmin())
    row, col = cell.starts[:, nearest]
    place = slice(row, row + side), slice(col, col + side)
    return cell.values[:, *place], cell.valid[place]
