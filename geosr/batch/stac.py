"""STAC items: which of their assets are upscaled, and where these lie."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

from geosr.core.errors import InputFileError, OptionError
from geosr.io.remote import shown

TIMEOUT_S = 30.0
"""How long an address may say nothing."""

PICTURES = ("image/tiff", "image/vnd.stac.geotiff", "image/jp2")
"""Media types of assets that are taken if none has the role "data"; their parameters may differ."""

NEVER = {"thumbnail", "overview"}
"""Roles and names of assets that are taken only if they are asked for."""

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Asset:
    """A raster of an item.

    Attributes
    ----------
    path
        Where it lies.
    item, name
        The item's id, and the asset's own name in it.
    """

    path: str
    item: str
    name: str


def is_stac(source: str) -> bool:
    """Return whether a source is an item or a collection of items, by its name.

    >>> is_stac("S2A.json"), is_stac("https://example.com/v1/collections/s2/items/S2A_32TMT")
    (True, True)
    >>> is_stac("scene.tif"), is_stac("https://example.com/items/scene.tif?sig=1")
    (False, False)
    """
    address = urlsplit(source) if _is_address(source) else None
    parts = (address.path if address else source).rstrip("/").split("/")
    last = parts[-1].lower()
    if last.endswith((".json", ".geojson")):
        return True
    if address is None or last.endswith((".tif", ".tiff", ".jp2", ".vrt")):
        return False
    return last in ("items", "search") or "items" in parts[-2:-1]


@dataclass(frozen=True)
class Items:
    """What a file or an address holds.

    Attributes
    ----------
    items
        As they are in the JSON.
    has_more
        Whether this is one page of several.
    """

    items: tuple[Json, ...]
    has_more: bool


def read_items(source: str) -> Items:
    """Return the items of a file or an address.

    Raises
    ------
    InputFileError
        If it cannot be read, or holds something else.
    """
    found = _read_json(source)
    kind = found.get("type") if isinstance(found, dict) else None
    if kind == "Feature" and isinstance(found.get("assets"), dict):
        return Items((found,), has_more=False)
    if kind == "FeatureCollection" and isinstance(found.get("features"), list):
        links = found.get("links") or ()
        has_more = any(isinstance(link, dict) and link.get("rel") == "next" for link in links)
        return Items(tuple(filter(_is_item, found["features"])), has_more)
    what = f"a STAC {kind}" if kind in ("Catalog", "Collection") else "no STAC Item"
    raise InputFileError(
        f"{shown(source)} is {what}.",
        hint="Name the items in it, or the list that a search returned.",
    )


def assets_of(item: Json, source: str, wanted: Sequence[str]) -> tuple[Asset, ...]:
    """Return those rasters of an item that are upscaled.

    That is what is ``wanted`` by name; else what has the role "data"; else what is a GeoTIFF or a
    JPEG 2000. ``source`` is where the item was read from: places may be relative to it.

    Raises
    ------
    OptionError
        If an asset that is wanted is not there, or nothing is found.
    """
    assets = {name: asset for name, asset in item["assets"].items() if _has_place(asset)}
    there = f"It has: {', '.join(assets) or 'none'}."
    for name in wanted:
        if name not in assets:
            raise OptionError(f"The item {item['id']} has no asset {name!r}.", hint=there)
    shown = [name for name in assets if not NEVER & {name, *(assets[name].get("roles") or ())}]
    data = [name for name in shown if "data" in (assets[name].get("roles") or ())]
    pictures = [name for name in shown if _media_type(assets[name]) in PICTURES]
    chosen = wanted or data or pictures
    if not chosen:
        raise OptionError(
            f"The item {item['id']} has no asset that is known to be data.",
            hint=f"Name assets with --asset. {there}",
        )
    return tuple(
        Asset(_place(assets[name]["href"], source), str(item["id"]), name) for name in chosen
    )


def _is_item(feature: Any) -> bool:
    return isinstance(feature, dict) and isinstance(feature.get("assets"), dict) and "id" in feature


def _has_place(asset: Any) -> bool:
    return isinstance(asset, dict) and isinstance(asset.get("href"), str)


def _media_type(asset: Json) -> str:
    return str(asset.get("type") or "").partition(";")[0].strip().lower()


def _is_address(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def _place(href: str, source: str) -> str:
    """Return where an asset lies, for GDAL."""
    parts = urlsplit(href)
    if parts.scheme == "file":
        return url2pathname(parts.path)
    if len(parts.scheme) > 1 or href.startswith("/vsi"):  # one letter is a drive
        return href
    return urljoin(source, href) if _is_address(source) else str(Path(source).parent / href)


def _read_json(source: str) -> Any:
    try:
        if not _is_address(source):
            return json.loads(Path(source).read_bytes())
        wanted = {"Accept": "application/geo+json, application/json"}
        request = urllib.request.Request(source, headers=wanted)  # noqa: S310 - http or https
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return json.loads(answer.read())
    except (OSError, HTTPException) as error:
        raise InputFileError(
            f"{shown(source)} cannot be read: {_reason(error)}.",
            hint="Check the path or the address.",
        ) from error
    except ValueError as error:
        raise InputFileError(
            f"{shown(source)} is no JSON: {error}.",
            hint="Fetch the file again; it shall be a STAC Item.",
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return f"the server says {error.code} {error.reason}"
    if isinstance(error, URLError):
        return str(error.reason)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
