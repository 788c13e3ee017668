"""Measure how far bfloat16 is from float32 on real scenes, and write it into the cards.

    python benchmarks/precision.py DATA/train/ms --write

The figure is the largest difference between the two predictions, per 10,000 of the band's range
(0.1 to 99.9 percentile) where that is wider than 10,000, else in the band's own units: so it
reads as DN for reflectance times 10,000.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from band_order import band_order
from rasterio.errors import NotGeoreferencedWarning

from geosr.core.catalog import WEIGHTS_DIR, shipped_models
from geosr.core.facts import ModelFacts
from geosr.predictors import Machinery, load_predictor

TILE = 1100


def largest_difference(facts: ModelFacts, paths: list[Path]) -> float:
    """Return the largest difference on the middle of all bands of all 16-bit files."""
    exact, quick = (
        load_predictor(facts, Machinery("openvino", "cpu", precision, 2))
        for precision in ("float32", "bfloat16")
    )
    worst = 0.0
    for path in paths:
        with rasterio.open(path) as src:
            if src.dtypes[0] != "uint16":
                continue
            image = src.read().astype("float32")
        height, width = (min(n, TILE) for n in image.shape[1:])
        row, col = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
        order = band_order(facts, path)
        if order is None:
            continue
        image = image[:, row : row + height, col : col + width]
        # A network that sees several bands takes them all, in its order; else one by one.
        for bands in [image[[n - 1 for n in order]]] if order else image[:, None]:
            span = min(float(np.ptp(np.percentile(band, (0.1, 99.9)))) for band in bands)
            difference = np.abs(exact.predict(bands) - quick.predict(bands)).max()
            scaled = float(difference) * min(10_000 / max(span, 1e-9), 1)
            worst = max(worst, scaled)
            print(f"{facts.name} {path.name}: {difference:.3f} of {span:.0f}, {scaled:.3f}")
    return worst


def main() -> None:
    """Parse the command line, measure, and rewrite the cards if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="folders of 16-bit GeoTIFFs")
    parser.add_argument("--family", nargs="+", default=[], help="default: all that ship")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    paths = sorted(path for folder in args.folders for path in folder.glob("*.tif"))
    for facts in shipped_models():
        if args.family and facts.family not in args.family:
            continue
        worst = round(largest_difference(facts, paths) + 0.005, 2)
        print(f"{facts.name}: {worst} DN of 10,000")
        if args.write:
            card = replace(facts, bfloat16_error=worst).to_card()
            (WEIGHTS_DIR / f"{facts.name}.json").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
