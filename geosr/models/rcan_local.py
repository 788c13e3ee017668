"""``rcan-local``: residual channel attention over a fixed window, by the geosr contract."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from geosr.models.attention import LocalShares
from geosr.models.blocks import CONTRACT, small_start
from geosr.models.contract import DETAIL_OUT, build_contract
from geosr.models.layers import Crop

REDUCTION = 4
"""How many times fewer channels the middle of a gate has."""


def build_rcan_local(
    *, upscale_factor: int, filters: int = 48, groups: int = 3, blocks: int = 3, window: int = 7
) -> keras.Model:
    """Build a residual channel attention network after [1]_ with random weights.

    The paper's gates see the mean of the whole picture, so its tiles cannot be exact. Here they
    see a window around each pixel, and the channels' shares rather than their values: see
    `geosr.models.attention.LocalShares`. The receptive radius is 55.

    Parameters
    ----------
    window
        Side of the window in source pixels; odd.

    References
    ----------
    .. [1] Zhang et al. (2018), "Image super-resolution using very deep residual channel attention
       networks", ECCV. https://arxiv.org/abs/1807.02758
    """
    of_block = 2 + window // 2
    of_group = of_block * blocks + 1

    def detail(x: Any) -> Any:
        x = first = CONTRACT.conv(filters, 3, "first")(x)
        for index in range(groups):
            inner = x
            for place in range(blocks):
                inner = _attentive_block(inner, filters, window, f"group{index}_block{place}")
            inner = CONTRACT.conv(filters, 3, f"group{index}_end")(inner)
            x = CONTRACT.beside(x, inner, of_group, f"group{index}")
        x = CONTRACT.conv(filters, 3, "body_end")(x)
        x = CONTRACT.beside(first, x, of_group * groups + 1, "body")
        last = CONTRACT.conv(upscale_factor**2, 3, DETAIL_OUT, kernel_initializer=small_start())
        return last(x)

    return build_contract(
        detail,
        name=f"rcan_local_x{upscale_factor}",
        upscale_factor=upscale_factor,
        margin=of_group * groups + 3,
    )


def _attentive_block(x: Any, filters: int, window: int, name: str) -> Any:
    branch = CONTRACT.conv(filters, 3, f"{name}_conv0")(x)
    branch = layers.ReLU(name=f"{name}_act")(branch)
    branch = CONTRACT.conv(filters, 3, f"{name}_conv1")(branch)
    gate = LocalShares(window, name=f"{name}_shares")(branch)
    for index, (width, activation) in enumerate(
        ((filters // REDUCTION, "relu"), (filters, "sigmoid"))
    ):
        gate = layers.Conv2D(width, 1, activation=activation, name=f"{name}_gate{index}")(gate)
    branch = Crop(window // 2, name=f"{name}_middle")(branch)
    branch = layers.Multiply(name=f"{name}_gated")([branch, gate])
    return CONTRACT.beside(x, branch, 2 + window // 2, name)
