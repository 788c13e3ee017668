"""``geosr compare``."""

from __future__ import annotations

from dataclasses import asdict

import click

from geosr.cli import options
from geosr.cli.evaluate import RecordedCommand
from geosr.cli.progress import Progress
from geosr.cli.session import command_session
from geosr.io.text import check_text_output, write_text


@click.command(cls=RecordedCommand, short_help="Compare two rasters without a truth.")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--report", metavar="HTML", help="Write a report: one file, with pictures.")
@options.bidx_option("compare")
@options.rgb_option
@options.seed_option
@click.option("--overwrite", is_flag=True, help="Replace the report if it is there.")
@options.run_options
@click.pass_obj
def compare(
    command: str,
    first: str,
    second: str,
    *,
    report: str | None,
    indexes: tuple[int, ...],
    colours: tuple[int, ...],
    seed: int,
    overwrite: bool,
    progress: Progress | None,
    exit_with_stdin: bool,
    log_path: str | None,
    verbose: int,
    quiet: bool,
) -> None:
    """Compare raster B with A, which shows the same place with the same or larger pixels.

    \b
    geosr compare scene.tif sharper.tif --report compared.html

    B is averaged to A's grid and compared with A; the report has both power spectra and lets you
    swipe between the two. Neither is taken for the truth.
    """
    with command_session(
        progress, -1 if quiet else verbose, with_stdin=exit_with_stdin, log_path=log_path
    ) as session:
        if report:
            check_text_output(report, overwrite=overwrite)
        from geosr.evaluation.comparison import compare as run
        from geosr.evaluation.comparison_report import comparison_report, difference_rows
        from geosr.evaluation.protocol import Protocol

        protocol = Protocol(models=(), indexes=indexes, colours=colours, seed=seed)
        found = run(first, second, protocol, on_event=session.emit, should_stop=session.stop)
        if report:
            write_text(report, comparison_report(found, command))
        bands = [asdict(band) for band in found.bands]
        factor = found.overlap.factor
        session.emit({"event": "result", "output": report, "factor": factor, "bands": bands})
        if session.tells_people:
            click.echo(f"B averaged to A's grid ({factor} x {factor} pixels), less A:")
            rows = difference_rows(found)
            click.echo("\n".join("  ".join(cell.rjust(12) for cell in row) for row in rows))
            if report:
                click.echo(f"\n{report}")
