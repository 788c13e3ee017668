"""The discriminator of SRGAN: it judges a whole patch."""

from __future__ import annotations

import keras
from keras import layers


def build_vgg_discriminator(*, side: int = 96, bands: int = 1, filters: int = 64) -> keras.Model:
    """Build the discriminator of [1]_ with random weights.

    It maps ``(batch, side, side, bands)`` to logits ``(batch, 1)``. While it trains, its batch
    norm mixes the patches of a batch, as published.

    References
    ----------
    .. [1] Ledig et al. (2017), "Photo-realistic single image super-resolution using a
       generative adversarial network", CVPR. https://arxiv.org/abs/1609.04802
    """
    x = inputs = keras.Input((side, side, bands), name="picture")
    for index in range(8):
        width, stride = filters * 2 ** (index // 2), 1 + index % 2
        x = layers.Conv2D(width, 3, strides=stride, padding="same", name=f"conv{index}")(x)
        if index:
            x = layers.BatchNormalization(name=f"norm{index}")(x)
        x = layers.LeakyReLU(0.2, name=f"act{index}")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(16 * filters, name="dense")(x)
    x = layers.LeakyReLU(0.2, name="dense_act")(x)
    logits = layers.Dense(1, name="logits")(x)
    return keras.Model(inputs, logits, name="vgg_discriminator")
