"""What tells one source from another, and from itself after a change."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import urllib.request
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rasterio.windows import Window as RasterioWindow

from geosr.core.geometry import Window
from geosr.io.facts import RasterFacts, read_facts
from geosr.io.integrity import blocks_of, place_of
from geosr.io.opening import use_source
from geosr.io.remote import is_remote, shown

_SAMPLE = 64  # blocks whose place and size in the file are taken down
_READ = 3  # blocks whose pixels are: without compression all places and sizes are alike
_SIDE = 256  # pixels of such a block, at most
_HANDLERS = re.compile(r"^(?:/vsi\w+/)+")
_TOLD = ("ETag", "Last-Modified", "Content-Range", "Content-Length")


def source_identity(facts: RasterFacts) -> dict[str, object]:
    """Return plain values that change when a source does, and are the same until then.

    A file has its size and time. A remote one has its address without signature, what its server
    tells of it, and a fingerprint of its structure and of a few of its pixels.

    Raises
    ------
    InputFileError
        If a remote source cannot be read.
    """
    # What GDAL keeps beside, such as statistics that a viewer has had it compute, is no pixel; what
    # counts of it is in the output's metadata and profile.
    names = [name for name in _files_behind(facts) if not name.endswith(".aux.xml")]
    path = os.path.abspath(facts.path) if os.path.exists(facts.path) else shown(facts.path)
    identity: dict[str, object] = {"path": path, "files": [_state(name) for name in names]}
    if any(map(is_remote, names)):
        identity["fingerprint"] = use_source(
            facts.path, partial(_fingerprint, facts), side_files=len(facts.files) > 1
        )
    return identity


def _files_behind(facts: RasterFacts) -> tuple[str, ...]:
    """Return all files of a source, those of a VRT in a VRT too, which GDAL does not list."""
    found = dict.fromkeys(facts.files or (facts.path,))
    waiting = [name for name in found if name != facts.path]
    while waiting:
        name = waiting.pop()
        if name.lower().endswith(".vrt"):
            inside = [file for file in read_facts(name).files if file not in found]
            found |= dict.fromkeys(inside)
            waiting += inside
    return tuple(found)


def _state(name: str) -> list[object]:
    if is_remote(name):
        return [shown(name), _told(name)]
    for file in _places(name):
        with contextlib.suppress(OSError):
            state = os.stat(file)
            return [os.path.realpath(file), state.st_size, state.st_mtime_ns]
    return [name]


def _places(name: str) -> tuple[Path, ...]:
    """Return where a file may be on the disk: itself, or the archive that it is in."""
    inside = _HANDLERS.sub("", name)
    if inside == name:
        return (Path(name),)
    path = Path(re.sub("[{}]", "", inside))
    return tuple(place for place in (path, *path.parents) if place.is_file())


def _told(name: str) -> dict[str, str]:
    """Return what an HTTP server tells of a file; nothing if it does not.

    One byte is asked for: a signed address is good for GET only, not for HEAD.
    """
    url = name.removeprefix("/vsicurl/")
    if urlsplit(url).scheme not in ("http", "https"):
        return {}
    request = urllib.request.Request(url, headers={"Range": "bytes=0-0"})  # noqa: S310 - see above
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return {key: answer.headers[key] for key in _TOLD if answer.headers[key]}
    except (OSError, HTTPException, ValueError):
        return {}


def _fingerprint(facts: RasterFacts, src: Any) -> str:
    whole = Window(0, 0, *src.shape)
    blocks = tuple(blocks_of(src, src.indexes, whole))
    digest = hashlib.sha256()
    about = (facts.driver, facts.grid, facts.dtypes, facts.nodata, facts.masks, facts.metadata)
    digest.update(repr(about).encode())
    if facts.driver == "GTiff":
        places = [place_of(src, block) for block in blocks[:: -(-len(blocks) // _SAMPLE)]]
        digest.update(repr(places).encode())
    rows, cols = src.block_shapes[0]
    for at in range(_READ):
        band, row, col = blocks[at * (len(blocks) - 1) // (_READ - 1)]
        part = Window(row * rows, col * cols, min(rows, _SIDE), min(cols, _SIDE)).clip(src.shape)
        place = RasterioWindow(part.col_off, part.row_off, part.width, part.height)
        digest.update(src.read(band, window=place).tobytes())
    return digest.hexdigest()
