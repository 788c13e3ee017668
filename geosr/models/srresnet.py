"""SRResNet, the generator of SRGAN, by the geosr contract and as its paper has it."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
from keras import layers

from geosr.models.blocks import (
    CONTRACT,
    PAPER,
    Style,
    enlarge,
    fine_margin,
    small_start,
    whole_margin,
)
from geosr.models.contract import DETAIL_OUT, build_contract
from geosr.models.layers import Crop, PixelUnshuffle
from geosr.models.paper import build_paper


def build_srresnet(*, upscale_factor: int, filters: int = 64, blocks: int = 16) -> keras.Model:
    """Build SRResNet [1]_ with random weights, without biases and without batch norm.

    The receptive radius is ``2 * blocks + 12``: 44 for the published 16 blocks.

    References
    ----------
    .. [1] Ledig et al. (2017), "Photo-realistic single image super-resolution using a
       generative adversarial network", CVPR. https://arxiv.org/abs/1609.04802
    """
    s = upscale_factor

    def detail(x: Any) -> Any:
        x = _features(CONTRACT, x, filters, blocks)
        x = enlarge(CONTRACT, x, filters=filters, upscale_factor=s, activation=_prelu)
        x = CONTRACT.conv(1, 9, "last", kernel_initializer=small_start())(x)
        x = Crop(whole_margin(s, 9) * s - fine_margin(s, 9), name="whole_pixels")(x)
        return PixelUnshuffle(s, name=DETAIL_OUT)(x)

    return build_contract(
        detail,
        name=f"srresnet_x{s}",
        upscale_factor=s,
        margin=4 + 2 * blocks + 1 + whole_margin(s, 9),
    )


def build_srresnet_paper(
    *, upscale_factor: int, filters: int = 64, blocks: int = 16
) -> keras.Model:
    """Build SRResNet as published: red, green and blue from 0 to 1, with batch norm.

    Inside, the result counts from -1 to 1, as in the paper.
    """

    def picture(x: Any) -> Any:
        x = _features(PAPER, x, filters, blocks)
        x = enlarge(PAPER, x, filters=filters, upscale_factor=upscale_factor, activation=_prelu)
        x = PAPER.conv(3, 9, "last")(x)
        return layers.Rescaling(0.5, 0.5, name="from_minus_one")(x)

    return build_paper(picture, name=f"srresnet_paper_x{upscale_factor}", bands=3)


_prelu = partial(layers.PReLU, shared_axes=(1, 2))


def _features(style: Style, x: Any, filters: int, blocks: int) -> Any:
    x = style.conv(filters, 9, "first")(x)
    x = first = _prelu(name="first_act")(x)
    for index in range(blocks):
        name = f"block{index}"
        branch = _normed(style, style.conv(filters, 3, f"{name}_conv0")(x), f"{name}_norm0")
        branch = _prelu(name=f"{name}_act")(branch)
        branch = _normed(style, style.conv(filters, 3, f"{name}_conv1")(branch), f"{name}_norm1")
        x = style.beside(x, branch, 2, name)
    x = _normed(style, style.conv(filters, 3, "body_end")(x), "body_norm")
    return style.beside(first, x, 2 * blocks + 1, "body")


def _normed(style: Style, x: Any, name: str) -> Any:
    return layers.BatchNormalization(name=name)(x) if style.bias else x
