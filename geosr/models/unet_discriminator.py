"""The U-Net discriminator of Real-ESRGAN: it judges each pixel."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from geosr.models.spectral import SpectralConv


def build_unet_discriminator(*, bands: int = 1, filters: int = 64) -> keras.Model:
    """Build the discriminator of [1]_ with random weights.

    It maps ``(batch, height, width, bands)``, both sides multiples of 8, to logits of the same
    sides: how real each pixel looks. Nothing in it depends on the rest of the batch. Unlike there,
    each picture is first brought to mean 0 and deviation 1.

    References
    ----------
    .. [1] Wang et al. (2021), "Real-ESRGAN: Training real-world blind super-resolution with pure
       synthetic data", ICCV Workshops. https://arxiv.org/abs/2107.10833
    """
    inputs = keras.Input((None, None, bands), name="picture")
    # Spectral norm bounds how far apart logits can be by how far apart pictures are.
    x = layers.GroupNormalization(
        groups=1, epsilon=1e-3, center=False, scale=False, name="contrast"
    )(inputs)
    x = layers.Conv2D(filters, 3, padding="same", name="first")(x)
    x = layers.LeakyReLU(0.2, name="first_act")(x)
    seen = [x]
    for level in (1, 2, 3):
        x = _conv(x, filters * 2**level, f"down{level}", size=4, stride=2)
        seen.append(x)
    for level in (2, 1, 0):
        x = layers.UpSampling2D(2, interpolation="bilinear", name=f"finer{level}")(x)
        x = _conv(x, filters * 2**level, f"up{level}")
        x = layers.Add(name=f"skip{level}")([x, seen[level]])
    for index in range(2):
        x = _conv(x, filters, f"end{index}")
    logits = layers.Conv2D(1, 3, padding="same", name="logits")(x)
    return keras.Model(inputs, logits, name="unet_discriminator")


def _conv(x: Any, filters: int, name: str, size: int = 3, stride: int = 1) -> Any:
    x = SpectralConv(filters, size, stride, name=name)(x)
    return layers.LeakyReLU(0.2, name=f"{name}_act")(x)
