"""``geosr calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from geosr.cli import options
from geosr.cli.progress import Progress
from geosr.cli.session import EventCommand, command_session
from geosr.core.errors import OptionError

if TYPE_CHECKING:
    from geosr.core.facts import ModelFacts
    from geosr.evaluation.calibrate import Calibration, Scenes
    from geosr.evaluation.protocol import Protocol


@click.command(cls=EventCommand, short_help="Calibrate how sure a model says it is.")
@click.argument("model", metavar="MODEL")
@click.option("-f", "--factor", type=int, metavar="N", help="Of the model, if it has several.")
@click.option(
    "--head",
    metavar="CARD",
    help="Card of the head that tells how sure the model is.  [default: the model's]",
)
@click.option(
    "--data", "data_dir", required=True, metavar="DIR", help="Folder of sharp images: the truth."
)
@click.option(
    "--recipe",
    metavar="PATH",
    help="Take only the images that the head's recipe holds back for validation.",
)
@click.option(
    "--degradation",
    default="area",
    show_default=True,
    metavar="NAME",
    help="How the low resolution is made: area, mtf, bicubic or real.",
)
@click.option(
    "--guarantee",
    is_flag=True,
    help="Widen the intervals for the number of scenes, so that a new scene like them is covered "
    "on average at least as stated; takes 20 scenes for 0.95.",
)
@click.option("--out", metavar="CARD", help="Card to write, .json, beside the head's weights.")
@click.option(
    "--write",
    is_flag=True,
    help="Write into the head's own card; what it knows of other degradations stays.",
)
@options.run_options
def calibrate(
    model: str,
    *,
    factor: int | None,
    head: str | None,
    data_dir: str,
    recipe: str | None,
    degradation: str,
    guarantee: bool,
    out: str | None,
    write: bool,
    progress: Progress | None,
    exit_with_stdin: bool,
    log_path: str | None,
    verbose: int,
    quiet: bool,
) -> None:
    """Learn from sharp images how many sigmas hold the truth of MODEL's pictures.

    \b
    geosr calibrate geosr-lite-x2 --data chips --out mine/sigma.json
    geosr upscale scene.tif sharper.tif --uncertainty sigma.tif --uncertainty-model mine/sigma.json

    Each image is degraded, upscaled with its uncertainty, and compared with itself. It counts as
    a scene: all scenes count alike. The intervals hold the stated share of the pixels as a mean
    over scenes; what is printed as measured is each scene's share by the multipliers of all the
    others. Without --out and --write nothing is written.
    """
    with command_session(
        progress,
        -1 if quiet else verbose,
        with_stdin=exit_with_stdin,
        log_path=log_path,
    ) as session:
        if out is not None and write:
            raise OptionError("Both --out and --write were given.", hint="Give one.")
        if out is not None and not out.endswith(".json"):
            raise OptionError(f"The card {out} does not end with .json.", hint="Name it so.")
        from geosr.core.catalog import find_model
        from geosr.core.heads import find_head
        from geosr.evaluation.calibrate import calibrate as learn
        from geosr.evaluation.calibrate import write_calibrated
        from geosr.evaluation.protocol import Protocol

        facts = find_model(model, factor)
        found_head = find_head(facts, head)
        protocol = Protocol((facts.name,), degradation=degradation)
        found = learn(
            facts,
            head,
            _scenes(data_dir, recipe, protocol),
            degradation=degradation,
            finite_sample=guarantee,
            on_event=session.emit,
            should_stop=session.stop,
        )
        card = None if out is None else Path(out)
        if write:
            card = _own_card(found_head, head)
        if card is not None:
            write_calibrated(found_head, found, card, own=write)
        stats = {"multipliers": found.multipliers, **found.to_dict()}
        session.emit({"event": "result", "output": str(card or ""), "stats": stats})
        if session.tells_people:
            click.echo("\n".join(_lines(found, found_head, card)))


def _scenes(data_dir: str, recipe: str | None, protocol: Protocol) -> Scenes:
    if recipe is None:
        from geosr.evaluation.samples import folder_entries

        return {entry.name: [entry] for entry in folder_entries(Path(data_dir), protocol)}
    from geosr.evaluation.coverage import validation_entries
    from geosr.training.head_recipe import read_sources

    return validation_entries(read_sources(recipe), Path(data_dir), protocol)


def _own_card(head: ModelFacts, given: str | None) -> Path:
    from geosr.core.catalog import WEIGHTS_DIR

    return Path(given) if given else Path(head.folder or WEIGHTS_DIR) / f"{head.name}.json"


def _lines(found: Calibration, head: ModelFacts, card: Path | None) -> list[str]:
    lines = [f"{head.name} on {len(found.scenes)} scenes:", "nominal  sigmas  measured (lowest)"]
    for level, value in found.multipliers.items():
        shares = found.coverages[level]
        mean = sum(shares) / len(shares)
        lines.append(f"{level:7}  {value:6.3f}  {mean:.3f} ({min(shares):.3f})")
    return [*lines, str(card) if card else "Nothing was written; use --out or --write."]
