"""Patches as training draws them: nothing is held in memory but the index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import InputFileError
from geosr.metrics import LUMA
from geosr.training.bands import common_gain
from geosr.training.dataset.index import Part, read_index

Plane = NDArray[np.float32]
Slices = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a patch's plane is: ``dtype``, ``shape`` (bands, height, width) and first byte.

    ``band`` counts from 0; None is the luma of the first three. ``scaling`` is what stands for 0
    and 1.
    """

    path: Path
    dtype: str
    shape: tuple[int, int, int]
    offset: int
    band: int | None
    scaling: tuple[float, float]

    def read(self, part: Slices) -> Plane:
        """Read a part of the plane, scaled; only its rows are read."""
        low, high = self.scaling
        if self.band is None:
            red, green, blue = (weight * self._rows(i, part) for i, weight in enumerate(LUMA))
            rows: Plane = (red + green + blue).astype(np.float32)
        else:
            rows = self._rows(self.band, part)
        return (rows - np.float32(low)) / np.float32(high - low)

    def _rows(self, band: int, part: Slices) -> Plane:
        _, height, width = self.shape
        first, last, _ = part[0].indices(height)
        dtype = np.dtype(self.dtype).newbyteorder("<")
        pixels = (band * height + first) * width
        with self.path.open("rb") as file:
            file.seek(self.offset + pixels * dtype.itemsize)
            values = np.fromfile(file, dtype, (last - first) * width)
        rows: Plane = values.reshape(last - first, width)[:, part[1]].astype(np.float32)
        return rows


@dataclass(frozen=True, slots=True)
class Together:
    """The planes of several bands of a patch."""

    places: tuple[Place, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """That of the patch."""
        return self.places[0].shape

    def read(self, part: Slices) -> Plane:
        """Read a part of all planes, ``(bands, height, width)``."""
        return np.stack([place.read(part) for place in self.places])


@dataclass(frozen=True, slots=True)
class StoredPlane:
    """A plane on disk, or several bands together; rows and columns are cut as of an array."""

    place: Place | Together

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)``."""
        return self.place.shape[1:]

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.shape[0] * self.shape[1]

    def __getitem__(self, part: Slices | tuple[EllipsisType, slice, slice]) -> Plane:
        return self.place.read((part[-2], part[-1]))


@dataclass(frozen=True, slots=True)
class StoredPair:
    """A plane on disk, or several bands together, at both resolutions."""

    low: Place | Together
    high: Place | Together

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)`` at high resolution."""
        return self.high.shape[1:]

    @property
    def size(self) -> int:
        """Number of pixels at high resolution."""
        return self.shape[0] * self.shape[1]

    @property
    def upscale_factor(self) -> int:
        """High-resolution pixels per low one and side."""
        return self.high.shape[1] // self.low.shape[1]

    def crop(self, rows: slice, cols: slice) -> tuple[Plane, Plane]:
        """Return a part at low and high resolution; the slices are multiples of the factor."""
        s = self.upscale_factor
        coarse = (slice(rows.start // s, rows.stop // s), slice(cols.start // s, cols.stop // s))
        return self.low.read(coarse), self.high.read((rows, cols))


AnyPlane = StoredPlane | StoredPair


class PatchSet:
    """A patch set as `geosr dataset` leaves it.

    Raises
    ------
    InputFileError
        If it is none, or a file of it is missing or cut off.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = read_index(folder)
        for shard in self.index.shards:
            for entry in (vars(shard), shard.low):
                if entry:
                    self._check(entry)

    def _check(self, entry: dict[str, Any]) -> None:
        path = self.folder / entry["file"]
        pixels = int(np.prod(entry["shape"], dtype=np.int64))
        size = entry["offset"] + pixels * np.dtype(entry["dtype"]).itemsize
        if not path.is_file() or path.stat().st_size != size:
            raise InputFileError(
                f"The patch set {self.folder} is not whole: {path.name} is missing or damaged.",
                hint="Copy it again, or make it anew with `geosr dataset --overwrite`.",
            )

    def planes(self, part: Part) -> list[AnyPlane]:
        """Return every band of every patch of a part, and the luma of 8-bit colour."""
        found: list[AnyPlane] = []
        for patch in self.index.patches:
            shard = self.index.shards[patch.shard]
            if shard.part != part:
                continue
            scaling = self.index.sources[patch.source].scaling
            bands: list[int | None] = list(range(len(scaling)))
            if shard.dtype == "uint8" and len(scaling) >= 3:
                bands.append(None)
            for band in bands:
                range_ = scaling[band or 0]
                high = self._place(vars(shard), patch.item, band, range_)
                if shard.low is None:
                    found.append(StoredPlane(high))
                else:
                    found.append(StoredPair(self._place(shard.low, patch.item, band, range_), high))
        return found

    def cubes(self, part: Part, indexes: tuple[int, ...]) -> list[AnyPlane]:
        """Return every patch of a part with some of its bands together, numbered from 1.

        Each band is shifted by itself, all are scaled alike: by the widest of their ranges.
        """
        found: list[AnyPlane] = []
        for patch in self.index.patches:
            shard = self.index.shards[patch.shard]
            if shard.part != part:
                continue
            scaling = [self.index.sources[patch.source].scaling[n - 1] for n in indexes]
            ranges = common_gain(scaling)

            def together(
                entry: dict[str, Any],
                item: int = patch.item,
                ranges: list[tuple[float, float]] = ranges,
            ) -> Together:
                chosen = zip(indexes, ranges, strict=True)
                return Together(
                    tuple(self._place(entry, item, n - 1, range_) for n, range_ in chosen)
                )

            high = together(vars(shard))
            found.append(
                StoredPlane(high) if shard.low is None else StoredPair(together(shard.low), high)
            )
        return found

    def _place(
        self, entry: dict[str, Any], item: int, band: int | None, scaling: tuple[float, float]
    ) -> Place:
        _, bands, height, width = entry["shape"]
        patch = bands * height * width * np.dtype(entry["dtype"]).itemsize
        offset = entry["offset"] + item * patch
        path = self.folder / entry["file"]
        return Place(path, entry["dtype"], (bands, height, width), offset, band, scaling)
