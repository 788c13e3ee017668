"""Score models on images that none of them was trained on; write a table and a CSV.

    python benchmarks/quality.py DATA/eval --out benchmarks

Every image is degraded, rounded to its own dtype, written as a GeoTIFF, upscaled by
``geosr.upscale_file`` as a user would, and compared with the original. ``rgb`` images are
scored by the luma of the three upscaled bands (BT.601, full range, peak 255), ``ms`` images
band by band (peak: the range from the 0.1 to the 99.9 percentile of the band). A border of
twice the factor is left out.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.warp import Resampling, reproject
from skimage.metrics import structural_similarity

import geosr
from geosr.core.catalog import WEIGHTS_DIR, shipped_models
from geosr.degrade import DEGRADATIONS
from geosr.metrics import consistency_error, luma, psnr

Image = NDArray[np.generic]
CLASSICAL = ("bicubic", "lanczos")


@dataclass(frozen=True)
class Score:
    """One method on one image, or on one band of it."""

    kind: str
    image: str
    band: str
    degradation: str
    factor: int
    method: str
    psnr: float
    ssim: float
    consistency: float


def scores_of(path: Path, kind: str, degradation: str, factor: int, model: str) -> Iterator[Score]:
    """Yield the scores of one image for all methods."""
    truth = _read(path, kind)
    s = factor
    truth = truth[:, : truth.shape[1] // s * s, : truth.shape[2] // s * s]
    low = DEGRADATIONS[degradation](truth.astype(np.float64), s, np.random.default_rng(0))
    low = _rounded(low, truth.dtype)
    for method in (*CLASSICAL, "gdalwarp -r cubic", model):
        output = _warped(low, s) if method.startswith("gdalwarp") else _upscaled(low, s, method)
        error = consistency_error(low.astype(np.float64), output, s)
        for band, peak, want, got in _planes(kind, truth, output):
            inner = (slice(2 * s, -2 * s),) * 2
            ssim = structural_similarity(
                want[inner].astype(np.float64),
                got[inner].astype(np.float64),
                data_range=peak,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
            value = psnr(want, got, data_range=peak, border=2 * s)
            yield Score(kind, path.stem, band, degradation, s, method, value, float(ssim), error)


def _read(path: Path, kind: str) -> Image:
    with rasterio.open(path) as src:
        return src.read([1, 2, 3]) if kind == "rgb" else src.read()


def _rounded(low: NDArray[np.float64], dtype: np.dtype) -> Image:
    return np.rint(low).astype(dtype) if dtype.kind in "iu" else low.astype(dtype)


def _planes(kind: str, truth: Image, output: Image) -> Iterator[tuple[str, float, Image, Image]]:
    if kind == "rgb":
        yield "luma", 255.0, luma(truth), luma(output)
        return
    for index, (want, got) in enumerate(zip(truth, output, strict=True), 1):
        low, high = np.percentile(want, (0.1, 99.9))
        if high > low:
            yield str(index), float(high - low), want, got


def _upscaled(low: Image, factor: int, model: str) -> Image:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "low.tif", Path(folder) / "high.tif"
        bands, height, width = low.shape
        profile = {"driver": "GTiff", "count": bands, "height": height, "width": width}
        with rasterio.open(source, "w", dtype=low.dtype, **profile) as dst:
            dst.write(low)
        geosr.upscale_file(source, target, model=model, upscale_factor=factor)
        with rasterio.open(target) as src:
            return src.read()


def _warped(low: Image, factor: int) -> Image:
    bands, height, width = low.shape
    output = np.zeros((bands, height * factor, width * factor), low.dtype)
    place = {"src_crs": "EPSG:32633", "dst_crs": "EPSG:32633", "resampling": Resampling.cubic}
    coarse = rasterio.Affine(factor, 0, 0, 0, -factor, height * factor)
    fine = rasterio.Affine(1, 0, 0, 0, -1, height * factor)
    reproject(low, output, src_transform=coarse, dst_transform=fine, **place)
    return output


def table(scores: list[Score], model: str) -> list[str]:
    """Return the Markdown of all scores."""
    lines: list[str] = []
    groups = sorted({(s.kind, s.degradation, s.factor) for s in scores})
    lines += [
        "| images | degradation | factor | bicubic | lanczos | gdalwarp cubic | geosr | gain over "
        "bicubic (95 % interval) | worst | losses | SSIM bicubic, geosr |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for group in groups:
        lines.append(_summary(group, [s for s in scores if _group(s) == group], model))
    for group in groups:
        if group[1] == "area":
            lines += _per_image(group, [s for s in scores if _group(s) == group], model)
    return lines


def write_cards(scores: list[Score], family: str) -> None:
    """Put what was found into the models' cards."""
    for facts in shipped_models():
        if facts.family != family:
            continue
        found: dict[str, object] = {}
        for kind, degradation, factor in sorted({_group(s) for s in scores}):
            if factor != facts.upscale_factor:
                continue
            methods = _by_method([s for s in scores if _group(s) == (kind, degradation, factor)])
            gains = [s.psnr - methods["bicubic"][k].psnr for k, s in methods[family].items()]
            found[f"{kind}_{degradation}"] = {
                "psnr": round(float(np.mean([s.psnr for s in methods[family].values()])), 3),
                "bicubic": round(float(np.mean([s.psnr for s in methods["bicubic"].values()])), 3),
                "gain": round(float(np.mean(gains)), 3),
                "worst": round(float(min(gains)), 3),
                "count": len(gains),
                "below_bicubic": sum(gain < 0 for gain in gains),
            }
            if (kind, degradation) == ("rgb", "area"):
                found["gain_db"] = round(float(np.mean(gains)), 2)
        card = replace(facts, scores=found).to_card()
        (WEIGHTS_DIR / f"{facts.name}.json").write_text(card, encoding="utf-8")


