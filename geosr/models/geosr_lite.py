"""``geosr-lite``: our fast network, six plain 3x3 convolutions, for each band or for several."""

from __future__ import annotations

import keras

from geosr.models.parts import Parts, chain

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

    See `geosr.models.parts.Parts` for ``expansion``, ``trunk`` and ``bands``.
    """
    parts = Parts(upscale_factor, expansion, trunk, bands)
    return chain(parts, "geosr_lite", WIDTHS, exchanges=EXCHANGES)
