"""Score models on images that none of them was trained on; write a table and a CSV.

    python benchmarks/quality.py DATA/eval --out benchmarks

Every image is degraded, rounded to its own dtype, written as a GeoTIFF, upscaled by
``geosr.upscale_file`` as a user would, and compared with the original. ``rgb`` images are
scored by the luma of the three upscaled bands (BT.601, full range, peak 255), ``ms`` images
band by band (peak: the range from the 0.1 to the 99.9 percentile of the band). A border of
twice the factor is left out. Networks that see several bands together are scored on ``ms``
images with just those bands, which are told by their descriptions, in whatever order.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import rasterio
from band_order import band_order
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.warp import Resampling, reproject
from skimage.metrics import structural_similarity

import geosr
from geosr.core.catalog import WEIGHTS_DIR, find_model, shipped_models
from geosr.core.facts import ModelFacts
from geosr.degrade import DEGRADATIONS
from geosr.metrics import bootstrap_mean, consistency_error, luma, psnr

Image = NDArray[np.generic]
CLASSICAL = ("bicubic", "lanczos")
BESIDE = (("geosr-lite", "geosr"), ("geosr", "geosr-rgbn"), ("geosr", "geosr-vivid"))
"""Families that are compared, the second with the first."""

BASELINES = (*CLASSICAL, "gdalwarp -r cubic")


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


def scores_of(
    path: Path, kind: str, degradation: str, factor: int, models: dict[str, str]
) -> Iterator[Score]:
    """Yield the scores of one image for all methods; ``models`` are names by family."""
    truth = _read(path, kind)
    s = factor
    truth = truth[:, : truth.shape[1] // s * s, : truth.shape[2] // s * s]
    low = DEGRADATIONS[degradation](truth.astype(np.float64), s, np.random.default_rng(0))
    low = _rounded(low, truth.dtype)
    for method in (*BASELINES, *models):
        name = models.get(method, method)
        order = band_order(find_model(name, s), path) if method in models else ()
        output = (
            _warped(low, s) if name.startswith("gdalwarp") else upscaled(low, s, name, order or ())
        )
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


def upscaled(low: Image, factor: int, model: str, order: tuple[int, ...]) -> Image:
    """Upscale all bands, in this order if there is one; return them in that of ``low``."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "low.tif", Path(folder) / "high.tif"
        bands, height, width = low.shape
        profile = {"driver": "GTiff", "count": bands, "height": height, "width": width}
        with rasterio.open(source, "w", dtype=low.dtype, **profile) as dst:
            dst.write(low)
        geosr.upscale_file(source, target, model=model, upscale_factor=factor, indexes=order)
        with rasterio.open(target) as src:
            return src.read([order.index(n) + 1 for n in sorted(order)] or None)


def _warped(low: Image, factor: int) -> Image:
    bands, height, width = low.shape
    output = np.zeros((bands, height * factor, width * factor), low.dtype)
    place = {"src_crs": "EPSG:32633", "dst_crs": "EPSG:32633", "resampling": Resampling.cubic}
    coarse = rasterio.Affine(factor, 0, 0, 0, -factor, height * factor)
    fine = rasterio.Affine(1, 0, 0, 0, -1, height * factor)
    reproject(low, output, src_transform=coarse, dst_transform=fine, **place)
    return output


