"""Which dimension of a DataArray is what."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import xarray

from geosr.core.errors import BandError, UnsupportedRasterError

_PAIRS = (("x", "y"), ("longitude", "latitude"), ("lon", "lat"))
_PER_BAND = {"long_name", "units", "scales", "offsets", "nodatavals", "descriptions"}
_NAMES = {
    "X": ("longitude", "projection_x_coordinate"),
    "Y": ("latitude", "projection_y_coordinate"),
}


@dataclass(frozen=True)
class Dims:
    """Names of the dimensions that mean something here.

    Attributes
    ----------
    y, x
        Rows and columns.
    band
        ``band``, or the only other dimension; None if there is none, or more than one.
    """

    y: Hashable
    x: Hashable
    band: Hashable | None


def find_dims(raster: xarray.DataArray) -> Dims:
    """Find rows and columns as rioxarray does: by name, then by CF attributes.

    Raises
    ------
    UnsupportedRasterError
        If they cannot be told.
    """
    pairs = [(y, x) for x, y in _PAIRS if x in raster.dims and y in raster.dims]
    y, x = pairs[0] if pairs else (_by_attributes(raster, "Y"), _by_attributes(raster, "X"))
    if y is None or x is None:
        raise UnsupportedRasterError(
            f"Rows and columns cannot be told among the dimensions {_listed(raster.dims)}.",
            hint='Name them "y" and "x", as with raster.rename({"row": "y", "col": "x"}).',
        )
    others = [name for name in raster.dims if name not in (y, x)]
    band = "band" if "band" in others else others[0] if len(others) == 1 else None
    return Dims(y, x, band)


def select_bands(
    raster: xarray.DataArray, dims: Dims, indexes: tuple[int, ...]
) -> xarray.DataArray:
    """Return the bands ``indexes``, counted from 1 by their place; all of them if it is empty.

    Raises
    ------
    BandError
        If there is no such band, or no dimension of bands.
    """
    if not indexes:
        return raster
    if dims.band is None and raster.ndim > 2:
        raise BandError(
            f"It cannot be told which of the dimensions {_listed(raster.dims)} holds bands.",
            hint='Name it "band".',
        )
    count = num_bands(raster, dims)
    for index in indexes:
        if not 1 <= index <= count:
            raise BandError(
                f"The array has no band {index}; it has {count}.",
                hint="Bands count from 1." if count == 1 else f"Use 1 to {count}.",
            )
    if dims.band is None:
        return raster
    chosen = raster.isel({dims.band: [index - 1 for index in indexes]})
    chosen.attrs = _of_bands(raster.attrs, indexes, count)
    chosen.encoding = _of_bands(raster.encoding, indexes, count)
    return chosen


def num_bands(raster: xarray.DataArray, dims: Dims) -> int:
    """Return how many bands there are; 1 if no dimension holds them."""
    return 1 if dims.band is None else int(raster.sizes[dims.band])


def band_names(raster: xarray.DataArray, dims: Dims) -> list[str]:
    """Return what the array calls its bands; without coordinates they are numbered from 1."""
    if dims.band in raster.coords:
        return [str(name) for name in raster.coords[dims.band].values]
    return [str(number + 1) for number in range(num_bands(raster, dims))]


def _of_bands(said: Mapping[Any, Any], indexes: tuple[int, ...], count: int) -> dict[Any, Any]:
    """Return attributes of which some hold a value for each band: those of the chosen ones."""
    chosen = dict(said)
    for name in _PER_BAND & set(chosen):
        values = chosen[name]
        if isinstance(values, tuple | list) and len(values) == count:
            chosen[name] = type(values)(values[index - 1] for index in indexes)
    return chosen


def _by_attributes(raster: xarray.DataArray, axis: str) -> Hashable | None:
    for name, coord in raster.coords.items():
        if coord.dims != (name,):
            continue
        said = str(coord.attrs.get("axis", "")).upper()
        if said == axis or str(coord.attrs.get("standard_name", "")).lower() in _NAMES[axis]:
            return name
    return None


def _listed(names: tuple[Hashable, ...]) -> str:
    return ", ".join(map(str, names)) or "(none)"
