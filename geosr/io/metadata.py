"""What a raster says about itself besides pixels and grid, and how it moves to another grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC

from geosr.core.geometry import GeoGrid, Window

Tags = dict[str, dict[str, str]]
"""Tags by namespace; the default one is ``""``."""

_DERIVED = {
    "DERIVED_SUBDATASETS",  # GDAL makes these up itself for each file it opens
    "IMAGE_STRUCTURE",
    "LocationInfo",
    "SUBDATASETS",
    "TIFF",
    "rio_creation_kwds",
    "RPC",  # carried, and scaled, as numbers
    "GEOLOCATION",  # arrays that give the place of the *source's* pixels
}
_STALE = ("STATISTICS_", "TIFFTAG_MINSAMPLEVALUE", "TIFFTAG_MAXSAMPLEVALUE")


class ControlPoint(NamedTuple):
    """A pixel place whose coordinates are known; ``(0, 0)`` is the first pixel's outer corner."""

    row: float
    col: float
    x: float
    y: float
    z: float
    name: str
    info: str


@dataclass(frozen=True)
class RasterMetadata:
    """What a raster says about itself; per band, in band order, where it is a tuple.

    Attributes
    ----------
    descriptions, units
        Text, or None.
    scales, offsets
        Radiometric: ``physical = stored * scale + offset``.
    colours
        GDAL's names of the colour interpretations, such as ``"red"`` or ``"alpha"``.
    tags, band_tags
        By namespace, without what GDAL derives itself and without statistics.
    gcps, gcp_crs
        Ground control points and the WKT of their CRS.
    rpcs
        Rational polynomial coefficients; their line and sample 0 is the first pixel's *centre*.
    """

    descriptions: tuple[str | None, ...]
    units: tuple[str | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    colours: tuple[str, ...]
    band_tags: tuple[Tags, ...]
    tags: Tags = field(default_factory=dict)
    gcps: tuple[ControlPoint, ...] = ()
    gcp_crs: str | None = None
    rpcs: RPC | None = None

    def select(self, indexes: Sequence[int]) -> RasterMetadata:
        """Return the metadata of the bands ``indexes`` (from 1), in that order."""

        def chosen(values: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(values[index - 1] for index in indexes)

        return replace(
            self,
            descriptions=chosen(self.descriptions),
            units=chosen(self.units),
            scales=chosen(self.scales),
            offsets=chosen(self.offsets),
            colours=chosen(self.colours),
            band_tags=chosen(self.band_tags),
        )

    def place(self, window: Window, ratio: tuple[float, float]) -> RasterMetadata:
        """Return the metadata for a cut-out ``window`` with other pixels.

        ``ratio`` is output pixels per source pixel, along a column and along a row. GCPs count
        from the corner of the first pixel and RPCs from its centre, half a pixel further in.
        """
        rows, cols = ratio
        points = tuple(
            point._replace(
                row=(point.row - window.row_off) * rows, col=(point.col - window.col_off) * cols
            )
            for point in self.gcps
        )
        if self.rpcs is None:
            return replace(self, gcps=points)
        numbers = self.rpcs.to_dict()
        numbers["line_off"] = (numbers["line_off"] - window.row_off + 0.5) * rows - 0.5
        numbers["samp_off"] = (numbers["samp_off"] - window.col_off + 0.5) * cols - 0.5
        numbers["line_scale"] *= rows
        numbers["samp_scale"] *= cols
        return replace(self, gcps=points, rpcs=RPC(**numbers))


def read_metadata(src: Any) -> RasterMetadata:
    """Return the metadata of an open rasterio dataset."""
    points, gcp_crs = src.gcps
    return RasterMetadata(
        descriptions=tuple(src.descriptions),
        units=tuple(src.units),
        scales=tuple(src.scales),
        offsets=tuple(src.offsets),
        colours=tuple(colour.name for colour in src.colorinterp),
        band_tags=tuple(_read_tags(src, index) for index in src.indexes),
        tags=_read_tags(src, 0),
        gcps=tuple(
            ControlPoint(p.row, p.col, p.x, p.y, p.z or 0.0, str(p.id or ""), p.info or "")
            for p in points
        ),
        gcp_crs=gcp_crs.to_wkt() if gcp_crs else None,
        rpcs=src.rpcs,
    )


def output_metadata(
    metadata: RasterMetadata, indexes: Sequence[int], window: Window, grids: tuple[GeoGrid, GeoGrid]
) -> RasterMetadata:
    """Return what the output says: ``indexes`` of the source's bands, cut to ``window``.

    ``grids`` are those of the source and of the output; their pixel sizes give the ratio.
    """
    (width, height), (new_width, new_height) = grids[0].pixel_size, grids[1].pixel_size
    return metadata.select(indexes).place(window, (height / new_height, width / new_width))


def write_metadata(dst: Any, metadata: RasterMetadata, extra: Mapping[str, str]) -> None:
    """Write ``metadata`` and ``extra`` tags to a rasterio dataset before its first pixels."""
    dst.colorinterp = [ColorInterp[colour] for colour in metadata.colours]
    dst.scales, dst.offsets = metadata.scales, metadata.offsets
    for index, (text, unit) in enumerate(zip(metadata.descriptions, metadata.units, strict=True)):
        if text:
            dst.set_band_description(index + 1, text)
        if unit:
            dst.set_band_unit(index + 1, unit)
        _write_tags(dst, index + 1, metadata.band_tags[index])
    default = {**metadata.tags.get("", {}), **extra}
    _write_tags(dst, 0, {**metadata.tags, "": default})
    if metadata.rpcs is not None:
        dst.rpcs = metadata.rpcs
    if metadata.gcps:
        points = [
            GroundControlPoint(p.row, p.col, p.x, p.y, p.z, p.name or None, p.info or None)
            for p in metadata.gcps
        ]
        dst.gcps = points, CRS.from_wkt(metadata.gcp_crs) if metadata.gcp_crs else CRS()


def _read_tags(src: Any, index: int) -> Tags:
    """Return the tags of a band, or of the dataset for 0."""
    tags: Tags = {}
    for namespace in ("", *src.tag_namespaces(index)):
        if namespace in _DERIVED or namespace.startswith("json:"):  # rasterio cannot write JSON
            continue
        found = src.tags(index, ns=namespace or None)
        kept = {name: value for name, value in found.items() if not name.startswith(_STALE)}
        if kept:
            tags[namespace] = kept
    return tags


def _write_tags(dst: Any, index: int, tags: Tags) -> None:
    for namespace, values in tags.items():
        if namespace.startswith("xml:"):
            # Such a domain holds one text. rasterio reads it under the domain's own name, but
            # always writes NAME=VALUE: cut at its first "=", it comes out whole.
            name, _, value = values.get(namespace, "").partition("=")
            values = {name: value} if value else {}
        if values:
            dst.update_tags(index, ns=namespace or None, **values)
