"""Measure int8 beside float32 and bfloat16: speed, PSNR, largest difference; write a table.

    python benchmarks/edge.py DATA/eval --out benchmarks/edge.md --write

*Speed* is that of the trained part on one thread, on a tile of 256 x 256 pixels whose detail is
a real scene's; the three take turns, and the best of each counts, so that ratios hold on a busy
machine. *PSNR* is that of whole runs of ``geosr.upscale_file`` on block means of the scenes, as in
benchmarks/quality.py; for networks that see several bands together, on scenes with just these,
blurred by the sensor (``mtf``). *Off* is the largest difference of a run's pixels from float32's,
per 10,000 of the band's range (0.1 to 99.9 percentile). ``--write`` puts it and the loss into the
cards.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from band_order import band_order
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

import geosr
from geosr.contrast import contrast_of
from geosr.core.catalog import WEIGHTS_DIR, shipped_models
from geosr.core.facts import ModelFacts
from geosr.degrade import DEGRADATIONS
from geosr.metrics import luma, psnr
from geosr.predictors import Machinery, load_predictor
from geosr.radiometry import high_pass

PRECISIONS = ("float32", "bfloat16", "int8")
SIDE = 512
"""Of the middle of a scene that is scored, in its own pixels."""

Image = NDArray[np.generic]


@dataclass(frozen=True)
class Result:
    """What one scene gave: PSNR by precision, and the largest difference from float32."""

    kind: str
    name: str
    psnr: dict[str, float]
    off: dict[str, float]


def speeds(facts: ModelFacts, scene: Image, repeats: int) -> dict[str, float]:
    """Return the best seconds of the trained part for each precision."""
    side = 256 + 8
    tile = np.stack([np.resize(band, (side, side)) for band in scene[: facts.bands]])
    tile = tile.astype(np.float32)
    detail = high_pass(tile)
    detail /= np.float32(contrast_of(detail))
    networks = {p: load_predictor(facts, Machinery("openvino", "cpu", p, 1)) for p in PRECISIONS}
    best = dict.fromkeys(PRECISIONS, np.inf)
    for _ in range(repeats):
        for precision, network in networks.items():
            begun = time.perf_counter()
            network.detail(detail)
            best[precision] = min(best[precision], time.perf_counter() - begun)
    return best


def scene_of(path: Path, kind: str) -> Image:
    """Return the middle of a scene."""
    with rasterio.open(path) as src:
        height, width = (min(n, SIDE) for n in src.shape)
        row, col = (src.height - height) // 2, (src.width - width) // 2
        window = rasterio.windows.Window(col, row, width, height)
        return src.read([1, 2, 3] if kind == "rgb" else None, window=window)


def result_of(facts: ModelFacts, path: Path, kind: str, folder: Path) -> Result:
    """Return the scores of one scene."""
    s, order = facts.upscale_factor, band_order(facts, path) or ()
    truth = scene_of(path, kind)
    truth = truth[:, : truth.shape[1] // s * s, : truth.shape[2] // s * s]
    degrade = DEGRADATIONS["mtf" if facts.bands > 1 else "area"]
    low = degrade(truth.astype(np.float64), s, np.random.default_rng(0))
    low = np.rint(low).astype(truth.dtype) if truth.dtype.kind in "iu" else low.astype(truth.dtype)
    source, target = folder / "low.tif", folder / "high.tif"
    bands, height, width = low.shape
    shape = {"count": bands, "height": height, "width": width, "dtype": low.dtype}
    with rasterio.open(source, "w", driver="GTiff", **shape) as dst:
        dst.write(low)
    made = {}
    for precision in PRECISIONS:
        geosr.upscale_file(
            source,
            target,
            model=facts.name,
            precision=precision,
            overwrite=True,
            dtype="float32",
            indexes=order,
        )
        with rasterio.open(target) as src:
            made[precision] = src.read([order.index(n) + 1 for n in sorted(order)] or None)
    spans = np.array([np.ptp(np.percentile(band, (0.1, 99.9))) for band in truth])
    kept = spans > 0
    off = {
        p: float((np.abs(image - made["float32"]).max((1, 2))[kept] / spans[kept]).max()) * 1e4
        for p, image in made.items()
    }
    return Result(kind, path.stem, {p: _psnr(truth, y, kind, s) for p, y in made.items()}, off)


def _psnr(truth: Image, output: Image, kind: str, s: int) -> float:
    if kind == "rgb" and truth.dtype == np.uint8:
        return psnr(luma(truth), luma(output), data_range=255.0, border=2 * s)
    scores = []
    for want, got in zip(truth, output, strict=True):
        low, high = np.percentile(want, (0.1, 99.9))
        if high > low:
            scores.append(psnr(want, got, data_range=float(high - low), border=2 * s))
    return float(np.mean(scores))


def rows_of(facts: ModelFacts, best: dict[str, float], results: list[Result]) -> list[str]:
    """Return the Markdown rows of a model."""
    rows = []
    for precision in PRECISIONS:
        losses = [r.psnr["float32"] - r.psnr[precision] for r in results]
        off = [r.off[precision] for r in results]
        cells = [
            f"`{facts.name}`",
            precision,
            f"{facts.bands * 256 * 256 / best[precision] / 1e6:.2f}",
            f"{best['float32'] / best[precision]:.2f}",
            f"{best['bfloat16'] / best[precision]:.2f}",
            f"{np.mean([r.psnr[precision] for r in results]):.3f}",
            f"{np.mean(losses):+.3f}",
            f"{max(losses):+.3f}",
            f"{max(off):.0f}",
            f"{np.median(off):.0f}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def write_card(facts: ModelFacts, results: list[Result]) -> None:
    """Put what was measured of int8 into a model's card."""
    losses = [r.psnr["float32"] - r.psnr["int8"] for r in results]
    scores = {**facts.scores, "int8_loss_db": round(float(np.mean(losses)), 3)}
    scores["int8_worst_loss_db"] = round(max(losses), 3)
    worst = float(np.ceil(max(r.off["int8"] for r in results)))
    card = replace(facts, int8_error=worst, scores=scores).to_card()
    (WEIGHTS_DIR / f"{facts.name}.json").write_text(card, encoding="utf-8")


