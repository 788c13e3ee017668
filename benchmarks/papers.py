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

EDSR and SRResNet have the papers' structure and parameters, batches, patches, losses and rates
(which fall only after hundreds of thousands of steps there), and see colour, rounded to 8 bits at
both resolutions. Their papers train for days, on DIV2K and on ImageNet: here are learning curves
of a short run on the 91 images, beside the published end.

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
.. [5] Lim et al. (2017), "Enhanced deep residual networks for single image super-resolution", CVPR
   Workshops: the baseline of 16 blocks of 64, Set5 x2, as its authors' code reports it.
.. [6] Ledig et al. (2017), "Photo-realistic single image super-resolution using a generative
   adversarial network", CVPR: SRResNet-MSE, Set5 x4.
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
    """A network and how it is trained.

    ``patch`` is in low-resolution pixels. ``peak`` is white. With ``paper_steps``, which
    the paper takes, this is a short run: the rate does not fall, and what counts is the curve.
    """

    architecture: str
    factor: int
    published: float
    steps: int
    batch: int
    patch: int
    rate: float
    loss: str = "mse"
    colour: bool = False
    peak: float = 1
    paper_steps: int = 0


RUNS = {
    "srcnn-x3": Run("srcnn-paper", 3, 32.39, 30_000, 32, 16, 2e-3),
    "fsrcnn-x3": Run("fsrcnn-paper", 3, 33.06, 40_000, 32, 20, 2e-3),
    "fsrcnn-x2": Run("fsrcnn-paper", 2, 36.94, 40_000, 32, 20, 2e-3),
    "espcn-x3": Run("espcn-paper", 3, 32.55, 60_000, 32, 20, 1e-3),
    "edsr-x2": Run(
        "edsr-paper",
        2,
        37.99,
        1_000,
        16,
        48,
        1e-4,
        "mae",
        colour=True,
        peak=255,
        paper_steps=300_000,
    ),
    "srresnet-x4": Run(
        "srresnet-paper", 4, 32.05, 1_000, 16, 24, 1e-4, colour=True, paper_steps=1_000_000
    ),
}
BICUBIC = {2: 33.66, 3: 30.39, 4: 28.42}  # published, Set5


def rgb(path: Path) -> Plane:
    """Return red, green and blue of an image, ``(h, w, 3)`` from 0 to 1."""
    with rasterio.open(path) as src:
        image = src.read([1, 2, 3] if src.count >= 3 else [1, 1, 1])
    return np.moveaxis(image, 0, -1).astype(np.float32) / 255


def luma(image: Plane) -> Plane:
    """Return the luma of MATLAB's rgb2ycbcr, rounded to 8 bits, from 0 to 1."""
    y = np.asarray(image, np.float64) @ [65.481, 128.553, 24.966] + 16
    return (np.rint(y) / 255).astype(np.float32)


def picture(path: Path, run: Run) -> Plane:
    """Return what the network of a run sees of an image: ``(h, w, 1 or 3)`` from 0 to 1."""
    return rgb(path) if run.colour else luma(rgb(path))[..., None]


