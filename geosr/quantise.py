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
    def marker(self) -> int | float | None:
        """The nodata value, if a pixel of the dtype can have it."""
        if self.nodata is None or not np.isfinite(self.nodata):
            return None
        if np.dtype(self.dtype).kind == "f":
            return self.nodata
        return int(self.nodata) if float(self.nodata).is_integer() else None

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
    """What there is to tell of some blocks.

    Attributes
    ----------
    unresolved
        Source pixels whose block could not be kept exact.
    clamped
        Output pixels that were held inside the dtype's range.
    error
        The largest difference between a block's mean and its source pixel; not finite if one of
        them is not, and then no value means anything.
    """

    unresolved: int = 0
    clamped: int = 0
    error: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.unresolved + other.unresolved,
            self.clamped + other.clamped,
            max(self.error, other.error),
        )


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
    kind = np.dtype(target.dtype)
    if kind.kind == "f":
        values = _as_float(phases, target)
        return values, Counts(error=_mean_error(values, source, valid))
    if kind.itemsize > 2 and phases.dtype == np.float32:  # which lacks bits for such integers
        phases, source = phases.astype(np.float64), source.astype(np.float64)
    low, high = target.limits
    lowest, highest = float(phases.min()), float(phases.max())
    clamped = 0
    if not (low <= lowest and highest <= high):  # or NaN
        if valid is not None:
            np.copyto(phases, min(max(0, low), high), where=~valid[:, None])
        if not np.isfinite(phases).all():
            return np.zeros(phases.shape, kind), Counts(error=np.inf)
        clamped = _hold_inside(phases, source, target)
        lowest, highest = low, high
    sums = _diffuse(phases) if target.exact else _round(phases)
    left, error = 0, _largest(sums / sums.dtype.type(phases.shape[1]) - source, valid)
    wrong = target.exact and error > 0.5 / phases.shape[1]
    if wrong or _may_hit(lowest, highest, target):
        left = _repair(phases, sums, source, valid, target)
        error = _largest(sums / sums.dtype.type(phases.shape[1]) - source, valid)
    return phases.astype(kind), Counts(left, clamped, error)


def _as_float(phases: Floats, target: Target) -> Floats:
    dtype: np.dtype[np.floating] = np.dtype(target.dtype)
    if dtype.itemsize < phases.dtype.itemsize:
        low, high = target.limits
        np.clip(phases, low, high, out=phases)
    values: Floats = phases.astype(dtype, copy=False)
    if target.marker is not None:
        keep_clear(values, dtype.type(target.marker))
    return values


def keep_clear(values: Floats, marker: np.floating) -> None:
    """Move, in place, what GDAL would take for nodata.

    Its masks let floats of either length differ from the nodata value by 4 times the epsilon
    of float32: ``ARE_REAL_EQUAL`` in gcore/gdal_priv.h.
    """
    at, width = float(marker), abs(float(marker)) * 2.0**-20  # twice that
    if float(values.max()) < at - width or float(values.min()) > at + width:
        return
    if at == 0:
        values[values == 0] = np.finfo(values.dtype).tiny
        return
    with np.errstate(over="ignore"):
        near = np.abs(values - marker) < width
    values[near] = at - np.copysign(width, at)


def _mean_error(values: Floats, source: Floats, valid: Valid | None) -> float:
    """Return the largest difference between a block's mean and its source pixel."""
    total = np.subtract(values[:, 0], source)
    difference = np.empty_like(total)
    for index in range(1, values.shape[1]):
        total += np.subtract(values[:, index], source, out=difference)
    return _largest(total, valid) / int(values.shape[1])


def _largest(differences: Floats, valid: Valid | None) -> float:
    if valid is not None:
        differences[~valid] = 0
    return max(float(differences.max()), -float(differences.min()))


def _hold_inside(phases: Floats, source: Floats, target: Target) -> int:
    """Bring all blocks inside the dtype's range; return how many pixels were out of it."""
    low, high = target.limits
    outside = (phases.min(axis=1) < low) | (phases.max(axis=1) > high)
    blocks = np.rint(np.moveaxis(phases, 1, -1)[outside])
    if target.exact:
        _clamp_blocks(phases, source, outside, low, high)
    else:
        np.clip(phases, low, high, out=phases)
    return int(np.count_nonzero((blocks < low) | (blocks > high)))


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


def _diffuse(phases: Floats) -> Floats:
    """Round in place, handing each pixel's error on to the next of its block; return sums."""
    error = np.zeros_like(phases[:, 0])
    sums = np.zeros_like(error)
    for phase in phases.swapaxes(0, 1):
        error += phase
        np.rint(error, out=phase)
        error -= phase
        sums += phase
    return sums


def _round(phases: Floats) -> Floats:
    """Round in place; return the sum of each block."""
    sums: Floats = np.rint(phases, out=phases).sum(axis=1)
    return sums


def _may_hit(lowest: float, highest: float, target: Target) -> bool:
    """Return whether rounding can have left the dtype's range, or met the nodata value."""
    low, high = target.limits
    if lowest < low + 1 or highest > high - 1:
        return True
    return target.marker is not None and lowest - 1 <= target.marker <= highest + 1


def _repair(
    phases: Floats, sums: Floats, source: Floats, valid: Valid | None, target: Target
) -> int:
    """Mend the blocks whose pixels are out of range or nodata, or whose sum is wrong.

    ``phases`` and their ``sums`` are changed in place. Returns the number of blocks whose sum
    could not be made right.
    """
    low, high = target.limits
    wanted: Floats = np.clip(source, low, high) * source.dtype.type(phases.shape[1])
    np.rint(wanted, out=wanted)
    bad: Valid = (phases.min(axis=1) < low) | (phases.max(axis=1) > high)
    if target.marker is not None and low <= target.marker <= high:
        bad |= (phases == target.marker).any(axis=1)
    if target.exact:
        bad |= sums != wanted
    if valid is not None:
        bad &= valid
    if not bad.any():
        return 0
    spread = np.moveaxis(phases, 1, -1)
    block = np.clip(spread[bad], low, high).astype(np.int64)
    block[block == target.marker] += 1  # never past the end: there, `limits` leaves it out
    left = _mend_sums(block, wanted[bad].astype(np.int64), target) if target.exact else 0
    spread[bad] = block
    sums[bad] = block.sum(axis=1)
    return left


def _mend_sums(block: NDArray[np.int64], wanted: NDArray[np.int64], target: Target) -> int:
    """Step pixels of ``block`` ``(n, s*s)`` by one until each row sums to ``wanted``."""
    low, high = target.limits
    for _ in range(4 * block.shape[1]):
        rest = wanted - block.sum(axis=1)
        step = np.sign(rest)[:, None]
        if not rest.any():
            break
        moved = block + step
        leaps = moved == target.marker
        moved += np.where(leaps, step, 0)
        room = (step != 0) & (moved >= low) & (moved <= high)
        plain = room & ~leaps  # leaping over nodata overshoots: only where nothing else moves
        room = np.where(plain.any(axis=1)[:, None], plain, room)
        first = room & (np.cumsum(room, axis=1) <= np.abs(rest)[:, None])
        block[first] = moved[first]
    return int(np.count_nonzero(wanted - block.sum(axis=1)))
