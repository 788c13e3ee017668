"""RRDBNet, the generator of ESRGAN, by the geosr contract and as its paper has it."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from geosr.models.blocks import CONTRACT, PAPER, Style, small_start, steps_of
from geosr.models.contract import DETAIL_OUT, build_contract
from geosr.models.layers import Crop, PixelUnshuffle
from geosr.models.paper import build_paper

REACH = 15
"""Pixels that a block reaches: three dense ones of five convolutions."""


def build_rrdb(
    *, upscale_factor: int, filters: int = 64, growth: int = 32, blocks: int = 23
) -> keras.Model:
    """Build RRDBNet [1]_ with random weights, without biases.

    Features are enlarged by repeating pixels, and convolutions after that. The receptive radius
    is ``15 * blocks + 8``, at x3 one less: 353 for the published 23 blocks, so tiles are large.

    References
    ----------
    .. [1] Wang et al. (2018), "ESRGAN: Enhanced super-resolution generative adversarial
       networks", ECCV Workshops. https://arxiv.org/abs/1809.00219
    """
    s = upscale_factor
    lost = 0
    for step in steps_of(s):
        lost = lost * step + 1
    lost += 2  # the two last convolutions
    margin = -(-lost // s)

    def detail(x: Any) -> Any:
        x = _enlarged(CONTRACT, _features(CONTRACT, x, filters, growth, blocks), filters, s)
        x = CONTRACT.conv(1, 3, "last", kernel_initializer=small_start())(x)
        x = Crop(margin * s - lost, name="whole_pixels")(x)
        return PixelUnshuffle(s, name=DETAIL_OUT)(x)

    return build_contract(
        detail,
        name=f"rrdb_x{s}",
        upscale_factor=s,
        margin=REACH * blocks + 2 + margin,
    )


def build_rrdb_paper(
    *, upscale_factor: int, filters: int = 64, growth: int = 32, blocks: int = 23
) -> keras.Model:
    """Build RRDBNet as published: red, green and blue from 0 to 1, with biases."""

    def picture(x: Any) -> Any:
        x = _features(PAPER, x, filters, growth, blocks)
        return PAPER.conv(3, 3, "last")(_enlarged(PAPER, x, filters, upscale_factor))

    return build_paper(picture, name=f"rrdb_paper_x{upscale_factor}", bands=3)


def _features(style: Style, x: Any, filters: int, growth: int, blocks: int) -> Any:
    x = first = style.conv(filters, 3, "first")(x)
    for index in range(blocks):
        branch = x
        for part in range(3):
            branch = _dense_block(style, branch, filters, growth, f"block{index}_dense{part}")
        x = _added_in_part(style, x, branch, REACH, f"block{index}")
    x = style.conv(filters, 3, "body_end")(x)
    return style.beside(first, x, REACH * blocks + 1, "body")


def _dense_block(style: Style, x: Any, filters: int, growth: int, name: str) -> Any:
    seen = x
    for index in range(4):
        found = style.conv(growth, 3, f"{name}_conv{index}")(seen)
        found = layers.LeakyReLU(0.2, name=f"{name}_act{index}")(found)
        if style.padding == "valid":
            seen = Crop(1, name=f"{name}_crop{index}")(seen)
        seen = layers.Concatenate(name=f"{name}_seen{index}")([seen, found])
    branch = style.conv(filters, 3, f"{name}_conv4")(seen)
    return _added_in_part(style, x, branch, 5, name)


def _added_in_part(style: Style, x: Any, branch: Any, margin: int, name: str) -> Any:
    branch = layers.Rescaling(0.2, name=f"{name}_scale")(branch)
    return style.beside(x, branch, margin, name)


def _enlarged(style: Style, x: Any, filters: int, upscale_factor: int) -> Any:
    for index, step in enumerate(steps_of(upscale_factor)):
        x = layers.UpSampling2D(step, interpolation="nearest", name=f"up{index}_repeat")(x)
        x = style.conv(filters, 3, f"up{index}")(x)
        x = layers.LeakyReLU(0.2, name=f"up{index}_act")(x)
    x = style.conv(filters, 3, "fine")(x)
    return layers.LeakyReLU(0.2, name="fine_act")(x)
