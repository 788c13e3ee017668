"""What is not worth storing: blurred or empty patches, and those that are there already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

THUMB = 16
"""Side of the thumbnails by which patches are compared."""


def sharpness(patch: Floats) -> float:
    """Return how much changes from pixel to pixel; the band with most of it counts.

    That is the root mean square of the second differences along rows and columns, divided by
    the square root of 6: of white noise its standard deviation, of flat ground and of an even
    slope 0. ``patch`` is ``(bands, height, width)`` in units of each band's range.
    """
    squares = [(np.diff(patch, n=2, axis=axis) ** 2).mean(axis=(1, 2)) for axis in (1, 2)]
    return float(np.sqrt((squares[0] + squares[1]).max() / 12))


def thumbnail(patch: Floats) -> NDArray[np.float32]:
    """Return the block means of the mean band, ``(THUMB**2,)``, without mean and of length 1.

    The product of two is their correlation. A flat patch gives zeros.
    """
    mean = patch.mean(axis=0, dtype=np.float64)
    rows, cols = (np.arange(THUMB + 1) * n // THUMB for n in mean.shape)
    sums = np.add.reduceat(np.add.reduceat(mean, rows[:-1], axis=0), cols[:-1], axis=1)
    thumb = sums / np.outer(np.diff(rows), np.diff(cols))
    thumb -= thumb.mean()
    length = np.linalg.norm(thumb)
    if length > 1e-9 * max(np.abs(sums).max(), 1e-300):
        thumb /= length
    else:
        thumb[:] = 0
    return thumb.astype(np.float32).reshape(-1)


class Duplicates:
    """Tells patches that look like one before, also of another file: one kilobyte a patch."""

    def __init__(self, most: float) -> None:
        """Take the correlation of thumbnails up to which patches count as different."""
        self._most = most
        self._kept = np.empty((256, THUMB**2), np.float32)
        self._count = 0

    def is_new(self, patch: Floats) -> bool:
        """Return whether no patch before was like this one; if so, remember it."""
        thumb = thumbnail(patch)
        if self._count and float((self._kept[: self._count] @ thumb).max()) > self._most:
            return False
        if self._count == len(self._kept):
            self._kept = np.concatenate([self._kept, np.empty_like(self._kept)])
        self._kept[self._count] = thumb
        self._count += 1
        return True
