"""Phases to the output's dtype: block sums exact, nothing wraps, no valid pixel is nodata.

Phases are ``(bands, s*s, height, width)``; see `geosr.kernels`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Values = NDArray[np.generic]
Valid = NDArray[np.bool_]


@dataclass(frozen=True)
class Target:
    """What pixels are written as.

    Attributes
    ----------
    dtype
        The output's dtype name.
    nodata
        The value that no valid pixel may have; None or NaN: there is none.
    exact
        Make each block's sum that of its source pixel.
    """

    dtype: str
    nodata: float | None = None
    exact: bool = True

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and highest value of a valid pixel.

        A nodata value at an end of the dtype's range is left out of it.
        """
        kind = np.dtype(self.dtype)
        if kind.kind == "f":
            ends = np.finfo(kind)
            return float(ends.min), float(ends.max)
        info = np.iinfo(kind)
        low = info.min + (self.nodata == info.min)
        return low, info.max - (self.nodata == info.max)


@dataclass(frozen=True)
class Counts:
    """How many source pixels' blocks could not be kept exact, and output pixels clamped."""

    unresolved: int = 0
    clamped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.unresolved + other.unresolved, self.clamped + other.clamped)


def quantise(
    phases: Floats, source: Floats, valid: Valid | None, target: Target
) -> tuple[Values, Counts]:
    """Turn phases into the output's dtype; ``phases`` is used up.

    Integers are rounded with error diffusion inside each block, so that its sum is exactly
    ``s*s`` times the source pixel wherever that lies within the dtype's range. Where clamping
    breaks a sum, the rest is given to the block's pixels that still have room.

    Parameters
    ----------
    phases
        ``(bands, s*s, height, width)``.
    source, valid
        ``(bands, height, width)``; None: all valid. Invalid blocks are not looked at, their
        values mean nothing.
    """
    if np.dtype(target.dtype).kind == "f":
        return _as_float(phases, target), Counts()
    low, high = target.limits
    outside = (phases.min(axis=1) < low) | (phases.max(axis=1) > high)
    if valid is not None:
        outside &= valid
    clamped = _pixels_outside(phases, outside, low, high)
    if target.exact:
        if clamped:
            _clamp_blocks(phases, source, outside, low, high)
        _diffuse(phases)
    else:
        np.rint(phases, out=phases)
    wanted = _wanted_sums(source, phases.shape[1], target) if target.exact else None
    left = _repair(phases, wanted, valid, target)
    with np.errstate(invalid="ignore"):  # only invalid blocks can hold what no integer is
        return phases.astype(target.dtype), Counts(left, clamped)


def _as_float(phases: Floats, target: Target) -> Values:
    dtype = np.dtype(target.dtype)
    if dtype.itemsize < phases.dtype.itemsize:
        low, high = target.limits
        np.clip(phases, low, high, out=phases)
    values = phases.astype(dtype)
    if target.nodata is not None and np.isfinite(target.nodata):
        marker = dtype.type(target.nodata)
        values[values == marker] = np.nextafter(marker, dtype.type(np.inf))
    return values


def _pixels_outside(phases: Floats, outside: Valid, low: float, high: float) -> int:
    block = np.moveaxis(phases, 1, -1)[outside]
    return int(np.count_nonzero((np.rint(block) < low) | (np.rint(block) > high)))


def _clamp_blocks(phases: Floats, source: Floats, blocks: Valid, low: float, high: float) -> None:
    """Clamp the pixels of some blocks, and spread what that changed over the unclamped ones."""
    squares = phases.shape[1]
    spread = np.moveaxis(phases, 1, -1)
    block = spread[blocks].astype(np.float64)
    wanted = np.clip(source[blocks].astype(np.float64), low, high) * squares
    np.clip(block, low, high, out=block)
    for _ in range(squares):
        rest = wanted - block.sum(axis=1)
        room = np.where(rest[:, None] > 0, block < high, block > low)
        open_pixels = room.sum(axis=1)
        moving = (np.abs(rest) > 1e-9) & (open_pixels > 0)
        if not moving.any():
            break
        step = np.where(moving, rest / np.maximum(open_pixels, 1), 0)
        block = np.clip(block + room * step[:, None], low, high)
    spread[blocks] = block.astype(phases.dtype)


def _diffuse(phases: Floats) -> None:
    """Round in place, phase by phase, handing each block's error on to its next phase."""
    error = np.zeros_like(phases[:, 0])
    rounded = np.empty_like(error)
    for index in range(phases.shape[1]):
        phase = phases[:, index]
        error += phase
        np.rint(error, out=rounded)
        error -= rounded
        phase[...] = rounded


def _wanted_sums(source: Floats, squares: int, target: Target) -> Floats:
    """Return the sum that each block must have: whole numbers, exact in the working dtype."""
    low, high = target.limits
    clipped: Floats = np.clip(source, low, high) * source.dtype.type(squares)
    return np.rint(clipped)


def _repair(phases: Floats, wanted: Floats | None, valid: Valid | None, target: Target) -> int:
    """Mend the blocks whose pixels are out of range or nodata, or whose sum is wrong.

    Returns the number of blocks whose sum could not be made right.
    """
    low, high = target.limits
    bad: Valid = (phases.min(axis=1) < low) | (phases.max(axis=1) > high)
    if target.nodata is not None and low <= target.nodata <= high:
        bad |= (phases == target.nodata).any(axis=1)
    if wanted is not None:
        bad |= phases.sum(axis=1) != wanted
    if valid is not None:
        bad &= valid
    if not bad.any():
        return 0
    spread = np.moveaxis(phases, 1, -1)
    block = np.clip(spread[bad], low, high).astype(np.int64)
    nodata = None if target.nodata is None else int(target.nodata)
    block[block == nodata] += 1  # never past the end: there, `limits` leaves nodata out
    left = 0
    if wanted is not None:
        left = _mend_sums(block, wanted[bad].astype(np.int64), (int(low), int(high)), nodata)
    spread[bad] = block.astype(phases.dtype)
    return left


def _mend_sums(
    block: NDArray[np.int64],
    wanted: NDArray[np.int64],
    limits: tuple[int, int],
    nodata: int | None,
) -> int:
    """Step pixels of ``block`` ``(n, s*s)`` by one until each row sums to ``wanted``."""
    low, high = limits
    for _ in range(4 * block.shape[1]):
        rest = wanted - block.sum(axis=1)
        step = np.sign(rest)[:, None]
        if not rest.any():
            break
        moved = block + step
        leaps = moved == nodata
        moved += np.where(leaps, step, 0)
        room = (step != 0) & (moved >= low) & (moved <= high)
        plain = room & ~leaps  # leaping over nodata overshoots: only where nothing else moves
        room = np.where(plain.any(axis=1)[:, None], plain, room)
        first = room & (np.cumsum(room, axis=1) <= np.abs(rest)[:, None])
        block[first] = moved[first]
    return int(np.count_nonzero(wanted - block.sum(axis=1)))
