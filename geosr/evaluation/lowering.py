"""The low resolution made of a truth, as a protocol says."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geosr.degrade import DEGRADATIONS
from geosr.evaluation.protocol import Protocol
from geosr.io.facts import RasterFacts

Floats = NDArray[np.float64]

MARGIN = 4
"""Coarse pixels around a hole that are left out if a degradation draws how far it looks."""


def lowered(
    exact: Floats, factor: int, protocol: Protocol, facts: RasterFacts, indexes: tuple[int, ...]
) -> NDArray[np.floating]:
    """Return bands ``(bands, h, w)`` of ``(bands, s*h, s*w)``, in the same units.

    Chance in it comes from the seed and the file's name.
    """
    name = protocol.degradation
    rng = np.random.default_rng([protocol.seed, zlib.crc32(Path(facts.path).name.encode())])
    if protocol.sensor:
        named = [facts.metadata.descriptions[index - 1] for index in indexes]
        low = [
            protocol.degrader(description)(band[None], factor, rng)
            for description, band in zip(named, exact, strict=True)
        ]
        return np.concatenate(low)
    if protocol.degrader().is_fixed:
        return DEGRADATIONS[name](exact, factor, rng)
    # What is drawn at random is made for pictures: black is 0 and white is 1.
    black, white = (0.0, 255.0) if facts.dtype == "uint8" else (exact.min(), exact.max())
    span = float(white - black) or 1.0
    return DEGRADATIONS[name]((exact - black) / span, factor, rng) * span + black


def reach_of(protocol: Protocol, factor: int) -> int:
    """Return how many coarse pixels away a fine pixel still shows, as a bright one tells."""
    if not protocol.degrader().is_fixed:
        return MARGIN
    side, middle_pixel = 17 * factor, 8 * factor
    reach = 0
    for corner in (middle_pixel, middle_pixel + factor - 1):
        picture = np.zeros((side, side))
        picture[corner, corner] = 1.0
        low = DEGRADATIONS[protocol.degradation](picture, factor, np.random.default_rng(0))
        rows, cols = np.nonzero(np.abs(low) > 1e-6)
        reach = max(reach, int(np.abs(rows - 8).max()), int(np.abs(cols - 8).max()))
    return reach
