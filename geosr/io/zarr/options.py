"""What a Zarr store takes of the creation options, and the package that writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from geosr.core.errors import MissingDependencyError, OptionError

_DEFAULT_LEVEL = "1"
_LEVEL_NAMES = {"ZSTD": "ZSTD_LEVEL", "DEFLATE": "ZLEVEL"}
_CODECS: dict[str, Literal["zstd", "zlib"]] = {"ZSTD": "zstd", "DEFLATE": "zlib"}
# Blosc has nine levels of its own; these are the ones of Zstandard and zlib behind them.
_LEVELS = {
    "ZSTD": {"1": 1, "3": 2, "5": 3, "7": 4, "9": 5, "11": 6, "13": 7, "15": 8, "22": 9},
    "DEFLATE": {str(level): level for level in range(1, 10)},
}


def require_zarr() -> None:
    """Refuse to go on without the package that writes Zarr stores.

    Raises
    ------
    MissingDependencyError
        If it is not installed, or older than version 3.
    """
    try:
        import zarr
    except ImportError as error:
        raise MissingDependencyError(
            "A Zarr store needs the package zarr.", hint='pip install "geosr[zarr]"'
        ) from error
    if int(zarr.__version__.split(".")[0]) < 3:
        raise MissingDependencyError(
            f"A Zarr store needs the package zarr from version 3 on; {zarr.__version__} is here.",
            hint='pip install "geosr[zarr]"',
        )


def zarr_options(asked: Mapping[str, str]) -> dict[str, str]:
    """Return the creation options of a Zarr store, in full; names are in capitals.

    Raises
    ------
    OptionError
        If one does not apply: all but ``COMPRESS`` and its level.
    """
    method = asked.get("COMPRESS", "DEFLATE" if "ZLEVEL" in asked else "ZSTD").upper()
    if method not in (*_CODECS, "NONE"):
        raise _refused(f"COMPRESS={method}", "Use COMPRESS=ZSTD, DEFLATE or NONE")
    own = _LEVEL_NAMES.get(method, "")
    levels = []
    for name, value in asked.items():
        if own and name in ("LEVEL", own):
            levels.append((name, value))
        elif name != "COMPRESS":
            raise _refused(f"{name}={value}", _what_there_is(method))
    if method == "NONE":
        return {"COMPRESS": method}
    if len({value for _, value in levels}) > 1:
        raise _refused(" and ".join(f"{name}={value}" for name, value in levels), "Give one level")
    for name, value in levels:
        if value not in _LEVELS[method]:
            raise _refused(f"{name}={value}", f"Its levels are {', '.join(_LEVELS[method])}")
    return {"COMPRESS": method, own: levels[0][1] if levels else _DEFAULT_LEVEL}


def blosc_level(options: Mapping[str, str]) -> tuple[Literal["zstd", "zlib"], int] | None:
    """Return Blosc's name of the compression and its own level; None: no compression.

    ``options`` are those of `zarr_options`; others beside them are not looked at.

    >>> blosc_level({"COMPRESS": "ZSTD", "ZSTD_LEVEL": "9"})
    ('zstd', 5)
    """
    method = options["COMPRESS"].upper()
    if method == "NONE":
        return None
    return _CODECS[method], _LEVELS[method][options.get(_LEVEL_NAMES[method], _DEFAULT_LEVEL)]


def _what_there_is(method: str) -> str:
    if method == "NONE":
        return "COMPRESS=NONE has no level"
    return f"It takes COMPRESS=ZSTD, DEFLATE or NONE, and here {_LEVEL_NAMES[method]}"


def _refused(what: str, why: str) -> OptionError:
    return OptionError(f"A Zarr store does not take {what}.", hint=f"{why}.")
