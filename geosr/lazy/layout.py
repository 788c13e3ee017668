"""How pixels are cut: chunks of the result, and what each of them sees of which source chunks.

All along one axis, from lengths alone; a chunk's rows and its columns go their own ways.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

Lengths = tuple[int, ...]


@dataclass(frozen=True)
class Met:
    """A source chunk that a chunk of the result sees, along one axis.

    Attributes
    ----------
    index
        Its place among the source chunks.
    first, count
        Its pixels.
    at_first, at_last
        Whether its first pixels, or its last, as many as a task looks far, are all that is seen.
    """

    index: int
    first: int
    count: int
    at_first: bool
    at_last: bool


@dataclass(frozen=True)
class Span:
    """A chunk of the result along one axis, in source pixels.

    Attributes
    ----------
    first, count
        Pixels that become the chunk.
    seen_first, seen_count
        These and their surroundings, inside the raster.
    met
        The source chunks that hold them.
    """

    first: int
    count: int
    seen_first: int
    seen_count: int
    met: tuple[Met, ...]


def chunk_steps(
    chunks: Sequence[Lengths], axes: tuple[int, int], factor: int, *, itemsize: int, limit: int
) -> tuple[int, int]:
    """Return the height and width of the result's chunks, in source pixels.

    All chunks of the result have them but the last ones, however irregular those of the source
    are: zarr takes no others. They are those of the largest source chunk, or a part of it, where
    that would become more than ``limit`` bytes.

    Parameters
    ----------
    chunks
        Lengths of the source chunks along each axis.
    axes
        Which of them are rows and columns.
    itemsize
        Bytes of a value of the result.
    """
    largest = math.prod(map(max, chunks)) * factor**2 * itemsize
    parts = max(math.ceil(math.sqrt(largest / limit)), 1)
    height, width = (_step(max(chunks[axis]), parts) for axis in axes)
    return height, width


def _step(length: int, parts: int) -> int:
    """Return the length of a chunk's parts, where possible such that the chunk is whole parts."""
    even = (count for count in range(parts, 2 * parts + 1) if length % count == 0)
    return -(-length // next(even, parts))


def lay_spans(lengths: Lengths, *, step: int, reach: int) -> list[Span]:
    """Return the chunks of the result along an axis of source chunks.

    Parameters
    ----------
    lengths
        Of the source chunks.
    step
        Source pixels of a chunk of the result.
    reach
        How far around its own pixels a task looks.
    """
    starts = [0, *accumulate(lengths)]
    total = starts.pop()
    spans = []
    for first in range(0, total, step):
        count = min(step, total - first)
        seen, end = max(first - reach, 0), min(first + count + reach, total)
        met = (
            _met(index, starts[index], lengths[index], (seen, end), reach)
            for index in range(bisect_right(starts, seen) - 1, bisect_left(starts, end))
            if lengths[index]
        )
        spans.append(Span(first, count, seen, end - seen, tuple(met)))
    return spans


def _met(index: int, first: int, count: int, seen: tuple[int, int], reach: int) -> Met:
    last = first + count
    start, end = max(first, seen[0]), min(last, seen[1])
    return Met(index, first, count, at_first=end - first <= reach, at_last=last - start <= reach)
