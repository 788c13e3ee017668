"""What a perceptual network invents: its detail beside that of the network trained on pixels.

    python benchmarks/invented.py DATA/eval/rgb --out benchmarks/invented.md --write-cards
    python benchmarks/invented.py DATA/eval/rgb --figure docs/vivid.jpg

Every image is degraded by block means and scored as ``geosr evaluate`` does. *Improvement*,
*omission* and *hallucination* are the shares of detail that are right, missing and made up, and add
up to 1; *sharpness* is the steepness of edges, 1 as in the truth. LPIPS is scored as well where its
network is given (``--lpips``). The figure shows parts of two images.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import rasterio
from quality import upscaled

from geosr.core.catalog import WEIGHTS_DIR, find_model
from geosr.core.events import no_events
from geosr.evaluation.protocol import Protocol
from geosr.evaluation.run import evaluate
from geosr.evaluation.samples import folder_entries
from geosr.evaluation.summary import MethodSummary

FIGURE = {"brighton_DJI_0018_half": (230, 20), "brighton_DJI_0030_half": (200, 200)}
"""Images of the figure, and where their parts begin."""

SIDE = 200
SHOWN = ("psnr", "ssim", "sharpness", "improvement", "omission", "hallucination", "lpips")


def table(summaries: list[MethodSummary], shown: list[str]) -> list[str]:
    """Return the Markdown of what was found."""
    names = [name if name in ("ssim", "lpips") else name.capitalize() for name in shown[1:]]
    head = ["model", "PSNR, dB", *(n.upper() if len(n) < 6 else n for n in names)]
    lines = [f"| {' | '.join(head)} | images below bicubic |", "|---" * (len(head) + 1) + "|"]
    lines += [
        f"| `{summary.method}` | {summary.means['psnr']:.2f} | "
        + " | ".join(f"{summary.means[name]:.3f}" for name in shown[1:])
        + f" | {summary.losses} of {summary.images} |"
        for summary in summaries
    ]
    return lines


def figure(data: Path, models: list[str], out: Path) -> None:
    """Draw parts of two images, made coarser by four and upscaled by bicubic and the models."""
    methods = ["bicubic", *models]
    _, axes = plt.subplots(len(FIGURE), len(methods) + 1, figsize=(11, 5.7), squeeze=False)
    for row, (name, (top, left)) in zip(axes, FIGURE.items(), strict=True):
        with rasterio.open(next(data.glob(f"{name}.*"))) as src:
            truth = src.read([1, 2, 3])
        pictures = [*(_coarse_and_back(truth, method) for method in methods), truth]
        for axis, title, picture in zip(row, [*methods, "truth"], pictures, strict=True):
            part = picture[:, top : top + SIDE, left : left + SIDE]
            axis.imshow(np.moveaxis(part, 0, -1), interpolation="nearest")
            if axis in axes[0]:
                axis.set_title(title, fontsize=10)
            axis.axis("off")
    plt.tight_layout(pad=0.4)
    plt.savefig(out, dpi=100, pil_kwargs={"quality": 88})


def _coarse_and_back(truth: np.ndarray, model: str) -> np.ndarray:
    bands, height, width = (n // 4 * 4 if axis else n for axis, n in enumerate(truth.shape))
    low = truth[:, :height, :width].reshape(bands, height // 4, 4, width // 4, 4).mean(axis=(2, 4))
    return upscaled(np.rint(low).astype(truth.dtype), 4, model, ())


def main() -> None:
    """Score, write the table and, if asked, the cards; or draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of images")
    parser.add_argument("--models", nargs="+", default=["geosr-x4", "geosr-vivid-x4"])
    parser.add_argument("--lpips", help="ONNX network of LPIPS")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    parser.add_argument("--write-cards", action="store_true", help="into the last model's card")
    parser.add_argument("--figure", type=Path, help="draw this picture, and score nothing")
    args = parser.parse_args()
    if args.figure:
        figure(args.data, args.models, args.figure)
        return
    protocol = Protocol(models=tuple(args.models), lpips=args.lpips)
    found = evaluate(
        folder_entries(args.data, protocol),
        protocol,
        title=args.data.name,
        kind="folder",
        on_event=no_events,
    )
    shown = [name for name in SHOWN if name != "lpips" or args.lpips]
    lines = table(list(found.summaries), shown)
    text = "\n".join(["# What a perceptual network invents", "", __doc__ or "", *lines, ""])
    args.out.write_text(text, encoding="utf-8")
    print("\n".join(lines))
    if args.write_cards:
        facts = find_model(args.models[-1])
        summary = next(s for s in found.summaries if s.method == facts.name)
        detail = {name: round(summary.means[name], 3) for name in shown}
        card = replace(facts, scores={**facts.scores, "rgb_area_detail": detail}).to_card()
        (WEIGHTS_DIR / f"{facts.name}.json").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
