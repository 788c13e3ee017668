"""``geosr-lite``: our fast network, six plain 3x3 convolutions, for each band or for several."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from geosr.models.layers import Crop
from geosr.models.parts import Parts

WIDTHS = (32, 48, 48, 48, 32)
"""Filters of the convolutions before the tail: multiples of 16 run at full speed."""

EXCHANGES = (1, 2, 3)
"""After which of them bands that are seen together tell each other what they see."""


def build_geosr_lite(
    *,
    upscale_factor: int,
    expansion: int = 0,
    trunk: keras.Model | None = None,
    bands: int = 1,
) -> keras.Model:
    """Build geosr-lite with random weights; receptive radius 10, about 70,000 parameters.

    Nothing but 3x3 convolutions, leaky ReLUs and one skip around them: those run at a
    processor's full speed. See `geosr.models.parts.Parts` for ``expansion``, ``trunk`` and
    ``bands``.
    """
    parts = Parts(upscale_factor, expansion, trunk, bands)

    def body(x: Any) -> Any:
        first = None
        for index, filters in enumerate(WIDTHS):
            x = parts.conv(filters, f"conv{index}")(x)
            if index in EXCHANGES:
                x = parts.exchange(x, f"exchange{index}")
            x = layers.LeakyReLU(0.1, name=f"act{index}")(x)
            first = x if first is None else first
        return layers.Add(name="skip")([x, Crop(len(WIDTHS) - 1, name="skip_crop")(first)])

    return parts.build("geosr_lite", body, margin=len(WIDTHS))
