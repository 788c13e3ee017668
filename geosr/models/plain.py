"""A trunk of plain 3x3 convolutions: what geosr's own networks are made of."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from geosr.models.contract import DETAIL_OUT, build_contract
from geosr.models.layers import Crop, ExpandedConv


def build_plain(
    name: str,
    widths: tuple[int, ...],
    *,
    upscale_factor: int,
    expansion: int = 0,
    trunk: keras.Model | None = None,
    bands: int = 1,
) -> keras.Model:
    """Build a network with random weights: convolutions, one skip around them, a tail.

    Nothing but 3x3 convolutions and leaky ReLUs runs at a processor's full speed, so there is
    nothing else. The receptive radius is ``len(widths) + 5``.

    Parameters
    ----------
    widths
        Filters of the convolutions before the tail; the first and the last are alike.
    expansion
        More than 0: the training form, whose kernels are products of wider ones plus the
        identity. `geosr.models.families.finished` turns it into the plain form.
    trunk
        A network of the same form for another factor, whose convolutions this one shares: only
        the tail is its own.
    bands
        1: the network sees each band by itself. More: it sees so many together.
    """

    def conv(filters: int, place: str) -> layers.Layer:
        if trunk is not None:
            return trunk.get_layer(place)
        if expansion:
            return ExpandedConv(filters, expansion, name=place)
        return layers.Conv2D(filters, 3, padding="valid", use_bias=False, name=place)

    def detail(x: Any) -> Any:
        first = None
        for index, filters in enumerate(widths):
            x = conv(filters, f"conv{index}")(x)
            x = layers.LeakyReLU(0.1, name=f"act{index}")(x)
            first = x if first is None else first
        x = layers.Add(name="skip")([x, Crop(len(widths) - 1, name="skip_crop")(first)])
        tail = layers.Conv2D(
            bands * upscale_factor**2,
            3,
            padding="valid",
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3),
            name=DETAIL_OUT,
        )
        return tail(x)

    return build_contract(
        detail,
        name=f"{name}_x{upscale_factor}" if bands == 1 else f"{name}_b{bands}_x{upscale_factor}",
        upscale_factor=upscale_factor,
        margin=len(widths) + 1,
        bands=bands,
    )
