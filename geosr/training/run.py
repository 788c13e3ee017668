"""A training run: the networks, their optimizer, the step and the history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from geosr.core.errors import OptionError, TrainingError
from geosr.metrics import psnr
from geosr.models.contract import valid_part
from geosr.training.checkpoint import load_checkpoint, replacing, save_checkpoint
from geosr.training.history import Row, read_history, write_history
from geosr.training.optimizers import compute_in, computing_in_float32, make_optimizer
from geosr.training.patches import Pair
from geosr.training.planes import Plane
from geosr.training.recipe import Recipe
from geosr.training.steps import PixelStep
from geosr.training.terms import Terms

Outputs = dict[int, list[Plane]]
"""What the networks make of the validation pairs, by factor."""

_WITHOUT = ("adversarial",)


class Run:
    """The moving parts of a run that makes the differences from the truth small."""

    def __init__(self, recipe: Recipe, models: dict[int, keras.Model], out_dir: Path) -> None:
        self.recipe, self.models, self.out_dir = recipe, models, out_dir
        if recipe.precision != "float32":
            for model in models.values():
                compute_in(model, recipe.precision)
        parts = [valid_part(model) for model in models.values()]
        # Together they are one model of several inputs and outputs: a step trains all factors.
        self.trained = parts[0] if len(parts) == 1 else _side_by_side(parts)
        self.optimizer = make_optimizer(recipe)
        self.pixel_step = PixelStep(self.trained, self.pixel_terms())
        compile_step(self.pixel_step, self.optimizer)
        self.optimizer.build(self.trained.trainable_variables)
        self.scores: dict[int, float] = {}
        self.step = 0
        self.seconds = 0.0
        self.history: list[Row] = []

    def pixel_terms(self) -> Terms:
        """Return the losses that need no discriminator."""
        return {name: term for name, term in self.recipe.terms.items() if name not in _WITHOUT}

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the running mean of the weights in their place for a while."""
        weights = self.trained.get_weights()
        self.optimizer.finalize_variable_values(self.trained.trainable_variables)
        # As copies: JAX frees a model's arrays after use, and these are the optimizer's, too.
        self.trained.set_weights(self.trained.get_weights())
        yield
        self.trained.set_weights(weights)

    def train_on(self, low: list[Plane], high: list[Plane]) -> dict[str, float]:
        """Take one step; return its losses by name, ``loss`` among them, as means of the factors.

        Raises
        ------
        TrainingError
            If the loss is no number any more; the batch is kept in ``diverged.npz``.
        """
        found = self._learned(low, high)
        found["loss"] /= len(low)
        if not np.isfinite(list(found.values())).all():
            raise self._diverged(low, high)
        return found

    def _learned(self, low: list[Plane], high: list[Plane]) -> dict[str, float]:
        return take_step(self.pixel_step, low, high)

    def _diverged(self, low: list[Plane], high: list[Plane]) -> TrainingError:
        factors = self.recipe.factors
        batch: dict[str, Any] = {f"low_x{n}": x for n, x in zip(factors, low, strict=True)}
        batch |= {f"high_x{n}": x for n, x in zip(factors, high, strict=True)}
        path = self.out_dir / "diverged.npz"
        with replacing(path) as partial:
            np.savez(partial, step=self.step, **batch)
        return TrainingError(
            f"The loss is no number at step {self.step + 1}; its batch is in {path}.",
            hint="The checkpoint before it is kept. Lower learning_rate, or set clip_norm = 1.0; "
            "if the batch holds NaN, mend its image.",
        )

    def validate(self, pairs: dict[int, list[Pair]], terms: dict[str, float]) -> Row:
        """Score the averaged weights in float32; append to the history and return its new row.

        ``terms`` are the mean losses since the last row.
        """
        models = list(self.models.values())
        with self.averaged(), computing_in_float32(models, self.recipe.precision):
            outputs = {
                factor: [self._upscaled(factor, pair.low) for pair in of_factor]
                for factor, of_factor in pairs.items()
            }
        self.seen(pairs, outputs)
        scores = {
            factor: [
                psnr(pair.high, image, data_range=1.0, border=pair.border)
                for pair, image in zip(pairs[factor], images, strict=True)
            ]
            for factor, images in outputs.items()
        }
        plain = {factor: [p.bicubic for p in of_factor] for factor, of_factor in pairs.items()}
        self.scores = {
            factor: _mean({factor: scores[factor]}) - _mean({factor: plain[factor]})
            for factor in pairs
        }
        row = Row(
            self.step,
            round(self.seconds, 1),
            terms["loss"],
            float(ops.convert_to_numpy(self.optimizer.learning_rate)),
            _mean(scores),
            _mean(plain),
            {name: value for name, value in terms.items() if name != "loss"},
        )
        self.history.append(row)
        write_history(self.history, self.out_dir, title=self.recipe.name)
        return row

    def seen(self, pairs: dict[int, list[Pair]], outputs: Outputs) -> None:
        """Look at what validation made; a run against a discriminator keeps samples of it."""

    def warnings(self, row: Row) -> list[str]:
        """Return what is worth a warning after a row."""
        if np.isnan(row.psnr) and len(self.history) == 1:
            return ["No source names validation images, so the history has no scores."]
        return []

    def by_factor(self) -> str:
        """Return what was gained over bicubic for each factor, if there are several."""
        if len(self.scores) < 2:
            return ""
        return "; " + ", ".join(f"x{factor} {gain:+.3f}" for factor, gain in self.scores.items())

    def _upscaled(self, factor: int, low: Plane) -> Plane:
        bands_last = np.moveaxis(low.reshape(-1, *low.shape[-2:]), 0, -1)
        output = np.asarray(self.models[factor].predict_on_batch(bands_last[None]))[0]
        image: Plane = np.moveaxis(output, -1, 0).reshape(*low.shape[:-2], *output.shape[:2])
        return image

    def variables(self) -> list[Any]:
        """Return what a checkpoint holds, in its order."""
        return [*self.trained.variables, *self.optimizer.variables]

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint holds besides variables."""
        return {"recipe": self.recipe.to_dict(), "step": self.step, "s": self.seconds}

    def take_facts(self, facts: dict[str, Any]) -> None:
        """Go on from what `facts` returned."""
        self.step, self.seconds = facts["step"], facts["s"]

    @property
    def _checkpoint(self) -> Path:
        return self.out_dir / "checkpoint.npz"

    def save(self) -> None:
        """Write the checkpoint."""
        save_checkpoint(self._checkpoint, self.variables(), self.facts())

    def restored(self) -> bool:
        """Go on from the checkpoint, if there is one; return whether there was.

        Keys that the recipe did not have when the checkpoint was made count as their defaults.

        Raises
        ------
        InputFileError
            If it is damaged.
        OptionError
            If it was made by another recipe.
        """
        if not self._checkpoint.exists():
            return False
        facts, values = load_checkpoint(self._checkpoint)
        variables = self.variables()
        if not _same(facts["recipe"], self.recipe) or len(values) != len(variables):
            raise OptionError(
                f"{self._checkpoint} was made by another recipe.",
                hint="Use --no-resume to start anew, or another --out folder.",
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self.take_facts(facts)
        self.history = [row for row in read_history(self.out_dir) if row.step <= self.step]
        return True


def compile_step(step: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Make a step ready to be taken."""
    # XLA's convolutions are slower than oneDNN's on a processor; JAX knows nothing else.
    step.compile(optimizer=optimizer, jit_compile=keras.backend.backend() == "jax")


def take_step(step: keras.Model, low: list[Plane], high: list[Plane]) -> dict[str, float]:
    """Take one step on a batch; return its losses by name."""
    step.reset_metrics()  # or Keras returns the mean since the first step
    several = len(low) > 1
    found = step.train_on_batch(
        low if several else low[0], high if several else high[0], return_dict=True
    )
    return {name: float(value) for name, value in found.items()}


def _same(saved: dict[str, Any], recipe: Recipe) -> bool:
    try:
        then = Recipe.from_dict(saved)
    except OptionError:  # of a later version, with keys that this one does not know
        return False
    return json.dumps(then.to_dict()) == json.dumps(recipe.to_dict())


def _side_by_side(parts: list[keras.Model]) -> keras.Model:
    """Return one model with the inputs and outputs of several."""
    bands = parts[0].inputs[0].shape[-1]
    inputs = [keras.Input((None, None, bands), name=f"low_{part.name}") for part in parts]
    outputs = [part(x) for part, x in zip(parts, inputs, strict=True)]
    return keras.Model(inputs, outputs, name="side_by_side")


def _mean(scores: dict[int, list[float]]) -> float:
    found = [score for of_factor in scores.values() for score in of_factor]
    return float(np.mean(found)) if found else float("nan")
