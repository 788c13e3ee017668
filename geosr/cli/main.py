"""The command ``geosr``."""

from __future__ import annotations

import io
import sys

import click

from geosr.cli.adapt import adapt
from geosr.cli.calibrate import calibrate
from geosr.cli.compare import compare
from geosr.cli.dataset import dataset
from geosr.cli.evaluate import evaluate
from geosr.cli.export import export
from geosr.cli.info import info
from geosr.cli.memory import keep_few_arenas
from geosr.cli.models import models
from geosr.cli.serve import serve
from geosr.cli.train import train
from geosr.cli.upscale import upscale
from geosr.core.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def geosr() -> None:
    """Make GeoTIFFs sharper without moving them."""


for _command in (
    upscale,
    info,
    models,
    evaluate,
    compare,
    serve,
    dataset,
    train,
    adapt,
    calibrate,
    export,
):
    geosr.add_command(_command)


def main() -> None:
    """Run the command line and end the process with its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal without the letters of a file name shows escapes; it is no failure.
            stream.reconfigure(errors="backslashreplace")
    keep_few_arenas()
    geosr(prog_name="geosr")
