"""The graph: one task for each chunk of the result, over the source chunks that it meets.

`dask.array.map_overlap` builds about fourteen tasks for each chunk and takes the result's margins
for the source's; here the task itself cuts what it needs out of its neighbours.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from typing import Any

import dask
import numpy as np
from dask.array import Array
from dask.highlevelgraph import HighLevelGraph
from dask.tokenize import tokenize
from dask.typing import Key
from dask.utils import parse_bytes

from geosr.core.geometry import Window
from geosr.lazy.blocks import Job, Piece, upscale_piece

Lengths = tuple[int, ...]


@dataclass(frozen=True)
class _Span:
    """A chunk of the result along one axis, in source pixels, and the source chunks it meets."""

    first: int
    count: int
    seen: tuple[int, int]
    chunks: range
    starts: Lengths


def upscaled(data: Array, job: Job, *, reach: int) -> Array:
    """Return ``data`` upscaled, lazily.

    Chunks grow with their pixels. Those that would come out larger than dask's
    ``array.chunk-size`` are cut.

    Parameters
    ----------
    reach
        How far around its own pixels a task looks, in source pixels.
    """
    y, x = job.axes[-2:]
    factor, dtype = job.plan.upscale_factor, np.dtype(job.work.target.dtype)
    parts = _parts(data.chunks, factor, dtype.itemsize)
    cores = {axis: _cut(data.chunks[axis], parts) for axis in (y, x)}
    rows, cols = (_spans(data.chunks[axis], cores[axis], reach) for axis in (y, x))
    name = f"geosr-{tokenize(data.name, repr(job), parts)}"
    tasks: dict[Key, Any] = {}
    others = [range(n) for axis, n in enumerate(data.numblocks) if axis not in (y, x)]
    for (i, row), (j, col) in product(enumerate(rows), enumerate(cols)):
        piece = _piece(row, col)
        met = list(product(row.chunks, col.chunks))
        for other in product(*others):
            keys = [(data.name, *_placed(other, y, x, place)) for place in met]
            tasks[(name, *_placed(other, y, x, (i, j)))] = (upscale_piece, job, piece, *keys)
    # dask's own arrays do not fit its protocol: they declare their scheduler otherwise.
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[data])  # type: ignore[list-item]
    chunks = [
        tuple(n * factor for n in cores[axis]) if axis in cores else lengths
        for axis, lengths in enumerate(data.chunks)
    ]
    meta = np.empty((0,) * data.ndim, dtype)
    return Array(graph, name, chunks=tuple(chunks), meta=meta)


def _parts(chunks: tuple[Lengths, ...], factor: int, itemsize: int) -> int:
    """Return into how many parts per side chunks must be cut for their results to fit."""
    largest = math.prod(map(max, chunks)) * factor**2 * itemsize
    limit = parse_bytes(dask.config.get("array.chunk-size"))
    return max(math.ceil(math.sqrt(largest / limit)), 1)


def _cut(lengths: Lengths, parts: int) -> Lengths:
    """Cut each of ``lengths`` into ``parts`` or less, of about the same length."""
    cut: list[int] = []
    for length in lengths:
        step = max(-(-length // parts), 1)
        cut += [min(step, length - start) for start in range(0, length, step)]
    return tuple(cut)


def _spans(lengths: Lengths, cores: Lengths, reach: int) -> list[_Span]:
    starts = [0, *accumulate(lengths)]
    total = starts.pop()
    spans = []
    for first, count in zip(accumulate(cores, initial=0), cores, strict=False):
        seen = max(first - reach, 0), min(first + count + reach, total)
        chunks = range(bisect_right(starts, seen[0]) - 1, bisect_left(starts, seen[1]))
        met = tuple(starts[index] for index in chunks)
        spans.append(_Span(first, count, seen, chunks, met))
    return spans


def _piece(row: _Span, col: _Span) -> Piece:
    core = Window(row.first, col.first, row.count, col.count)
    seen = Window(row.seen[0], col.seen[0], row.seen[1] - row.seen[0], col.seen[1] - col.seen[0])
    return Piece(core, seen, tuple(product(row.starts, col.starts)))


def _placed(other: Sequence[int], y: int, x: int, place: tuple[int, int]) -> tuple[int, ...]:
    """Return a chunk's index: rows and columns put among the other dimensions."""
    index = list(other)
    for axis, value in sorted(((y, place[0]), (x, place[1]))):
        index.insert(axis, value)
    return tuple(index)
