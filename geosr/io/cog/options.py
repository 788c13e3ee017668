"""The creation options that a cloud-optimised GeoTIFF takes."""

from __future__ import annotations

from collections.abc import Mapping

from geosr.core.errors import OptionError
from geosr.core.plan import OUTPUT_TILE

OURS = "OVERVIEWS"
"""The one option among them that GDAL's GeoTIFF driver does not know."""

_LEVELS = {"DEFLATE": "ZLEVEL", "ZSTD": "ZSTD_LEVEL"}
_LEVEL_NAMES = ("LEVEL", *_LEVELS.values())
_COMPRESSIONS = ("NONE", *_LEVELS, "LZW")
_PREDICTORS = {"NO": "1", "STANDARD": "2", "FLOATING_POINT": "3"}
_TILE_NAMES = ("BLOCKSIZE", "BLOCKXSIZE", "BLOCKYSIZE")
_TILES = tuple(str(side) for side in (128, 256, 512) if side <= OUTPUT_TILE)
_TRUE = ("YES", "TRUE", "ON")
_CHOICES = {
    "BIGTIFF": ("YES", "NO", "IF_NEEDED", "IF_SAFER"),
    "INTERLEAVE": ("PIXEL", "BAND"),
    OURS: ("AUTO", "NONE"),
}
_ALWAYS = {  # what the file is anyhow
    "TILED": _TRUE,
    "SPARSE_OK": _TRUE,
    "RESAMPLING": ("AVERAGE",),
    "OVERVIEW_RESAMPLING": ("AVERAGE",),
}
_CLASSIC_BYTES = 4 << 30


def cog_options(asked: Mapping[str, str]) -> dict[str, str]:
    """Return GDAL's GeoTIFF options for those of a cloud-optimised one.

    Both GDAL's COG driver's names and its GeoTIFF driver's are taken.

    Raises
    ------
    OptionError
        If one does not apply, or two contradict each other: lossy and odd ones do not apply.
    """
    asked = {name: value.upper() for name, value in asked.items()}
    options = {**_compression(asked), **_tiles(asked)}
    for name, value in asked.items():
        if name in ("COMPRESS", "PREDICTOR", *_LEVEL_NAMES, *_TILE_NAMES):
            continue
        if name == "NUM_THREADS" or value in _CHOICES.get(name, ()):
            options[name] = value
        elif name in _CHOICES:
            raise _refused(name, value, f"It takes {', '.join(_CHOICES[name])}")
        elif value not in _ALWAYS.get(name, ()):
            raise _refused(name, value, "It is tiled, sparse and lossless")
    return options


def check_cog_size(bigtiff: str, raw_bytes: int) -> None:
    """Refuse a classic TIFF that may grow beyond what its 32 bits can tell.

    Raises
    ------
    OptionError
        If so.
    """
    most = raw_bytes * 1.4  # overviews are a third of the pixels
    if bigtiff == "NO" and most > _CLASSIC_BYTES:
        raise OptionError(
            f"BIGTIFF=NO has room for 4 GB; pixels and overviews may take {most / 1e9:.1f}.",
            hint="Leave BIGTIFF out.",
        )


def _compression(asked: Mapping[str, str]) -> dict[str, str]:
    """Return the method, its level and its predictor, as far as they are asked for."""
    named = [method for method, level in _LEVELS.items() if level in asked]
    method = asked.get("COMPRESS", named[0] if named else "")
    if "COMPRESS" in asked and method not in _COMPRESSIONS:
        raise _refused("COMPRESS", method, f"It takes {', '.join(_COMPRESSIONS)}")
    options = {"COMPRESS": method} if method else {}
    for name in _LEVEL_NAMES:
        if name not in asked:
            continue
        if name not in ("LEVEL", _LEVELS.get(method)):
            of = [other for other, level in _LEVELS.items() if level == name]
            raise _refused(name, asked[name], f"It belongs to COMPRESS={of[0]}")
        if method not in _LEVELS:
            raise _refused(name, asked[name], f"It belongs to COMPRESS={' or '.join(_LEVELS)}")
        if options.setdefault(_LEVELS[method], asked[name]) != asked[name]:
            raise _refused(name, asked[name], f"{_LEVELS[method]} says otherwise")
    predictor = asked.get("PREDICTOR", "YES")  # of the dtype, which follows by itself
    if "PREDICTOR" in asked and method == "NONE":
        raise _refused("PREDICTOR", predictor, "It belongs to a compression")
    if predictor != "YES":
        options["PREDICTOR"] = _PREDICTORS.get(predictor, predictor)
    return options


def _tiles(asked: Mapping[str, str]) -> dict[str, str]:
    sides = {asked[name]: name for name in _TILE_NAMES if name in asked}
    for side, name in sides.items():
        if side not in _TILES:
            raise _refused(name, side, f"Its tiles have {', '.join(_TILES)} pixels a side")
        if len(sides) > 1:
            raise _refused(name, side, f"Its tiles are squares, not {' x '.join(sides)} pixels")
    return {name: side for side in sides for name in ("BLOCKXSIZE", "BLOCKYSIZE")}


def _refused(name: str, value: str, why: str) -> OptionError:
    return OptionError(
        f"A cloud-optimised GeoTIFF does not take {name}={value} here.",
        hint=f"{why}. With --format gtiff all of GDAL's GeoTIFF options are there.",
    )
