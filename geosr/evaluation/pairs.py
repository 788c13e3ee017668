"""Truth and low resolution of two sensors, laid on each other."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import InputFileError, UnsupportedRasterError
from geosr.core.geometry import Window
from geosr.evaluation.overlap import lay, middle
from geosr.evaluation.protocol import Protocol
from geosr.evaluation.samples import (
    LARGEST,
    Entry,
    Sample,
    blocks,
    check_size,
    check_valid,
    colours_of,
    enlarged,
    filled,
    list_files,
    names_of,
    opened,
    read_pixels,
    rounded,
)
from geosr.io.warp import warp_onto

Array = NDArray[np.generic]
Floats = NDArray[np.float64]
Valid = NDArray[np.bool_]

_ALIGN = "Add --align to resample the truth onto the grid of the low resolution."


def pair_entries(low: Path, high: Path, protocol: Protocol) -> tuple[list[Entry], list[str]]:
    """Return the pairs of two folders by the files' names, and the names that have no partner.

    Two files are one pair.

    Raises
    ------
    InputFileError
        If something is missing, or no file has a partner.
    """
    if low.is_dir() != high.is_dir():
        raise InputFileError(
            f"{low} and {high} are a folder and a file.", hint="Give two files or two folders."
        )
    if not low.is_dir():
        return [Entry(low.name, partial(_pair, low, high, protocol))], []
    lows, highs = ({path.stem: path for path in list_files(folder)} for folder in (low, high))
    if not lows.keys() & highs.keys():
        raise InputFileError(
            f"No file of {low} has a partner in {high}.",
            hint="Partners have the same name, whatever the suffix.",
        )
    entries = [
        Entry(stem, partial(_pair, lows[stem], highs[stem], protocol))
        for stem in sorted(lows.keys() & highs.keys())
    ]
    return entries, sorted(
        str(lows.get(stem) or highs[stem]) for stem in lows.keys() ^ highs.keys()
    )


def _pair(low_path: Path, high_path: Path, protocol: Protocol, factor: int) -> Sample:
    low_facts, indexes = opened(low_path, protocol)
    high_facts, high_indexes = opened(high_path, protocol)
    if len(indexes) != len(high_indexes):
        raise UnsupportedRasterError(
            f"{low_path.name} has {len(indexes)} bands and {high_path.name} {len(high_indexes)}.",
            hint="Choose those that both have with --bidx.",
        )
    if protocol.align:
        coarse = middle(Window(0, 0, *low_facts.grid.shape), LARGEST // factor)
        grid = low_facts.grid.crop(coarse).upscale(factor)
        truth: Array = warp_onto(str(high_path), high_indexes, grid)
        valid: Valid | None = np.asarray(np.isfinite(truth).all(axis=0))
    else:
        shared = lay(low_facts, high_facts, smallest=2, hint=_ALIGN)
        if shared.factor != factor:
            raise UnsupportedRasterError(
                f"{high_path.name} is {shared.factor} times finer than {low_path.name}, not "
                f"{factor} times.",
                hint=f"Use a model and --factor {shared.factor}, or --align.",
            )
        shared = shared.middle(LARGEST)
        coarse = shared.coarse
        truth, valid = read_pixels(high_facts, high_indexes, shared.fine)
    check_size(low_facts.path, coarse.scale(factor), factor, protocol)
    low, low_seen = read_pixels(low_facts, indexes, coarse)
    covered = None if valid is None else np.asarray(blocks(valid, factor).all(axis=(1, 3)))
    seen = _all(covered, low_seen)
    check_valid(low_facts.path, seen)
    fine = None if seen is None else enlarged(seen, factor)
    if protocol.match:
        truth = _matched(truth, low, seen, factor)
    truth = rounded(filled(truth.astype(np.float64), fine), low.dtype)
    colours = colours_of(low_facts, indexes, protocol)
    names = names_of(low_facts, indexes, protocol)
    return Sample(truth, low, fine, low_seen, colours, names)


def _matched(truth: Array, low: Array, valid: Valid | None, factor: int) -> Floats:
    """Bring each band of the truth to the low resolution's values, by a line through the pixels."""
    fine = np.where(np.isfinite(truth), truth, 0).astype(np.float64)
    coarse = np.stack([blocks(band, factor).mean(axis=(1, 3)) for band in fine])
    kept = np.ones(low.shape[1:], bool) if valid is None else valid
    lines = []
    for seen, wanted in zip(coarse, low.astype(np.float64), strict=True):
        x, y = seen[kept], wanted[kept]
        spread = float(x.var())
        gain = float(np.mean((x - x.mean()) * (y - y.mean()))) / spread if spread else 1.0
        lines.append((gain, float(y.mean()) - gain * float(x.mean())))
    return np.stack([gain * band + shift for band, (gain, shift) in zip(fine, lines, strict=True)])


def _all(first: Valid | None, second: Valid | None) -> Valid | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second
