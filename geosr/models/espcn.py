"""ESPCN by the geosr contract, and as its paper has it."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from geosr.models.blocks import CONTRACT, PAPER, small_start
from geosr.models.contract import DETAIL_OUT, build_contract
from geosr.models.layers import PixelShuffle
from geosr.models.paper import build_paper

SIZES = (("features", 64, 5), ("map", 32, 3))
"""Name, filters and kernel of the convolutions before the last."""


def build_espcn(*, upscale_factor: int) -> keras.Model:
    """Build ESPCN(5-3-3) [1]_ with random weights, without biases; receptive radius 8.

    Leaky ReLUs stand in for the paper's tanh, which would tie the result to the input's units.

    References
    ----------
    .. [1] Shi et al. (2016), "Real-time single image and video super-resolution using an
       efficient sub-pixel convolutional neural network", CVPR. https://arxiv.org/abs/1609.05158
    """

    def detail(x: Any) -> Any:
        for name, filters, size in SIZES:
            x = CONTRACT.conv(filters, size, name, kernel_initializer="he_normal")(x)
            x = layers.LeakyReLU(0.1, name=f"{name}_act")(x)
        last = CONTRACT.conv(upscale_factor**2, 3, DETAIL_OUT, kernel_initializer=small_start())
        return last(x)

    return build_contract(
        detail, name=f"espcn_x{upscale_factor}", upscale_factor=upscale_factor, margin=4
    )


def build_espcn_paper(*, upscale_factor: int) -> keras.Model:
    """Build ESPCN as published: luma from 0 to 1, with biases and tanh."""

    def picture(x: Any) -> Any:
        for name, filters, size in SIZES:
            x = PAPER.conv(filters, size, name, activation="tanh")(x)
        x = PAPER.conv(upscale_factor**2, 3, "last")(x)
        return PixelShuffle(upscale_factor, name="shuffle")(x)

    return build_paper(picture, name=f"espcn_paper_x{upscale_factor}", bands=1)
