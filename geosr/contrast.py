"""How much detail a raster has: the fixed scale on which int8 steps are laid.

Static int8 has one step size for all pixels, chosen on calibration patches, while rasters come
in any unit. So each band is divided by its own contrast before the network and multiplied
afterwards, which a homogeneous network allows. The contrast must belong to the raster: one
for each tile would show the tiles. It is taken from a sample that depends on nothing but the
raster, when the run is planned; the plan carries it, so that tile sizes, parts of the raster,
workers and resumed runs all use the same, and it is a power of two, so that dividing by it
changes no bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from geosr.core.geometry import Window
from geosr.io.raster import RasterFacts, RasterReader
from geosr.radiometry import BOX, fill_holes, high_pass, mirror, working_dtype

SAMPLES = 5
"""Windows along each side of a raster."""

SIDE = 128
"""Of a window, in pixels."""

SHARE = 0.995
"""Share of the pixels whose detail is below the contrast: still land where most is water."""

Floats = NDArray[np.floating]


def contrasts(
    source: RasterFacts, indexes: tuple[int, ...], *, together: bool = False
) -> tuple[float, ...]:
    """Return the contrast of each band, from a sample of the whole raster.

    An alpha band's is 1. Bands that a network sees ``together`` have that of the strongest: it
    follows one scale of all.

    Raises
    ------
    InputFileError
        If the file is damaged there.
    """
    found: list[list[Floats]] = [[] for _ in indexes]
    with RasterReader(source, indexes, Window(0, 0, *source.grid.shape)) as reader:
        kind = working_dtype(reader.dtype)
        for window in sample_windows(source.grid.shape):
            values, valid = reader.read(window)
            if valid is None:
                valid = np.ones(values.shape, bool)
            x = fill_holes(values.astype(kind), valid, reach=BOX // 2)
            rim = (BOX // 2, BOX // 2)
            detail = np.abs(high_pass(np.asarray(mirror(x, rim, rim), kind)))
            for kept, band, good in zip(found, detail, valid, strict=True):
                kept.append(band[good & np.isfinite(band)])
    details = [np.concatenate(kept) for kept in found]
    colours = [index != source.alpha for index in indexes]
    if together:
        common = common_contrast([x for x, colour in zip(details, colours, strict=True) if colour])
        return tuple(common if colour else 1.0 for colour in colours)
    return tuple(
        contrast_of(x) if colour else 1.0 for x, colour in zip(details, colours, strict=True)
    )


def common_contrast(details: Sequence[Floats]) -> float:
    """Return the contrast of the strongest of several bands; those without detail do not count.

    >>> common_contrast([np.array([0.25]), np.zeros(1), np.array([0.125])])
    0.25
    """
    return max((contrast_of(x) for x in details if x.any()), default=1.0)


def contrast_of(detail: Floats) -> float:
    """Return the power of two nearest to what most of the high-pass detail stays below.

    Without any detail it is 1.

    >>> contrast_of(np.array([0.0, -3.0, 900.0, 1000.0]))
    1024.0
    >>> contrast_of(np.zeros(4))
    1.0
    """
    size = np.abs(detail[detail != 0])
    if size.size == 0:
        return 1.0
    level = float(np.quantile(size, SHARE, method="lower"))
    return float(2.0 ** np.clip(np.rint(np.log2(level)), -100, 100))


def sample_windows(shape: tuple[int, int]) -> Iterator[Window]:
    """Yield windows of a raster of ``shape``: all of it if it is small, else a drawn lattice."""
    rng = np.random.default_rng(0)
    for row, height in _places(shape[0], rng):
        for col, width in _places(shape[1], rng):
            yield Window(row, col, height, width)


def _places(length: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    if length <= SAMPLES * SIDE:
        return [(start, min(SIDE, length - start)) for start in range(0, length, SIDE)]
    cells = np.linspace(0, length, SAMPLES + 1).astype(int)
    return [(int(rng.integers(low, high - SIDE + 1)), SIDE) for low, high in pairwise(cells)]
