"""``geosr evaluate``."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geosr.cli import options
from geosr.cli.progress import Progress
from geosr.cli.session import EventCommand, Session, command_session
from geosr.cli.values import parse_finite
from geosr.core.catalog import DEFAULT_FAMILY
from geosr.core.errors import OptionError
from geosr.core.options import PRECISIONS
from geosr.io.text import check_text_output, write_text

if TYPE_CHECKING:
    from geosr.evaluation.protocol import Protocol
    from geosr.evaluation.run import Evaluation
    from geosr.evaluation.samples import Entry


class RecordedCommand(EventCommand):
    """A command that knows its own words: reports say how they were made."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse ``args``, which parsing uses up."""
        words = shlex.join(["geosr", info_name or "", *args])
        context = super().make_context(info_name, args, parent, **extra)
        context.obj = words
        return context


@click.command(cls=RecordedCommand, short_help="Score models on images.")
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    help=f"A name from `geosr models`, or the path of a network; repeat it.  [{DEFAULT_FAMILY}]",
)
@click.option("--data", metavar="DIR", help="Folder of high-resolution rasters, to be degraded.")
@click.option("--low", metavar="PATH", help="Low-resolution raster, or a folder of them.")
@click.option("--high", metavar="PATH", help="The truth for --low: a raster or a folder.")
@click.option("--self", "scene", metavar="SCENE", help="Your own scene, degraded and restored.")
@click.option(
    "--degradation",
    metavar="NAME",
    help="How the low resolution is made, such as area, mtf or bicubic.  [area]",
)
@click.option(
    "--sensor",
    metavar="NAME",
    help="Of --degradation mtf: whose modulation transfer, such as sentinel-2.  [0.25 at Nyquist]",
)
@click.option(
    "-f", "--factor", "upscale_factor", type=int, metavar="N", help="Upscale factor.  [the models']"
)
@click.option("--border", type=int, metavar="N", help="Edge left out, in pixels.  [2 x factor]")
@click.option(
    "--data-range", type=float, metavar="N", help="Span of values for PSNR and SSIM.  [see docs]"
)
@options.bidx_option("score")
@options.rgb_option
@click.option(
    "--crops", type=int, metavar="N", help="Of --self: how many parts are scored at most.  [16]"
)
@click.option("--crop-size", type=int, metavar="N", help="Of --self: their side.  [512 or less]")
@click.option("--match", is_flag=True, help="Of pairs: bring the truth to the input's values.")
@click.option("--align", is_flag=True, help="Of pairs: resample the truth onto the input's grid.")
@click.option("--lpips", metavar="ONNX", help="LPIPS network, to score with it as well.")
@options.seed_option
@click.option("--threads", type=int, metavar="N", help="Threads of the network.  [all cores]")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    help="As in `geosr upscale`.",
)
@click.option(
    "--model-range",
    type=float,
    nargs=2,
    metavar="LOW HIGH",
    callback=parse_finite,
    help="Raster values that your own network expects as 0 and 1.",
)
@click.option("--report", metavar="HTML", help="Write a report: one file, with pictures.")
@click.option("--csv", "csv_path", metavar="CSV", help="Write a row per image, method and band.")
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@options.run_options
@click.pass_obj
def evaluate(
    command: str,
    /,
    *,
    models: tuple[str, ...],
    report: str | None,
    csv_path: str | None,
    overwrite: bool,
    progress: Progress | None,
    exit_with_stdin: bool,
    log_path: str | None,
    verbose: int,
    quiet: bool,
    **asked: Any,
) -> None:
    """Score models against the truth, beside bicubic and `gdalwarp -r cubic`.

    \b
    geosr evaluate -m geosr-lite-x4 --data images --report scores.html --csv scores.csv
    geosr evaluate -m geosr-lite -f 2 --low sentinel2.tif --high aerial.tif --match
    geosr evaluate -m geosr-lite-x2 --self scene.tif

    The truth is a folder of high-resolution rasters, made coarser here (--data), real pairs (--low
    and --high), or your own scene (--self): parts of it are made coarser and restored, which tells
    whether a model suits your data. docs/evaluation.md says what each score means.

    The exit status is 0 if all images were scored, 1 if one failed, 2 if it was used wrongly.
    """
    with command_session(
        progress, -1 if quiet else verbose, with_stdin=exit_with_stdin, log_path=log_path
    ) as session:
        kind = _kind(asked)
        for path in filter(None, (report, csv_path)):
            check_text_output(path, overwrite=overwrite)
        evaluation = _evaluated(session, kind, models or (DEFAULT_FAMILY,), asked)
        if csv_path:
            _write_csv(csv_path, evaluation)
        if report:
            from geosr.evaluation.report import report as page

            write_text(report, page(evaluation, command))
        _tell(session, evaluation, report, csv_path)
        if evaluation.failures:
            raise click.exceptions.Exit(1)


