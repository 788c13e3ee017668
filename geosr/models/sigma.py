"""``sigma``: how far a network's picture may lie from the truth, for each of its pixels."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from geosr.models.contract import DETAIL_IN, DETAIL_OUT, PAD
from geosr.models.layers import Crop, HighPass, Magnitude, MirrorPad, PixelShuffle
from geosr.radiometry import BOX

WIDTHS = (24, 24, 24, 24, 24)
"""Filters of the convolutions before the tail."""


def build_sigma(*, upscale_factor: int, widths: tuple[int, ...] = WIDTHS) -> keras.Model:
    """Build a network for the standard deviation of another one's error, with random weights.

    It maps ``(batch, height, width, 1)`` to ``upscale_factor`` times the pixels, same units.
    It sees the high-pass image only, has no biases, and ends in a magnitude, so that
    ``sigma(a*x + b) = abs(a) * sigma(x)`` for ``a > 0``. The receptive radius is
    ``len(widths) + 5``; of the default it is 10, with 22,000 to 25,000 parameters.

    The last features are not negative and the tail begins with positive weights: the result
    starts above zero, and a likelihood with its logarithm keeps it there.
    """
    margin = len(widths) + 1
    inputs = keras.Input((None, None, 1), name="low_resolution")
    x = MirrorPad(margin + BOX // 2, name=PAD)(inputs)
    x = HighPass(name=DETAIL_IN)(x)
    first: Any = None
    for index, filters in enumerate(widths):
        x = layers.Conv2D(
            filters,
            3,
            padding="valid",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"conv{index}",
        )(x)
        if index == len(widths) - 1:
            x = layers.Add(name="skip")([x, Crop(index, name="skip_crop")(first)])
            x = layers.ReLU(name=f"act{index}")(x)
        else:
            x = layers.LeakyReLU(0.1, name=f"act{index}")(x)
        first = x if first is None else first
    x = layers.Conv2D(
        upscale_factor**2,
        3,
        padding="valid",
        use_bias=False,
        kernel_initializer=keras.initializers.RandomUniform(0.001, 0.003),
        name="tail",
    )(x)
    x = Magnitude(name=DETAIL_OUT)(x)
    outputs = PixelShuffle(upscale_factor, name="high_resolution")(x)
    return keras.Model(inputs, outputs, name=f"sigma_x{upscale_factor}")
