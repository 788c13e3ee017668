"""Which rasters show the same ground, and on which side of the split each scene goes."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import combinations
from math import hypot

import numpy as np

from geosr.core.errors import OptionError
from geosr.core.geometry import Bounds, GeoGrid
from geosr.io.footprint import lonlat_boxes

NEAR = 1e-3
"""Part of a pixel by which neighbours may overlap: their edges are rounded numbers."""

Point = tuple[float, float]


def group_scenes(
    paths: Sequence[str], grids: Sequence[GeoGrid | None], pattern: str = ""
) -> list[int]:
    """Return the number of each raster's scene, from 0 in the order of appearance.

    Rasters are of one scene if they are the same file, if their footprints overlap, if
    ``pattern``, a regular expression, finds the same text in their names (without folders), or if
    a chain of such pairs leads from one to the other.
    Neighbours that only touch are two scenes. None: a raster without a place on earth.

    Raises
    ------
    OptionError
        If the pattern is no regular expression.
    """
    try:
        names = [os.path.basename(path) for path in paths]
        found = [re.search(pattern, name) if pattern else None for name in names]
    except re.error as error:
        raise OptionError(
            f"The pattern {pattern!r} is no regular expression: {error}.",
            hint="For instance, --scene '^[A-Z]+' takes the capitals at the start of the names.",
        ) from error
    marks = [match.group(match.re.groups and 1) if match else None for match in found]
    places = [_Place(grid) for grid in grids]
    leader = list(range(len(paths)))

    def first(number: int) -> int:
        while leader[number] != number:
            number = leader[number] = leader[leader[number]]
        return number

    for one, other in combinations(range(len(paths)), 2):
        same = paths[one] == paths[other]
        same = same or (marks[one] is not None and marks[one] == marks[other])
        if same or places[one].overlaps(places[other]):
            low, high = sorted((first(one), first(other)))
            leader[high] = low
    firsts = [first(number) for number in range(len(paths))]
    numbers = {lead: number for number, lead in enumerate(dict.fromkeys(firsts))}
    return [numbers[lead] for lead in firsts]


def split_scenes(sizes: Sequence[int], split: float, seed: int) -> list[bool]:
    """Return whether each scene is for training; ``sizes`` counts its patches.

    Scenes are taken in an order that the seed decides, and go to validation while what is there
    stays within its share; at least one scene goes to either side.

    Raises
    ------
    OptionError
        If there is only one scene to split.
    """
    if split >= 1:
        return [True] * len(sizes)
    if len(sizes) < 2:
        raise OptionError(
            "There is only one scene, and it cannot be split without a leak from training to "
            "validation.",
            hint="Add images of other places, or use --split 1 to train on all.",
        )
    wanted = (1 - split) * sum(sizes)
    order = np.random.default_rng(seed).permutation(len(sizes)).tolist()
    trained = [True] * len(sizes)
    held = 0
    for scene in order:
        if held + sizes[scene] <= wanted:
            trained[scene] = False
            held += sizes[scene]
    if held == 0:
        trained[min(order, key=lambda scene: sizes[scene])] = False
    return trained


class _Place:
    """A raster's footprint: its corners in its own CRS, and boxes in degrees."""

    def __init__(self, grid: GeoGrid | None) -> None:
        self._grid = grid
        self._boxes = lonlat_boxes(grid) if grid else ()
        if grid:
            top_left, top_right, bottom_left, bottom_right = grid.corners
            self._corners = (top_left, top_right, bottom_right, bottom_left)
            self._slack = NEAR * min(grid.pixel_size)

    def overlaps(self, other: _Place) -> bool:
        if self._grid is None or other._grid is None:
            return False
        if self._grid.crs == other._grid.crs:
            slack = min(self._slack, other._slack)
            return _polygons_overlap(self._corners, other._corners, slack)
        return any(_boxes_overlap(a, b) for a in self._boxes for b in other._boxes)


def _boxes_overlap(one: Bounds, other: Bounds) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _polygons_overlap(one: Sequence[Point], other: Sequence[Point], slack: float) -> bool:
    """Return whether convex polygons overlap by more than ``slack``: no line parts them."""
    for corners in (one, other):
        for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
            length = hypot(x1 - x0, y1 - y0)
            if length == 0:
                continue
            normal = (y1 - y0) / length, (x0 - x1) / length
            spans = [
                [x * normal[0] + y * normal[1] for x, y in polygon] for polygon in (one, other)
            ]
            if min(max(spans[0]), max(spans[1])) - max(min(spans[0]), min(spans[1])) <= slack:
                return False
    return True
