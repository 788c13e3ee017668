"""``geosr``: our main network, sixteen plain 3x3 convolutions, for each band or for several."""

from __future__ import annotations

import keras

from geosr.models.plain import build_plain

WIDTHS = (48,) * 15
"""Filters of the convolutions before the tail: multiples of 16 run at full speed."""


def build_geosr(
    *,
    upscale_factor: int,
    expansion: int = 0,
    trunk: keras.Model | None = None,
    bands: int = 1,
) -> keras.Model:
    """Build geosr with random weights; receptive radius 20, about 293,000 parameters.

    See `geosr.models.plain.build_plain` for ``expansion``, ``trunk`` and ``bands``.
    """
    return build_plain(
        "geosr",
        WIDTHS,
        upscale_factor=upscale_factor,
        expansion=expansion,
        trunk=trunk,
        bands=bands,
    )
