"""Truth and low resolution, one image at a time: degraded here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import InputFileError, UnsupportedRasterError
from geosr.core.geometry import Window
from geosr.evaluation.crops import choose_crops
from geosr.evaluation.lowering import lowered, reach_of
from geosr.evaluation.overlap import middle
from geosr.evaluation.protocol import Protocol
from geosr.io.facts import RasterFacts, check_upscalable, read_facts
from geosr.io.raster import RasterReader

Array = NDArray[np.generic]
Floats = NDArray[np.float64]
Valid = NDArray[np.bool_]

LARGEST = 2048
"""Side of what is scored of an image, in fine pixels; of a larger one, it is the middle."""


@dataclass(frozen=True)
class Sample:
    """An image at both resolutions.

    Attributes
    ----------
    truth, low
        ``(bands, s*h, s*w)`` and ``(bands, h, w)`` of one dtype.
    valid, low_valid
        Pixels that count, ``(s*h, s*w)`` and ``(h, w)``; None: all.
    colours
        Places of the bands that are shown as red, green and blue, or of one, from 0.
    names
        What the raster calls its bands; empty: their order was chosen.
    note
        What the user should know of it.
    """

    truth: Array
    low: Array
    valid: Valid | None
    low_valid: Valid | None
    colours: tuple[int, ...]
    names: tuple[str | None, ...] = ()
    note: str = ""

    @property
    def is_photo(self) -> bool:
        """Whether it has luma: 8 bits, and the first three bands are red, green and blue."""
        return self.truth.dtype == np.uint8 and len(self.truth) >= 3


@dataclass(frozen=True)
class Entry:
    """An image that can be loaded.

    Attributes
    ----------
    name
        For people; unique.
    load
        Reads it for an upscale factor.
    """

    name: str
    load: Callable[[int], Sample]


def folder_entries(folder: Path, protocol: Protocol) -> list[Entry]:
    """Return all files of a folder and its folders, to be degraded.

    Raises
    ------
    InputFileError
        If there is no such folder, or no file in it.
    """
    return [
        Entry(str(path.relative_to(folder)), partial(_degraded_file, path, protocol))
        for path in list_files(folder)
    ]


def scene_entries(path: Path, protocol: Protocol) -> list[Entry]:
    """Return crops of one scene without holes, chosen by the protocol's seed.

    Raises
    ------
    InputFileError, UnsupportedRasterError
        If it cannot be read, or has no such part.
    """
    facts, indexes = opened(path, protocol)
    with RasterReader(facts, indexes, Window(0, 0, *facts.grid.shape)) as reader:
        crops = choose_crops(
            reader, path.name, count=protocol.crops, side=protocol.crop_size, seed=protocol.seed
        )
    return [
        Entry(
            f"row {crop.row_off}, col {crop.col_off}",
            partial(_degraded, facts, indexes, crop, protocol),
        )
        for crop in crops
    ]


def list_files(folder: Path) -> list[Path]:
    """Return the rasters of a folder, by name; side files and hidden ones are none.

    Raises
    ------
    InputFileError
        If there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise InputFileError(f"There is no folder {folder}.", hint="--data names a folder.")
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and not _is_side_file(path)
    ]
    if not files:
        raise InputFileError(
            f"There is no raster in {folder}.", hint="Put high-resolution rasters there."
        )
    return files


def _is_side_file(path: Path) -> bool:
    suffixes = (".aux.xml", ".ovr", ".msk", ".txt", ".md", ".csv", ".json", ".prj", ".tfw", ".html")
    return path.name.lower().endswith(suffixes)


def opened(path: Path, protocol: Protocol) -> tuple[RasterFacts, tuple[int, ...]]:
    """Return a raster's facts and the numbers of the bands that are scored."""
    facts = read_facts(path)
    indexes = protocol.indexes or tuple(n for n in facts.all_indexes(()) if n != facts.alpha)
    check_upscalable(facts, indexes)
    return facts, indexes


def _degraded_file(path: Path, protocol: Protocol, factor: int) -> Sample:
    facts, indexes = opened(path, protocol)
    window = middle(Window(0, 0, *facts.grid.shape), LARGEST)
    sample = _degraded(facts, indexes, window, protocol, factor)
    if window.shape == facts.grid.shape:
        return sample
    height, width = facts.grid.shape
    note = f"{path.name} is {width} x {height} pixels; its middle {LARGEST} x {LARGEST} are scored."
    return replace(sample, note=note)


