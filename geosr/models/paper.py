"""The frame of published networks: a declared value range, zeros around, biases.

They are for research, and for comparing with papers. What they give depends on the units of
their input, which must lie in the range that `geosr.models.families` declares for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

DIV2K_MEAN = (0.4488 * 255, 0.4371 * 255, 0.4040 * 255)
"""Mean red, green and blue of DIV2K's training images, which some networks take away."""


def build_paper(
    picture: Callable[[Any], Any], *, name: str, bands: int, mean: tuple[float, ...] = ()
) -> keras.Model:
    """Build ``(batch, height, width, bands)`` to the finer picture that ``picture`` makes.

    ``mean`` is taken from the bands first and given back at the end.
    """
    inputs = keras.Input((None, None, bands), name="low_resolution")
    x = inputs
    if mean:
        x = layers.Rescaling(1.0, [-value for value in mean], name="without_mean")(x)
    x = picture(x)
    if mean:
        x = layers.Rescaling(1.0, list(mean), name="with_mean")(x)
    return keras.Model(inputs, x, name=name)
