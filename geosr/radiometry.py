"""Values that can be trusted: holes filled, detail cut out, block means kept.

Arrays in *phases* are ``(bands, s*s, height, width)``; see `geosr.kernels`. Every function here
looks only at a pixel's neighbourhood, so the result does not depend on how a raster is cut.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Valid = NDArray[np.bool_]

BOX = 9
"""Side of the window whose mean the high-pass takes away, in source pixels."""

STRIP = 1 << 14
"""Pixels that are taken at once: few enough for a processor's own cache."""


def working_dtype(dtype: str) -> np.dtype[np.floating]:
    """Return the float type that holds all values of ``dtype``, and their sums, well.

    >>> working_dtype("uint16").name, working_dtype("int32").name
    ('float32', 'float64')
    """
    wide = dtype in ("uint32", "int32", "float64")
    return np.dtype(np.float64 if wide else np.float32)


def mirror(
    x: NDArray[np.generic], before: tuple[int, int], after: tuple[int, int]
) -> NDArray[np.generic]:
    """Mirror rows and columns about the outermost pixels, for a window that leaves the raster.

    Parameters
    ----------
    x
        ``(bands, height, width)``.
    before, after
        Rows and columns to add in front and behind. A raster narrower than that is mirrored
        to and fro; one pixel is repeated.
    """
    if not any((*before, *after)):
        return x
    rows, cols = (_to_and_fro(x.shape[1 + axis], before[axis], after[axis]) for axis in (0, 1))
    return x[:, rows].take(cols, axis=2)


def _to_and_fro(length: int, before: int, after: int) -> NDArray[np.int64]:
    """Return the indexes that walk from one end to the other and back."""
    index = np.arange(-before, length + after)
    period = max(2 * (length - 1), 1)
    index %= period
    return np.minimum(index, period - index) if length > 1 else index


def fill_holes(x: Floats, valid: Valid, *, reach: int, beyond: float = 0.0) -> Floats:
    """Fill invalid pixels from valid ones, ring by ring, up to ``reach`` pixels away.

    Each ring gets the mean of its neighbours (of eight) that are valid or filled already, so
    no value from under the mask and no zero comes near a valid pixel. What lies further away
    becomes ``beyond``: nothing within ``reach`` of a pixel that is valid in this band sees it.

    Parameters
    ----------
    x
        ``(bands, height, width)``; invalid pixels may hold anything, NaN included.
    valid
        Of the same shape.
    """
    filled: Floats = np.where(valid, x, x.dtype.type(0))
    for band, good in zip(filled, valid, strict=True):
        known = good
        if good.any() and not good.all():
            known = _fill_band(band, good, reach)
        if beyond:
            band[~known] = beyond
    return filled


def _fill_band(band: Floats, good: Valid, reach: int) -> Valid:
    """Fill, in place, the holes of one band, which hold 0; return what is known now."""
    values, known, empty = np.pad(band, 1), np.pad(good, 1), np.pad(~good, 1)
    line, known_line, empty_line = values.reshape(-1), known.reshape(-1), empty.reshape(-1)
    pitch = values.shape[1]
    neighbours = [row * pitch + col for row in (-1, 0, 1) for col in (-1, 0, 1)]
    ring = np.flatnonzero(_touched(known) & empty)
    last = np.empty(line.size, np.int64)
    for _ in range(reach):
        total = np.zeros(ring.size)
        count = np.zeros(ring.size, np.int64)
        for step in neighbours:
            total += line[ring + step]  # 0 where nothing is known yet
            count += known_line[ring + step]
        line[ring] = total / count
        known_line[ring], empty_line[ring] = True, False
        around = np.concatenate([ring + step for step in neighbours])
        around = around[empty_line[around]]
        turn = np.arange(around.size)
        last[around] = turn
        ring = around[last[around] == turn]  # each pixel once
    band[...] = values[1:-1, 1:-1]
    return known[1:-1, 1:-1]


def _touched(known: Valid) -> Valid:
    """Return which pixels have a known one among their neighbours, those at the rim left out."""
    touched = np.zeros_like(known)
    rows = known[:-2] | known[1:-1] | known[2:]
    touched[1:-1, 1:-1] = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return touched


def high_pass(x: Floats) -> Floats:
    """Take the mean over 9x9 pixels away.

    The sums are exact, in float64, unless values 4 million times apart meet: what comes out is
    as precise as the detail is, whatever the level that it stands on.

    Parameters
    ----------
    x
        ``(bands, height + 8, width + 8)``.

    Returns
    -------
    ndarray
        float32 ``(bands, height, width)``: zero, to the last bit, wherever the picture is
        constant.
    """
    bands, rows, pitch = x.shape
    reach = BOX - 1
    detail = np.empty((bands, rows - reach, pitch - reach), np.float32)
    height = max(STRIP // pitch, 1)
    for image, result in zip(x, detail, strict=True):
        for row in range(0, len(result), height):
            kept = result[row : row + height]
            line = _doubles(image[row : row + len(kept) + reach])
            sums = _sum_of_nine(_sum_of_nine(line, pitch), 1)
            sums /= BOX * BOX
            middle = line[reach // 2 * (pitch + 1) :][: sums.size]
            whole = np.empty(len(kept) * pitch)
            np.subtract(middle, sums, out=whole[: sums.size])
            kept[...] = whole.reshape(len(kept), pitch)[:, :-reach]
    return detail


def _doubles(x: Floats) -> NDArray[np.float64]:
    """Return rows as one line of doubles, in which a row's length leads to the row below.

    What is double already is rounded to 46 bits (Veltkamp's splitting), so that a sum of 81
    equal values is exact.
    """
    line: NDArray[np.float64] = x.astype(np.float64).reshape(-1)
    if x.dtype == np.float64:
        spread = line * (2.0**7 + 1)
        line = spread - (spread - line)
    return line


def _sum_of_nine(line: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """Sum pixels that are ``step`` apart: 8 by doubling, and one."""
    two = line[:-step] + line[step:]
    four = two[: -2 * step] + two[2 * step :]
    nine = four[: -4 * step] + four[4 * step :]
    nine = nine[:-step]
    nine += line[8 * step :]
    return nine


def keep_means(phases: Floats, source: Floats) -> Floats:
    """Shift the phases of each source pixel together, so that their mean is that pixel.

    Parameters
    ----------
    phases
        ``(bands, s*s, height, width)``, changed in place.
    source
        ``(bands, height, width)``.
    """
    shift = np.subtract(phases[:, 0], source)
    difference = np.empty_like(shift)
    for index in range(1, phases.shape[1]):
        shift += np.subtract(phases[:, index], source, out=difference)
    shift *= phases.dtype.type(1 / phases.shape[1])
    phases -= shift[:, None]
    return phases