def table(scores: list[Score], families: list[str]) -> list[str]:
    """Return the Markdown of all scores."""
    lines: list[str] = []
    groups = sorted({_group(s) for s in scores})
    lines += [
        "| images | degradation | factor | model | bicubic | lanczos | gdalwarp cubic | model's | "
        "gain over bicubic (95 % interval) | worst | losses | SSIM bicubic, model's |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for group in groups:
        methods = _by_method([s for s in scores if _group(s) == group])
        lines += [_summary(group, methods, f) for f in families if f in methods]
    for first, second in (pair for pair in BESIDE if set(pair) <= set(families)):
        lines += ["", f"`{second}` beside `{first}`, dB:", ""]
        lines += ["| images | degradation | factor | gain (95 % interval) | worst |"]
        lines += ["|---|---|---|---|---|"]
        for group in groups:
            methods = _by_method([s for s in scores if _group(s) == group])
            if first in methods and second in methods:
                gains = _gains(methods, second, first)
                lines.append(
                    f"| {group[0]} | {group[1]} | x{group[2]} | {_interval(gains)} | "
                    f"{gains.min():+.2f} |"
                )
    for group in groups:
        if group[1] == "area":
            lines += _per_image(group, [s for s in scores if _group(s) == group], families)
    return lines


def write_cards(scores: list[Score], family: str) -> None:
    """Put what was found into the models' cards."""
    for facts in shipped_models():
        if facts.family != family:
            continue
        found: dict[str, object] = {}
        for kind, degradation, factor in sorted({_group(s) for s in scores}):
            methods = _by_method([s for s in scores if _group(s) == (kind, degradation, factor)])
            if factor != facts.upscale_factor or family not in methods:
                continue
            keys, gains = list(methods[family]), _gains(methods, family, "bicubic")
            found[f"{kind}_{degradation}"] = {
                "psnr": round(float(np.mean([s.psnr for s in methods[family].values()])), 3),
                "bicubic": round(float(np.mean([methods["bicubic"][k].psnr for k in keys])), 3),
                "gain": round(float(np.mean(gains)), 3),
                "worst": round(float(gains.min()), 3),
                "count": len(gains),
                "below_bicubic": int((gains < 0).sum()),
            }
            if (kind, degradation) == ("rgb", "area"):
                found["gain_db"] = round(float(np.mean(gains)), 2)
        card = replace(facts, scores={**facts.scores, **found}).to_card()
        (WEIGHTS_DIR / f"{facts.name}.json").write_text(card, encoding="utf-8")


def _group(score: Score) -> tuple[str, str, int]:
    return score.kind, score.degradation, score.factor


def _by_method(scores: list[Score]) -> dict[str, dict[tuple[str, str], Score]]:
    methods: dict[str, dict[tuple[str, str], Score]] = {}
    for score in scores:
        methods.setdefault(score.method, {})[score.image, score.band] = score
    return methods


def _gains(
    methods: dict[str, dict[tuple[str, str], Score]], method: str, over: str
) -> NDArray[np.float64]:
    """Return how much better a method is than another on all that both were scored on."""
    found, plain = methods[method], methods[over]
    return np.array([found[k].psnr - plain[k].psnr for k in found if k in plain])


def _interval(gains: NDArray[np.float64]) -> str:
    """Return a mean with its 95 % interval by bootstrap over images or bands."""
    found = bootstrap_mean(gains.tolist())
    if found.low is None or found.high is None:
        return f"**{found.mean:+.2f}**"
    return f"**{found.mean:+.2f}** ({found.low:+.2f} to {found.high:+.2f})"


def _summary(
    group: tuple[str, str, int], methods: dict[str, dict[tuple[str, str], Score]], family: str
) -> str:
    keys = list(methods[family])
    gains = _gains(methods, family, "bicubic")
    means = [f"{np.mean([methods[m][k].psnr for k in keys]):.2f}" for m in (*BASELINES, family)]
    ssim = [np.mean([methods[m][k].ssim for k in keys]) for m in ("bicubic", family)]
    kind, degradation, factor = group
    count = f"{len({image for image, _ in keys})}"
    if kind == "ms":
        count += f", {len(keys)} bands"
    return (
        f"| {kind} ({count}) | {degradation} | x{factor} | `{family}` | {' | '.join(means)} | "
        f"{_interval(gains)} | {gains.min():+.2f} | "
        f"{int((gains < 0).sum())} | {ssim[0]:.4f}, {ssim[1]:.4f} |"
    )


def _per_image(group: tuple[str, str, int], scores: list[Score], families: list[str]) -> list[str]:
    methods = _by_method(scores)
    present = [f for f in families if f in methods]
    kind, degradation, factor = group
    lines = [
        "",
        f"### {kind}, {degradation}, x{factor}",
        "",
        f"| image | band | bicubic | {' | '.join(f'`{f}`, gain' for f in present)} | "
        "largest consistency error |",
        "|---|---|---|" + "---|" * (len(present) + 1),
    ]
    for key, plain in sorted(methods["bicubic"].items()):
        found = [methods[f].get(key) for f in present]
        told = ["" if s is None else f"{s.psnr:.2f}, {s.psnr - plain.psnr:+.2f}" for s in found]
        error = max(s.consistency for s in found if s is not None) if any(found) else 0.0
        lines.append(
            f"| {key[0]} | {key[1]} | {plain.psnr:.2f} | {' | '.join(told)} | {error:.2g} |"
        )
    return lines


def _families(names: list[str]) -> dict[str, dict[int, ModelFacts]]:
    """Return the shipped networks by family and factor, of some families or of all."""
    found: dict[str, dict[int, ModelFacts]] = {}
    for facts in shipped_models():
        ships = facts.kind == "picture" and not facts.is_kernel and not facts.steps
        if ships and (facts.family in names or not names):
            found.setdefault(facts.family, {})[facts.upscale_factor] = facts
    return {name: found[name] for name in (names or sorted(sorted(found), key=_size_of(found)))}


def _size_of(found: dict[str, dict[int, ModelFacts]]) -> Callable[[str], int]:
    return lambda name: max(facts.parameters for facts in found[name].values())


def _suits(facts: ModelFacts, path: Path, kind: str) -> bool:
    return facts.bands == 1 or (kind == "ms" and band_order(facts, path) is not None)


def main() -> None:
    """Parse the command line and write ``quality.md`` and ``quality.csv``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with rgb/ and ms/")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--family", nargs="+", default=[], help="default: all that ship")
    known = [name for name in DEGRADATIONS if name != "real"]  # which is for values from 0 to 1
    parser.add_argument("--degradations", nargs="+", default=["area", "mtf"], choices=known)
    parser.add_argument("--write-cards", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    scores: list[Score] = []
    families = _families(args.family)
    factors = sorted({factor for found in families.values() for factor in found})
    for kind in ("rgb", "ms"):
        for path in sorted((args.data / kind).iterdir()):
            for degradation in args.degradations:
                for factor in factors:
                    models = {
                        family: found[factor].name
                        for family, found in families.items()
                        if factor in found and _suits(found[factor], path, kind)
                    }
                    scores += scores_of(path, kind, degradation, factor, models)
            print(path.name, flush=True)
    lines = table(scores, list(families))
    text = "\n".join([__doc__ or "", "", *lines, ""])
    (args.out / "quality.md").write_text(f"# Quality of the shipped networks\n\n{text}", "utf-8")
    with (args.out / "quality.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Score)])
        writer.writeheader()
        writer.writerows(asdict(score) for score in scores)
    if args.write_cards:
        for family in families:
            write_cards(scores, family)
    print("\n".join(lines[: lines.index("")] if "" in lines else lines))


if __name__ == "__main__":
    main()
