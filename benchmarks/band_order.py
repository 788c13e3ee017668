"""Where a file has the bands that a network sees together, by their descriptions."""

from __future__ import annotations

from pathlib import Path

import rasterio

from geosr.core.facts import ModelFacts

DESCRIBED = {  # in words, of Sentinel-2, of Landsat 8
    "blue": ("blue", "b02", "b2"),
    "green": ("green", "b03", "b3"),
    "red": ("red", "b04", "b4"),
    "nir": ("nir", "b08", "b5"),
}


def band_order(facts: ModelFacts, path: Path) -> tuple[int, ...] | None:
    """Return the numbers of the bands in a network's order; empty if it sees each by itself.

    None if the file does not describe them, or has others as well.
    """
    if facts.bands == 1:
        return ()
    with rasterio.open(path) as src:
        texts = [(text or "").lower() for text in src.descriptions]
    words = [DESCRIBED.get(name, (name,)) for name in facts.band_names]
    found = [n for known in words for n, text in enumerate(texts, 1) if text in known]
    return tuple(found) if len(found) == len(words) == len(texts) else None
