"""``geosr``: our main network, eight residual blocks of 48 features, for each band or for several.

A plain chain of fifteen convolutions of the same size and cost learned ten times more slowly
[1]_: after the same quarter of an hour it gained 0.56 dB over bicubic, and blocks 0.99 in half
the time.

References
----------
.. [1] ``benchmarks/same_time.py`` trains networks for the same time.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from geosr.models.layers import Crop
from geosr.models.parts import Parts

FILTERS = 48
"""A multiple of 16 runs at a processor's full speed."""

BLOCKS = 8

EXCHANGES = (2, 4, 6)
"""Before which blocks bands that are seen together tell each other what they see."""


def build_geosr(
    *,
    upscale_factor: int,
    expansion: int = 0,
    trunk: keras.Model | None = None,
    bands: int = 1,
) -> keras.Model:
    """Build geosr with random weights; receptive radius 23, about 357,000 parameters.

    See `geosr.models.parts.Parts` for ``expansion``, ``trunk`` and ``bands``.
    """
    parts = Parts(upscale_factor, expansion, trunk, bands)

    def body(x: Any) -> Any:
        x = first = parts.conv(FILTERS, "first", identity=False)(x)
        for index in range(BLOCKS):
            if index in EXCHANGES:
                x = parts.exchange(x, f"exchange{index}")
            x = _block(parts, x, f"block{index}")
        x = parts.conv(FILTERS, "last", identity=False)(x)
        return layers.Add(name="skip")([x, Crop(2 * BLOCKS + 1, name="skip_crop")(first)])

    return parts.build("geosr", body, margin=2 * BLOCKS + 2)


def _block(parts: Parts, x: Any, name: str) -> Any:
    """Add to ``x`` what two convolutions make of it; at the start that is little."""
    branch = parts.conv(FILTERS, f"{name}_conv0", identity=False)(x)
    branch = layers.ReLU(name=f"{name}_act")(branch)
    branch = parts.conv(FILTERS, f"{name}_conv1", identity=False, gain=0.3)(branch)
    return layers.Add(name=f"{name}_sum")([branch, Crop(2, name=f"{name}_crop")(x)])
