"""How far a network looks, and whether tiles of it agree: measured on random pictures.

Measured, never read from the graph, so that it holds for any network that a file may bring.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geosr.foreign.layout import PictureNetwork
from geosr.foreign.opening import Float32

SIDES = (32, 96, 288)
"""Sides of the pictures in which the reach is measured, in pixels; the last shows one of 128."""

LARGEST_REACH = 128
"""A network that looks further is cut into tiles that are blended, in source pixels."""

STRIDES = (1, 2, 4, 8, 16, 32)
"""Steps of the source grid on which a network may have to stand."""

TOLERANCE = 1e-4
"""Largest difference between two tiles that count as alike, of the output's contrast."""

RIM = 16
"""Pixels of each side of a tile that are thrown away where the reach has no end."""


@dataclass(frozen=True)
class Findings:
    """What was measured.

    Attributes
    ----------
    radius
        Pixels around a tile's core that it needs; a multiple of ``stride``.
    exact
        Tiles give what the untiled network gives.
    stride
        Tiles agree if their places differ by multiples of so many source pixels.
    equivariant
        ``f(a*x + b) = a*f(x) + b`` for a > 0.
    """

    radius: int
    exact: bool
    stride: int
    equivariant: bool


@dataclass(frozen=True)
class Probe:
    """A network under test.

    Attributes
    ----------
    network
        On the processor, in float32: there, what a pixel does not depend on leaves each of its
        bits alone.
    scales
        Highest values of the pictures it is shown; the lowest is 0.
    """

    network: PictureNetwork
    scales: tuple[float, ...]

    def findings(self) -> Findings:
        """Measure everything."""
        reach, equivariant = self._reach(), self._is_equivariant()
        if reach is not None:
            reach = max(reach, self.network.layout.margin)
            for stride in STRIDES:
                radius = -(-(reach + stride - 1) // stride) * stride
                if self._tiles_agree(radius, stride):
                    return Findings(radius, True, stride, equivariant)
        side = self.network.layout.form.side or 8 * RIM
        rim = min(RIM, side // 8)
        return Findings(self.network.layout.margin + rim, False, 1, equivariant)

    def _reach(self) -> int | None:
        """Return how far the output looks, in source pixels; None: further than can be seen."""
        fixed = self.network.layout.form.side
        for side in (fixed,) if fixed else SIDES:
            reaches = [self._reach_in(side, scale) for scale in self.scales]
            known = [reach for reach in reaches if reach is not None]
            if len(known) == len(reaches):
                return max(known)
        return None

    def _reach_in(self, side: int, scale: float) -> int | None:
        """Change one half of a picture, see how far into the other half the output changes."""
        side = self.network.layout.legal_side(side)
        rng = np.random.default_rng(side)
        shape = (self.network.layout.form.bands, side, side)
        before, other = rng.random((2, *shape), np.float32) * np.float32(scale)
        margin = self.network.layout.margin
        expected = self.network.core(before, margin)
        reach = 0
        for axis in (1, 2):
            for upper in (True, False):
                after = before.copy()
                half = _half(side, axis, upper)
                after[half] = other[half]
                changed = self.network.core(after, margin) != expected
                lines = np.flatnonzero(changed.any(axis=(0, 3 - axis)))
                if upper:
                    lines = changed.shape[axis] - 1 - lines
                found = self._lines_to_reach(lines, side, upper)
                if found is None:
                    return None
                reach = max(reach, found)
        return reach

    def _lines_to_reach(self, lines: np.ndarray, side: int, upper: bool) -> int | None:
        """Return the reach into the kept half; None if it comes to the picture's edge.

        ``lines`` are output lines that changed, counted from the kept half's outer edge.
        """
        if not lines.size:
            return 0
        margin, factor = self.network.layout.margin, self.network.layout.factor
        first = margin + int(lines.min()) // factor
        kept = side - side // 2 if upper else side // 2
        reach = max(kept - first, 0)
        return None if first <= margin or reach > LARGEST_REACH else reach

    def _tiles_agree(self, radius: int, stride: int) -> bool:
        """Return whether two tiles give the same where both have their halo."""
        layout = self.network.layout
        fixed, row, col = layout.form.side, stride, 3 * stride
        small = fixed or layout.legal_side(2 * radius + col + 8)
        large = fixed or layout.legal_side(small + 32)
        if fixed and fixed - 2 * radius < max(fixed // 4, col + 4):
            return False  # of so small a fixed size too little would be left to keep
        s = layout.factor
        rng = np.random.default_rng(stride)
        shape = (layout.form.bands, large + row, large + col)
        for scale in self.scales:
            whole = rng.random(shape, np.float32) * np.float32(scale)
            one = self.network.core(whole[:, :small, :small], radius)
            two = self.network.core(whole[:, row : row + large, col : col + large], radius)
            one = one[:, row * s :, col * s :]
            two = two[:, : one.shape[1], : one.shape[2]]
            if np.abs(one - two).max() > TOLERANCE * _contrast(one):
                return False
        return True

    def _is_equivariant(self) -> bool:
        layout = self.network.layout
        side = layout.form.side or layout.legal_side(SIDES[0])
        x = np.random.default_rng(1).random((layout.form.bands, side, side), np.float32)
        before = self.network.core(x, layout.margin)
        after = self.network.core(3 * x + np.float32(0.5), layout.margin)
        error = np.abs(after - (3 * before + np.float32(0.5))).max()
        return bool(error <= TOLERANCE * 3 * _contrast(before))


def _half(side: int, axis: int, upper: bool) -> tuple[slice, ...]:
    half = slice(None, side // 2) if upper else slice(side // 2, None)
    return (slice(None), half, slice(None)) if axis == 1 else (slice(None), slice(None), half)


def _contrast(x: Float32) -> float:
    return float(x.max() - x.min())
