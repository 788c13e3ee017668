"""Parts of a large scene that stand for the whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from geosr.core.errors import UnsupportedRasterError
from geosr.core.geometry import Window
from geosr.io.raster import RasterReader

USUAL, SMALLEST = 512, 64
"""Sides of a crop, in pixels: the usual one, and what a small scene is cut down to."""

_TRIES = 8  # for each crop: a scene that is mostly nodata is not read whole


def choose_crops(
    reader: RasterReader, name: str, *, count: int, side: int | None, seed: int
) -> list[Window]:
    """Return up to ``count`` crops without holes, drawn from the cells of a regular lattice.

    They do not overlap, and the same seed gives the same ones, in row-major order. Only the cells
    that are tried are read, at most eight for each crop. Without ``side`` a crop has 512 pixels a
    side; of a small scene as many as give ``count`` cells, but at least 64.

    Raises
    ------
    UnsupportedRasterError
        If no cell is free of holes, or the scene is smaller than one.
    """
    height, width = reader.shape
    if side is None:
        whole = max(min(height, width), SMALLEST)
        side = int(min(max((height * width / count) ** 0.5, SMALLEST), USUAL, whole))
    if min(height, width) < side:
        raise UnsupportedRasterError(
            f"{name} is {width} x {height} pixels, smaller than one crop of {side}.",
            hint="Use a larger scene, or a smaller --crop-size.",
        )
    cells = list(_cells(height, width, side))
    order = np.random.default_rng(seed).permutation(len(cells))[: _TRIES * count]
    found: list[Window] = []
    for number in order:
        if reader.read(cells[number])[1] is None:
            found.append(cells[number])
        if len(found) == count:
            break
    if not found:
        raise UnsupportedRasterError(
            f"No part of {name} of {side} x {side} pixels is free of nodata; {len(order)} of "
            f"{len(cells)} were tried.",
            hint="Use a smaller --crop-size.",
        )
    return sorted(found, key=lambda window: (window.row_off, window.col_off))


def _cells(height: int, width: int, side: int) -> Iterator[Window]:
    """Yield cells, centred on the scene."""
    rows, cols = height // side, width // side
    top, left = (height - rows * side) // 2, (width - cols * side) // 2
    for row in range(rows):
        for col in range(cols):
            yield Window(top + row * side, left + col * side, side, side)
