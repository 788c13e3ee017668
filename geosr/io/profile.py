"""How the output is stored: nodata, compression, layout."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.windows import Window as RasterioWindow

from geosr.core.errors import OptionError
from geosr.core.geometry import GeoGrid
from geosr.core.plan import OUTPUT_TILE
from geosr.io.cog.options import OURS as _OURS
from geosr.io.cog.options import check_cog_size, cog_options
from geosr.io.facts import RasterFacts, usable_nodata
from geosr.io.integrity import place_of
from geosr.io.opening import messages_kept, reason
from geosr.io.zarr.options import zarr_options

_PIXEL_TILE_BYTES = 8 << 20
_COPIES = "GDAL knows it only where it copies rasters; geosr makes a new one."
_SECOND_FILE = "The output is one file, with all that the input says inside it."
_ELSEWHERE = {
    "APPEND_SUBDATASET": "The output is a file of its own.",
    "COPY_SRC_OVERVIEWS": _COPIES,
    "COPY_SRC_MDD": _COPIES,
    "SRC_MDD": _COPIES,
    "RPB": _SECOND_FILE,
    "RPCTXT": _SECOND_FILE,
    "TFW": _SECOND_FILE,
    "WORLDFILE": _SECOND_FILE,
}


@dataclass(frozen=True)
class OutputNodata:
    """How the output marks its holes.

    Attributes
    ----------
    value
        Nodata value of the file; None if it has none.
    fill
        What invalid pixels hold: ``value`` if there is one.
    write_mask
        Whether the file gets a mask band.
    note
        What the user should know; empty if all is as in the source.
    """

    value: float | None
    fill: float
    write_mask: bool
    note: str = ""


@dataclass(frozen=True)
class OutputProfile:
    """Everything that must be known to create the output, besides its metadata.

    Attributes
    ----------
    grid
        Of the output.
    has_transform
        Whether ``grid`` has a place on earth; if not, no transform is written.
    has_gcps
        Whether ground control points give the place; a GeoTIFF then has no CRS but theirs.
    count, dtype
        Number of bands and their dtype.
    nodata
        See `OutputNodata`.
    creation_options
        GDAL's for GeoTIFF, checked, names in capitals.
    format
        One of `geosr.core.options.FORMATS`.
    """

    grid: GeoGrid
    has_transform: bool
    has_gcps: bool
    count: int
    dtype: str
    nodata: OutputNodata
    creation_options: Mapping[str, str]
    format: str = "gtiff"

    @property
    def raw_bytes(self) -> int:
        """Size of the pixels before compression, in bytes."""
        height, width = self.grid.shape
        return height * width * self.count * np.dtype(self.dtype).itemsize

    def to_rasterio(self) -> dict[str, Any]:
        """Return the keywords for ``rasterio.open(path, "w", …)``."""
        height, width = self.grid.shape
        keywords: dict[str, Any] = {
            "driver": "GTiff",
            "height": height,
            "width": width,
            "count": self.count,
            "dtype": self.dtype,
            "nodata": self.nodata.value,
            **{
                name: self.creation_options[name] for name in self.creation_options if name != _OURS
            },
        }
        if self.has_transform:
            keywords["transform"] = rasterio.Affine(*self.grid.transform)
        if self.grid.crs is not None and not self.has_gcps:
            keywords["crs"] = CRS.from_wkt(self.grid.crs)
        return keywords


def resolve_nodata(
    facts: RasterFacts, indexes: Sequence[int], *, dtype: str, nodata: float | None = None
) -> OutputNodata:
    """Return how the output marks its holes.

    A nodata value, asked for or of the source, marks them by value. A mask band becomes a mask
    band, an alpha band stays one, and float rasters without either keep NaN.

    Raises
    ------
    OptionError
        If ``dtype`` cannot hold the nodata value.
    """
    chosen = facts.all_indexes(indexes)
    masks = {facts.masks[index - 1] for index in chosen}
    has_alpha = facts.alpha in chosen
    masked = "dataset" in masks or "band" in masks or (facts.alpha is not None and not has_alpha)
    if nodata is not None:
        value = _checked(nodata, dtype, "asked for")
        return OutputNodata(value, value, write_mask=False)
    known = [facts.nodata[i - 1] for i in chosen if facts.nodata[i - 1] is not None]
    if known and known[0] is not None:
        value = _checked(known[0], dtype, f"of {facts.path}")
        note = (
            ""
            if len(set(map(repr, known))) == 1
            else (f"The bands have different nodata values; a GeoTIFF has one: {value:g} is used.")
        )
        return OutputNodata(value, value, write_mask=masked, note=note)
    is_float = np.dtype(dtype).kind == "f"
    # NaN in a source without nodata is a hole too, which an integer cannot show.
    loses_nan = not is_float and np.dtype(facts.dtypes[chosen[0] - 1]).kind == "f"
    note = ""
    if "band" in masks and len(chosen) > 1:
        note = (
            "Each band has its own mask; a GeoTIFF has one: a pixel counts as valid where all "
            "bands are. With --nodata each band keeps its own holes."
        )
    write_mask = masked or (loses_nan and not has_alpha)
    return OutputNodata(None, math.nan if is_float else 0.0, write_mask=write_mask, note=note)


def output_profile(  # noqa: PLR0913 - all that decides how the output is stored
    facts: RasterFacts,
    indexes: Sequence[int],
    grid: GeoGrid,
    *,
    dtype: str,
    nodata: OutputNodata,
    creation_options: Mapping[str, str],
    format: str = "gtiff",  # noqa: A002 - the option's name
) -> OutputProfile:
    """Return how the output is stored: tiled, compressed without loss, whatever the source was.

    The source's compression is not carried over: JPEG and its like would lose the detail just
    gained.

    Raises
    ------
    OptionError
        If GDAL does not know a creation option, or takes another value for it.
    """
    count = len(facts.all_indexes(indexes))
    asked = {name.upper(): str(value) for name, value in creation_options.items()}
    if format == "cog":
        asked = cog_options(asked)
    if format == "zarr":
        layout = _layout(grid.shape, count, dtype, {})
        options = {"INTERLEAVE": layout["INTERLEAVE"], **zarr_options(asked)}
        asked = {}
    else:
        options = {
            **_layout(grid.shape, count, dtype, asked),
            **_compression(dtype, asked),
            # GDAL takes BigTIFF from 2 GB on by its estimate: compression may fail to help.
            "BIGTIFF": "IF_SAFER",
            "NUM_THREADS": "ALL_CPUS",
            **asked,
        }
    profile = OutputProfile(
        grid=grid,
        has_transform=facts.has_transform,
        has_gcps=facts.has_gcps and not facts.has_transform,  # a GeoTIFF has either
        count=count,
        dtype=dtype,
        nodata=nodata,
        creation_options=options,
        format=format,
    )
    if asked:
        _check_options(profile, asked)
    if format == "cog":
        check_cog_size(options["BIGTIFF"], profile.raw_bytes)
    return profile


def _checked(nodata: float, dtype: str, whose: str) -> float:
    value = usable_nodata(float(nodata), dtype)
    if value is None:
        kind = np.dtype(dtype)
        limits = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
        raise OptionError(
            f"The nodata value {nodata:g} {whose} does not fit into {dtype}.",
            hint=f"Use --nodata with a{'' if kind.kind == 'f' else ' whole'} number from "
            f"{limits.min:g} to {limits.max:g}, or another --dtype.",
        )
    return value


def _layout(
    shape: tuple[int, int], count: int, dtype: str, asked: Mapping[str, str]
) -> dict[str, str]:
    # Tiles of all bands together are read at once by viewers, but with hundreds of bands each
    # of them would fill the memory.
    tile_bytes = OUTPUT_TILE**2 * count * np.dtype(dtype).itemsize
    layout = {"INTERLEAVE": "PIXEL" if tile_bytes <= _PIXEL_TILE_BYTES else "BAND"}
    tiled = asked.get("TILED", "YES").upper()
    if tiled not in ("YES", "NO", "TRUE", "FALSE", "ON", "OFF"):
        raise OptionError(f"TILED={tiled} is neither YES nor NO.", hint="Use --co TILED=YES.")
    if tiled in ("YES", "TRUE", "ON"):
        # Tiles are multiples of 16 pixels; no larger than a small raster needs.
        height, width = (min(OUTPUT_TILE, -(-side // 16) * 16) for side in shape)
        if shape[0] > OUTPUT_TILE:
            width = OUTPUT_TILE  # tiles as wide as the raster pass for strips with rio-cogeo
        layout |= {"TILED": "YES", "BLOCKXSIZE": str(width), "BLOCKYSIZE": str(height)}
    return layout


def _compression(dtype: str, asked: Mapping[str, str]) -> dict[str, str]:
    predictor = {"PREDICTOR": "3" if np.dtype(dtype).kind == "f" else "2"}
    method = asked.get("COMPRESS", "").upper()
    if "NBITS" in asked:
        predictor = {}  # which works on whole bytes
    if method:
        return predictor if method in ("ZSTD", "DEFLATE", "LZW") else {}
    if has_zstd():
        return {"COMPRESS": "ZSTD", "ZSTD_LEVEL": "1", **predictor}
    return {"COMPRESS": "DEFLATE", "ZLEVEL": "1", **predictor}


def has_zstd() -> bool:
    """Return whether this GDAL can compress with Zstandard."""
    try:
        with messages_kept(), MemoryFile() as memory:
            memory.open(
                driver="GTiff", height=1, width=1, count=1, dtype="uint8", compress="zstd"
            ).close()
    except RasterioError:
        return False
    return True


def _check_options(profile: OutputProfile, asked: Mapping[str, str]) -> None:
    """Let GDAL write a small file in memory: it warns of options it does not take, and goes on."""
    for name in asked:
        if name in _ELSEWHERE:
            raise OptionError(
                f"The creation option {name} does not apply here.", hint=_ELSEWHERE[name]
            )
    threads = asked.get("NUM_THREADS", "ALL_CPUS")  # any text is the same as 1 to GDAL
    if threads != "ALL_CPUS" and not threads.isdigit():
        raise OptionError(f"NUM_THREADS={threads} is no number.", hint="Use a number, or ALL_CPUS.")
    side = 512  # so that block sizes are tried as they are
    asked = {name: value for name, value in asked.items() if name != _OURS}
    keywords = profile.to_rasterio() | {"height": side, "width": side, "NUM_THREADS": "1"}
    refused = ""
    with messages_kept() as messages, rasterio.Env():
        try:
            with MemoryFile() as memory:
                with memory.open(**keywords) as trial:
                    pixel = np.zeros((profile.count, 1, 1), profile.dtype)
                    trial.write(pixel, window=RasterioWindow(0, 0, 1, 1))
                with memory.open() as written:
                    if place_of(written, (1, 0, 0)) is None:
                        refused = f"it cannot store {profile.count} bands of {profile.dtype} so"
        except (RasterioError, ValueError) as error:
            refused = reason(error)
    if messages or refused:
        given = " ".join(f"{name}={value}" for name, value in asked.items())
        why = re.sub(r"^[-0-9a-f]+\.tif: ", "", [*messages, refused][0])
        raise OptionError(
            f"GDAL does not take the creation options {given}: {why}.",
            hint="They are those of GDAL's GeoTIFF driver, such as --co COMPRESS=DEFLATE.",
        )
