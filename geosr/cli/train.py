"""``geosr train``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

from geosr.cli import options
from geosr.cli.progress import Progress
from geosr.cli.session import EventCommand, Session, command_session
from geosr.cli.stopping import StopSteps
from geosr.core.errors import MissingDependencyError, OptionError
from geosr.core.events import log_event


@click.command(cls=EventCommand, short_help="Train a model.")
@click.argument("recipe_path", metavar="RECIPE")
@click.option(
    "--data",
    "data_dir",
    required=True,
    metavar="DIR",
    help="Folder of the images that the recipe names.",
)
@click.option(
    "--out", "out_dir", required=True, metavar="DIR", help="Folder for checkpoint and weights."
)
@click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Go on from the checkpoint in --out, if there is one.",
)
@click.option("--steps", type=int, metavar="N", help="Steps, in place of the recipe's.")
@click.option("--seed", type=int, metavar="N", help="Seed, in place of the recipe's.")
@click.option(
    "--data-parallel",
    is_flag=True,
    help="Share each batch among all devices; with KERAS_BACKEND=jax.",
)
@options.run_options
def train(
    recipe_path: str,
    data_dir: str,
    out_dir: str,
    *,
    resume: bool,
    steps: int | None,
    seed: int | None,
    data_parallel: bool,
    progress: Progress | None,
    exit_with_stdin: bool,
    log_path: str | None,
    verbose: int,
    quiet: bool,
) -> None:
    """Train a model by RECIPE, a TOML file, and write its weights and card.

    \b
    geosr train recipes/geosr-lite.toml --data images --out runs/geosr-lite

    A recipe with the key `of` trains a head for a finished network, which tells how sure it is.
    A stopped run goes on from its last checkpoint when the same command is given again. Needs
    geosr[tensorflow].
    """
    with command_session(
        progress,
        -1 if quiet else verbose,
        with_stdin=exit_with_stdin,
        stopped=lambda: "the same command goes on from the last checkpoint",
        steps=StopSteps(interrupt_s=0.0),  # the checkpoint is replaced in one go
        log_path=log_path,
    ) as session:
        need_keras()
        from geosr.training.head_recipe import is_head_recipe

        if is_head_recipe(recipe_path):
            if data_parallel:
                raise OptionError(
                    "A head is too small to share its batches.", hint="Leave --data-parallel out."
                )
            card = _train_head(session, recipe_path, data_dir, out_dir, resume, (steps, seed))
            _show(session, card)
            return
        from geosr.training.recipe import read_recipe

        recipe = read_recipe(recipe_path, steps=steps, seed=seed)
        if data_parallel:
            from geosr.training.devices import share_batches

            devices = share_batches()
            session.emit(log_event("info", f"Each batch is shared among {devices} devices."))
        from geosr.training.fit import train as fit

        card = fit(recipe, data_dir, out_dir, resume=resume, on_event=session.emit)
        _show(session, card)


def _train_head(
    session: Session,
    recipe_path: str,
    data_dir: str,
    out_dir: str,
    resume: bool,
    changes: tuple[int | None, int | None],
) -> Path:
    from geosr.training.head_recipe import read_head_recipe
    from geosr.training.uncertainty import train_head

    asked = read_head_recipe(recipe_path, steps=changes[0], seed=changes[1])
    card = train_head(asked, data_dir, out_dir, resume=resume, on_event=session.emit)
    session.emit(log_event("info", f"Now: geosr calibrate {asked.of.name} --head {card} --write"))
    return card


def _show(session: Session, card: Path) -> None:
    session.emit({"event": "result", "output": str(card)})
    if session.tells_people:
        click.echo(str(card))


def need_keras(what: str = "Training") -> None:
    """Raise `MissingDependencyError` if Keras is not installed."""
    if importlib.util.find_spec("keras") is None:
        raise MissingDependencyError(
            f"{what} needs Keras, which is not installed.",
            hint='Install it with: pip install "geosr[tensorflow]"',
        )
