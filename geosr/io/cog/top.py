"""The overviews that no block can make: from the coarsest level that blocks have made."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from geosr.core.geometry import Window
from geosr.core.plan import plan_blocks
from geosr.io.cog.encode import BlockEncoder, TileCodec, Values
from geosr.io.cog.index import Place, TileIndex
from geosr.io.cog.layout import CogLayout, Level
from geosr.io.cog.template import Template

_AT_ONCE = 64 << 20
"""Bytes of pixels that are read back at once."""


class TopMaker:
    """Reads a level's tiles back and makes further levels of them, a few tiles at a time."""

    def __init__(
        self,
        encoder: BlockEncoder,
        codec: TileCodec,
        template: Template,
        index: TileIndex,
        read: Callable[[int, int], bytes],
    ) -> None:
        self._encoder, self._codec, self._template = encoder, codec, template
        self._index, self._read = index, read
        self._layout: CogLayout = encoder.layout

    def pieces(self, pixel_bytes: int) -> Iterator[tuple[list[Place], tuple[bytes, ...]]]:
        """Yield the missing levels' tiles, with their places, as they are to be appended.

        What is yielded must be in the index before the next piece is asked for.
        """
        base, last = self._layout.in_block - 1, len(self._layout.levels)
        while base + 1 < last:
            level = self._layout.levels[base]
            doublings = _doublings(level, pixel_bytes)
            until = min(base + 1 + doublings, last)
            side = max(level.tile) << doublings
            for window in plan_blocks(level.shape, block_size=side):
                yield self._piece(base, until, window)
            base = until - 1

    def _piece(
        self, base: int, until: int, window: Window
    ) -> tuple[list[Place], tuple[bytes, ...]]:
        values = self._pixels(base, False, window)
        valid = self._valid(base, window, values)
        encoded = self._encoder.further(values, valid, base, until)
        full = _window_below(window, base)
        return self._encoder.places(full, base + 1, until), encoded.blobs

    def _pixels(self, level: int, is_mask: bool, window: Window) -> Values:
        levels = self._layout.mask_levels if is_mask else self._layout.levels
        blobs = []
        for number in levels[level].numbers(window):
            offset, count = self._index.find((level, is_mask, number))
            blobs.append(self._read(offset, count) if count else b"")
        tags = self._template.tags_of(level, is_mask, self._layout)
        return self._codec.decode(window.shape, blobs, tags)

    def _valid(self, level: int, window: Window, values: Values) -> NDArray[np.bool_] | None:
        if self._layout.has_mask:
            mask = self._pixels(level, True, window)[0] != 0
            return None if mask.all() else np.broadcast_to(mask, values.shape)
        return self._codec.valid(values)


def _doublings(level: Level, pixel_bytes: int) -> int:
    """Return how many further levels are made of what is read back at once."""
    doublings = 1
    while (max(level.tile) << (doublings + 1)) ** 2 * pixel_bytes <= _AT_ONCE:
        doublings += 1
    return doublings


def _window_below(window: Window, level: int) -> Window:
    """Return a window of the full resolution that `reduced` brings to ``window``."""
    step = 1 << level
    return Window(
        window.row_off * step, window.col_off * step, window.height * step, window.width * step
    )
