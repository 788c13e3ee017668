"""The optimizer that a recipe asks for, and what its convolutions compute in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from geosr.core.errors import OptionError
from geosr.models.contract import trained_part
from geosr.training.recipe import Recipe


@keras.saving.register_keras_serializable("geosr")
class Halvings(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises evenly for ``warmup`` steps and is halved at each of ``places``."""

    def __init__(self, rate: float, warmup: int, places: tuple[int, ...]) -> None:
        self.rate, self.warmup, self.places = rate, warmup, tuple(places)

    def __call__(self, step: Any) -> Any:
        """Return the rate at a step."""
        step = ops.cast(step, "float32")
        risen = ops.minimum((step + 1) / max(self.warmup, 1), 1.0)
        passed = ops.sum(ops.cast(step >= ops.convert_to_tensor(self.places, "float32"), "float32"))
        return self.rate * risen * ops.power(0.5, passed)

    def get_config(self) -> dict[str, Any]:
        """Return what the schedule is made from."""
        return {"rate": self.rate, "warmup": self.warmup, "places": self.places}


def make_optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
    """Return Adam with the recipe's schedule, its mean of the weights and its clipping."""
    return keras.optimizers.Adam(
        _schedule(recipe),
        use_ema=True,
        ema_momentum=recipe.ema,
        global_clipnorm=recipe.clip_norm or None,
    )


def _schedule(recipe: Recipe) -> keras.optimizers.schedules.LearningRateSchedule:
    if recipe.schedule == "step":
        places = tuple(int(recipe.steps * share) for share in (0.5, 0.75, 0.9, 0.95))
        return Halvings(recipe.learning_rate, recipe.warmup, places)
    return keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 20,
        decay_steps=max(recipe.steps - recipe.warmup, 1),
        alpha=0.01,
        warmup_target=recipe.learning_rate,
        warmup_steps=recipe.warmup,
    )


def compute_in(model: keras.Model, precision: str) -> None:
    """Let the trained part of a network of the contract compute in a precision.

    The high-pass, the interpolated base, the sum and what follows stay float32, and so do the
    weights: bfloat16 errs as a part of the detail, never of the level.

    Raises
    ------
    OptionError
        If the network is none of the contract.
    """
    try:
        layers = trained_part(model).layers
    except ValueError as error:
        raise OptionError(
            f"{model.name} is trained in float32 only.",
            hint="Leave `precision` out: mixed precision is for networks of geosr's contract.",
        ) from error
    for layer in layers:
        if not isinstance(layer, keras.layers.InputLayer):
            layer.dtype_policy = precision


@contextmanager
def computing_in_float32(models: list[keras.Model], precision: str) -> Iterator[None]:
    """Let networks that compute in ``precision`` do so in float32 for a while, as finished ones do.

    No weight is copied. What a framework compiled before, the training step included, keeps the
    precision that it was compiled in; what it compiles meanwhile is float32 for good.
    """
    if precision == "float32":
        yield
        return
    for model in models:
        compute_in(model, "float32")
    try:
        yield
    finally:
        for model in models:
            compute_in(model, precision)
