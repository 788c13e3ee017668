# SPDX-License-Identifier: GPL-2.0-or-later
"""From what was chosen to the arguments of a command; nothing here knows QGIS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class UpscaleChoices:
    """What was chosen for ``geosr upscale``; empty and None leave an option out."""

    model: str = ""
    factor: int | None = None
    resolution: float | None = None
    indexes: tuple[int, ...] = ()
    bounds: tuple[float, ...] | None = None
    consistency: bool = True
    nodata: float | None = None
    tile_size: int | None = None
    device: str = ""
    precision: str = ""
    runtime: str = ""
    workers: int | None = None
    threads: int | None = None
    dtype: str = ""
    creation_options: tuple[str, ...] = ()
    model_range: tuple[float, ...] | None = None
    uncertainty_model: str = ""


def upscale_arguments(
    source: str, output: str, choices: UpscaleChoices, *, uncertainty: str = ""
) -> list[str]:
    """Return the arguments of ``geosr upscale``.

    QGIS has asked already whether the output may be replaced, and whoever cancels there wants
    nothing left: hence ``--overwrite`` and ``--no-resume``.

    >>> upscale_arguments("a.tif", "b.tif", UpscaleChoices(model="bicubic", nodata=-1.0))[3:]
    ['--overwrite', '--no-resume', '--model=bicubic', '--nodata=-1.0']
    """
    arguments = ["upscale", source, output, "--overwrite", "--no-resume"]
    arguments += option("model", choices.model)
    arguments += option("factor", choices.factor)
    arguments += option("resolution", choices.resolution)
    arguments += bands(choices.indexes)
    arguments += several("bounds", choices.bounds)
    arguments += [] if choices.consistency else ["--no-consistency"]
    arguments += option("nodata", choices.nodata)
    arguments += option("tile-size", choices.tile_size)
    for name in ("device", "precision", "runtime"):
        value = getattr(choices, name)
        arguments += option(name, "" if value == "auto" else value)
    arguments += option("workers", choices.workers)
    arguments += option("threads", choices.threads)
    arguments += option("dtype", choices.dtype)
    for creation_option in choices.creation_options:
        arguments += option("co", creation_option)
    arguments += several("model-range", choices.model_range)
    arguments += option("uncertainty", uncertainty)
    arguments += option("uncertainty-model", choices.uncertainty_model)
    return arguments


def option(name: str, value: str | int | float | None) -> list[str]:
    """Return an option as one argument, or nothing for an empty value.

    >>> option("nodata", -9999.0), option("factor", None)
    (['--nodata=-9999.0'], [])
    """
    if value is None or value == "":
        return []
    return [f"--{name}={repr(value) if isinstance(value, float) else value}"]


def several(name: str, values: Sequence[float] | None) -> list[str]:
    """Return an option with several numbers, each to its last digit.

    >>> several("bounds", (0.1, -2.0, 3.0, 4.0))
    ['--bounds', '0.1', '-2.0', '3.0', '4.0']
    """
    return [] if not values else ["--" + name, *map(repr, values)]


def bands(indexes: Sequence[int]) -> list[str]:
    """Return the option for band numbers.

    >>> bands([4, 3, 2]), bands([])
    (['--bidx=4,3,2'], [])
    """
    return option("bidx", ",".join(map(str, indexes)))
