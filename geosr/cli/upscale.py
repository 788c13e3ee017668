"""``geosr upscale``, and ``rio upscale``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

import click

from geosr.cli import options
from geosr.cli.progress import Progress
from geosr.cli.session import EventCommand, Session, command_session
from geosr.cli.stopping import StopSteps
from geosr.core.errors import OptionError
from geosr.core.events import Event, EventSink, result_event
from geosr.core.heads import made_by
from geosr.core.options import UpscaleKeywords
from geosr.io.claim import journal_of, remove_own

if TYPE_CHECKING:
    from geosr.api import UpscaleReport


def _checked(
    context: click.Context, _parameter: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse what is neither INPUT OUTPUT nor sources for a folder."""
    if context.params.get("out_dir") is not None:  # it is eager: parsed before this
        if not names:
            raise click.UsageError("--out-dir was given, but no source.", context)
    elif len(names) < 2:
        missing = "OUTPUT is missing" if names else "INPUT and OUTPUT are missing"
        raise click.UsageError(
            f"{missing}; several sources go to a folder: --out-dir DIR.", context
        )
    elif len(names) > 2:
        raise click.UsageError(
            f"{names[2]!r} is more than INPUT and OUTPUT; several sources need --out-dir DIR.",
            context,
        )
    return names


@click.command(cls=EventCommand, short_help="Super-resolve rasters.")
@click.argument("names", metavar="INPUT OUTPUT | SOURCE...", nargs=-1, callback=_checked)
@options.batch_options
@options.upscale_options
@options.dry_run_options
@options.run_options
def upscale(
    names: tuple[str, ...],
    *,
    out_dir: str | None,
    assets: tuple[str, ...],
    dry_run: bool,
    calibrate: bool,
    progress: Progress | None,
    exit_with_stdin: bool,
    log_path: str | None,
    verbose: int,
    quiet: bool,
    **keywords: Unpack[UpscaleKeywords],
) -> None:
    """Super-resolve INPUT into OUTPUT, a GeoTIFF on the same footprint; or many into a folder.

    \b
    geosr upscale scene.tif sharper.tif
    geosr upscale scene.tif sharper.tif -f 4 -b 4,3,2 --bounds 7.1 46.2 7.3 46.4
    geosr upscale scene.tif sharper.tif --resolution 2.5m --co COMPRESS=DEFLATE
    geosr upscale scene.tif sharper.tif --dry-run --calibrate
    geosr upscale scene.tif sharper.tif --uncertainty sigma.tif
    geosr upscale 'scenes/**/*.tif' --out-dir sharper
    geosr upscale @scenes.txt more.tif --out-dir sharper --log-file sharper.log
    geosr upscale items.json --asset red --asset nir --out-dir sharper

    INPUT is anything that GDAL reads. OUTPUT appears once it is complete: Ctrl-C and SIGTERM
    leave what was there before, and the same command goes on from where it stopped. A second
    Ctrl-C does not wait for the tiles at work.

    With --out-dir there may be any number of sources: rasters, quoted patterns, lists (@FILE
    with a source on each line; @- is standard input), and STAC Items or lists of items as JSON,
    in files or at http addresses. Outputs are DIR/NAME.tif, of STAC items DIR/ITEM_ASSET.tif.
    What is finished is skipped, a failure stops no other file, and all failures are listed at
    the end.

    The exit status is 0 if done, 1 if something failed or was stopped, 2 if it was used wrongly.
    """
    begun = Begun(names[1] if out_dir is None else None)
    listed = out_dir is not None and "@-" in names  # on standard input
    resumes = keywords.get("resume") and keywords.get("format") != "gtiff"
    with command_session(
        progress,
        -1 if quiet else verbose,
        with_stdin=exit_with_stdin and not listed,
        stopped=begun.left,
        steps=StopSteps() if resumes else StopSteps(before_exit=begun.remove),
        log_path=log_path,
    ) as session:
        session = replace(session, emit=begun.seen_by(session.emit))
        _check_options(keywords, calibrate=calibrate, dry_run=dry_run)
        if out_dir is not None:
            if exit_with_stdin and listed:
                raise OptionError(
                    "--exit-with-stdin and @- both read standard input.", hint="Use a file."
                )
            from geosr.cli.batch import plan_many, upscale_many

            if dry_run:
                plan_many(session, names, out_dir, keywords, assets=assets, calibrate=calibrate)
            else:
                upscale_many(session, names, out_dir, keywords, assets=assets)
        elif assets:
            raise OptionError("--asset is for STAC items.", hint="Add --out-dir DIR.")
        elif dry_run:
            _show_plan(session, names[0], names[1], keywords, calibrate=calibrate)
        else:
            _upscale_one(session, names[0], names[1], keywords)


