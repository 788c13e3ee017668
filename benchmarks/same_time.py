"""Train two networks side by side for the same wall time, one processor each, and score both.

    python benchmarks/same_time.py DATA --minutes 30 --out benchmarks/same_time.md

Both take the sources, the loss, the batches' size and the schedule of ``recipes/geosr.toml``, for
one factor. How many steps fit into the time is measured first, while both run: the rate of each
then falls to its end within the same minutes. They are scored on DATA/eval/rgb by
geosr's own PSNR (luma, block means). The time for each source pixel is that of
the trained part alone in OpenVINO, in one thread, taken in turns.

``geosr`` is trained here for one factor from scratch: these are not the shipped weights.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ("geosr", "edsr")
RATE = {"geosr": 1e-3, "edsr": 5e-4}
"""Learning rates. EDSR's paper takes 1e-4 for some 300,000 steps: far too low for so few."""

PROBE_STEPS = 30
ROUNDS = 15
SIDE = 192


def _recipe(name: str, factor: int, steps: int, looks: int) -> Any:
    from geosr.training.recipe import read_recipe

    recipe = read_recipe("recipes/geosr.toml", architecture=name, name=f"{name}-x{factor}")
    return replace(
        recipe,
        upscale_factor=factor,
        patch=48,
        batch_size=4,
        steps=steps,
        learning_rate=RATE[name],
        warmup=min(300, max(steps // 10, 1)),
        ema=0.999 if steps > 3000 else 0.995,
        validate_every=max(steps // looks, 1),
    )


def _train(  # noqa: PLR0917 - a process takes them in order
    name: str, factor: int, steps: int, looks: int, data: str, out: str, core: int
) -> None:
    """Train in a process of its own, on one processor."""
    os.sched_setaffinity(0, {core})
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    from geosr.training.fit import train

    train(_recipe(name, factor, steps, looks), Path(data) / "train", out)


def _side_by_side(
    factor: int, steps: dict[str, int], data: Path, out: Path, *, looks: int = 4
) -> dict[str, float]:
    """Train both at once; return the seconds that their steps took, by the histories.

    They validate ``looks`` times, which does not count.
    """
    from geosr.training.history import read_history

    cores = sorted(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    runs = [
        context.Process(
            target=_train,
            args=(
                *(name, factor, steps[name], looks),
                *(str(data), str(out / name), cores[i % len(cores)]),
            ),
        )
        for i, name in enumerate(NAMES)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
        if run.exitcode:
            raise SystemExit(f"A training run ended with {run.exitcode}.")
    return {name: read_history(out / name)[-1].seconds for name in NAMES}


def _step_seconds(factor: int, data: Path) -> dict[str, float]:
    """Return what a step takes while the other trains, the first ones left out."""
    from geosr.training.history import read_history

    with tempfile.TemporaryDirectory() as folder:
        steps = dict.fromkeys(NAMES, 2 * PROBE_STEPS)
        _side_by_side(factor, steps, data, Path(folder), looks=2)
        rows = {name: read_history(Path(folder) / name) for name in NAMES}
    return {name: (rows[name][1].seconds - rows[name][0].seconds) / PROBE_STEPS for name in NAMES}


def _gains(card: Path, factor: int, images: Path) -> np.ndarray:
    """Return a model's gain over bicubic in dB for each image (luma, block means)."""
    import rasterio

    import geosr
    from geosr.degrade import DEGRADATIONS
    from geosr.metrics import luma, psnr

    gains = []
    for path in sorted(images.iterdir()):
        with rasterio.open(path) as src:
            truth = src.read([1, 2, 3])
        truth = truth[:, : truth.shape[1] // factor * factor, : truth.shape[2] // factor * factor]
        low = DEGRADATIONS["area"](truth.astype(float), factor, np.random.default_rng(0))
        low = np.rint(low).astype(truth.dtype)
        found = []
        for model in ("bicubic", str(card)):
            with tempfile.TemporaryDirectory() as folder:
                source, target = Path(folder) / "low.tif", Path(folder) / "high.tif"
                shape = {"count": 3, "height": low.shape[1], "width": low.shape[2]}
                with rasterio.open(source, "w", "GTiff", dtype=low.dtype, **shape) as dst:
                    dst.write(low)
                geosr.upscale_file(source, target, model=model, upscale_factor=factor)
                with rasterio.open(target) as src:
                    found.append(
                        psnr(luma(truth), luma(src.read()), data_range=255.0, border=2 * factor)
                    )
        gains.append(found[1] - found[0])
    return np.array(gains)


def _pixel_seconds(cards: dict[str, Path]) -> dict[str, float]:
    """Return seconds for each source pixel of the trained parts, in bfloat16 where there is it."""
    from geosr.core.catalog import find_model
    from geosr.runtimes.openvino import OpenVinoNetwork, supports_bfloat16

    precision = "bfloat16" if supports_bfloat16() else "float32"
    took: dict[str, list[float]] = {name: [] for name in NAMES}
    rng = np.random.default_rng(0)
    calls, pixels = {}, {}
    for name in NAMES:
        facts = find_model(str(cards[name]))
        cut = facts.tensors["detail_in"], facts.tensors["detail_out"]
        path = cards[name].parent / facts.files["onnx"]
        network = OpenVinoNetwork(path, cut=cut, precision=precision, threads=1)
        side = SIDE + 2 * (facts.radius - 4)
        x = rng.normal(size=(1, 1, side, side)).astype(np.float32)
        calls[name] = lambda network=network, x=x: network.borrow(x)
        pixels[name] = SIDE**2
    for turn in range(ROUNDS + 1):
        for name in NAMES:
            begun = time.perf_counter()
            calls[name]()
            if turn:
                took[name].append((time.perf_counter() - begun) / pixels[name])
    return {name: statistics.median(took[name]) for name in NAMES}


def _interval(gains: np.ndarray) -> str:
    from geosr.metrics import bootstrap_mean

    found = bootstrap_mean(gains.tolist())
    return f"{found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def main() -> None:
    """Train, score, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with train/ and eval/")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--factor", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("runs/same_time"))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    each = _step_seconds(args.factor, args.data)
    steps = {name: int(args.minutes * 60 / each[name]) for name in NAMES}
    print(steps, each, flush=True)
    seconds = _side_by_side(args.factor, steps, args.data, args.runs)
    cards = {name: args.runs / name / f"{name}-x{args.factor}.json" for name in NAMES}
    gains = {name: _gains(cards[name], args.factor, args.data / "eval/rgb") for name in NAMES}
    pixel = _pixel_seconds(cards)
    lines = [
        f"# geosr and EDSR-baseline after the same time, x{args.factor}",
        "",
        __doc__ or "",
        "| network | steps | minutes of training | gain over bicubic, dB (95 % interval) | "
        "images below bicubic | time for a source pixel, EDSR = 1 |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {steps[name]:,} | {seconds[name] / 60:.1f} | {_interval(gains[name])} | "
        f"{int((gains[name] < 0).sum())} of {len(gains[name])} | "
        f"{pixel[name] / pixel['edsr']:.2f} |"
        for name in NAMES
    ]
    lines += ["", f"geosr beside EDSR: {_interval(gains['geosr'] - gains['edsr'])} dB.", ""]
    print("\n".join(lines))
    if args.out:
        args.out.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
