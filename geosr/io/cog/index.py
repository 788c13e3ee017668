"""Where the tiles of a file lie, as far as they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from geosr.io.cog.layout import CogLayout

Place = tuple[int, bool, int]
"""Level, whether it is the mask, and number of a tile."""


class TileIndex:
    """First byte and number of bytes of each tile; a tile of no bytes is left out of the file."""

    def __init__(self, layout: CogLayout) -> None:
        self._layout = layout
        images = [(level, False) for level in range(len(layout.levels))]
        images += [(level, True) for level in range(len(layout.mask_levels))]
        self._offsets = {image: self._empty(*image) for image in images}
        self._counts = {image: self._empty(*image) for image in images}

    def of(self, level: int, is_mask: bool) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return the first bytes and the numbers of bytes of an image's tiles."""
        return self._offsets[level, is_mask], self._counts[level, is_mask]

    def put(self, places: Iterable[Place], sizes: Sequence[int], start: int) -> int:
        """Note tiles that lie one after the other from ``start``; return where they end."""
        for (level, is_mask, number), size in zip(places, sizes, strict=True):
            self._offsets[level, is_mask][number] = start if size else 0
            self._counts[level, is_mask][number] = size
            start += size
        return start

    def find(self, place: Place) -> tuple[int, int]:
        """Return the first byte and the number of bytes of a tile."""
        level, is_mask, number = place
        offsets, counts = self.of(level, is_mask)
        return int(offsets[number]), int(counts[number])

    def first_tiles(self) -> Iterator[Place]:
        """Yield the first tile of each level that is in the file, coarse levels first."""
        for level, is_mask in self._layout.images(0, len(self._layout.levels)):
            stored = np.flatnonzero(self._counts[level, is_mask])
            if len(stored):
                yield level, is_mask, int(stored[0])

    def _empty(self, level: int, is_mask: bool) -> NDArray[np.uint64]:
        levels = self._layout.mask_levels if is_mask else self._layout.levels
        return np.zeros(levels[level].num_tiles, np.uint64)