def _group(score: Score) -> tuple[str, str, int]:
    return score.kind, score.degradation, score.factor


def _by_method(scores: list[Score]) -> dict[str, dict[tuple[str, str], Score]]:
    methods: dict[str, dict[tuple[str, str], Score]] = {}
    for score in scores:
        methods.setdefault(score.method, {})[score.image, score.band] = score
    return methods


def _summary(group: tuple[str, str, int], scores: list[Score], model: str) -> str:
    methods = _by_method(scores)
    gains = np.array([methods[model][k].psnr - methods["bicubic"][k].psnr for k in methods[model]])
    rng = np.random.default_rng(0)
    draws = gains[rng.integers(0, len(gains), (10_000, len(gains)))].mean(axis=1)
    low, high = np.percentile(draws, (2.5, 97.5))
    means = [
        f"{np.mean([s.psnr for s in methods[m].values()]):.2f}"
        for m in (*CLASSICAL, "gdalwarp -r cubic", model)
    ]
    ssim = [np.mean([s.ssim for s in methods[m].values()]) for m in ("bicubic", model)]
    kind, degradation, factor = group
    count = f"{len({s.image for s in scores})}"
    if kind == "ms":
        count += f", {len(gains)} bands"
    return (
        f"| {kind} ({count}) | {degradation} | x{factor} | {' | '.join(means)} | "
        f"**{gains.mean():+.2f}** ({low:+.2f} to {high:+.2f}) | {gains.min():+.2f} | "
        f"{int((gains < 0).sum())} | {ssim[0]:.4f}, {ssim[1]:.4f} |"
    )


def _per_image(group: tuple[str, str, int], scores: list[Score], model: str) -> list[str]:
    methods = _by_method(scores)
    kind, degradation, factor = group
    lines = [
        "",
        f"### {kind}, {degradation}, x{factor}",
        "",
        "| image | band | bicubic | geosr | gain | consistency error |",
        "|---|---|---|---|---|---|",
    ]
    for key, score in sorted(methods[model].items()):
        plain = methods["bicubic"][key]
        lines.append(
            f"| {key[0]} | {key[1]} | {plain.psnr:.2f} | {score.psnr:.2f} | "
            f"{score.psnr - plain.psnr:+.2f} | {score.consistency:.2g} |"
        )
    return lines


def main() -> None:
    """Parse the command line and write ``quality.md`` and ``quality.csv``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with rgb/ and ms/")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--family", default="geosr-lite")
    known = [name for name in DEGRADATIONS if name != "real"]  # which is for values from 0 to 1
    parser.add_argument("--degradations", nargs="+", default=["area", "mtf"], choices=known)
    parser.add_argument("--write-cards", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    scores: list[Score] = []
    models = {f.upscale_factor: f.name for f in shipped_models() if f.family == args.family}
    for kind in ("rgb", "ms"):
        for path in sorted((args.data / kind).iterdir()):
            for degradation in args.degradations:
                for factor, name in models.items():
                    found = list(scores_of(path, kind, degradation, factor, name))
                    scores += [
                        replace(s, method=args.family) if s.method == name else s for s in found
                    ]
            print(path.name, flush=True)
    text = "\n".join([__doc__ or "", "", *table(scores, args.family), ""])
    (args.out / "quality.md").write_text(f"# Quality of {args.family}\n\n{text}", encoding="utf-8")
    with (args.out / "quality.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Score)])
        writer.writeheader()
        writer.writerows(asdict(score) for score in scores)
    if args.write_cards:
        write_cards(scores, args.family)
    print("\n".join(table(scores, args.family)[:14]))


if __name__ == "__main__":
    main()
