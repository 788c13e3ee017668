"""``geosr upscale``, and ``rio upscale``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Unpack

import click

from geosr.cli import options
from geosr.cli.progress import Progress
from geosr.cli.session import EventCommand, Session, command_session
from geosr.cli.stopping import StopSteps
from geosr.core.events import result_event
from geosr.core.options import UpscaleKeywords
from geosr.io.claim import remove_own

if TYPE_CHECKING:
    from geosr.api import UpscaleReport


@click.command(cls=EventCommand, short_help="Super-resolve a raster.")
@click.argument("src_path", metavar="INPUT")
@click.argument("dst_path", metavar="OUTPUT")
@options.upscale_options
@click.option("--dry-run", is_flag=True, help="Print the plan and write nothing.")
@options.run_options
def upscale(
    src_path: str,
    dst_path: str,
    *,
    dry_run: bool,
    progress: Progress | None,
    exit_with_stdin: bool,
    verbose: int,
    quiet: bool,
    **keywords: Unpack[UpscaleKeywords],
) -> None:
    """Super-resolve INPUT into OUTPUT, a GeoTIFF on the same footprint.

    \b
    geosr upscale scene.tif sharper.tif
    geosr upscale scene.tif sharper.tif -f 4 -b 4,3,2 --bounds 7.1 46.2 7.3 46.4
    geosr upscale scene.tif sharper.tif --resolution 2.5m --co COMPRESS=DEFLATE

    INPUT is anything that GDAL reads. OUTPUT appears once it is complete: Ctrl-C and SIGTERM
    leave what was there before. A second Ctrl-C does not wait for the tiles at work.

    The exit status is 0 if done, 1 if it failed or was stopped, 2 if it was used wrongly.
    """
    steps = StopSteps(before_exit=partial(remove_own, dst_path))
    verbosity = -1 if quiet else verbose
    with command_session(progress, verbosity, with_stdin=exit_with_stdin, steps=steps) as session:
        if dry_run:
            _show_plan(session, src_path, dst_path, keywords)
            return
        from geosr.api import upscale_file

        report = upscale_file(
            src_path, dst_path, on_event=session.emit, should_stop=session.stop, **keywords
        )
        _show_report(session, report)


def _show_plan(session: Session, src_path: str, dst_path: str, keywords: UpscaleKeywords) -> None:
    from geosr.api import plan_file

    plan = plan_file(src_path, dst_path, **keywords)
    if session.progress == "json":
        session.emit({"event": "plan", "plan": plan.to_dict()})
    else:
        click.echo("\n".join(plan.lines()))


def _show_report(session: Session, report: UpscaleReport) -> None:
    height, width = report.grid.shape
    session.emit(result_event(report.output, width=width, height=height, stats=report.stats))
    if session.tells_people:
        click.echo("\n".join(report_lines(report)))


def report_lines(report: UpscaleReport) -> tuple[str, ...]:
    """Return what a run made, in lines for people. Its notes were shown as warnings."""
    stats, (height, width) = report.stats, report.grid.shape
    before, after = stats["pixel_size_before"], stats["pixel_size"]
    rows = [
        ("Output", report.output),
        ("Size", f"{width} x {height} pixels"),
        ("Model", ", ".join(stats[key] for key in ("model", "runtime", "device", "precision"))),
        (
            "Time",
            f"{stats['seconds']:.1f} s, {stats['output_mpx_per_s']:.2f} Mpx/s written, "
            f"{stats['source_mpx_per_s']:.2f} Mpx/s read",
        ),
    ]
    if after is not None:
        sizes = f"{before[0]:g} x {before[1]:g} to {after[0]:g} x {after[1]:g}"
        rows.insert(2, ("Pixel size", sizes))
    if stats["consistency_error"] is not None:
        error = f"block means differ from the source by at most {stats['consistency_error']:.3g}"
        rows.append(("Fidelity", error))
    if stats["unresolved"]:
        rows.append(("", f"{stats['unresolved']} blocks could not be kept exact"))
    return tuple(f"{name:<11}{value}" for name, value in rows)
