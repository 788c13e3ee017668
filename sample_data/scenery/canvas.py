"""A canvas in metres: any part of it is painted alike, whatever part is asked for.

Distances are metres, ``x`` to the east and ``y`` to the south of the scene's upper left corner.
Shapes are signed distances (negative inside); their edges are one sample wide. Noise is a
function of the coordinates and a seed, so a corner of the scene can be rendered by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .spectra import Spectrum

Array = npt.NDArray[np.float64]

SUN = (0.52, 0.86)
"""Horizontal direction towards the sun, which stands in the south-south-east."""

SHADOW_PER_HEIGHT = 0.85
"""Metres of shadow per metre of height: the sun stands 50 degrees high."""

SHADE = np.array([0.50, 0.42, 0.36, 0.32])
"""What sky light alone gives, per band: blue most."""


@dataclass(frozen=True)
class Patch:
    """A rectangle of the canvas: where its samples lie, and views of their reflectances."""

    x: Array
    y: Array
    bands: npt.NDArray[np.float32]
    step: float

    def cover(self, distance: Array, *, soft: float = 0.0) -> Array:
        """Return how much of each sample a shape covers, its edge ``soft`` metres wider."""
        return np.clip(0.5 - distance / (self.step + soft), 0.0, 1.0)

    def blend(self, alpha: Array, colour: Spectrum | Array) -> None:
        """Lay a colour over the patch; it is ``(4,)`` or ``(4, height, width)``."""
        values = np.asarray(colour, np.float64)
        if values.ndim == 1:
            values = values[:, None, None]
        self.bands[:] += (alpha * (values - self.bands)).astype(np.float32)

    def shade(self, alpha: Array) -> None:
        """Take direct sunlight away."""
        self.bands[:] *= (1.0 - alpha * (1.0 - SHADE[:, None, None])).astype(np.float32)


class Canvas:
    """Reflectances ``(4, height, width)`` of a window, ``step`` metres a sample."""

    def __init__(self, left: float, top: float, shape: tuple[int, int], step: float) -> None:
        self.x = left + (np.arange(shape[1]) + 0.5) * step
        self.y = top + (np.arange(shape[0]) + 0.5) * step
        self.bands = np.zeros((4, *shape), np.float32)
        self.step = step

    def patch(self, box: Sequence[float] | None = None) -> Patch | None:
        """Return what lies inside ``(left, top, right, bottom)``; None if nothing does."""
        left, top, right, bottom = box or (self.x[0], self.y[0], self.x[-1], self.y[-1])
        cols = slice(*np.searchsorted(self.x, (left - self.step, right + self.step)))
        rows = slice(*np.searchsorted(self.y, (top - self.step, bottom + self.step)))
        if cols.start >= cols.stop or rows.start >= rows.stop:
            return None
        x, y = np.meshgrid(self.x[cols], self.y[rows])
        return Patch(x, y, self.bands[:, rows, cols], self.step)

    def around(self, points: Array, reach: float) -> Patch | None:
        """Return what lies within ``reach`` of the box of ``points``, ``(n, 2)``."""
        low, high = points.min(0) - reach, points.max(0) + reach
        return self.patch((low[0], low[1], high[0], high[1]))


def shadow_offset(height: float) -> Array:
    """Return where the shadow of a point at ``height`` falls."""
    return -np.array(SUN) * height * SHADOW_PER_HEIGHT


def hashed(i: npt.NDArray[np.int64], j: npt.NDArray[np.int64] | int, seed: int) -> Array:
    """Return a number in 0..1 for each pair of whole numbers, always the same."""
    # The mixing steps are those of a common 32-bit integer hash (multiply, xor-shift).
    h = (i * 0x9E3779B1 + j * 0x85EBCA77 + seed * 0xC2B2AE3D) & 0xFFFFFFFF
    for shift, factor in ((16, 0x7FEB352D), (15, 0x6B2FE3A5)):
        h = ((h ^ (h >> shift)) * factor) & 0xFFFFFFFF
    return np.asarray((h ^ (h >> 16)) / 0x1_0000_0000, np.float64)


def noise(x: Array, y: Array, scale: float, seed: int) -> Array:
    """Return smooth noise of about unit variance with features of ``scale`` metres."""
    angle = 2.4 * seed  # a turned lattice: its axes show nowhere
    u = (x * np.cos(angle) - y * np.sin(angle)) / scale
    v = (x * np.sin(angle) + y * np.cos(angle)) / scale
    i, j = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    i0, j0 = int(i.min()), int(j.min())
    ii, jj = np.mgrid[i0 : int(i.max()) + 2, j0 : int(j.max()) + 2]
    lattice = hashed(ii, jj, seed)
    s, t = (np.square(w) * (3 - 2 * w) for w in (u - i, v - j))
    i, j = i - i0, j - j0
    low = lattice[i, j] * (1 - s) + lattice[i + 1, j] * s
    high = lattice[i, j + 1] * (1 - s) + lattice[i + 1, j + 1] * s
    return np.asarray((low * (1 - t) + high * t - 0.5) * 5.0)


def fractal(
    x: Array, y: Array, scale: float, seed: int, *, octaves: int = 5, gain: float = 0.6
) -> Array:
    """Return the sum of ``octaves`` of noise, each half the size and ``gain`` times the height."""
    total = np.zeros_like(x)
    norm = 0.0
    for octave in range(octaves):
        weight = gain**octave
        total += weight * noise(x, y, scale / 2**octave, seed * 31 + octave)
        norm += weight * weight
    return np.asarray(total / np.sqrt(norm))


def warp(x: Array, y: Array) -> tuple[Array, Array]:
    """Return coordinates bent a little, as the lie of the land bends straight lines."""
    return x + 9.0 * noise(x, y, 420.0, 901), y + 9.0 * noise(x, y, 420.0, 902)


def spline(points: Sequence[tuple[float, float]], *, spacing: float = 12.0) -> Array:
    """Return a smooth line through ``points`` (Catmull-Rom), a vertex each ``spacing`` metres."""
    p = np.asarray(points, np.float64)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    pieces = []
    for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True):
        n = max(2, int(np.hypot(*(c - b)) / spacing))
        t = np.linspace(0, 1, n, endpoint=False)[:, None]
        cubic = -a + 3 * b - 3 * c + d
        pieces.append(b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * cubic)))
    return np.vstack([*pieces, p[-2:-1]])


def line_distance(x: Array, y: Array, line: Array, reach: float) -> tuple[Array, Array]:
    """Return distance to a line, positive on its right, and distance along it.

    Beyond ``reach`` the distance is infinite.
    """
    best = np.full(x.shape, np.inf)
    along = np.zeros(x.shape)
    lengths = np.hypot(*np.diff(line, axis=0).T)
    starts = np.concatenate([[0.0], np.cumsum(lengths)])
    for start, a, b, length in zip(starts, line[:-1], line[1:], lengths, strict=False):
        low, high = np.minimum(a, b) - reach, np.maximum(a, b) + reach
        cols = slice(*np.searchsorted(x[0], (low[0], high[0])))
        rows = slice(*np.searchsorted(y[:, 0], (low[1], high[1])))
        if cols.start >= cols.stop or rows.start >= rows.stop:
            continue
        dx, dy = x[rows, cols] - a[0], y[rows, cols] - a[1]
        (ux, uy) = (b - a) / length
        t = np.clip(dx * ux + dy * uy, 0, length)
        d = np.hypot(dx - t * ux, dy - t * uy)
        d = np.where(d <= reach, np.where(dy * ux - dx * uy < 0, -d, d), np.inf)
        nearer = np.abs(d) < np.abs(best[rows, cols])
        best[rows, cols] = np.where(nearer, d, best[rows, cols])
        along[rows, cols] = np.where(nearer, start + t, along[rows, cols])
    return best, along


def box_distance(x: Array, y: Array, centre: Array, half: Sequence[float], angle: float) -> Array:
    """Return distance to a turned rectangle of half sides ``half``; ``angle`` in radians."""
    u, v = turned(x, y, centre, angle)
    du, dv = np.abs(u) - half[0], np.abs(v) - half[1]
    return np.hypot(np.maximum(du, 0), np.maximum(dv, 0)) + np.minimum(np.maximum(du, dv), 0)


def turned(x: Array, y: Array, centre: Array, angle: float) -> tuple[Array, Array]:
    """Return coordinates in a frame turned by ``angle`` about ``centre``."""
    dx, dy = x - centre[0], y - centre[1]
    c, s = np.cos(angle), np.sin(angle)
    return dx * c + dy * s, dy * c - dx * s


def polygon_distance(x: Array, y: Array, polygon: Array) -> Array:
    """Return distance to a convex polygon, ``(n, 2)``; exact inside, less than true outside."""
    total = np.full(x.shape, -np.inf)
    for a, b in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        (ux, uy) = (b - a) / np.hypot(*(b - a))
        np.maximum(total, (x - a[0]) * uy - (y - a[1]) * ux, out=total)
    return total