def _degraded(
    facts: RasterFacts,
    indexes: tuple[int, ...],
    window: Window,
    protocol: Protocol,
    factor: int,
) -> Sample:
    height, width = (length // factor * factor for length in window.shape)
    window = Window(window.row_off, window.col_off, height, width)
    check_size(facts.path, window, factor, protocol)
    return degraded(facts, indexes, read_pixels(facts, indexes, window), protocol, factor)


def degraded(
    facts: RasterFacts,
    indexes: tuple[int, ...],
    pixels: tuple[Array, Valid | None],
    protocol: Protocol,
    factor: int,
) -> Sample:
    """Return pixels of a raster, ``factor`` times as many as a whole number, as a sample."""
    truth, valid = pixels
    margin = reach_of(protocol, factor)
    low_valid = None if valid is None else _shrunk(valid, factor, margin)
    check_valid(facts.path, low_valid)
    exact = filled(truth.astype(np.float64), valid)
    low = rounded(lowered(exact, factor, protocol, facts, indexes).astype(float), truth.dtype)
    fine = None if low_valid is None else enlarged(low_valid, factor)
    colours, names = colours_of(facts, indexes, protocol), names_of(facts, indexes, protocol)
    return Sample(truth, low, fine, low_valid, colours, names)


def read_pixels(
    facts: RasterFacts, indexes: tuple[int, ...], window: Window
) -> tuple[Array, Valid | None]:
    """Return values ``(bands, h, w)``, and which pixels are valid in all bands; None: all are."""
    with RasterReader(facts, indexes, window) as reader:
        values, valid = reader.read(Window(0, 0, *window.shape))
    return values, None if valid is None else np.asarray(valid.all(axis=0))


def check_size(path: str, window: Window, factor: int, protocol: Protocol) -> None:
    """Refuse what has too few pixels inside the border."""
    border = 2 * factor if protocol.border is None else protocol.border
    least = max(2 * border + 16, 8 * factor)
    if min(window.shape) < least:
        raise UnsupportedRasterError(
            f"{path} is {window.width} x {window.height} pixels; at factor {factor} an image needs "
            f"{least} a side.",
            hint="Leave it out, or use a smaller factor or --border.",
        )


def check_valid(path: str, low_valid: Valid | None) -> None:
    """Refuse what has no pixel left."""
    if low_valid is not None and not low_valid.any():
        raise UnsupportedRasterError(
            f"{path} has no pixel to score: it is all nodata, or too near to it.",
            hint="Leave it out.",
        )


def _shrunk(valid: Valid, factor: int, margin: int) -> Valid:
    """Return the coarse pixels that are farther than ``margin`` from every hole."""
    whole: Valid = np.asarray(blocks(valid, factor).all(axis=(1, 3)))
    for axis in (0, 1):
        padding = [(margin, margin) if n == axis else (0, 0) for n in (0, 1)]
        padded = np.pad(whole, padding, constant_values=True)
        length = whole.shape[axis]
        shifted = [padded.take(range(k, k + length), axis) for k in range(2 * margin + 1)]
        whole = np.asarray(np.logical_and.reduce(shifted))
    return whole


def filled(image: Floats, valid: Valid | None) -> Floats:
    """Put the mean of the valid pixels of each band into its holes."""
    if valid is None or not valid.any():
        return image
    return np.where(valid, image, image[:, valid].mean(axis=1)[:, None, None])


def blocks(plane: NDArray[np.generic], factor: int) -> Array:
    """Return ``(s*h, s*w)`` as ``(h, s, w, s)``."""
    height, width = plane.shape
    return plane.reshape(height // factor, factor, width // factor, factor)


def enlarged(plane: NDArray[np.bool_], factor: int) -> Valid:
    """Return each pixel as a block of ``s x s``."""
    result: Valid = plane.repeat(factor, axis=-2).repeat(factor, axis=-1)
    return result


def rounded(image: Floats, dtype: np.dtype[Any]) -> Array:
    """Return values in a dtype as GDAL does: to the nearest whole number, held inside its range."""
    if dtype.kind not in "iu":
        return image.astype(dtype)
    limits = np.iinfo(dtype)
    whole = np.floor(np.nan_to_num(image) + 0.5)
    return np.clip(whole, limits.min, limits.max).astype(dtype)


def names_of(
    facts: RasterFacts, indexes: tuple[int, ...], protocol: Protocol
) -> tuple[str | None, ...]:
    """Return what a raster calls its bands, by which a model may find its own; see `Sample`."""
    chosen = protocol.indexes
    return () if chosen else tuple(facts.metadata.descriptions[n - 1] for n in indexes)


def colours_of(facts: RasterFacts, indexes: tuple[int, ...], protocol: Protocol) -> tuple[int, ...]:
    """Return which of the bands that were read are shown."""
    if protocol.colours and set(protocol.colours) <= set(indexes):
        return tuple(indexes.index(band) for band in protocol.colours)
    named = [facts.metadata.colours[index - 1] for index in indexes]
    if {"red", "green", "blue"} <= set(named):
        return tuple(named.index(colour) for colour in ("red", "green", "blue"))
    if len(indexes) < 3:
        return (0,)
    return (0, 1, 2) if facts.dtype == "uint8" else (2, 1, 0)  # satellites begin with blue
