"""The creation options that a cloud-optimised GeoTIFF takes."""

from __future__ import annotations

from collections.abc import Mapping

from geosr.core.errors import OptionError
from geosr.core.plan import OUTPUT_TILE

OURS = "OVERVIEWS"
"""The one option among them that GDAL's GeoTIFF driver does not know."""

_COMPRESSIONS = ("NONE", "DEFLATE", "ZSTD", "LZW")
_LEVELS = {"DEFLATE": "ZLEVEL", "ZSTD": "ZSTD_LEVEL"}
_KEPT = ("COMPRESS", "ZLEVEL", "ZSTD_LEVEL", "PREDICTOR", "INTERLEAVE", "NUM_THREADS", "BIGTIFF")
_TILES = tuple(str(side) for side in (128, 256, 512) if side <= OUTPUT_TILE)
_CLASSIC_BYTES = 4 << 30


def cog_options(asked: Mapping[str, str]) -> dict[str, str]:
    """Return GDAL's GeoTIFF options for those of a cloud-optimised one.

    Both GDAL's COG driver's names and its GeoTIFF driver's are taken.

    Raises
    ------
    OptionError
        If one does not apply: lossy and odd ones do not.
    """
    options = {name: value for name, value in asked.items() if name in _KEPT}
    method = options.get("COMPRESS", "ZSTD" if "ZSTD_LEVEL" in asked else "").upper()
    if method and method not in _COMPRESSIONS:
        raise _refused(f"COMPRESS={method}", f"It takes {', '.join(_COMPRESSIONS)}")
    for name, value in asked.items():
        upper = value.upper()
        if name in _KEPT:
            continue
        if name in ("BLOCKSIZE", "BLOCKXSIZE", "BLOCKYSIZE"):
            if value not in _TILES:
                raise _refused(
                    f"{name}={value}", f"Its tiles have {', '.join(_TILES)} pixels a side"
                )
            options |= {"BLOCKXSIZE": value, "BLOCKYSIZE": value}
        elif name == "LEVEL" and method in _LEVELS:
            options[_LEVELS[method]] = value
        elif name == OURS and upper in ("AUTO", "NONE"):
            options[name] = upper
        elif (name, upper) not in (("TILED", "YES"), ("TILED", "TRUE"), ("SPARSE_OK", "TRUE")):
            raise _refused(f"{name}={value}", "It is tiled, sparse and lossless")
    tiles = {asked[name] for name in ("BLOCKXSIZE", "BLOCKYSIZE", "BLOCKSIZE") if name in asked}
    if len(tiles) > 1:
        raise _refused(f"tiles of {' x '.join(sorted(tiles))}", "Its tiles are squares")
    return options


def check_cog_size(bigtiff: str, raw_bytes: int) -> None:
    """Refuse a classic TIFF that may grow beyond what its 32 bits can tell.

    Raises
    ------
    OptionError
        If so.
    """
    most = raw_bytes * 1.4  # overviews are a third of the pixels
    if bigtiff.upper() == "NO" and most > _CLASSIC_BYTES:
        raise OptionError(
            f"BIGTIFF=NO has room for 4 GB; pixels and overviews may take {most / 1e9:.1f}.",
            hint="Leave BIGTIFF out.",
        )


def _refused(what: str, why: str) -> OptionError:
    return OptionError(
        f"A cloud-optimised GeoTIFF does not take {what} here.",
        hint=f"{why}. With --format gtiff all of GDAL's GeoTIFF options are there.",
    )
