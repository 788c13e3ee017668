"""``geosr adapt``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from geosr.cli import options
from geosr.cli.progress import Progress
from geosr.cli.session import EventCommand, command_session
from geosr.cli.stopping import StopSteps
from geosr.cli.train import need_keras

if TYPE_CHECKING:
    from geosr.training.adapt import Verdict


@click.command(cls=EventCommand, short_help="Fine-tune a model on one scene.")
@click.argument("scene_path", metavar="SCENE")
@click.option(
    "-m", "--model", required=True, metavar="NAME", help="Model to start from, or its card."
)
@click.option(
    "--out", required=True, metavar="PATH", help="Card to write, .json, or a folder for it."
)
@click.option("-f", "--factor", type=int, metavar="N", help="Of the model, if it has several.")
@click.option("--steps", type=int, default=300, show_default=True, metavar="N", help="To take.")
@click.option(
    "--learning-rate", type=float, default=3e-4, show_default=True, metavar="X", help="At most."
)
@click.option(
    "--pull",
    type=float,
    default=1.0,
    show_default=True,
    metavar="X",
    help="How strongly the weights are held to the model's.",
)
@options.bidx_option("adapt to")
@options.seed_option
@click.option(
    "--memory",
    type=click.IntRange(min=16),
    default=512,
    show_default=True,
    metavar="MIB",
    help="How much of the scene is kept.",
)
@click.option("--force", is_flag=True, help="Write the adapted weights even if they do not help.")
@options.run_options
def adapt(
    scene_path: str,
    *,
    model: str,
    out: str,
    factor: int | None,
    steps: int,
    learning_rate: float,
    pull: float,
    indexes: tuple[int, ...],
    seed: int,
    memory: int,
    force: bool,
    progress: Progress | None,
    exit_with_stdin: bool,
    log_path: str | None,
    verbose: int,
    quiet: bool,
) -> None:
    """Fine-tune a model on SCENE, which is its own truth at a coarser scale.

    \b
    geosr adapt scene.tif --model geosr-lite-x2 --out mine.json
    geosr upscale scene.tif sharper.tif --model mine.json

    A quarter of the scene is held back, and tells whether it helped. If it did not, the model's
    own weights are written. Needs geosr[tensorflow].
    """
    with command_session(
        progress,
        -1 if quiet else verbose,
        with_stdin=exit_with_stdin,
        stopped=lambda: "nothing was written",
        steps=StopSteps(interrupt_s=0.0),
        log_path=log_path,
    ) as session:
        need_keras("Adapting")
        from geosr.core.catalog import find_model
        from geosr.training.adapt import AdaptOptions
        from geosr.training.adapt import adapt as fine_tune

        facts = find_model(model, factor)
        verdict = fine_tune(
            scene_path,
            facts,
            out,
            AdaptOptions(
                steps=steps,
                learning_rate=learning_rate,
                pull=pull,
                indexes=indexes,
                seed=seed,
                memory=memory << 20,
                force=force,
            ),
            on_event=session.emit,
        )
        session.emit({"event": "result", "output": str(verdict.card), "stats": _stats(verdict)})
        if session.tells_people:
            click.echo("\n".join(_lines(verdict, facts.name)))


def _stats(verdict: Verdict) -> dict[str, Any]:
    scores = {
        "bicubic": verdict.bicubic,
        "model": verdict.before,
        "adapted": verdict.after,
        "difference": asdict(verdict.difference),
    }
    return {
        "held_psnr": scores,
        "places": verdict.places,
        "helps": verdict.helps,
        "weights_kept": verdict.kept,
    }


def _lines(verdict: Verdict, model: str) -> list[str]:
    name = max(len(model), len("adapted"))
    lines = [f"PSNR at {verdict.places} places of the scene that were held back, one scale down:"]
    for what, score in (
        ("bicubic", verdict.bicubic),
        (model, verdict.before),
        ("adapted", verdict.after),
    ):
        gain = f"  {score - verdict.bicubic:+.3f} over bicubic" if what != "bicubic" else ""
        lines.append(f"  {what:{name}}  {score:7.3f} dB{gain}")
    found = verdict.difference
    low, high = (f"{end:+.3f}" if end is not None else "?" for end in (found.low, found.high))
    lines.append(f"Adapting changed it by {found.mean:+.3f} dB (95 %: {low} to {high}).")
    if verdict.helps:
        lines.append("It helps.")
    elif verdict.kept:
        lines.append(f"It does not help: {verdict.card} has the weights of {model}.")
    else:
        lines.append("It does not help; the adapted weights were written because of --force.")
    return [*lines, str(verdict.card)]
