"""How far a network looks, measured by changing one pixel."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

Array = np.ndarray[Any, Any]


def probed_radius(model: keras.Model, *, expected: int, draws: int = 4, seed: int = 0) -> int:
    """Measure the receptive radius: change one pixel, see how far the output changes.

    Parameters
    ----------
    expected
        The radius counted; the probe's image is large enough to show one 3 pixels larger.
    draws
        How many sets of random weights are tried beside the model's own, at several places
        each: trained or dead units can hide a part of the reach. Two of three lean towards a
        corner of all kernels, so that what comes from afar is not lost in rounding.
    """
    rng = np.random.default_rng(seed)
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    reach = _seen(twin, expected, rng) or 0
    for draw in range(1, draws + 1):
        for gain in (6, 3):  # in the longest networks, 6 is more than float32 takes
            lean = (0, -1, 1)[draw % 3]
            twin.set_weights([_drawn(variable, rng, lean, gain) for variable in model.weights])
            seen = _seen(twin, expected, rng)
            if seen is not None:
                reach = max(reach, seen)
                break
    return reach


def _seen(model: keras.Model, expected: int, rng: np.random.Generator) -> int | None:
    """Return how far a changed pixel shows; None if the output is not finite."""
    side = 2 * (expected + 4) + 1
    before = rng.normal(0, 1, (1, side, side, model.inputs[0].shape[-1])).astype("float32")
    reach = 0
    for row, col in ((side // 2, side // 2), (side // 2 - 1, side // 2 + 1)):
        after = before.copy()
        after[0, row, col] += 50
        outputs = np.stack([ops.convert_to_numpy(model(image))[0] for image in (before, after)])
        if not np.isfinite(outputs).all():
            return None
        changed = (outputs[0] != outputs[1]).any(axis=-1)
        reach = max(reach, _farthest(changed, row, col, side))
    return reach


def _drawn(variable: Any, rng: np.random.Generator, lean: int, gain: int) -> Array:
    shape = variable.shape
    values: Array = rng.normal(0, 0.3, shape)
    if len(shape) > 1:
        values = rng.normal(0, gain / np.sqrt(np.prod(shape[:-1])), shape)
    if lean and len(shape) == 4:
        values = values * _leaning(shape[0], lean)[:, None, None, None]
        values = values * _leaning(shape[1], lean)[:, None, None]
    if variable.path.endswith("moving_variance"):
        values = 0.1 + np.abs(values)
    return values.astype("float32")


def _leaning(size: int, lean: int) -> Array:
    """Return factors for taps that grow from one end to the other, and are 1 in mean square."""
    factors: Array = np.exp(2.0 * lean * np.arange(size))
    factors /= np.sqrt(np.mean(factors**2))
    return factors


def _farthest(changed: Array, row: int, col: int, side: int) -> int:
    factor = changed.shape[0] // side
    rows, cols = (places // factor for places in np.nonzero(changed))
    return int(max(np.abs(rows - row).max(), np.abs(cols - col).max())) if rows.size else 0
