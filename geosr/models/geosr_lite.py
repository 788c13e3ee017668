"""``geosr-lite``: our fast network, six plain 3x3 convolutions per band."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from geosr.models.contract import DETAIL_OUT, build_contract
from geosr.models.layers import Crop, ExpandedConv

WIDTHS = (32, 48, 48, 48, 32)
"""Filters of the convolutions before the last: multiples of 16 run at full speed."""


def build_geosr_lite(*, upscale_factor: int, expansion: int = 0) -> keras.Model:
    """Build geosr-lite with random weights; receptive radius 10, about 70,000 parameters.

    ``expansion`` > 0 makes the training form, whose kernels are products of wider ones;
    `collapse` turns it into the plain form.
    """

    def conv(filters: int, name: str) -> layers.Layer:
        if expansion:
            return ExpandedConv(filters, expansion, name=name)
        return layers.Conv2D(filters, 3, padding="valid", use_bias=False, name=name)

    def detail(x: Any) -> Any:
        first = None
        for index, filters in enumerate(WIDTHS):
            x = conv(filters, f"conv{index}")(x)
            x = layers.LeakyReLU(0.1, name=f"act{index}")(x)
            first = x if first is None else first
        x = layers.Add(name="skip")([x, Crop(len(WIDTHS) - 1, name="skip_crop")(first)])
        tail = layers.Conv2D(
            upscale_factor**2,
            3,
            padding="valid",
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3),
            name=DETAIL_OUT,
        )
        return tail(x)

    return build_contract(
        detail,
        name=f"geosr_lite_x{upscale_factor}",
        upscale_factor=upscale_factor,
        margin=len(WIDTHS) + 1,
    )


def collapse(model: keras.Model) -> keras.Model:
    """Return the plain form of a geosr-lite in its training form: the same function."""
    factor = model.get_layer("high_resolution").upscale_factor
    plain = build_geosr_lite(upscale_factor=factor)
    for layer in plain.layers:
        if isinstance(layer, layers.Conv2D):
            source = model.get_layer(layer.name)
            if isinstance(source, ExpandedConv):
                layer.set_weights([ops.convert_to_numpy(source.collapsed_kernel())])
            else:
                layer.set_weights(source.get_weights())
    return plain
