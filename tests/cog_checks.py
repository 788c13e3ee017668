"""What cloud-optimised GeoTIFFs must be, by GDAL, rio-cogeo and a pyramid made anew."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sink_runs import filled, holes, noise

from geosr.io.cog.directory import TILE_BYTE_COUNTS, TILE_OFFSETS, read_directories
from geosr.io.cog.pyramid import halved
from geosr.io.facts import read_facts
from geosr.io.opening import open_raster

SHAPE = (333, 411)  # odd, in 3 x 4 tiles of 128 pixels


def levels(path):
    """Return values and mask ``(height, width)`` of each resolution, the full one first."""
    with open_raster(str(path)) as src:
        count = len(src.overviews(1))
    found = []
    for level in (None, *range(count)):
        with open_raster(str(path), **({} if level is None else {"OVERVIEW_LEVEL": level})) as src:
            found.append((src.read(), src.read_masks()))
    return found


def check_order(path):
    """Check what GDAL's script asks for, and that no tile overlaps; return how much they hold.

    https://github.com/OSGeo/gdal, swig/python/gdal-utils/osgeo_utils/samples/
    validate_cloud_optimized_geotiff.py: all directories come first, those of overviews behind
    the full resolution's; the first tile of each resolution lies behind that of the next
    coarser one. Tiles that are left out do not count.
    """
    data = Path(path).read_bytes()
    with open_raster(str(path)) as src:
        shapes = [(src.height, src.width)]
        shapes += [_shape(path, level) for level in range(len(src.overviews(1)))]
        directories = [_offset(src, "IFD_OFFSET", level) for level in range(len(shapes))]
        firsts = [_first_tile(src, level, shape) for level, shape in enumerate(shapes)]
    assert directories == sorted(directories)
    assert directories[0] < 300
    seen = [first for first in firsts if first]
    assert seen == sorted(seen, reverse=True)
    places = []
    for tags in read_directories(data):
        offsets, counts = tags[TILE_OFFSETS].numbers(), tags[TILE_BYTE_COUNTS].numbers()
        assert ((offsets == 0) == (counts == 0)).all()
        places += [(int(o), int(c)) for o, c in zip(offsets, counts, strict=True) if c]
    places = [*sorted(places), (len(data), 0)]
    assert places[0][0] > directories[-1]
    for (offset, count), (following, _) in pairwise(places):
        assert offset + count <= following
    return sum(count for _, count in places)


def _shape(path, level):
    with open_raster(str(path), OVERVIEW_LEVEL=level) as src:
        return src.shape


def _offset(src, name, level):
    keywords = {"ovr": level - 1} if level else {}
    return int(src.get_tag_item(name, "TIFF", bidx=1, **keywords) or 0)


def _first_tile(src, level, shape):
    side = src.block_shapes[0]
    for row in range(-(-shape[0] // side[0])):
        for col in range(-(-shape[1] // side[1])):
            offset = _offset(src, f"BLOCK_OFFSET_{col}_{row}", level)
            if offset:
                return offset
    return 0


def check_valid(path):
    check_order(path)
    cogeo = pytest.importorskip("rio_cogeo.cogeo")
    with open_raster(str(path)) as src:
        if src.width == 1:  # it finds nothing coarser than one column, in GDAL's own files either
            return
    valid, errors, warnings = cogeo.cog_validate(path, strict=True, quiet=True)
    assert (valid, errors, warnings) == (True, [], [])


def check_overviews(output, values, valid):
    """Compare all resolutions with the full one, halved again and again."""
    nodata = output.profile.nodata
    for made, mask in levels(output.path):
        np.testing.assert_array_equal(made, values)
        if nodata.write_mask:
            good = np.ones(values.shape[1:], bool) if valid is None else valid.all(axis=0)
            assert ((mask == 255) == good).all()
        values, valid = halved(values, valid, fill=nodata.fill, nodata=nodata.value)
        if nodata.write_mask and valid is not None:
            # What is read back to be halved further knows one mask for all bands.
            valid = np.broadcast_to(valid.all(axis=0), valid.shape)


def check_same(first, second):
    """Compare all that two files say, and their pixels and masks in full."""
    one, other = read_facts(first), read_facts(second)
    for name in ("grid", "has_transform", "dtypes", "masks", "alpha", "metadata", "compression"):
        assert getattr(one, name) == getattr(other, name), name
    np.testing.assert_equal(one.nodata, other.nodata)
    with open_raster(str(first)) as a, open_raster(str(second)) as b:
        np.testing.assert_array_equal(a.read(), b.read())
        assert (a.read_masks() == b.read_masks()).all()
        assert (a.dataset_mask() == b.dataset_mask()).all()
        assert a.tags(ns="IMAGE_STRUCTURE") == b.tags(ns="IMAGE_STRUCTURE")
        assert (a.photometric, a.interleaving) == (b.photometric, b.interleaving)


def scene(output, *, kind="none", shape=None):
    """Return noise for an output and what of it is valid, with holes as ``kind`` asks."""
    profile = output.profile
    shape = (profile.count, *profile.grid.shape)
    values, valid = noise(shape, profile.dtype), None
    if kind != "none":
        valid = np.broadcast_to(holes(shape[1:]), shape).copy()
    if kind == "alpha":
        values[-1] = np.where(valid[-1], 200 if profile.dtype == "uint8" else 100, 0)
        valid[-1] = True
        values[:-1, ~valid[0]] = 0
        return values, valid
    if profile.nodata.value is not None and not math.isnan(profile.nodata.value):
        values[values == profile.nodata.value] += values.dtype.type(1)
    return filled(output, values, valid), valid


KINDS = {
    "none": {},
    "nodata": {"nodata": 7.0},
    "mask": {"mask": True},
    "nodata and mask": {"nodata": 7.0, "mask": True},
    "alpha": {"colours": ("red", "green", "blue", "alpha")},
    "NaN": {"nodata": math.nan},
    "NaN untold": {},
}
