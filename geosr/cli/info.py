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
from geosr.core.catalog import shipped_models
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
        else:
            from geosr.api import describe_raster

            facts = describe_raster(path)
        if as_json:
            click.echo(json.dumps(finite(facts), indent=2))
        else:
            click.echo("\n".join(table(_lines(facts))))


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
        "models": [facts.name for facts in shipped_models()],
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


def _lines(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        if isinstance(value, dict):
            for inner, item in value.items():
                yield f"{name}.{inner}", _text(item)
        else:
            yield name, _text(value)


def _text(value: Any) -> str:
    if value is None or value == []:
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
