"""How an array's values are stored: dtype, nodata, attributes and encoding, as in rioxarray."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray

from geosr.core.errors import OptionError, UnsupportedRasterError
from geosr.core.options import DTYPES, UpscaleOptions
from geosr.io.facts import usable_nodata

_NODATA = ("_FillValue", "missing_value", "fill_value", "nodata", "nodatavals")  # rioxarray's order
_STALE = ("STATISTICS_", "TIFFTAG_MINSAMPLEVALUE", "TIFFTAG_MAXSAMPLEVALUE", "actual_range")
_KEPT = {"scale_factor", "add_offset", "scales", "offsets", "grid_mapping"}
_KEPT_WITH_DTYPE = {"_FillValue", "missing_value", "dtype", "rasterio_dtype", "_Unsigned"}


@dataclass(frozen=True)
class Storage:
    """How values are stored before and after.

    Attributes
    ----------
    source_nodata
        Value that marks holes in the source; None: at most NaN does.
    dtype
        Of the result.
    nodata
        Value that no valid pixel of the result may have, or None.
    hole
        What holes become; None: what they were.
    attrs, encoding
        Of the result.
    """

    source_nodata: float | None
    dtype: str
    nodata: float | None
    hole: float | None
    attrs: dict[Any, Any]
    encoding: dict[Any, Any]


def plan_storage(raster: xarray.DataArray, options: UpscaleOptions) -> Storage:
    """Return how the values of ``raster`` are stored once upscaled.

    Raises
    ------
    UnsupportedRasterError
        If its dtype cannot be upscaled.
    OptionError
        If the dtype asked for cannot hold the nodata value, or has none for NaN.
    """
    source_dtype = raster.dtype.name
    if source_dtype not in DTYPES:
        raise UnsupportedRasterError(
            f"An array of dtype {source_dtype} cannot be upscaled.",
            hint=f"Convert it with raster.astype() to one of {', '.join(DTYPES)}.",
        )
    dtype = options.dtype or source_dtype
    source_nodata = _source_nodata(raster)
    same = dtype == source_dtype and options.nodata is None
    nodata = source_nodata if same else _new_nodata(raster, source_nodata, dtype, options.nodata)
    attrs = {
        name: value for name, value in raster.attrs.items() if not str(name).startswith(_STALE)
    }
    if same:
        encoding = _chosen(raster.encoding, _KEPT | _KEPT_WITH_DTYPE)
        return Storage(source_nodata, dtype, nodata, None, attrs, encoding)
    attrs = {name: value for name, value in attrs.items() if name not in _NODATA}
    if nodata is not None:
        attrs["_FillValue"] = np.dtype(dtype).type(nodata)
    empty = math.nan if np.dtype(dtype).kind == "f" else 0.0
    hole = empty if nodata is None else nodata
    return Storage(source_nodata, dtype, nodata, hole, attrs, _chosen(raster.encoding, _KEPT))


def _source_nodata(raster: xarray.DataArray) -> float | None:
    """Return the value that marks holes, from where rioxarray looks for it."""
    said = raster.encoding.get("_FillValue")
    if said is not None and raster.dtype.kind == "f":
        return None  # opened with masked=True: holes are NaN already
    for name in _NODATA:
        said = raster.attrs.get(name) if said is None else said
    return usable_nodata(_number(said), raster.dtype.name)


def _new_nodata(
    raster: xarray.DataArray, source_nodata: float | None, dtype: str, asked: float | None
) -> float | None:
    """Return the nodata value of a result whose dtype or nodata value is another."""
    value = source_nodata if asked is None else float(asked)
    if value is None and raster.dtype.kind == "f" and np.dtype(dtype).kind != "f":
        # With masked=True, the file's own value waits in the encoding, in the file's own units.
        is_scaled = "scale_factor" in raster.encoding or "add_offset" in raster.encoding
        value = None if is_scaled else _number(raster.encoding.get("_FillValue"))
        if value is None:
            raise OptionError(
                f"{dtype} has no value for holes, which the {raster.dtype.name} array may hold "
                "as NaN.",
                hint="Give one with nodata=VALUE.",
            )
    if value is not None and usable_nodata(value, dtype) is None:
        raise OptionError(
            f"The nodata value {value:g} does not fit into {dtype}.",
            hint="Give another one with nodata=VALUE, or another dtype.",
        )
    return value


def _number(said: Any) -> float | None:
    if said is None:
        return None
    try:
        return float(np.ravel(said)[0])
    except (TypeError, ValueError, IndexError) as error:
        raise UnsupportedRasterError(
            f"The array's nodata value is {said!r}, no number.",
            hint="Write it anew with raster.rio.write_nodata().",
        ) from error


def _chosen(encoding: Mapping[Hashable, Any], names: set[str]) -> dict[Any, Any]:
    """Return what is said of values; what is said of chunks and files is not true any more."""
    return {name: value for name, value in encoding.items() if name in names}
