"""The training run: batches in, checkpoints, history and finished weights out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from geosr.core.errors import OptionError
from geosr.core.events import EventSink, log_event, no_events, phase_event, progress_event
from geosr.metrics import psnr
from geosr.models.contract import declared_radius, valid_part
from geosr.models.families import build, finished, start_from
from geosr.training.history import Row, read_history, write_history
from geosr.training.losses import Charbonnier
from geosr.training.patches import (
    Pair,
    Plane,
    Pool,
    draw_batch,
    load_pools,
    validation_pairs,
)
from geosr.training.publish import publish
from geosr.training.recipe import Recipe


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
    is returned.

    Raises
    ------
    InputFileError
        If images are missing or unreadable.
    OptionError
        If ``out_dir`` holds the checkpoint of another recipe.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(recipe.seed)
    on_event(phase_event("Reading the images"))
    models = _models(recipe)
    halo = declared_radius(next(iter(models.values())))
    side = (recipe.patch + 2 * halo) * max(models)
    pool, held = load_pools(recipe, data_dir, side=side)
    pairs = {factor: validation_pairs(held, recipe, factor) for factor in models}
    run = _Run(recipe, models, out_dir)
    if not (resume and run.restored()) and recipe.initial:
        for model in models.values():
            start_from(model, recipe.initial)
    planes = f"{len(pool.planes)} planes"
    on_event(phase_event(f"Training {recipe.name}: {planes}, {recipe.steps} steps"))
    losses: list[float] = []
    for step, (low, high) in _batches(pool, recipe, halo, run.step):
        begun = time.monotonic()
        losses.append(run.train_on(low, high))
        run.seconds += time.monotonic() - begun
        run.step = step + 1
        on_event(progress_event(run.step, recipe.steps))
        if run.step % recipe.validate_every == 0 or run.step == recipe.steps:
            row = run.validate(pairs, float(np.mean(losses)))
            losses.clear()
            on_event(log_event("info", f"{row.line()}{run.by_factor()}"))
            run.save()
    on_event(phase_event("Writing the weights"))
    with run.averaged():
        first = next(iter(models.values()))
        first.save(out_dir / "training_form.keras")  # what another run can start from
        plain = [finished(model, recipe.architecture) for model in models.values()]
    cards = [publish(model, recipe, run.history, out_dir) for model in plain]
    return cards[0]


def _models(recipe: Recipe) -> dict[int, keras.Model]:
    """Build the network of each factor; all share the trunk of the first."""
    models: dict[int, keras.Model] = {}
    for factor in recipe.factors:
        trunk = next(iter(models.values()), None)
        models[factor] = build(recipe.architecture, factor, expansion=recipe.expansion, trunk=trunk)
    return models


Batch = tuple[list[Plane], list[Plane]]
"""Low and high resolution, for each factor."""


def _batches(pool: Pool, recipe: Recipe, halo: int, first: int) -> Iterator[tuple[int, Batch]]:
    """Yield each step with its batch, drawn in a thread while the step before it trains."""

    def drawn(step: int) -> Batch:
        pairs = [
            draw_batch(pool, recipe, halo=halo, step=step, upscale_factor=factor)
            for factor in recipe.factors
        ]
        return [low for low, _ in pairs], [high for _, high in pairs]

    with ThreadPoolExecutor(1) as drawer:
        coming = drawer.submit(drawn, first)
        for step in range(first, recipe.steps):
            batch = coming.result()
            coming = drawer.submit(drawn, step + 1)
            yield step, batch


class _Run:
    """A run's moving parts: the models, their optimizer, the step and the history."""

    def __init__(self, recipe: Recipe, models: dict[int, keras.Model], out_dir: Path) -> None:
        self.recipe, self.models, self.out_dir = recipe, models, out_dir
        parts = [valid_part(model) for model in models.values()]
        # Together they are one model of several inputs and outputs: a step trains all factors.
        self.trained = parts[0] if len(parts) == 1 else _side_by_side(parts)
        self.scores: dict[int, float] = {}
        self.optimizer = keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(
                recipe.learning_rate / 20,
                decay_steps=max(recipe.steps - recipe.warmup, 1),
                alpha=0.01,
                warmup_target=recipe.learning_rate,
                warmup_steps=recipe.warmup,
            ),
            use_ema=True,
            ema_momentum=recipe.ema,
            global_clipnorm=recipe.clip_norm or None,
        )
        # XLA's convolutions are slower than oneDNN's on a processor; JAX knows nothing else.
        jit = keras.backend.backend() == "jax"
        losses = [Charbonnier(recipe.loss_eps) for _ in parts]
        self.trained.compile(
            optimizer=self.optimizer,
            loss=losses if len(losses) > 1 else losses[0],
            jit_compile=jit,
        )
        self.optimizer.build(self.trained.trainable_variables)
        self.step = 0
        self.seconds = 0.0
        self.history: list[Row] = []

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the running mean of the weights in their place for a while."""
        weights = self.trained.get_weights()
        self.optimizer.finalize_variable_values(self.trained.trainable_variables)
        # As copies: JAX frees a model's arrays after use, and these are the optimizer's, too.
        self.trained.set_weights(self.trained.get_weights())
        yield
        self.trained.set_weights(weights)

    def train_on(self, low: list[Plane], high: list[Plane]) -> float:
        """Take one step; return the mean loss of the factors."""
        several = len(low) > 1
        found = self.trained.train_on_batch(
            low if several else low[0], high if several else high[0]
        )
        total = np.ravel(found)[0]  # the others are its parts
        return float(total) / len(low)

    def validate(self, pairs: dict[int, list[Pair]], loss: float) -> Row:
        """Score the averaged weights; append to the history and return its new row."""
        with self.averaged():
            scores = {
                factor: [
                    psnr(
                        pair.high,
                        self._upscaled(factor, pair.low),
                        data_range=1.0,
                        border=pair.border,
                    )
                    for pair in of_factor
                ]
                for factor, of_factor in pairs.items()
            }
        plain = {factor: [p.bicubic for p in of_factor] for factor, of_factor in pairs.items()}
        rate = float(ops.convert_to_numpy(self.optimizer.learning_rate))
        score, bicubic = _mean(scores), _mean(plain)
        self.scores = {
            factor: _mean({factor: scores[factor]}) - _mean({factor: plain[factor]})
            for factor in pairs
        }
        row = Row(self.step, round(self.seconds, 1), loss, rate, score, bicubic)
        self.history.append(row)
        write_history(self.history, self.out_dir, title=self.recipe.name)
        return row

    def by_factor(self) -> str:
        """Return what was gained over bicubic for each factor, if there are several."""
        if len(self.scores) < 2:
            return ""
        return "; " + ", ".join(f"x{factor} {gain:+.3f}" for factor, gain in self.scores.items())

    def _upscaled(self, factor: int, low: Plane) -> Plane:
        output = self.models[factor].predict_on_batch(low[None, :, :, None])
        image: Plane = np.asarray(output)[0, :, :, 0]
        return image

    @property
    def _checkpoint(self) -> Path:
        return self.out_dir / "checkpoint.npz"

    def _variables(self) -> list[Any]:
        return [*self.trained.variables, *self.optimizer.variables]

    def save(self) -> None:
        """Write the checkpoint beside the old one and put it in its place."""
        values = {f"v{i}": ops.convert_to_numpy(v.value) for i, v in enumerate(self._variables())}
        facts = json.dumps({"recipe": self.recipe.to_dict(), "step": self.step, "s": self.seconds})
        partial = self._checkpoint.with_suffix(".part.npz")
        np.savez(partial, facts=facts, **values)
        partial.replace(self._checkpoint)

    def restored(self) -> bool:
        """Go on from the checkpoint, if there is one; return whether there was.

        Raises
        ------
        OptionError
            If it was made by another recipe.
        """
        if not self._checkpoint.exists():
            return False
        with np.load(self._checkpoint, allow_pickle=False) as saved:
            facts = json.loads(str(saved["facts"]))
            if facts["recipe"] != json.loads(json.dumps(self.recipe.to_dict())):
                raise OptionError(
                    f"{self._checkpoint} was made by another recipe.",
                    hint="Use --no-resume to start anew, or another --out folder.",
                )
            for i, variable in enumerate(self._variables()):
                variable.assign(saved[f"v{i}"])
        self.step, self.seconds = facts["step"], facts["s"]
        self.history = [row for row in read_history(self.out_dir) if row.step <= self.step]
        return True


def _side_by_side(parts: list[keras.Model]) -> keras.Model:
    """Return one model with the inputs and outputs of several."""
    inputs = [keras.Input((None, None, 1), name=f"low_{part.name}") for part in parts]
    outputs = [part(x) for part, x in zip(parts, inputs, strict=True)]
    return keras.Model(inputs, outputs, name="side_by_side")


def _mean(scores: dict[int, list[float]]) -> float:
    found = [score for of_factor in scores.values() for score in of_factor]
    return float(np.mean(found)) if found else float("nan")
