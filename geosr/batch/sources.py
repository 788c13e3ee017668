"""What a user named, found: rasters, patterns, lists and STAC items become single rasters."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from geosr.batch.failures import Failure
from geosr.batch.stac import assets_of, is_stac, read_items
from geosr.core.errors import GeosrError, InputFileError, OptionError
from geosr.io.remote import shown

_NO_FILE = re.compile(r"^(/vsi|[A-Za-z][A-Za-z0-9_+]+:|<)")  # GDAL's names for other things
_SUFFIX = re.compile(r"\.[A-Za-z0-9]+$")


@dataclass(frozen=True)
class Source:
    """A raster to upscale.

    Attributes
    ----------
    path
        Anything that GDAL reads.
    stem
        Its output's name, without folder and suffix.
    asset
        Its name in the STAC item that it comes from; empty if it does not.
    """

    path: str
    stem: str
    asset: str = ""


@dataclass
class Found:
    """What the names stood for.

    Attributes
    ----------
    sources
        In the order in which they were named, each once.
    failures
        What was not found, or cannot be understood.
    notes
        What the user should know.
    """

    sources: list[Source] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_sources(names: Sequence[str], assets: Sequence[str] = ()) -> Found:
    """Return the rasters that ``names`` stand for.

    A name is a raster; a pattern such as ``scenes/**/*.tif``; a list of names, ``@scenes.txt``
    or ``@-`` for standard input; or a STAC Item or list of items, as JSON in a file or at an
    http address. What GDAL reads under a name is a raster even if it looks like a pattern.
    ``assets`` are those that are taken of each item: see `geosr.batch.stac.assets_of`.

    Raises
    ------
    OptionError
        If ``assets`` were named, and there is no item.
    """
    found = Found()
    for name in names:
        try:
            for entry in _entries(name):
                _find(entry, assets, found)
        except GeosrError as error:
            found.failures.append(Failure.of(name, None, error))
    if assets and found.sources and not any(source.asset for source in found.sources):
        raise OptionError(
            "--asset was given, but no source is a STAC item.", hint="Leave --asset out."
        )
    found.sources = list(dict.fromkeys(found.sources))
    return found


def _entries(name: str) -> Iterator[str]:
    """Yield a name, or those in the list that it names."""
    if not name.startswith("@"):
        yield name
        return
    entries = [line.strip() for line in _lines(name[1:])]
    entries = [entry for entry in entries if entry and not entry.startswith("#")]
    if not entries:
        raise InputFileError(f"The list {name[1:]} names no source.", hint="One goes on each line.")
    yield from entries


def _lines(path: str) -> list[str]:
    try:
        if path == "-":
            return sys.stdin.read().splitlines()
        return Path(path).read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    except OSError as error:
        raise InputFileError(
            f"The list {path} cannot be read: {error.strerror}.",
            hint="What follows an @ is a text file of sources, one on each line.",
        ) from error


def _find(entry: str, assets: Sequence[str], found: Found) -> None:
    try:
        if is_stac(entry):
            _find_items(entry, assets, found)
        elif _is_pattern(entry):
            found.sources += [Source(path, _stem(path)) for path in _matches(entry)]
        else:
            found.sources.append(Source(entry, _stem(entry)))
    except GeosrError as error:
        found.failures.append(Failure.of(shown(entry), None, error))


def _find_items(entry: str, assets: Sequence[str], found: Found) -> None:
    read = read_items(entry)
    for item in read.items:
        try:
            chosen = assets_of(item, entry, assets)
        except GeosrError as error:
            found.failures.append(Failure.of(f"{shown(entry)}: {item['id']}", None, error))
            continue
        for asset in chosen:
            stem = _file_name(f"{asset.item}_{asset.name}")
            found.sources.append(Source(asset.path, stem, asset.name))
    if not read.items:
        raise InputFileError(
            f"{shown(entry)} has no items.", hint="Look at the search that made it."
        )
    if read.has_more:
        found.notes.append(
            f"{shown(entry)} is one page of a longer list; only the items on it are upscaled."
        )


def _is_pattern(name: str) -> bool:
    return glob.has_magic(name) and not _NO_FILE.match(name) and not os.path.lexists(name)


def _matches(pattern: str) -> list[str]:
    """Return the files that match, sorted; folders only if they are Zarr stores."""
    matches = sorted(glob.glob(pattern, recursive=True))
    files = [path for path in matches if not os.path.isdir(path) or path.endswith(".zarr")]
    if not files:
        raise InputFileError(
            f"No file matches {pattern}.",
            hint="* stands for any text, ** for any folders, ? for one letter, [ab] for a or b.",
        )
    return files


def _stem(path: str) -> str:
    """Return the name of a raster's output, without folder and suffix.

    >>> _stem("scenes/S2A.v1.tif"), _stem("https://example.com/a%20b.tif?sig=1")
    ('S2A.v1', 'a b')
    >>> _stem("/vsizip/scenes.zip/b4.jp2"), _stem('NETCDF:"scenes/day.nc":b4')
    ('b4', 'day.nc__b4')
    """
    if "://" in path:
        path = unquote(urlsplit(path).path)
    name = re.split(r"[/\\]" if os.sep == "\\" else "/", path.rstrip("/"))[-1]
    return _file_name(_SUFFIX.sub("", name) or name)


def _file_name(text: str) -> str:
    """Return a text as a file's name, whatever the system: it stays in its folder.

    >>> _file_name("../S2A:B4")
    '_S2A_B4'
    """
    return re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", text).lstrip(".") or "_"
