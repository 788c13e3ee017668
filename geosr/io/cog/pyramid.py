"""Overviews: each pixel is the mean of the valid ones among four."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.quantise import keep_clear

Values = NDArray[Any]
Valid = NDArray[np.bool_]

_QUARTER = np.float64(0.25)  # taken before sums of floats, which would leave their range else


def halved(
    values: Values, valid: Valid | None, *, fill: float, nodata: float | None
) -> tuple[Values, Valid | None]:
    """Return half the pixels a side, rounded up, and which of them are valid.

    ``values`` and ``valid`` are ``(bands, height, width)``; None: all are valid. A pixel with no
    valid one under it holds ``fill``. A mean that happens to be ``nodata`` moves by one step.
    The mean of integers is rounded, halves to the even number.
    """
    if valid is not None and valid.all():
        valid = None
    if valid is None:
        means = _mean(values)
        good = None
    else:
        means, good = _mean_of_valid(values, valid)
    if nodata is not None and not np.isnan(nodata):
        _avoid(means, nodata)
    if good is not None:
        means[~good] = np.asarray(fill).astype(means.dtype)
        good = None if good.all() else good
    return means, good


def _mean(values: Values) -> Values:
    """Return the means of squares of four pixels; of two or one at an odd edge."""
    whole = values if _even(values) else _doubled_edge(values)
    total = _wide(whole[:, 0::2, 0::2])
    for rows, cols in ((0, 1), (1, 0), (1, 1)):
        total += _wide(whole[:, rows::2, cols::2])
    return _quarter(total, values.dtype)


def _mean_of_valid(values: Values, valid: Valid) -> tuple[Values, Valid]:
    if not _even(values):
        values, valid = _doubled_edge(values), _doubled_edge(valid)
    shape = (len(values), values.shape[1] // 2, values.shape[2] // 2)
    total = np.zeros(shape, np.float64)
    count = np.zeros(shape, np.uint8)
    for rows in (0, 1):
        for cols in (0, 1):
            good = valid[:, rows::2, cols::2]
            np.add(total, values[:, rows::2, cols::2] * _QUARTER, out=total, where=good)
            count += good
    some = count > 0
    np.divide(total, count * _QUARTER, out=total, where=some)
    if values.dtype.kind != "f":
        np.rint(total, out=total)
    return total.astype(values.dtype), some


def _even(values: Values) -> bool:
    return not (values.shape[1] % 2 or values.shape[2] % 2)


def _doubled_edge(values: Values) -> Values:
    """Repeat the last row or column of an odd side: means stay those of the pixels there."""
    return np.pad(values, ((0, 0), (0, values.shape[1] % 2), (0, values.shape[2] % 2)), "edge")


def _wide(values: Values) -> Values:
    """Return a copy in a dtype that holds the sum of four: of floats, quarters."""
    kind = values.dtype
    if kind.kind == "f":
        return values * _QUARTER
    signed = kind.kind == "i"
    if kind.itemsize >= 4:
        return values.astype(np.int64)
    if kind.itemsize == 1:
        return values.astype(np.int16 if signed else np.uint16)
    return values.astype(np.int32 if signed else np.uint32)


def _quarter(total: Values, dtype: np.dtype[Any]) -> Values:
    """Return the means of what `_wide` has summed up."""
    if dtype.kind == "f":
        return total.astype(dtype)
    # Halves go to the even number, as np.rint has it: 2 is added, or 1 where the quotient is even.
    total += 1 + ((total >> 2) & 1)
    total >>= 2
    return total.astype(dtype)


def _avoid(means: Values, nodata: float) -> None:
    """Move, in place, what GDAL would take for nodata; see `geosr.quantise`."""
    kind = means.dtype
    if kind.kind == "f":
        if np.isfinite(nodata):
            keep_clear(means, kind.type(nodata))
        return
    up = int(nodata) < np.iinfo(kind).max
    means[means == kind.type(nodata)] = kind.type(int(nodata) + 1 if up else int(nodata) - 1)
