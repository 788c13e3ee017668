"""EDSR by the geosr contract, and as its paper has it."""

from __future__ import annotations

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
from geosr.models.paper import DIV2K_MEAN, build_paper


def build_edsr(
    *, upscale_factor: int, filters: int = 64, blocks: int = 16, residual_scale: float = 1.0
) -> keras.Model:
    """Build EDSR [1]_ with random weights, without biases; 16 blocks of 64 are its baseline.

    Features are enlarged by convolutions and pixel shuffles, and a last convolution runs on the
    fine grid, as published. The receptive radius is ``2 * blocks + 8``: 40 for the baseline.
    32 blocks of 256 with a ``residual_scale`` of 0.1 are the paper's large one.

    References
    ----------
    .. [1] Lim et al. (2017), "Enhanced deep residual networks for single image
       super-resolution", CVPR Workshops. https://arxiv.org/abs/1707.02921
    """
    s = upscale_factor

    def detail(x: Any) -> Any:
        x = _features(CONTRACT, x, filters, blocks, residual_scale)
        x = enlarge(CONTRACT, x, filters=filters, upscale_factor=s)
        x = CONTRACT.conv(1, 3, "last", kernel_initializer=small_start())(x)
        x = Crop(whole_margin(s, 3) * s - fine_margin(s, 3), name="whole_pixels")(x)
        return PixelUnshuffle(s, name=DETAIL_OUT)(x)

    return build_contract(
        detail,
        name=f"edsr_x{s}",
        upscale_factor=s,
        margin=2 * blocks + 2 + whole_margin(s, 3),
    )


def build_edsr_paper(
    *, upscale_factor: int, filters: int = 64, blocks: int = 16, residual_scale: float = 1.0
) -> keras.Model:
    """Build EDSR as published: red, green and blue from 0 to 255, with biases."""

    def picture(x: Any) -> Any:
        x = _features(PAPER, x, filters, blocks, residual_scale)
        x = enlarge(PAPER, x, filters=filters, upscale_factor=upscale_factor)
        return PAPER.conv(3, 3, "last")(x)

    name = f"edsr_{blocks}x{filters}_paper_x{upscale_factor}"
    return build_paper(picture, name=name, bands=3, mean=DIV2K_MEAN)


def _features(style: Style, x: Any, filters: int, blocks: int, residual_scale: float) -> Any:
    x = first = style.conv(filters, 3, "first")(x)
    for index in range(blocks):
        x = _residual_block(style, x, filters, residual_scale, f"block{index}")
    x = style.conv(filters, 3, "body_end")(x)
    return style.beside(first, x, 2 * blocks + 1, "body")


def _residual_block(style: Style, x: Any, filters: int, residual_scale: float, name: str) -> Any:
    branch = style.conv(filters, 3, f"{name}_conv0")(x)
    branch = layers.ReLU(name=f"{name}_act")(branch)
    branch = style.conv(filters, 3, f"{name}_conv1")(branch)
    if residual_scale != 1:
        branch = layers.Rescaling(residual_scale, name=f"{name}_scale")(branch)
    return style.beside(x, branch, 2, name)