def main() -> None:
    """Parse the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with rgb/ and ms/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="put the figures into the cards")
    args = parser.parse_args()
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    scenes = [
        (path, kind)
        for kind in ("ms", "rgb")
        for path in sorted((args.data / kind).iterdir())
        if path.suffix in (".tif", ".png")
    ]
    models = [facts for facts in shipped_models() if "int8" in facts.files]
    rows, worst = [], []
    for facts in models:
        suited = [(path, kind) for path, kind in scenes if band_order(facts, path) is not None]
        best = speeds(facts, scene_of(*suited[-1]), args.repeats)
        with tempfile.TemporaryDirectory() as folder:
            results = [result_of(facts, path, kind, Path(folder)) for path, kind in suited]
        rows += rows_of(facts, best, results)
        losses = sorted(results, key=lambda r: r.psnr["int8"] - r.psnr["float32"])[:3]
        names = [f"{r.name} {r.psnr['float32'] - r.psnr['int8']:+.3f} dB" for r in losses]
        worst.append(f"- `{facts.name}`: {', '.join(names)}")
        if args.write:
            write_card(facts, results)
    args.out.write_text("\n".join([*_HEAD, *rows, "", *_FOOT, *worst, ""]), encoding="utf-8")


_HEAD = [
    "# int8 beside float32 and bfloat16",
    "",
    "Written by `python benchmarks/edge.py DATA/eval --out benchmarks/edge.md --write`; its first "
    "lines say how.",
    "",
    "| model | precision | Mpx/s | speed / float32 | speed / bfloat16 | PSNR, dB | loss, dB | "
    "worst loss, dB | off at most | off, median scene |",
    "|---|---|---|---|---|---|---|---|---|---|",
]

_FOOT = [
    "Mpx/s: source pixels of one band through the trained part, one thread. The mean PSNR is over "
    "all scenes of `ms/` (bands) and `rgb/` (luma), whose middle 512 x 512 pixels are scored; for "
    "`geosr-rgbn` over those with just its four bands.",
    "",
    "Where int8 loses most:",
    "",
]

if __name__ == "__main__":
    main()
