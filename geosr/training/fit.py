"""From a recipe to finished weights: batches in, checkpoints, history and a card out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np

from geosr.core.events import EventSink, log_event, no_events, phase_event, progress_event
from geosr.models.contract import declared_radius
from geosr.models.families import build, finished, hold_still, start_from
from geosr.training.checkpoint import replacing
from geosr.training.gan import GanRun
from geosr.training.optimizers import compute_in
from geosr.training.patches import Pair, Pool, draw_batch, load_pools, validation_pairs
from geosr.training.planes import Plane
from geosr.training.publish import publish
from geosr.training.recipe import Recipe
from geosr.training.run import Run


def train(
    recipe: Recipe,
    data_dir: str | Path,
    out_dir: str | Path,
    *,
    resume: bool = True,
    on_event: EventSink = no_events,
) -> Path:
    """Train a network by a recipe and return the path of its model card.

    ``out_dir`` gets ``checkpoint.npz`` (a stopped run goes on from it with the same batches),
    ``history.csv``, ``history.png`` and, at the end, the weights as .keras and .onnx with
    their card. A recipe of several factors leaves one set of them each; the card of the first
    is returned. ``training_form.keras``, of several ``training_form-x3.keras`` and so on too, is
    what another recipe can start from.

    Raises
    ------
    InputFileError
        If images are missing or unreadable.
    OptionError
        If ``out_dir`` holds the checkpoint of another recipe.
    OutputError
        If something cannot be written; the last checkpoint is kept.
    TrainingError
        If the loss is no number any more, or a network collapsed against its discriminator.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(recipe.seed)
    on_event(phase_event("Reading the images"))
    models = _models(recipe)
    halo = declared_radius(next(iter(models.values())))
    sides = {factor: (recipe.patch_of(factor) + 2 * halo) * factor for factor in models}
    pool, held = load_pools(recipe, data_dir, side=min(sides.values()))
    pools = {factor: pool.of_side(side) for factor, side in sides.items()}
    for factor, of_factor in pools.items():
        for warning in _left_out(pool, of_factor, factor, sides[factor], halo):
            on_event(log_event("warning", warning))
    pairs = {factor: validation_pairs(held, recipe, factor) for factor in models}
    run = (GanRun if "adversarial" in recipe.terms else Run)(recipe, models, out_dir)
    if not (resume and run.restored()) and recipe.initial:
        for factor, model in models.items():
            start_from(model, recipe.initial.replace("{factor}", str(factor)))
    planes = f"{len(pool.planes)} planes"
    on_event(phase_event(f"Training {recipe.name}: {planes}, {recipe.steps} steps"))
    _take_steps(run, _batches(pools, recipe, halo, run.step), pairs, on_event)
    on_event(phase_event("Writing the weights"))
    return _written(run)


def _take_steps(
    run: Run,
    batches: Iterator[tuple[int, Batch]],
    pairs: dict[int, list[Pair]],
    on_event: EventSink,
) -> None:
    recipe = run.recipe
    losses: list[dict[str, float]] = []
    for step, (low, high) in batches:
        begun = time.monotonic()
        losses.append(run.train_on(low, high))
        run.seconds += time.monotonic() - begun
        run.step = step + 1
        on_event(progress_event(run.step, recipe.steps))
        if run.step % recipe.validate_every == 0 or run.step == recipe.steps:
            row = run.validate(pairs, _means(losses))
            losses.clear()
            on_event(log_event("info", f"{row.line()}{run.by_factor()}"))
            for warning in run.warnings(row):
                on_event(log_event("warning", warning))
            run.save()


def _written(run: Run) -> Path:
    """Write the averaged weights in all forms; return the card of the first factor."""
    recipe, out_dir = run.recipe, run.out_dir
    for model in run.models.values():
        if recipe.precision != "float32":
            compute_in(model, "float32")  # files are float32, layer by layer
    with run.averaged():
        names = [f"training_form-x{factor}" for factor in run.models]
        forms = dict(zip(names, run.models.values(), strict=True)) if len(names) > 1 else {}
        for name, model in {"training_form": next(iter(run.models.values())), **forms}.items():
            with replacing(out_dir / f"{name}.keras") as partial:
                model.save(partial)
        plain = [finished(model, recipe.architecture) for model in run.models.values()]
    cards = [publish(model, recipe, run.history, out_dir) for model in plain]
    return cards[0]


def _means(losses: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each loss over the steps that had it."""
    names = dict.fromkeys(name for found in losses for name in found)
    return {
        name: float(np.mean([found[name] for found in losses if name in found])) for name in names
    }


def _models(recipe: Recipe) -> dict[int, keras.Model]:
    """Build the network of each factor; all share the trunk of the first."""
    models: dict[int, keras.Model] = {}
    for factor in recipe.factors:
        trunk = next(iter(models.values()), None)
        models[factor] = build(
            recipe.architecture,
            factor,
            expansion=recipe.expansion,
            trunk=trunk,
            bands=recipe.together,
        )
        hold_still(models[factor], recipe.frozen)
    return models


def _left_out(pool: Pool, kept: Pool, factor: int, side: int, halo: int) -> Iterator[str]:
    """Say how many images are too small for the patches of a factor, and which patch takes all."""
    missing = len(pool.planes) - len(kept.planes)
    if missing:
        smallest = min(min(plane.shape[-2:]) for plane in pool.planes)
        patch = smallest // factor - 2 * halo
        remedy = f" With a patch of {patch} all would be used." if patch > 0 else ""
        yield (
            f"x{factor} is trained without {missing} of {len(pool.planes)} planes: they are "
            f"narrower than the {side} pixels that a patch and its surroundings take.{remedy}"
        )


Batch = tuple[list[Plane], list[Plane]]
"""Low and high resolution, for each factor."""


def _batches(
    pools: dict[int, Pool], recipe: Recipe, halo: int, first: int
) -> Iterator[tuple[int, Batch]]:
    """Yield each step with its batch, drawn in a thread while the step before it trains."""

    def drawn(step: int) -> Batch:
        pairs = [
            draw_batch(pools[factor], recipe, halo=halo, step=step, upscale_factor=factor)
            for factor in recipe.factors
        ]
        return [low for low, _ in pairs], [high for _, high in pairs]

    with ThreadPoolExecutor(1) as drawer:
        coming = drawer.submit(drawn, first)
        for step in range(first, recipe.steps):
            batch = coming.result()
            coming = drawer.submit(drawn, step + 1)
            yield step, batch
