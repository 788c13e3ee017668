"""Where a file has the bands that a network sees together, by their descriptions."""

from __future__ import annotations

from pathlib import Path

import rasterio

from geosr.core.bands import described_places
from geosr.core.facts import ModelFacts


def band_order(facts: ModelFacts, path: Path) -> tuple[int, ...] | None:
    """Return the numbers of the bands in a network's order; empty if it sees each by itself.

    None if the file does not describe them, or has others as well.
    """
    if facts.bands == 1:
        return ()
    with rasterio.open(path) as src:
        found = described_places(facts.band_names, src.descriptions)
        return tuple(n + 1 for n in found) if len(found) == src.count else None
