"""The options that commands share, spelled as in rio."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import click

from geosr.cli.values import parse_creation_options, parse_finite, parse_indexes
from geosr.core.catalog import DEFAULT_FAMILY
from geosr.core.options import DEVICES, DTYPES, FORMATS, PRECISIONS, RUNTIMES

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def upscale_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each keyword of `geosr.upscale_file`."""
    return _add(command, *_WHAT, *_HOW, *_OUTPUT)


def batch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a command that takes many rasters."""
    return _add(command, *_BATCH)


def dry_run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--dry-run`` and ``--calibrate``."""
    return _add(command, *_DRY_RUN)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a command that runs for a while."""
    return _add(command, *_RUN)


def bidx_option(purpose: str) -> Decorator:
    """Return ``--bidx``, of bands to ``purpose``, such as "score"."""
    return click.option(
        "-b",
        "--bidx",
        "indexes",
        multiple=True,
        metavar="BAND",
        callback=parse_indexes,
        help=f"Band to {purpose}, from 1; repeat it, or write 1,2,3 or 1..3.  [default: all]",
    )


def rgb_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--rgb``."""
    return _add(command, _RGB)


def seed_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--seed``."""
    return _add(command, _SEED)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json``."""
    return _add(command, click.option("--json", "as_json", is_flag=True, help="Print JSON."))


def verbosity_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``-v`` and ``-q``."""
    return _add(command, *_VERBOSITY)


def _add(command: Callable[..., Any], *decorators: Decorator) -> Callable[..., Any]:
    """Decorate so that the first decorator's option comes first in the help."""
    return reduce(lambda decorated, add: add(decorated), reversed(decorators), command)


_WHAT: tuple[Decorator, ...] = (
    click.option(
        "-m",
        "--model",
        default=DEFAULT_FAMILY,
        show_default=True,
        help="A name from `geosr models`, or the path of an .onnx or .keras file or a .json card.",
    ),
    click.option(
        "-f",
        "--factor",
        "upscale_factor",
        type=int,
        metavar="N",
        help="Output pixels per source pixel and side.  [default: the model's, or 2]",
    ),
    click.option(
        "--resolution",
        metavar="SIZE",
        help="Pixel size of the output, in place of a factor: in units of the CRS, or in metres "
        "with an m, as in 2.5m.",
    ),
    bidx_option("upscale"),
    click.option(
        "--bounds",
        type=float,
        nargs=4,
        metavar="W S E N",
        callback=parse_finite,
        help="West, south, east and north of the part to upscale.",
    ),
    click.option(
        "--bounds-crs", metavar="CRS", help="CRS of --bounds, such as EPSG:4326.  [the raster's]"
    ),
)

_HOW: tuple[Decorator, ...] = (
    click.option(
        "--tile-size",
        type=int,
        metavar="N",
        help="Side of what the network sees at once, in source pixels. Changes speed and memory, "
        "never the result.",
    ),
    click.option(
        "--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="Where."
    ),
    click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default="auto",
        show_default=True,
        help="Number format inside the network.",
    ),
    click.option(
        "--runtime",
        type=click.Choice(RUNTIMES),
        default="auto",
        show_default=True,
        help="What runs the network.",
    ),
    click.option(
        "--threads",
        type=int,
        metavar="N",
        help="Threads of the network in each process.  [default: all cores]",
    ),
    click.option(
        "--workers", type=int, metavar="N", help="Processes of this machine that share the work."
    ),
    click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Dask scheduler whose workers share the work, such as tcp://10.0.0.1:8786.",
    ),
    click.option(
        "--consistency/--no-consistency",
        default=True,
        show_default=True,
        help="Make each block of output pixels average to its source pixel.",
    ),
    click.option(
        "--model-range",
        type=float,
        nargs=2,
        metavar="LOW HIGH",
        callback=parse_finite,
        help="Raster values that your own network expects as 0 and 1.",
    ),
)

_OUTPUT: tuple[Decorator, ...] = (
    click.option(
        "-t",
        "--dtype",
        type=click.Choice(DTYPES),
        metavar="DTYPE",
        help=f"Of the output: {', '.join(DTYPES)}.  [default: the input's]",
    ),
    click.option(
        "--nodata",
        type=float,
        metavar="VALUE",
        help="Of the output; nan is allowed.  [default: the input's]",
    ),
    click.option(
        "--format",
        type=click.Choice(FORMATS),
        default="cog",
        show_default=True,
        help="Cloud-optimised GeoTIFF with overviews, any other GeoTIFF, or Zarr.",
    ),
    click.option(
        "--co",
        "--profile",
        "creation_options",
        multiple=True,
        metavar="NAME=VALUE",
        callback=parse_creation_options,
        help="GDAL's creation option for GeoTIFF, such as COMPRESS=DEFLATE; repeat it.",
    ),
    click.option("--uncertainty", metavar="PATH", help="Second output: how sure the first is."),
    click.option(
        "--uncertainty-model",
        metavar="CARD",
        help="Card of the head that tells it, such as `geosr calibrate` writes.  [default: the "
        "model's]",
    ),
    click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it is there."),
    click.option(
        "--resume/--no-resume",
        default=True,
        show_default=True,
        help="Go on with what a stopped run of the same command left.",
    ),
    click.option(
        "--temp-dir",
        metavar="DIR",
        help="Where an output for object storage is made first.  [default: the system's]",
    ),
)

_BATCH: tuple[Decorator, ...] = (
    click.option(
        "--out-dir",
        metavar="DIR",
        is_eager=True,  # what names mean depends on it
        help="Folder for the outputs of any number of sources; it is made if it is missing.",
    ),
    click.option(
        "--asset",
        "assets",
        multiple=True,
        metavar="NAME",
        help="Asset of STAC items; repeat it.  [default: those of data]",
    ),
)

_RGB: Decorator = click.option(
    "--rgb",
    "colours",
    multiple=True,
    metavar="R,G,B",
    callback=parse_indexes,
    help="Bands to show, such as 3,2,1.",
)

_SEED: Decorator = click.option(
    "--seed", type=int, default=0, show_default=True, metavar="N", help="Of all that is drawn."
)

_DRY_RUN: tuple[Decorator, ...] = (
    click.option("--dry-run", is_flag=True, help="Print the plan and write nothing."),
    click.option(
        "--calibrate",
        is_flag=True,
        help="With --dry-run: run the model for a few seconds to say how long it will take.",
    ),
)

_VERBOSITY: tuple[Decorator, ...] = (
    click.option(
        "-v", "--verbose", count=True, help="Say more; twice: everything, tracebacks included."
    ),
    click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
)

_RUN: tuple[Decorator, ...] = (
    click.option(
        "--progress",
        type=click.Choice(("bar", "json", "none")),
        help="A bar, or one JSON object a line on standard output.  [default: a bar on a terminal]",
    ),
    click.option(
        "--exit-with-stdin",
        is_flag=True,
        help="Stop when standard input ends: for programs that start geosr.",
    ),
    click.option(
        "--log-file",
        "log_path",
        metavar="PATH",
        help="Append everything to a file: events, log lines, tracebacks, whatever -q and -v say.",
    ),
    *_VERBOSITY,
)
