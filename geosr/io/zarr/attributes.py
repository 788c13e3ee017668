"""What the store says besides its pixels, spelled as xarray and rioxarray read it."""

from __future__ import annotations

import base64
import json
import struct
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from geosr.io.metadata import ControlPoint, RasterMetadata
from geosr.io.output import Output
from geosr.io.profile import OutputProfile

MAPPING = "spatial_ref"
"""Name of the variable that holds CRS and transform."""

Attributes = dict[str, Any]

# Tags of these names would be taken for something else by xarray, which decodes by them, or by
# rioxarray, which looks for nodata, CRS and transform there.
_UNDERSTOOD = (
    *("_ARRAY_DIMENSIONS", "_FillValue", "_Unsigned", "add_offset", "ancillary_variables"),
    *("band_tags", "bounds", "calendar", "coordinates", "crs", "dtype", "fill_value"),
    *("grid_mapping", "missing_value", "nodata", "nodatavals", "offsets", "scale_factor"),
    *("scales", "transform", "units"),
)


def data_attributes(output: Output) -> Attributes:
    """Return the attributes of the pixels' array.

    Tags of the default namespace become attributes as they are. Descriptions are ``long_name``;
    scales and offsets are CF's where all bands share them, so that xarray decodes physical
    values, else lists, as rioxarray has them. What has no place there, such as other namespaces,
    is JSON in ``gdal_metadata``.
    """
    profile, metadata = output.profile, output.metadata
    own = _per_band("long_name", metadata.descriptions) | _per_band("units", metadata.units)
    own |= _scaling(metadata) | _fill(profile)
    if any(colour not in ("gray", "undefined") for colour in metadata.colours):
        own["colorinterp"] = list(metadata.colours)
    bands = [tags.get("", {}) for tags in metadata.band_tags]
    if any(bands):
        own["band_tags"] = bands
    if metadata.rpcs is not None:
        own["rpcs"] = json.dumps(metadata.rpcs.to_gdal())
    tags = {**metadata.tags.get("", {}), **output.tags}
    plain = {name: tags[name] for name in tags if name not in (*_UNDERSTOOD, *own)}
    own |= _others(metadata, {name: tags[name] for name in tags if name not in plain})
    return plain | own


def mapping_attributes(output: Output) -> Attributes | None:
    """Return what `MAPPING` says of the place on earth; None if nothing is known of it."""
    profile, metadata = output.profile, output.metadata
    crs = metadata.gcp_crs if profile.has_gcps else profile.grid.crs
    said: Attributes = {}
    if crs is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # CF cannot say all that WKT does, which is there too
            said = {**pyproj.CRS.from_wkt(crs).to_cf(), "crs_wkt": crs, "spatial_ref": crs}
    if profile.has_transform:
        a, b, c, d, e, f = profile.grid.transform
        said["GeoTransform"] = " ".join(map(str, (c, a, b, f, d, e)))
    if profile.has_gcps:
        said["gcps"] = json.dumps(_geojson(metadata.gcps))
    return said or None


def centres(profile: OutputProfile) -> dict[str, NDArray[np.float64]]:
    """Return the pixel centres along ``y`` and ``x``; nothing if two lines cannot tell them."""
    if not profile.has_transform or profile.grid.is_rotated:
        return {}
    a, _, c, _, e, f = profile.grid.transform
    rows, cols = (np.arange(length, dtype=np.float64) for length in profile.grid.shape)
    return {"y": rows * e + (e * 0.5 + f), "x": cols * a + (a * 0.5 + c)}


def stored_fill(profile: OutputProfile) -> int | float:
    """Return what missing chunks hold, as the array's dtype has it."""
    return _stored(profile.nodata.fill, profile.dtype)


def _stored(value: float, dtype: str) -> int | float:
    stored: int | float = np.dtype(dtype).type(value).item()
    return stored


def _fill(profile: OutputProfile) -> Attributes:
    if profile.nodata.value is None:
        return {}
    value = _stored(profile.nodata.value, profile.dtype)
    if isinstance(value, int):
        return {"_FillValue": value}
    # xarray's way to have JSON carry any float, NaN too.
    return {"_FillValue": base64.standard_b64encode(struct.pack("<d", value)).decode("ascii")}


def _per_band(name: str, texts: Sequence[str | None]) -> Attributes:
    if not any(texts):
        return {}
    return {name: texts[0] if len(texts) == 1 else [text or "" for text in texts]}


def _scaling(metadata: RasterMetadata) -> Attributes:
    pairs = set(zip(metadata.scales, metadata.offsets, strict=True))
    if pairs == {(1.0, 0.0)}:
        return {}
    if len(pairs) == 1:
        return {"scale_factor": metadata.scales[0], "add_offset": metadata.offsets[0]}
    return {"scales": list(metadata.scales), "offsets": list(metadata.offsets)}


def _others(metadata: RasterMetadata, default: Mapping[str, str]) -> Attributes:
    """Return tags that cannot be attributes, as JSON by namespace."""
    dataset = {name: tags for name, tags in metadata.tags.items() if name and tags}
    if default:
        dataset[""] = dict(default)
    bands = [
        {name: values for name, values in tags.items() if name and values}
        for tags in metadata.band_tags
    ]
    said: Attributes = {"dataset": dataset} if dataset else {}
    if any(bands):
        said["bands"] = bands
    return {"gdal_metadata": json.dumps(said, sort_keys=True)} if said else {}


def _geojson(points: Sequence[ControlPoint]) -> dict[str, Any]:
    """Return ground control points as rioxarray keeps them."""
    features = [
        {
            "type": "Feature",
            "properties": {"id": p.name, "info": p.info, "row": p.row, "col": p.col},
            "geometry": {"type": "Point", "coordinates": [p.x, p.y, p.z]},
        }
        for p in points
    ]
    return {"type": "FeatureCollection", "features": features}
