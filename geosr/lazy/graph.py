"""The graph: one task for each chunk of the result, over the source chunks that it sees.

`dask.array.map_overlap` builds about fourteen tasks for each chunk and takes the result's margins
for the source's; here the task itself cuts what it needs out of what it is given. That is its
own source chunk, and of large chunks around it only their rims: a chunk that nobody but its own
task needs can be dropped as soon as that has run, and stays in the process that made it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from dask.array import Array
from dask.highlevelgraph import HighLevelGraph
from dask.tokenize import tokenize
from dask.typing import Key

from geosr.core.geometry import Window
from geosr.lazy.blocks import Job, Part, Piece, cut_rim, upscale_piece
from geosr.lazy.layout import Met, Span, lay_spans

WORTH_A_TASK = 1 << 19
"""Bytes that a rim must spare: one more task takes about as long as moving these."""

Place = tuple[int, ...]


@dataclass(frozen=True)
class _Rims:
    """What tasks are given of the source chunks that they see.

    Attributes
    ----------
    depth
        How far around its own pixels a task looks, in source pixels.
    bytes_per_pixel
        Of all that a chunk holds in one place.
    """

    depth: int
    bytes_per_pixel: int

    def part(self, above: Met, beside: Met) -> Part:
        """Return what is given of a chunk: a strip of its rim, or the whole."""
        row, col, height, width = above.first, beside.first, above.count, beside.count
        if not self._are_thin(height, width):
            return Part(row, col)
        if above.at_first:
            return Part(row, col, 0)
        if above.at_last:
            return Part(row + height - self.depth, col, 1)
        if beside.at_first:
            return Part(row, col, 2)
        if beside.at_last:
            return Part(row, col + width - self.depth, 3)
        return Part(row, col)

    def _are_thin(self, height: int, width: int) -> bool:
        """Return whether a chunk of this size is worth cutting."""
        whole, rim = height * width, 2 * self.depth * (height + width)
        return rim <= whole // 2 and (whole - rim) * self.bytes_per_pixel >= WORTH_A_TASK


def upscaled(data: Array, job: Job, *, steps: tuple[int, int], reach: int) -> Array:
    """Return ``data`` upscaled, lazily.

    Parameters
    ----------
    steps
        Height and width of the result's chunks, in source pixels.
    reach
        How far around its own pixels a task looks, in source pixels.
    """
    y, x = job.axes[-2:]
    spans = {
        axis: lay_spans(data.chunks[axis], step=step, reach=reach)
        for axis, step in zip((y, x), steps, strict=True)
    }
    others = [range(n) for axis, n in enumerate(data.numblocks) if axis not in (y, x)]
    deep = [max(lengths) for axis, lengths in enumerate(data.chunks) if axis not in (y, x)]
    around = _Rims(reach, math.prod(deep) * data.dtype.itemsize)
    token = tokenize(data.name, repr(job), steps, reach)
    name, rim_name = f"geosr-{token}", f"geosr-rim-{token}"
    tasks: dict[Key, Any] = {}
    rims: dict[Key, Any] = {}
    for (i, row), (j, col) in product(enumerate(spans[y]), enumerate(spans[x])):
        met = list(product(row.met, col.met))
        parts = tuple(around.part(above, beside) for above, beside in met)
        piece = Piece(_core(row, col), _seen(row, col), parts)
        for other in product(*others):
            given = []
            for (above, beside), part in zip(met, parts, strict=True):
                place = _place(other, y, x, (above.index, beside.index))
                if part.strip is not None:
                    rims[rim_name, *place] = (cut_rim, (data.name, *place), y, x, reach)
                given.append((data.name if part.strip is None else rim_name, *place))
            tasks[name, *_place(other, y, x, (i, j))] = (upscale_piece, job, piece, *given)
    factor = job.plan.upscale_factor
    chunks = [
        tuple(span.count * factor for span in spans[axis]) if axis in spans else lengths
        for axis, lengths in enumerate(data.chunks)
    ]
    meta = np.empty((0,) * data.ndim, job.work.target.dtype)
    graph = _graph(data, {rim_name: rims, name: tasks} if rims else {name: tasks})
    return Array(graph, name, chunks=tuple(chunks), meta=meta)


def _graph(data: Array, added: dict[str, dict[Key, Any]]) -> HighLevelGraph:
    """Put layers on top of an array's own; each may need all that lie below it."""
    below = data.dask
    layers, needs = {**below.layers, **added}, dict(below.dependencies)
    known = set(data.__dask_layers__())
    for name in added:
        needs[name] = set(known)
        known.add(name)
    return HighLevelGraph(layers, needs)


def _core(row: Span, col: Span) -> Window:
    return Window(row.first, col.first, row.count, col.count)


def _seen(row: Span, col: Span) -> Window:
    return Window(row.seen_first, col.seen_first, row.seen_count, col.seen_count)


def _place(other: Sequence[int], y: int, x: int, place: tuple[int, int]) -> Place:
    """Return a chunk's index: rows and columns put among the other dimensions."""
    index = list(other)
    for axis, value in sorted(((y, place[0]), (x, place[1]))):
        index.insert(axis, value)
    return tuple(index)
