"""Train published networks as their papers say, and score them as their papers do.

    python benchmarks/papers.py srcnn-x3 --data DATA/paper
    python benchmarks/papers.py --table benchmarks/papers.md

Each run trains one network on the 91 images of Yang et al. [1]_ and scores it on Set5 by the
common protocol: luma of MATLAB's ``rgb2ycbcr`` rounded to 8 bits, sides cut to multiples of the
factor, low resolution by MATLAB's antialiased ``imresize`` (not rounded), the result rounded to
8 bits, PSNR with peak 255 after a border of the factor is cut off. The row of bicubic must give
the published number, or the protocol is not that of the papers.

The networks are the papers' own forms, with biases and zero padding. They are trained with Adam
on random crops in eight orientations, the images also shrunk to 0.9, 0.8, 0.7 and 0.6 of their
size [3]_; the rate falls as a cosine and the running mean of the weights is scored. A stopped run
goes on when the same command is given again.

References
----------
.. [1] Yang et al. (2010), "Image super-resolution via sparse representation", IEEE TIP 19(11).
.. [2] Dong et al. (2014), "Learning a deep convolutional network for image super-resolution",
   ECCV: SRCNN 9-1-5, Set5 x3, trained on the 91 images.
.. [3] Dong et al. (2016), "Accelerating the super-resolution convolutional neural network",
   ECCV: FSRCNN(56, 12, 4), Set5, trained on the 91 images.
.. [4] Shi et al. (2016), "Real-time single image and video super-resolution using an efficient
   sub-pixel convolutional neural network", CVPR: ESPCN with tanh, Set5 x3, trained on the 91
   images.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import rasterio
from numpy.typing import NDArray

from geosr.degrade import bicubic
from geosr.degrade.resizing import resized
from geosr.models.families import build

Plane = NDArray[np.float32]
HERE = Path(__file__).resolve().parent
SHRUNK = (1.0, 0.9, 0.8, 0.7, 0.6)


@dataclass(frozen=True)
class Run:
    """A network and how it is trained; ``patch`` is in low-resolution pixels."""

    architecture: str
    factor: int
    published: float
    steps: int
    batch: int
    patch: int
    rate: float


RUNS = {
    "srcnn-x3": Run("srcnn-paper", 3, 32.39, 30_000, 32, 16, 2e-3),
    "fsrcnn-x3": Run("fsrcnn-paper", 3, 33.06, 40_000, 32, 20, 2e-3),
    "fsrcnn-x2": Run("fsrcnn-paper", 2, 36.94, 40_000, 32, 20, 2e-3),
    "espcn-x3": Run("espcn-paper", 3, 32.55, 40_000, 32, 20, 2e-3),
}
BICUBIC = {2: 33.66, 3: 30.39, 4: 28.42}  # published, Set5


def luma(path: Path) -> Plane:
    """Return the luma of MATLAB's rgb2ycbcr, rounded to 8 bits, from 0 to 1."""
    with rasterio.open(path) as src:
        rgb = src.read([1, 2, 3] if src.count >= 3 else [1, 1, 1]).astype(np.float64)
    y = np.tensordot([65.481, 128.553, 24.966], rgb, axes=1) / 255 + 16
    return (np.rint(y) / 255).astype(np.float32)


