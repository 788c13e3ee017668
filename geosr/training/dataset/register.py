"""Find how far two pictures of the same ground lie apart, and move one of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Shift = tuple[float, float]

FINE = 100
"""Steps a pixel in which the shift is found."""

LOBES = 3


def shift_between(reference: Floats, moving: Floats) -> Shift:
    """Return by how many rows and columns ``moving`` must move to lie on ``reference``.

    By phase correlation: the correlation of both spectra without their amplitudes, so that gains
    and offsets do not matter, is searched in whole pixels and then, by a Fourier sum around the
    best one, in hundredths [1]_. Frequencies near the Nyquist frequency, where sampling folds,
    count little.

    Parameters
    ----------
    reference, moving
        ``(h, w)``, of the same shape.

    References
    ----------
    .. [1] Guizar-Sicairos, Thurman and Fienup (2008), "Efficient subpixel image registration
       algorithms", Optics Letters 33(2).
    """
    height, width = reference.shape
    taper = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    one, other = (np.fft.fft2((x - x.mean()) * taper) for x in (reference, moving))
    cross = one * other.conj()
    rows, cols = np.fft.fftfreq(height), np.fft.fftfreq(width)
    smooth = np.exp(-0.5 * (rows[:, None] ** 2 + cols**2) / 0.2**2)
    cross *= smooth / np.maximum(np.abs(cross), 1e-12 * np.abs(cross).max() + 1e-300)
    peaks = np.fft.ifft2(cross).real
    whole = np.array(np.unravel_index(np.argmax(peaks), peaks.shape), float)
    for axis, length in enumerate((height, width)):
        whole[axis] -= length if whole[axis] > length // 2 else 0
    near = np.arange(-FINE, FINE + 1) / FINE
    down = np.exp(2j * np.pi * (whole[0] + near)[:, None] * rows)
    right = np.exp(2j * np.pi * (whole[1] + near)[:, None] * cols)
    fine = (down @ cross @ right.T).real
    row, col = np.unravel_index(np.argmax(fine), fine.shape)
    return float(whole[0] + near[row]), float(whole[1] + near[col])


def resampled(image: Floats, rows: Floats, cols: Floats) -> NDArray[np.float64]:
    """Return ``(..., h, w)`` at the given rows and columns, by Lanczos' kernel of three lobes.

    Places count from the centre of the first pixel; those within a thousandth of a pixel's centre
    take that pixel as it is. Beyond the edge its pixels go on.
    """
    moved = _along_columns(image.astype(np.float64), rows)
    return np.swapaxes(_along_columns(np.swapaxes(moved, -1, -2), cols), -1, -2)


def _along_columns(image: NDArray[np.float64], places: Floats) -> NDArray[np.float64]:
    whole = np.abs(places - np.rint(places)) < 1e-3
    places = np.where(whole, np.rint(places), places)
    taps = np.floor(places).astype(np.int64)[:, None] + np.arange(1 - LOBES, 1 + LOBES)
    away = taps - places[:, None]
    weights = np.where(np.abs(away) < LOBES, np.sinc(away) * np.sinc(away / LOBES), 0.0)
    weights = np.where(whole[:, None], away == 0, weights)
    weights /= weights.sum(axis=1, keepdims=True)
    taps = np.clip(taps, 0, image.shape[-2] - 1)
    total = np.zeros((*image.shape[:-2], len(places), image.shape[-1]))
    for tap, weight in zip(taps.T, weights.T, strict=True):
        if weight.any():
            total += weight[:, None] * image[..., tap, :]
    return total
