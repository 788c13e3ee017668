"""Planes of rasters that training draws from: bands by themselves, or several together.

Values are scaled so that their range is about 1: those of 8 bits by 255, others by percentiles.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import BandError
from geosr.core.geometry import Window
from geosr.degrade import area
from geosr.io.facts import RasterFacts, read_facts
from geosr.io.raster import RasterReader
from geosr.metrics import LUMA
from geosr.training.bands import common_gain
from geosr.training.recipe import Source

_log = logging.getLogger(__name__)

Plane = NDArray[np.float32]
"""``(h, w)``, or ``(bands, h, w)`` of bands that are seen together."""


def read_planes(path: Path, source: Source, side: int) -> Iterator[Plane]:
    """Yield every band, and the luma of 8-bit colour images, at every reduction asked for.

    Planes shorter than ``side`` pixels are left out.
    """
    facts = read_facts(str(path))
    bands = min(facts.count, 4) if facts.dtype == "uint8" else facts.count
    image = _image(facts, tuple(range(1, bands + 1)), source)
    if facts.dtype == "uint8":
        image /= 255
        if facts.count >= 3:
            image = np.concatenate([image, np.tensordot(LUMA, image[:3], axes=1)[None]])
    for factor in source.reduce:
        height, width = (n // factor * factor for n in image.shape[1:])
        for plane in area(image[:, :height, :width], factor).astype(np.float32):
            low, high = np.percentile(plane, (0.1, 99.9))
            if min(plane.shape) >= side and high > low:
                yield plane if facts.dtype == "uint8" else (plane - low) / (high - low)


def read_cubes(path: Path, source: Source, side: int, *, names: tuple[str, ...]) -> Iterator[Plane]:
    """Yield the bands that are seen together as one plane, at every reduction asked for.

    Each band is shifted by itself, all are scaled alike: by the widest of their ranges.

    Raises
    ------
    BandError
        If the file lacks one.
    """
    facts = read_facts(str(path))
    indexes = band_numbers(source, names)
    check_count(path.name, facts.count, indexes, names)
    image = _image(facts, indexes, source)
    for factor in source.reduce:
        height, width = (n // factor * factor for n in image.shape[1:])
        cube = area(image[:, :height, :width], factor).astype(np.float32)
        ranges = common_gain(
            (float(low), float(high)) for low, high in np.percentile(cube, (0.1, 99.9), (1, 2)).T
        )
        low, high = np.array(ranges, np.float32).T[..., None, None]
        if min(cube.shape[1:]) >= side and (high > low).all():
            yield cube / np.float32(255) if facts.dtype == "uint8" else (cube - low) / (high - low)


def _image(facts: RasterFacts, indexes: tuple[int, ...], source: Source) -> Plane:
    """Read bands of a raster, of which as much is cut off that no hole is left."""
    whole = Window(0, 0, *facts.grid.shape)
    values, valid = RasterReader(facts, indexes, whole).read(whole)
    image = values.astype(np.float32)
    if valid is not None and not source.ignore_nodata:
        image = _whole_part(image, np.asarray(valid.all(axis=0)))
        if image[0].size < values[0].size / 2:
            name = Path(facts.path).name
            _log.warning("%s: holes leave %d x %d pixels of it", name, *image.shape[1:])
    return image


def _whole_part(image: Plane, valid: NDArray[np.bool_]) -> Plane:
    """Cut the rows and columns with holes off, the worst first, until none is left."""
    rows, cols = [0, valid.shape[0]], [0, valid.shape[1]]
    while not valid[slice(*rows), slice(*cols)].all():
        part = ~valid[slice(*rows), slice(*cols)]
        edges = [part[0].mean(), part[-1].mean(), part[:, 0].mean(), part[:, -1].mean()]
        worst = int(np.argmax(edges))
        (rows if worst < 2 else cols)[worst % 2] += 1 if worst % 2 == 0 else -1
    return image[:, slice(*rows), slice(*cols)]


def band_numbers(source: Source, names: tuple[str, ...]) -> tuple[int, ...]:
    """Return where a source's files have the bands that are seen together, from 1."""
    return source.bands or tuple(range(1, len(names) + 1))


def check_count(where: str, count: int, indexes: tuple[int, ...], names: tuple[str, ...]) -> None:
    """Raise `BandError` if there are fewer bands than a source names."""
    if max(indexes) > count:
        raise BandError(
            f"{where} has {count} bands, and the recipe takes {', '.join(names)} from bands "
            f"{', '.join(map(str, indexes))}.",
            hint="Say in the recipe's source which bands these are, as in bands = [3, 2, 1, 4], "
            "or leave the source out.",
        )