def cut(plane: Plane, factor: int) -> Plane:
    height, width = (n // factor * factor for n in plane.shape)
    return plane[:height, :width]


def score(truth: Plane, output: Plane, factor: int) -> float:
    inner = (slice(factor, -factor),) * 2
    shown = np.rint(np.clip(output, 0, 1) * 255)[inner]
    error = shown - np.rint(truth * 255)[inner]
    return float(10 * np.log10(255**2 / np.mean(error**2)))


def set5(data: Path, factor: int) -> list[tuple[Plane, Plane]]:
    """Return low and high resolution of the five images."""
    planes = [cut(luma(path), factor) for path in sorted((data / "set5").glob("*.png"))]
    if len(planes) != 5:
        raise SystemExit(f"{data / 'set5'} should hold the five images of Set5.")
    return [(bicubic(plane, factor).astype(np.float32), plane) for plane in planes]


def bicubic_row(pairs: list[tuple[Plane, Plane]], factor: int) -> float:
    """Return what interpolation alone scores: it must be the published number."""
    return float(
        np.mean([score(high, resized(low, high.shape, "bicubic"), factor) for low, high in pairs])
    )


def training_pairs(data: Path, run: Run) -> list[tuple[Plane, Plane]]:
    pairs = []
    for path in sorted((data / "t91").iterdir()):
        plane = luma(path)
        for share in SHRUNK:
            shape = (round(plane.shape[0] * share), round(plane.shape[1] * share))
            smaller = plane if share == 1 else resized(plane, shape, "bicubic").astype(np.float32)
            high = cut(smaller, run.factor)
            low = bicubic(high, run.factor).astype(np.float32)
            if min(low.shape) >= run.patch:
                pairs.append((low, high))
    return pairs


def drawn(pairs: list[tuple[Plane, Plane]], run: Run, step: int) -> tuple[Plane, Plane]:
    """Return the batch of a step: the same each time."""
    rng = np.random.default_rng([91, step])
    sizes = np.array([low.size for low, _ in pairs], float)
    low_batch, high_batch = [], []
    for index in rng.choice(len(pairs), run.batch, p=sizes / sizes.sum()):
        low, high = pairs[index]
        row, col = (int(rng.integers(0, n - run.patch + 1)) for n in low.shape)
        way, s, p = int(rng.integers(8)), run.factor, run.patch
        for batch, plane, scale in ((low_batch, low, 1), (high_batch, high, s)):
            part = plane[row * scale : (row + p) * scale, col * scale : (col + p) * scale]
            turned = np.rot90(part, way % 4)
            batch.append(turned[:, ::-1] if way >= 4 else turned)
    return np.stack(low_batch)[..., None], np.stack(high_batch)[..., None]


def train(name: str, data: Path, out: Path) -> None:
    """Train one network, score it, and write its figures."""
    run = RUNS[name]
    out.mkdir(parents=True, exist_ok=True)
    tests = set5(data, run.factor)
    floor = bicubic_row(tests, run.factor)
    print(f"bicubic {floor:.2f} dB (published {BICUBIC[run.factor]:.2f})", flush=True)
    pairs = training_pairs(data, run)
    keras.utils.set_random_seed(91)
    checkpoint = out / f"{name}.keras"
    if checkpoint.exists():
        model = keras.saving.load_model(checkpoint)
    else:
        model = build(run.architecture, run.factor)
        rate = keras.optimizers.schedules.CosineDecay(run.rate, run.steps, alpha=0.01)
        optimizer = keras.optimizers.Adam(rate, use_ema=True, ema_momentum=0.999)
        model.compile(optimizer=optimizer, loss="mse", jit_compile=False)
        optimizer.build(model.trainable_variables)
    begun, first = time.monotonic(), int(model.optimizer.iterations)
    for step in range(first, run.steps):
        model.train_on_batch(*drawn(pairs, run, step))
        if (step + 1) % 1000 == 0 or step + 1 == run.steps:
            reached = averaged_score(model, tests, run.factor)
            print(
                f"step {step + 1}: {reached:.2f} dB, {time.monotonic() - begun:.0f} s", flush=True
            )
            model.save(checkpoint)
            figures = {
                **asdict(run),
                "name": name,
                "parameters": model.count_params(),
                "step": step + 1,
                "psnr": reached,
                "bicubic": floor,
            }
            (out / f"{name}.json").write_text(json.dumps(figures, indent=2), encoding="utf-8")


def averaged_score(model: keras.Model, tests: list[tuple[Plane, Plane]], factor: int) -> float:
    """Score the running mean of the weights on Set5."""
    weights = model.get_weights()
    model.optimizer.finalize_variable_values(model.trainable_variables)
    outputs = [np.asarray(model(low[None, ..., None]))[0, ..., 0] for low, _ in tests]
    model.set_weights(weights)
    return float(
        np.mean([score(high, y, factor) for (_, high), y in zip(tests, outputs, strict=True)])
    )


def table(out: Path) -> str:
    """Return the Markdown of all runs that there are."""
    lines = [
        "| network | factor | parameters | steps | bicubic, published | bicubic, here | "
        "published | here | difference |",
        "|---" * 9 + "|",
    ]
    for path in sorted(out.glob("*.json")):
        f = json.loads(path.read_text(encoding="utf-8"))
        lines.append(
            f"| {f['architecture'].removesuffix('-paper')} | x{f['factor']} | "
            f"{f['parameters']:,} | {f['step']:,} of {f['steps']:,} | "
            f"{BICUBIC[f['factor']]:.2f} | {f['bicubic']:.2f} | {f['published']:.2f} | "
            f"**{f['psnr']:.2f}** | {f['psnr'] - f['published']:+.2f} |"
        )
    return "\n".join(["# Papers reproduced", "", (__doc__ or "").strip(), "", *lines, ""])


def main() -> None:
    """Parse the command line; train, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", choices=tuple(RUNS))
    parser.add_argument("--data", type=Path, help="folder with t91/ and set5/")
    parser.add_argument("--out", type=Path, default=HERE.parent / "runs" / "papers")
    parser.add_argument("--table", type=Path, help="file to write the table of all runs to")
    args = parser.parse_args()
    if args.run:
        if args.data is None:
            parser.error("a run needs --data")
        train(args.run, args.data, args.out)
    if args.table:
        args.table.write_text(table(args.out), encoding="utf-8")
        print(table(args.out))


if __name__ == "__main__":
    main()
