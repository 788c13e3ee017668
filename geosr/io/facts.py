"""What is known of a raster before its pixels are read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from rasterio.enums import ColorInterp, MaskFlags

from geosr.core.errors import BandError, InputFileError, UnsupportedRasterError
from geosr.core.geometry import GeoGrid
from geosr.core.options import DTYPES
from geosr.io.metadata import RasterMetadata, read_metadata
from geosr.io.opening import use_source
from geosr.io.remote import Retries, is_remote, shown

Mask = Literal["none", "nodata", "alpha", "dataset", "band"]

_NO_TRANSFORM = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # what GDAL gives for a raster without one
_NO_CRS = 'LOCAL_CS["unnamed",UNIT["unknown",1]'  # and for pixels that are points, without CRS
_TIMES = 4  # that a remote raster is opened until it is twice the same
_CACHE = (32 << 20, 512 << 20)


@dataclass(frozen=True)
class RasterFacts:
    """Everything known of a raster without reading its pixels. Per band where it is a tuple.

    Attributes
    ----------
    path
        As given: a file, or anything else that GDAL opens.
    driver, compression
        GDAL's names; the compression is empty if there is none.
    grid
        Of the whole raster.
    has_transform
        Whether the grid has a place on earth; if not, its transform is the identity.
    dtypes
        Names as in numpy.
    nodata
        Value that marks holes; None where there is none that the dtype can hold.
    masks
        What says which pixels are valid.
    alpha
        Number of the alpha band, from 1, or None.
    palettes
        Whether the band's values are numbers of colours.
    block_shape
        ``(height, width)`` of what the file stores together, in pixels.
    files
        All files that the raster is read from.
    metadata
        See `RasterMetadata`.
    """

    path: str
    driver: str
    compression: str
    grid: GeoGrid
    has_transform: bool
    dtypes: tuple[str, ...]
    nodata: tuple[float | None, ...]
    masks: tuple[Mask, ...]
    alpha: int | None
    palettes: tuple[bool, ...]
    block_shape: tuple[int, int]
    files: tuple[str, ...]
    metadata: RasterMetadata

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.dtypes)

    @property
    def dtype(self) -> str:
        """Dtype of the first band; all bands of a GeoTIFF have the same."""
        return self.dtypes[0]

    @property
    def has_gcps(self) -> bool:
        """Whether ground control points give the place."""
        return bool(self.metadata.gcps)

    @property
    def has_rpcs(self) -> bool:
        """Whether rational polynomials give the place."""
        return self.metadata.rpcs is not None

    def all_indexes(self, indexes: Sequence[int]) -> tuple[int, ...]:
        """Return ``indexes``, or the numbers of all bands if it is empty."""
        return tuple(indexes) or tuple(range(1, self.count + 1))


def read_facts(path: str | os.PathLike[str], *, retries: Retries | None = None) -> RasterFacts:
    """Return what is known of a raster without reading its pixels.

    Raises
    ------
    InputFileError
        If the raster cannot be opened, or is only a container of others.
    """
    name = os.fspath(path)
    read = partial(use_source, name, partial(facts_of, name), retries=retries)
    facts = read()
    if not is_remote(name):
        return facts
    # GDAL takes a side file that is lost for absent, without a word; not so twice in a row.
    for _ in range(_TIMES):
        before, facts = facts, read()
        if repr(facts) == repr(before):
            return facts
    raise InputFileError(
        f"{shown(name)} is another each time that it is opened.",
        hint="The server or the way to it fails: try again later.",
    )


def facts_of(path: str, src: Any) -> RasterFacts:
    """Return what is known of an open raster.

    Raises
    ------
    InputFileError
        If it is only a container of others.
    """
    if src.count == 0:
        inside = tuple(src.subdatasets)
        raise InputFileError(
            f"{path} has no bands of its own, but {len(inside)} rasters inside.",
            hint=f"Name one of them, such as {inside[0]!r}." if inside else "",
        )
    compression = src.compression
    return RasterFacts(
        path=path,
        driver=src.driver,
        compression=compression.value.lower() if compression else "",
        grid=_grid(src),
        has_transform=tuple(src.transform)[:6] != _NO_TRANSFORM,
        dtypes=tuple(src.dtypes),
        nodata=tuple(map(usable_nodata, src.nodatavals, src.dtypes)),
        masks=tuple(map(_mask, src.mask_flag_enums)),
        alpha=_alpha(src),
        palettes=tuple(_has_palette(src, index) for index in src.indexes),
        block_shape=src.block_shapes[0],
        files=tuple(src.files),
        metadata=read_metadata(src),
    )


def check_upscalable(facts: RasterFacts, indexes: Sequence[int]) -> None:
    """Refuse bands that are not there or cannot be super-resolved; empty means all bands.

    Raises
    ------
    BandError
        If a band is missing, or only the alpha band is asked for.
    UnsupportedRasterError
        If a band holds numbers of colours, complex numbers, or another dtype than its mates.
    """
    chosen = facts.all_indexes(indexes)
    for index in chosen:
        if not 1 <= index <= facts.count:
            raise BandError(
                f"{facts.path} has no band {index}; it has {facts.count}.",
                hint="Bands count from 1." if facts.count == 1 else f"Use 1 to {facts.count}.",
            )
    if chosen == (facts.alpha,):
        raise BandError(
            f"Band {facts.alpha} of {facts.path} is its alpha band: it holds no picture.",
            hint="Name other bands with --bidx; the alpha band may go along.",
        )
    others = " Use --bidx to pick other bands." if facts.count > len(chosen) else ""
    for index in chosen:
        if facts.palettes[index - 1]:
            raise UnsupportedRasterError(
                f"Band {index} of {facts.path} has a colour table: its values are classes, and "
                "there is nothing between two classes.",
                hint=f"Enlarge it with `rio warp` and nearest resampling.{others}",
            )
        _check_dtype(facts.path, index, facts.dtypes[index - 1], others)
    dtypes = {facts.dtypes[index - 1] for index in chosen}
    if len(dtypes) > 1:
        raise UnsupportedRasterError(
            f"The bands of {facts.path} have different dtypes: {', '.join(sorted(dtypes))}.",
            hint="Use --bidx to pick bands of one dtype.",
        )


def cache_bytes(facts: RasterFacts, indexes: Sequence[int], window: tuple[int, int]) -> int:
    """Return how much of GDAL's block cache serves when windows of a shape are read in rows.

    That is what one of them touches, since its neighbour shares a part of that; of a raster in
    strips it is whole rows, which its neighbours need as well. More would save little: the blocks
    above and below come too late to be found.
    """
    chosen = facts.all_indexes(indexes)
    itemsize = np.dtype(facts.dtypes[chosen[0] - 1]).itemsize
    pixels = 1
    for length, step, size in zip(window, facts.block_shape, facts.grid.shape, strict=True):
        pixels *= min((length // step + 2) * step, -(-size // step) * step)
    return min(max(pixels * itemsize * len(chosen), _CACHE[0]), _CACHE[1])


def usable_nodata(nodata: float | None, dtype: str) -> float | None:
    """Return ``nodata``, or None if ``dtype`` cannot hold it, so that no pixel has it.

    >>> usable_nodata(-9999.0, "uint8") is None, usable_nodata(-9999.0, "int16")
    (True, -9999.0)
    """
    if nodata is None or dtype not in DTYPES:
        return None
    kind = np.dtype(dtype)
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            fits = not np.isfinite(nodata) or np.isfinite(kind.type(nodata))
    else:
        limits = np.iinfo(kind)
        fits = nodata == np.floor(nodata) and limits.min <= nodata <= limits.max
    return nodata if fits else None


def _grid(src: Any) -> GeoGrid:
    crs = src.crs.to_wkt() if src.crs else None
    if crs is not None and crs.startswith(_NO_CRS):
        crs = None
    return GeoGrid(src.shape, tuple(src.transform)[:6], crs)


def _mask(flags: Sequence[MaskFlags]) -> Mask:
    if MaskFlags.all_valid in flags:
        return "none"
    if MaskFlags.alpha in flags:
        return "alpha"
    if MaskFlags.per_dataset in flags:
        return "dataset"  # also the NODATA_VALUES tag: a pixel is a hole if all bands say so
    return "nodata" if MaskFlags.nodata in flags else "band"


def _alpha(src: Any) -> int | None:
    places = [i for i, colour in enumerate(src.colorinterp, 1) if colour == ColorInterp.alpha]
    return places[0] if places else None


def _has_palette(src: Any, index: int) -> bool:
    if src.colorinterp[index - 1] == ColorInterp.palette:
        return True
    try:
        src.colormap(index)
    except ValueError:  # rasterio's way to say that there is none
        return False
    return True


def _check_dtype(path: str, index: int, dtype: str, others: str) -> None:
    if dtype in DTYPES:
        return
    if dtype.startswith("complex"):
        raise UnsupportedRasterError(
            f"Band {index} of {path} holds complex numbers ({dtype}).",
            hint=f"Make a real band first, such as the amplitude.{others}",
        )
    raise UnsupportedRasterError(
        f"Band {index} of {path} is of dtype {dtype}.",
        hint=f"Convert it to one of {', '.join(DTYPES)}.{others}",
    )
