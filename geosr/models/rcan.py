"""RCAN as its paper has it: its gates see the whole picture, so its tiles are not exact."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from geosr.models.blocks import PAPER, enlarge
from geosr.models.paper import DIV2K_MEAN, build_paper


def build_rcan(
    *,
    upscale_factor: int,
    filters: int = 64,
    groups: int = 10,
    blocks: int = 20,
    reduction: int = 16,
) -> keras.Model:
    """Build RCAN [1]_ with random weights: red, green and blue from 0 to 255.

    `geosr.models.rcan_local` is what stays exactly tileable.

    References
    ----------
    .. [1] Zhang et al. (2018), "Image super-resolution using very deep residual channel attention
       networks", ECCV. https://arxiv.org/abs/1807.02758
    """

    def picture(x: Any) -> Any:
        x = first = PAPER.conv(filters, 3, "first")(x)
        for index in range(groups):
            inner = x
            for place in range(blocks):
                inner = _attentive_block(inner, filters, reduction, f"group{index}_block{place}")
            inner = PAPER.conv(filters, 3, f"group{index}_end")(inner)
            x = layers.Add(name=f"group{index}")([x, inner])
        x = PAPER.conv(filters, 3, "body_end")(x)
        x = layers.Add(name="body")([first, x])
        x = enlarge(PAPER, x, filters=filters, upscale_factor=upscale_factor)
        return PAPER.conv(3, 3, "last")(x)

    return build_paper(picture, name=f"rcan_x{upscale_factor}", bands=3, mean=DIV2K_MEAN)


def _attentive_block(x: Any, filters: int, reduction: int, name: str) -> Any:
    branch = PAPER.conv(filters, 3, f"{name}_conv0")(x)
    branch = layers.ReLU(name=f"{name}_act")(branch)
    branch = PAPER.conv(filters, 3, f"{name}_conv1")(branch)
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(branch)
    gate = PAPER.conv(filters // reduction, 1, f"{name}_gate0", activation="relu")(gate)
    gate = PAPER.conv(filters, 1, f"{name}_gate1", activation="sigmoid")(gate)
    branch = layers.Multiply(name=f"{name}_gated")([branch, gate])
    return layers.Add(name=name)([x, branch])
