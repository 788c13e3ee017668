"""Scores of a network on the places of a scene that it did not learn from."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise, product
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from geosr.core.facts import KERNEL_RADIUS, ModelFacts
from geosr.degrade import Degrader
from geosr.kernels import interleave, upsample
from geosr.metrics import psnr
from geosr.training.scene import Bands, Scene, held_patch


def scores(
    model: keras.Model, scene: Scene, side: int, degrade: Degrader
) -> tuple[list[float], list[float]]:
    """Return the PSNR of bicubic and of the model in dB, over all bands, for each held place.

    The range is that of each band, or of the widest of those that are seen together.

    With fewer than five places, for each quarter of each: an interval needs some values.
    ``side`` is what of a place is looked at, in pixels of the scene.
    """
    s = model.get_layer("high_resolution").upscale_factor
    plain: list[float] = []
    ours: list[float] = []
    for index, cell in enumerate(scene.held):
        high, valid = held_patch(cell, side)
        low = degrade(high, s, np.random.default_rng(index)).astype(np.float32)
        output = _predicted(model, low, together=scene.together)
        parts = 1 if len(scene.held) >= 5 else 2
        for found, image in ((plain, _bicubic(low, s)), (ours, output)):
            found += _parts(high, image, valid, border=2 * s, parts=parts)
    return plain, ours


def _predicted(model: keras.Model, low: Bands, *, together: bool) -> Bands:
    """Run the model on ``(bands, h, w)``: as one image of several bands, or as several of one."""
    images = np.moveaxis(low, 0, -1)[None] if together else low[..., None]
    found = np.asarray(model.predict_on_batch(images))
    return np.moveaxis(found[0], -1, 0) if together else found[..., 0]


def _parts(
    truth: Bands, image: Bands, valid: NDArray[np.bool_], *, border: int, parts: int
) -> list[float]:
    cuts = np.linspace(border, truth.shape[1] - border, parts + 1).astype(int)
    sides = [slice(a, b) for a, b in pairwise(cuts)]
    return [
        psnr(truth[:, *place][:, valid[place]], image[:, *place][:, valid[place]], data_range=1.0)
        for place in product(sides, repeat=2)
    ]


def _bicubic(low: Bands, upscale_factor: int) -> Bands:
    reach = KERNEL_RADIUS["bicubic"]
    padded = np.pad(low, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    image: Bands = interleave(upsample(padded, "bicubic", upscale_factor)).astype(np.float32)
    return image


def degrader_of(facts: ModelFacts) -> Degrader:
    """Return the degradation that the model undoes, as its card tells."""
    recipe: Mapping[str, Any] = facts.training.get("recipe", {})
    return Degrader.of(recipe.get("degradation", "area"), recipe.get("degrade", {}))
