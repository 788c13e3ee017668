"""``geosr serve``."""

from __future__ import annotations

import os

import click

from geosr.cli import options
from geosr.cli.logs import shown_logs
from geosr.cli.progress import JsonLines, own_stdout
from geosr.cli.session import EventCommand, shown_errors
from geosr.cli.stopping import StopRequest, StopSteps, stop_requests
from geosr.serving import SessionFolder, request_lines
from geosr.serving import serve as answer_requests


@click.command("serve", cls=EventCommand, short_help="Make previews on request.")
@click.option(
    "--stdio", is_flag=True, help="Read requests from standard input, answer on standard output."
)
@click.option(
    "--max-mpx",
    type=click.FloatRange(min=0, min_open=True),
    default=4.0,
    show_default=True,
    help="Source pixels that a preview may take, times bands, in millions.",
)
@options.verbosity_options
def serve(*, stdio: bool, max_mpx: float, verbose: int, quiet: bool) -> None:
    """Stay, and make previews of rasters on request: for QGIS and other programs.

    Requests and answers are JSON objects, one a line; geosr.core.requests and geosr.core.answers
    describe them. A preview has the very pixels that the whole run would have there.

    \b
    {"do": "preview", "id": 1, "source": "in.tif", "bounds": [7.1, 46.2, 7.2, 46.3],
     "bounds_crs": "EPSG:4326", "model": "geosr-lite", "upscale_factor": 2}     (in one line)
    {"do": "cancel", "id": 1}
    {"do": "quit"}

    Models stay loaded and rasters stay open. The end of standard input ends the process, and
    with it go its previews.
    """
    if not stdio:
        raise click.UsageError("There is one way to serve so far: add --stdio.")
    folder, stop = SessionFolder(), StopRequest()
    # Between two requests nothing asks for a stop, so the main thread is interrupted at once.
    steps = StopSteps(interrupt_s=0.0, before_exit=folder.remove)
    with (
        own_stdout() as stream,
        shown_logs(-1 if quiet else verbose),
        shown_errors(emit := JsonLines(stream), stop=stop, stopped=lambda: "its previews are gone"),
        stop_requests(stop, steps=steps),
        folder,
    ):
        if answer_requests(request_lines(0), emit, folder, max_mpx=max_mpx, should_stop=stop):
            return
        folder.remove()
        os._exit(1)  # a thread hangs, and Python would wait for it