def cut(image: Plane, factor: int) -> Plane:
    height, width = (n // factor * factor for n in image.shape[:2])
    return image[:height, :width]


def rounded(image: Plane) -> Plane:
    return (np.rint(np.clip(image, 0, 1) * 255) / 255).astype(np.float32)


def resampled(image: Plane, shape: tuple[int, ...]) -> Plane:
    """Resize each band by MATLAB's ``imresize``."""
    bands = [resized(image[..., n], shape[:2], "bicubic") for n in range(image.shape[2])]
    return np.stack(bands, axis=-1).astype(np.float32)


def degraded(image: Plane, run: Run) -> Plane:
    bands = np.moveaxis(bicubic(np.moveaxis(image, -1, 0), run.factor), 0, -1).astype(np.float32)
    return rounded(bands) if run.colour else bands


def score(truth: Plane, output: Plane, factor: int) -> float:
    """Return the PSNR in dB of one band, or of the luma of three."""
    both = [rounded(image) for image in (truth, output)]
    want, got = (luma(x) if x.shape[2] == 3 else x[..., 0] for x in both)
    error = (255 * (got.astype(np.float64) - want))[factor:-factor, factor:-factor]
    return float(10 * np.log10(255**2 / np.mean(error**2)))


def set5(data: Path, run: Run) -> list[tuple[Plane, Plane]]:
    """Return low and high resolution of the five images."""
    paths = sorted((data / "set5").glob("*.png"))
    images = [cut(picture(path, run), run.factor) for path in paths]
    if len(images) != 5:
        raise SystemExit(f"{data / 'set5'} should hold the five images of Set5.")
    return [(degraded(image, run), image) for image in images]


def bicubic_row(pairs: list[tuple[Plane, Plane]], factor: int) -> float:
    """Return what interpolation alone scores: it must be the published number."""
    return float(np.mean([score(high, resampled(low, high.shape), factor) for low, high in pairs]))


def training_pairs(data: Path, run: Run) -> list[tuple[Plane, Plane]]:
    pairs = []
    for path in sorted((data / "t91").iterdir()):
        image = picture(path, run)
        for share in SHRUNK:
            shape = (round(image.shape[0] * share), round(image.shape[1] * share))
            high = cut(image if share == 1 else resampled(image, shape), run.factor)
            low = degraded(high, run)
            if min(low.shape[:2]) >= run.patch:
                pairs.append((low, high))
    return pairs


def drawn(pairs: list[tuple[Plane, Plane]], run: Run, step: int) -> tuple[Plane, Plane]:
    """Return the batch of a step: the same each time."""
    rng = np.random.default_rng([91, step])
    sizes = np.array([low.size for low, _ in pairs], float)
    low_batch, high_batch = [], []
    for index in rng.choice(len(pairs), run.batch, p=sizes / sizes.sum()):
        low, high = pairs[index]
        row, col = (int(rng.integers(0, n - run.patch + 1)) for n in low.shape[:2])
        way, s, p = int(rng.integers(8)), run.factor, run.patch
        for batch, plane, scale in ((low_batch, low, 1), (high_batch, high, s)):
            part = plane[row * scale : (row + p) * scale, col * scale : (col + p) * scale]
            turned = np.rot90(part, way % 4)
            batch.append(turned[:, ::-1] if way >= 4 else turned)
    return run.peak * np.stack(low_batch), run.peak * np.stack(high_batch)


def train(name: str, data: Path, out: Path) -> None:
    """Train one network, score it, and write its figures."""
    run = RUNS[name]
    out.mkdir(parents=True, exist_ok=True)
    tests = set5(data, run)
    floor = bicubic_row(tests, run.factor)
    print(f"bicubic {floor:.2f} dB (published {BICUBIC[run.factor]:.2f})", flush=True)
    pairs = training_pairs(data, run)
    keras.utils.set_random_seed(91)
    checkpoint = out / f"{name}.keras"
    if checkpoint.exists():
        model = keras.saving.load_model(checkpoint)
    else:
        model = build(run.architecture, run.factor)
        falling = keras.optimizers.schedules.CosineDecay(run.rate, run.steps, alpha=0.01)
        rate, memory = (run.rate, 0.98) if run.paper_steps else (falling, 0.999)
        optimizer = keras.optimizers.Adam(rate, use_ema=True, ema_momentum=memory)
        model.compile(optimizer=optimizer, loss=run.loss, jit_compile=False)
        optimizer.build(model.trainable_variables)
    begun, first = time.monotonic(), int(model.optimizer.iterations)
    curve = json.loads((out / f"{name}.json").read_text("utf-8")).get("curve", []) if first else []
    look = 100 if run.paper_steps else 1000
    for step in range(first, run.steps):
        model.train_on_batch(*drawn(pairs, run, step))
        if (step + 1) % look == 0 or step + 1 == run.steps:
            reached = averaged_score(model, tests, run)
            curve.append([step + 1, reached])
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
                "curve": curve,
                "bicubic": floor,
            }
            (out / f"{name}.json").write_text(json.dumps(figures, indent=2), encoding="utf-8")


def averaged_score(model: keras.Model, tests: list[tuple[Plane, Plane]], run: Run) -> float:
    """Score the running mean of the weights on Set5."""
    weights = model.get_weights()
    model.optimizer.finalize_variable_values(model.trainable_variables)
    outputs = [np.asarray(model(run.peak * low[None]))[0] / run.peak for low, _ in tests]
    model.set_weights(weights)
    scored = zip(tests, outputs, strict=True)
    return float(np.mean([score(high, y, run.factor) for (_, high), y in scored]))


def table(out: Path) -> str:
    """Return the Markdown of all runs that there are."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(out.glob("*.json"))]
    whole = [f for f in found if not RUNS[f["name"]].paper_steps]
    lines = [
        "| network | factor | parameters | steps | bicubic, published | bicubic, here | "
        "published | here | difference |",
        "|---" * 9 + "|",
    ]
    lines += [
        f"| {f['architecture'].removesuffix('-paper')} | x{f['factor']} | "
        f"{f['parameters']:,} | {f['step']:,} of {f['steps']:,} | "
        f"{BICUBIC[f['factor']]:.2f} | {f['bicubic']:.2f} | {f['published']:.2f} | "
        f"**{f['psnr']:.2f}** | {f['psnr'] - f['published']:+.2f} |"
        for f in whole
    ]
    for f in (f for f in found if RUNS[f["name"]].paper_steps):
        lines += [
            "",
            f"{f['architecture'].removesuffix('-paper')} x{f['factor']}, {f['parameters']:,} "
            f"parameters: {f['published'] - f['psnr']:.2f} dB short of the published "
            f"{f['published']:.2f} dB after {f['step']:,} steps, of which the paper takes "
            f"{RUNS[f['name']].paper_steps:,}; bicubic has {f['bicubic']:.2f} dB.",
            "",
            "| step | " + " | ".join(f"{step:,}" for step, _ in f["curve"]) + " |",
            "|---" * (len(f["curve"]) + 1) + "|",
            "| dB | " + " | ".join(f"{psnr:.2f}" for _, psnr in f["curve"]) + " |",
        ]
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