def _kind(asked: dict[str, Any]) -> str:
    """Return where the truth comes from, once all options are known to apply."""
    given = [name for name in ("data", "low", "scene") if asked[name]]
    if len(given) != 1 or bool(asked["low"]) != bool(asked["high"]):
        raise OptionError(
            "An evaluation needs one source of truth.",
            hint="Use --data DIR, or --low PATH and --high PATH, or --self SCENE.",
        )
    kind = {"data": "folder", "low": "pairs", "scene": "scene"}[given[0]]
    for name, needed in (
        ("degradation", ("folder", "scene")),
        ("sensor", ("folder", "scene")),
        ("match", ("pairs",)),
        ("align", ("pairs",)),
        ("crops", ("scene",)),
        ("crop_size", ("scene",)),
    ):
        if asked[name] and kind not in needed:
            option = name.replace("_", "-")
            where = {"pairs": "--low and --high", "scene": "--self", "folder": "--data"}
            raise OptionError(
                f"--{option} does not apply to {where[kind]}.",
                hint=f"It is for {' and '.join(where[one] for one in needed)}.",
            )
    return kind


def _evaluated(
    session: Session, kind: str, models: tuple[str, ...], asked: dict[str, Any]
) -> Evaluation:
    from geosr.evaluation.protocol import Protocol
    from geosr.evaluation.run import evaluate as run

    fields = ("upscale_factor", "border", "data_range", "indexes", "colours", "match", "align")
    optional = {
        name: asked[name]
        for name in ("degradation", "sensor", "crops", "crop_size")
        if asked[name] is not None
    }
    engine = {
        "threads": asked["threads"],
        "precision": asked["precision"],
        "model_range": asked["model_range"],
    }
    protocol = Protocol(
        models=models,
        **{name: asked[name] for name in (*fields, "lpips", "seed")},
        **optional,
        engine=engine,
    )
    from geosr.evaluation.methods import common_factor

    common_factor(protocol)  # a model that does not exist is said before any folder is looked at
    entries, title = _entries(session, kind, asked, protocol)
    return run(
        entries, protocol, title=title, kind=kind, on_event=session.emit, should_stop=session.stop
    )


def _entries(
    session: Session, kind: str, asked: dict[str, Any], protocol: Protocol
) -> tuple[list[Entry], str]:
    from geosr.core.events import log_event
    from geosr.evaluation.pairs import pair_entries
    from geosr.evaluation.samples import folder_entries, scene_entries

    if kind == "folder":
        folder = Path(asked["data"])
        return folder_entries(folder, protocol), folder.resolve().name
    if kind == "scene":
        scene = Path(asked["scene"])
        return scene_entries(scene, protocol), scene.name
    low, high = Path(asked["low"]), Path(asked["high"])
    entries, alone = pair_entries(low, high, protocol)
    for name in alone:
        session.emit(log_event("warning", f"{name} has no partner and is left out."))
    return entries, f"{low.name} and {high.name}"


def _write_csv(path: str, evaluation: Evaluation) -> None:
    from geosr.evaluation.tables import to_csv

    protocol = evaluation.protocol
    how = protocol.degradation if evaluation.kind != "pairs" else "real"
    table = to_csv(
        evaluation.scores, factor=evaluation.factor, degradation=how, sensor=protocol.sensor
    )
    write_text(path, table)


def _tell(
    session: Session, evaluation: Evaluation, report: str | None, csv_path: str | None
) -> None:
    from geosr.evaluation.tables import text_table
    from geosr.evaluation.words import suitability

    answers = suitability(evaluation) if evaluation.kind == "scene" else []
    session.emit(
        {
            "event": "result",
            "output": report,
            "csv": csv_path,
            "factor": evaluation.factor,
            "suitability": answers,
            "images": evaluation.summaries[0].images,
            "methods": [asdict(summary) for summary in evaluation.summaries],
            "failed": [asdict(failure) for failure in evaluation.failures],
        }
    )
    if not session.tells_people:
        return
    click.echo("\n".join(text_table(evaluation.summaries)))
    if answers:
        click.echo("\n".join(("", *answers)))
    written = [path for path in (report, csv_path) if path]
    if written:
        click.echo("\n".join(("", *written)))
