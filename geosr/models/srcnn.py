"""SRCNN by the geosr contract, on the interpolated high-pass image, and as its paper has it."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from geosr.core.facts import KERNEL_RADIUS
from geosr.models.blocks import PAPER
from geosr.models.contract import DETAIL_OUT, build_contract
from geosr.models.layers import (
    Crop,
    MirrorPad,
    PixelShuffle,
    PixelUnshuffle,
    PolyphaseUpsample,
)
from geosr.models.paper import build_paper


def build_srcnn(
    *,
    upscale_factor: int,
    filters: tuple[int, int] = (64, 32),
    kernels: tuple[int, int, int] = (9, 1, 5),
) -> keras.Model:
    """Build SRCNN [1]_ with random weights, without biases.

    The three convolutions (9-1-5 with 64 and 32 filters: 57,000 weights with 9-5-5) run on the
    interpolated image, as published; what they see is its high-pass, so that the result scales
    and shifts with its input.

    References
    ----------
    .. [1] Dong et al. (2014), "Learning a deep convolutional network for image
       super-resolution", ECCV. https://arxiv.org/abs/1501.00092
    """
    s = upscale_factor
    reach = sum(k // 2 for k in kernels)  # high-resolution pixels
    margin = -(-reach // s)  # whole source pixels

    def detail(x: Any) -> Any:
        x = PolyphaseUpsample(s, name="interpolated")(x)
        x = PixelShuffle(s, name="image")(x)
        widths = (*filters, 1)
        for index, (width, size) in enumerate(zip(widths, kernels, strict=True)):
            last = index == len(kernels) - 1
            x = layers.Conv2D(
                width,
                size,
                padding="valid",
                use_bias=False,
                activation=None if last else "relu",
                kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3)
                if last
                else "he_normal",
                name=f"conv{index}",
            )(x)
        x = Crop(margin * s - reach, name="whole_pixels")(x)
        return PixelUnshuffle(s, name=DETAIL_OUT)(x)

    return build_contract(
        detail, name=f"srcnn_x{s}", upscale_factor=s, margin=margin + 2
    )  # 2: the interpolation's own radius


def build_srcnn_paper(
    *,
    upscale_factor: int,
    filters: tuple[int, int] = (64, 32),
    kernels: tuple[int, int, int] = (9, 1, 5),
) -> keras.Model:
    """Build SRCNN as published: luma from 0 to 1, interpolated by bicubic, with biases."""

    def picture(x: Any) -> Any:
        x = MirrorPad(KERNEL_RADIUS["bicubic"], name="mirror")(x)
        x = PolyphaseUpsample(upscale_factor, name="interpolated")(x)
        x = PixelShuffle(upscale_factor, name="image")(x)
        for index, (width, size) in enumerate(zip((*filters, 1), kernels, strict=True)):
            x = PAPER.conv(width, size, f"conv{index}", activation="relu" if index < 2 else None)(x)
        return x

    sizes = "".join(map(str, kernels))
    return build_paper(picture, name=f"srcnn_{sizes}_paper_x{upscale_factor}", bands=1)