class Begun:
    """The output that is being written, and what a stopped run leaves of it."""

    def __init__(self, output: str | None) -> None:
        self._output = output

    def seen_by(self, emit: EventSink) -> EventSink:
        """Return a sink that learns from a batch's events which output it is."""

        def sink(event: Event) -> None:
            if event["event"] == "file":
                self._output = event["output"]
            emit(event)

        return sink

    def left(self) -> str:
        """Return the end of a sentence."""
        kept = self._output is not None and journal_of(self._output).exists()
        return "the same command goes on from there" if kept else "nothing was written"

    def remove(self) -> None:
        """Remove what this process has begun; see `geosr.io.claim.remove_own`."""
        if self._output is not None:
            remove_own(self._output)


def _check_options(keywords: UpscaleKeywords, *, calibrate: bool, dry_run: bool) -> None:
    if calibrate and not dry_run:
        raise OptionError("--calibrate is for --dry-run.", hint="Add --dry-run, or leave it out.")
    if calibrate and (keywords.get("workers") or keywords.get("scheduler")):
        raise OptionError(
            "--calibrate measures one process, not --workers or --scheduler.",
            hint="Leave it out, or measure without them.",
        )


def _upscale_one(session: Session, src_path: str, dst_path: str, keywords: UpscaleKeywords) -> None:
    from geosr.api import upscale_file

    report = upscale_file(
        src_path, dst_path, on_event=session.emit, should_stop=session.stop, **keywords
    )
    _show_report(session, report)


def _show_plan(
    session: Session, src_path: str, dst_path: str, keywords: UpscaleKeywords, *, calibrate: bool
) -> None:
    from geosr.api import plan_file

    plan = plan_file(src_path, dst_path, **keywords)
    if calibrate:
        from geosr.calibration import Calibrator

        calibrator = Calibrator(on_event=session.emit)
        second = calibrator.calibrated(plan.uncertainty) if plan.uncertainty else None
        plan = replace(calibrator.calibrated(plan), uncertainty=second)
    session.emit({"event": "plan", "plan": plan.to_dict()})
    if session.progress != "json":
        click.echo("\n".join(plan.lines()))


def _show_report(session: Session, report: UpscaleReport) -> None:
    height, width = report.grid.shape
    stats, second = report.stats, report.uncertainty
    if second:
        stats = {**stats, "uncertainty": {"output": second.output, **second.stats}}
    session.emit(result_event(report.output, width=width, height=height, stats=stats))
    if session.tells_people:
        click.echo("\n".join(report_lines(report)))
        if second:
            click.echo("\n".join(("", "How sure it is:", *report_lines(second))))


def _widths(multipliers: dict[str, float]) -> list[str]:
    return [
        f"{float(level):.0%} +- {value:.3g} sigma" for level, value in sorted(multipliers.items())
    ]


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
    if stats["overhead"] is not None:
        rows.append(("", f"{stats['overhead']:.2f} times the network alone"))
    if stats["resumed"]:
        rows.append(("Resumed", f"{stats['resumed']:.0%} of it was there from an earlier run"))
    if after is not None:
        sizes = f"{before[0]:g} x {before[1]:g} to {after[0]:g} x {after[1]:g}"
        rows.insert(2, ("Pixel size", sizes))
    if stats["consistency_error"] is not None:
        error = f"block means differ from the source by at most {stats['consistency_error']:.3g}"
        rows.append(("Fidelity", error))
    if stats["unresolved"]:
        rows.append(("", f"{stats['unresolved']} blocks could not be kept exact"))
    rows += [
        ("Intervals", f"{', '.join(_widths(found))} ({degradation}: {made_by(degradation)})")
        for degradation, found in stats.get("multipliers", {}).items()
    ]
    return tuple(f"{name:<11}{value}" for name, value in rows)
