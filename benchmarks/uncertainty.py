"""How often the truth lies within the intervals of ``--uncertainty``, on images of other places.

    python benchmarks/uncertainty.py DATA/eval --out benchmarks/uncertainty.md

Every image is degraded as in each of the head's calibrations, rounded to its own dtype, and
upscaled as ``geosr upscale --uncertainty`` does. A pixel is covered if the original lies within
``multiplier * sigma`` of the picture; nodata is left out. ``rgb`` images count by their three bands
and by their luma, which is upscaled as a raster of one band; ``ms`` images by all of their bands.
The mean is over images, with the range of the images in brackets; the calibration's is over scenes,
and none of these was among them.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from band_order import band_order
from rasterio.errors import NotGeoreferencedWarning

from geosr.core.catalog import WEIGHTS_DIR, find_model
from geosr.core.facts import ModelFacts
from geosr.core.heads import LEVELS, shipped_heads
from geosr.evaluation.coverage import SceneRatios, probing
from geosr.evaluation.protocol import Protocol
from geosr.evaluation.samples import folder_entries
from geosr.metrics.conformal import coverage


@dataclass(frozen=True)
class Row:
    """Coverage of one image by one head, at each level."""

    head: str
    degradation: str
    kind: str
    image: str
    band: str
    pixels: int
    covered: tuple[float, ...]


def rows_of(head: ModelFacts, data: Path, degradation: str) -> Iterator[Row]:
    """Yield the coverages of all images for a head, degraded as in one of its calibrations."""
    model = find_model(head.of)
    protocol = Protocol((model.name,), degradation=degradation)
    with probing(model.name, model.upscale_factor, None) as prober:
        for kind in ("rgb", "ms"):
            for entry in folder_entries(data / kind, protocol):
                if band_order(model, data / kind / entry.name) is None:
                    continue  # it has other bands than the model sees
                sample = entry.load(model.upscale_factor)
                if kind == "rgb":
                    images = {"truth": sample.truth[:3], "low": sample.low[:3]}
                    photo = replace(sample, **images, names=sample.names[:3])
                    found = [prober.bands(entry.name, photo), prober.luma(entry.name, photo)]
                else:
                    found = [prober.bands(entry.name, sample)]
                for ratios in found:
                    yield from _rows(head, degradation, kind, ratios)
                print(head.name, degradation, entry.name, flush=True)


def _rows(head: ModelFacts, degradation: str, kind: str, found: SceneRatios) -> Iterator[Row]:
    pooled = dict(found.bands)
    if "luma" not in pooled:
        pooled["all"] = np.concatenate(list(found.bands.values()))
    for band, ratios in pooled.items():
        shares = tuple(coverage(ratios, head.multipliers[degradation][level]) for level in LEVELS)
        yield Row(head.name, degradation, kind, found.name, band, ratios.size, shares)


def means(rows: list[Row]) -> dict[str, list[float]]:
    """Return the mean coverages over images of these rows, by group, overall last."""
    groups = {
        "rgb, bands": lambda row: (row.kind, row.band) == ("rgb", "all"),
        "rgb, luma": lambda row: row.band == "luma",
        "ms, bands": lambda row: (row.kind, row.band) == ("ms", "all"),
        "overall, bands": lambda row: row.band == "all",
    }
    found = {}
    for name, belongs in groups.items():
        shares = [row.covered for row in rows if belongs(row)]
        if shares:
            found[name] = [float(value) for value in np.mean(shares, axis=0)]
    return found


def table(rows: list[Row]) -> list[str]:
    """Return the Markdown of all rows."""
    title = " | ".join(f"nominal {level}" for level in LEVELS)
    lines = [f"| head | calibrated on | images | {title} |", "|---|---|---|---|---|---|"]
    details: list[str] = []
    for (head, degradation), own in grouped(rows).items():
        for group, shares in means(own).items():
            found = np.array([row.covered for row in own if _in(row, group)])
            ends = zip(shares, found.min(axis=0), found.max(axis=0), strict=True)
            cells = " | ".join(
                f"**{mean:.3f}** ({low:.2f} to {high:.2f})" for mean, low, high in ends
            )
            lines.append(f"| {head} | {degradation} | {group} ({len(found)}) | {cells} |")
        details += ["", f"## {head}, {degradation}", "", f"| image | band | {title} |"]
        details.append("|---|---|---|---|---|")
        for row in own:
            cells = " | ".join(f"{share:.3f}" for share in row.covered)
            details.append(f"| {row.image} | {row.band} | {cells} |")
    return lines + details


def grouped(rows: list[Row]) -> dict[tuple[str, str], list[Row]]:
    """Return the rows by head and degradation."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.head, row.degradation), []).append(row)
    return found


def _in(row: Row, group: str) -> bool:
    kind, _, what = group.partition(", ")
    return kind in (row.kind, "overall") and row.band == ("luma" if what == "luma" else "all")


def write_cards(rows: list[Row]) -> None:
    """Put the means into the heads' cards."""
    for head in shipped_heads():
        elsewhere = {
            degradation: {
                group: {level: round(v, 4) for level, v in zip(LEVELS, shares, strict=True)}
                for group, shares in means(own).items()
            }
            for (name, degradation), own in grouped(rows).items()
            if name == head.name
        }
        card = replace(head, scores={**head.scores, "coverage_elsewhere": elsewhere}).to_card()
        (WEIGHTS_DIR / f"{head.name}.json").write_text(card, encoding="utf-8")


def main() -> None:
    """Parse the command line and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with rgb/ and ms/")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    parser.add_argument("--write-cards", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    rows = [
        row
        for head in shipped_heads()
        for degradation in head.multipliers
        for row in rows_of(head, args.data, degradation)
    ]
    text = "\n".join(["# How sure is it?", "", __doc__ or "", *table(rows), ""])
    args.out.write_text(text, encoding="utf-8")
    with args.out.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        plain_names = [field.name for field in fields(Row) if field.name != "covered"]
        writer = csv.DictWriter(file, [*plain_names, *LEVELS])
        writer.writeheader()
        for row in rows:
            plain = asdict(row)
            shares = plain.pop("covered")
            writer.writerow(plain | dict(zip(LEVELS, shares, strict=True)))
    if args.write_cards:
        write_cards(rows)
    lines = table(rows)
    print("\n".join(lines[: lines.index("")]))


if __name__ == "__main__":
    main()
