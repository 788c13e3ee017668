"""FSRCNN by the geosr contract, and as its paper has it."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from geosr.models.blocks import PAPER
from geosr.models.contract import DETAIL_OUT, build_contract
from geosr.models.paper import build_paper


def build_fsrcnn(*, upscale_factor: int, d: int = 56, s: int = 12, m: int = 4) -> keras.Model:
    """Build FSRCNN(d, s, m) [1]_ with random weights, without biases.

    The last layer, published as a transposed convolution of 9x9 on the fine grid, is its
    equivalent on the coarse grid: one small convolution for each output phase. PReLU slopes
    are trained per channel.

    References
    ----------
    .. [1] Dong et al. (2016), "Accelerating the super-resolution convolutional neural
       network", ECCV. https://arxiv.org/abs/1608.00367
    """
    factor = upscale_factor
    reach = -(-4 // factor)  # 9x9 on the fine grid, in source pixels

    def conv(width: int, size: int, name: str) -> layers.Layer:
        return layers.Conv2D(
            width,
            size,
            padding="valid",
            use_bias=False,
            kernel_initializer="he_normal",
            name=name,
        )

    def detail(x: Any) -> Any:
        for name, width, size in _sizes(d, s, m):
            x = conv(width, size, name)(x)
            x = layers.PReLU(shared_axes=(1, 2), name=f"{name}_act")(x)
        return layers.Conv2D(
            factor**2,
            2 * reach + 1,
            padding="valid",
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3),
            name=DETAIL_OUT,
        )(x)

    return build_contract(
        detail, name=f"fsrcnn_x{factor}", upscale_factor=factor, margin=2 + m + reach
    )


def build_fsrcnn_paper(*, upscale_factor: int, d: int = 56, s: int = 12, m: int = 4) -> keras.Model:
    """Build FSRCNN(d, s, m) as published: luma from 0 to 1, with biases.

    A transposed convolution of 9x9 ends it.
    """

    def picture(x: Any) -> Any:
        for name, width, size in _sizes(d, s, m):
            x = PAPER.conv(width, size, name)(x)
            x = layers.PReLU(shared_axes=(1, 2), name=f"{name}_act")(x)
        return layers.Conv2DTranspose(
            1, 9, strides=upscale_factor, padding="same", name="deconvolution"
        )(x)

    return build_paper(picture, name=f"fsrcnn_paper_x{upscale_factor}", bands=1)


def _sizes(d: int, s: int, m: int) -> list[tuple[str, int, int]]:
    """Return name, filters and kernel of the convolutions before the last."""
    maps = [(f"map{index}", s, 3) for index in range(m)]
    return [("features", d, 5), ("shrink", s, 1), *maps, ("expand", d, 1)]
