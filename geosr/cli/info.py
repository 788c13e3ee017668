"""``geosr info``."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from typing import Any

import click

import geosr
from geosr.cli import options
from geosr.cli.models import table
from geosr.cli.progress import finite
from geosr.cli.session import EventCommand, json_errors
from geosr.core.catalog import known_models
from geosr.core.events import PROTOCOL

PACKAGES = {
    "rasterio": ("rasterio",),
    "numpy": ("numpy",),
    "pyproj": ("pyproj",),
    "xarray": ("xarray",),
    "dask": ("dask",),
    "openvino": ("openvino",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-macos"),
    "keras": ("keras",),
}
"""What is looked for, and the names that it is installed by."""

RUNTIME_PACKAGES = {"openvino": ("openvino",), "tensorflow": ("tensorflow", "keras")}
"""What each runtime needs."""


@click.command(cls=EventCommand, short_help="Show the installation, or a raster.")
@click.argument("path", required=False)
@options.json_option
def info(path: str | None, as_json: bool) -> None:
    """Show the installation; with PATH, what is in a raster and whether geosr can upscale it."""
    with json_errors(as_json):
        if path is None:
            facts = describe_installation()
            rows = _installation_rows(facts)
        else:
            from geosr.api import describe_raster

            facts = describe_raster(path)
            rows = _raster_rows(facts)
        click.echo(json.dumps(finite(facts), indent=2) if as_json else "\n".join(table(rows)))


def describe_installation() -> dict[str, Any]:
    """Return versions and what this machine has, without loading a runtime."""
    versions = {name: _version(names) for name, names in PACKAGES.items()}
    gdal, problem = _gdal()
    return {
        "geosr": geosr.__version__,
        "protocol": PROTOCOL,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "processors": len(os.sched_getaffinity(0))
        if sys.platform == "linux"
        else os.cpu_count() or 1,
        "gdal": gdal,
        "packages": versions,
        "runtimes": [
            runtime
            for runtime, needed in RUNTIME_PACKAGES.items()
            if all(versions[name] for name in needed)
        ],
        "nvidia_driver": _nvidia_driver(),
        "models": [facts.name for facts in known_models()],
        "problem": problem,
    }


def _version(distributions: tuple[str, ...]) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    for name in distributions:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def _gdal() -> tuple[str | None, str | None]:
    """Return GDAL's version and what is wrong with it."""
    try:
        from geosr.io.gdal import crs_problem, gdal_version
    except ImportError as error:  # a broken installation is what this command is asked about
        return None, f"rasterio does not load: {error}"
    return gdal_version(), crs_problem()


def _nvidia_driver() -> str | None:
    """Return the version of NVIDIA's driver on Linux; asking the runtimes takes seconds."""
    try:
        with open("/proc/driver/nvidia/version", encoding="utf-8") as file:
            words = file.readline().split()
    except OSError:
        return None
    return next((word for word in words if word[:1].isdigit()), "unknown")


def _installation_rows(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        if isinstance(value, dict):
            for inner, item in value.items():
                yield f"{name}.{inner}", _text(item)
        else:
            yield name, _text(value)


def _raster_rows(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "File", f"{facts['path']}, {facts['driver']}"
    yield "Size", f"{facts['width']} x {facts['height']} pixels, {facts['bands']} bands"
    yield "Dtype", _text(_if_all_the_same(facts["dtypes"]))
    yield "Nodata", _text(_if_all_the_same(facts["nodata"]))
    yield "CRS", _crs_name(facts["crs"])
    yield "Pixel size", _text(facts["pixel_size"]).replace(" ", " x ")
    yield "Bounds", _text(facts["bounds"])
    if facts["gcps"] or facts["rpcs"]:
        yield "Placed by", "ground control points" if facts["gcps"] else "RPCs"
    problem = facts["problem"]
    yield "Upscalable", f"no: {problem} {facts['hint']}".rstrip() if problem else "yes"


def _if_all_the_same(values: list[Any]) -> Any:
    return values[0] if len(set(map(str, values))) == 1 else values  # as text: NaN is not NaN


def _crs_name(wkt: str | None) -> str:
    """Return the name that stands first in any WKT.

    >>> _crs_name('PROJCS["WGS 84 / UTM zone 32N",GEOGCS["WGS 84"]]')
    'WGS 84 / UTM zone 32N'
    """
    if wkt is None:
        return "-"
    parts = wkt.split('"')
    return parts[1] if len(parts) > 1 else wkt


def _text(value: Any) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, list | tuple):
        return " ".join(f"{item:.12g}" if isinstance(item, float) else str(item) for item in value)
    return f"{value:.12g}" if isinstance(value, float) else str(value)
