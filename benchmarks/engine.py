"""Time ``geosr upscale`` against the bare network, GDAL and a naive script.

    python benchmarks/engine.py --sizes 1024 2048 4096 8192 --out benchmarks/engine.md

Each figure is a whole process of its own: wall time, CPU time and peak resident memory. The
bare network is the same weights on as many pixels, in tiles of 512 (its convolutions take 6
more on each side), nothing read and nothing written, start-up left out. The overhead factor is
the time of ``upscale_file``, from its call to its return with the weights' loading, over that.
The naive script reads all, runs the whole network on each band at once, and writes all. Rows
of one size are measured in turns, so their ratios hold on a noisy machine; the best of the
turns counts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

BANDS = 4


@dataclass(frozen=True)
class Figure:
    """One run of one process."""

    wall: float
    cpu: float
    rss: float
    inner: float


def make_scene(path: Path, side: int) -> None:
    """Write a scene of ``BANDS`` uint16 bands: noise of several scales, with a nodata corner."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(300, 4000, (BANDS, 65, 65))
    profile = {
        "driver": "GTiff",
        "width": side,
        "height": side,
        "count": BANDS,
        "dtype": "uint16",
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "zlevel": 1,
        "predictor": 2,
        "nodata": 0,
        "crs": "EPSG:32633",
        "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6),
    }
    with rasterio.open(path, "w", **profile) as dst:
        for row in range(0, side, 512):
            height = min(512, side - row)
            shape = (BANDS, height, side)
            image = np.empty(shape)
            for band in range(BANDS):
                y = (row + np.arange(height)) % 4096 / 64
                x = np.arange(side) % 4096 / 64
                image[band] = coarse[band][np.ix_(y.astype(int), x.astype(int))]
            image += rng.normal(0, 60, shape)
            if row < side // 8:
                image[:, :, : side // 8] = 0
            dst.write(
                np.clip(image, 0, 10000).astype("uint16"), window=Window(0, row, side, height)
            )


def measured(command: list[str]) -> Figure:
    """Run a command; a line ``inner SECONDS`` on its output is the time without start-up."""
    begun = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    output, _ = process.communicate()
    wall = time.monotonic() - begun
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    usage = json.loads(output.splitlines()[-1])
    return Figure(wall, usage["cpu"], usage["rss"], usage["inner"])


def child(kind: str, src: str, dst: str, model: str, factor: int) -> None:
    """Do one kind of work in this process and print what it took."""
    inner = {"geosr": _geosr, "bare": _bare, "naive": _naive, "gdalwarp": _gdalwarp}[kind](
        src, dst, model, factor
    )
    own = resource.getrusage(resource.RUSAGE_SELF)
    spawned = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = sum(u.ru_utime + u.ru_stime for u in (own, spawned))
    rss = max(own.ru_maxrss, spawned.ru_maxrss) / 1024
    print(json.dumps({"cpu": cpu, "rss": rss, "inner": inner}))


def _geosr(src: str, dst: str, model: str, factor: int) -> float:
    import geosr

    report = geosr.upscale_file(src, dst, model=model, upscale_factor=factor, overwrite=True)
    return float(report.stats["seconds"])


def _bare(src: str, _dst: str, model: str, factor: int) -> float:
    """Run the network alone: as many tiles as the raster has pixels, in as many threads."""
    from concurrent.futures import ThreadPoolExecutor

    from geosr.core.catalog import find_model
    from geosr.core.options import UpscaleOptions
    from geosr.predictors import load_predictor, settle

    facts = find_model(model, factor)
    machinery = settle(facts, UpscaleOptions(), processors=os.cpu_count() or 1)
    predictor = load_predictor(facts, machinery)
    with rasterio.open(src) as dataset:
        pixels = dataset.width * dataset.height * BANDS
    margin = facts.radius - 4  # what the trained part takes beside its output
    core = 512
    x = np.random.default_rng(0).normal(0, 50, (1, core + 2 * margin, core + 2 * margin))
    x = x.astype("float32")
    with ThreadPoolExecutor(machinery.threads) as pool:
        list(pool.map(lambda _: predictor.detail(x), range(machinery.threads)))  # compile
        begun = time.monotonic()
        list(pool.map(lambda _: predictor.detail(x).shape, range(-(-pixels // core**2))))
        return time.monotonic() - begun


def _naive(src: str, dst: str, model: str, factor: int) -> float:
    """Do what a first script does: read all, run all, write all."""
    from geosr.core.catalog import WEIGHTS_DIR, find_model

    begun = time.monotonic()
    import openvino

    facts = find_model(model, factor)
    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # as the others compute
    network = openvino.Core().compile_model(WEIGHTS_DIR / facts.files["onnx"], "CPU", exact)
    with rasterio.open(src) as dataset:
        image, profile = dataset.read(), dataset.profile
    output = np.stack(
        [network(b[None, :, :, None].astype("float32"))[0][0, :, :, 0] for b in image]
    )
    height, width = output.shape[1:]
    transform = profile["transform"] * rasterio.Affine.scale(1 / factor)
    profile.update(height=height, width=width, transform=transform)
    with rasterio.open(dst, "w", **profile) as dataset:
        dataset.write(np.clip(np.rint(output), 0, 65535).astype("uint16"))
    return time.monotonic() - begun


def _gdalwarp(src: str, dst: str, _model: str, factor: int) -> float:
    """Run rasterio's own ``rio warp``: GDAL's warper, cubic, to the same compression."""
    begun = time.monotonic()
    with rasterio.open(src) as dataset:
        resolution = dataset.transform.a / factor
    options = [
        "COMPRESS=ZSTD",
        "ZSTD_LEVEL=1",
        "PREDICTOR=2",
        "TILED=YES",
        "BLOCKXSIZE=512",
        "BLOCKYSIZE=512",
        "NUM_THREADS=ALL_CPUS",
        "BIGTIFF=IF_SAFER",
    ]
    command = [
        str(Path(sys.executable).with_name("rio")),
        "warp",
        src,
        dst,
        "--overwrite",
        "--resampling",
        "cubic",
        "--res",
        str(resolution),
        "--threads",
        "2",
    ]
    for option in options:
        command += ["--co", option]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def main() -> None:
    """Parse the command line, measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--model", default="geosr-lite")
    parser.add_argument("--factor", type=int, default=2)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--naive-limit", type=int, default=2048)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", nargs=3)
    args = parser.parse_args()
    if args.child:
        child(*args.child, args.model, args.factor)
        return
    lines = [
        "| size | what | wall s | CPU s | source Mpx/s | output Mpx/s | peak RSS MiB | "
        "over bare network |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for side in args.sizes:
        lines += _rows(side, args)
        print("\n".join(lines[-5:]), flush=True)
    if args.out:
        title = f"# Engine: {args.model} x{args.factor}, {BANDS} bands uint16"
        text = "\n".join([title, "", (__doc__ or "").strip(), "", *lines, ""])
        args.out.write_text(text, encoding="utf-8")


def _rows(side: int, args: argparse.Namespace) -> list[str]:
    kinds = ["bare", "geosr", "gdalwarp"] + (["naive"] if side <= args.naive_limit else [])
    best: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory() as folder:
        src, dst = str(Path(folder) / "in.tif"), str(Path(folder) / "out.tif")
        make_scene(Path(src), side)
        for _ in range(args.turns):
            for kind in kinds:
                command = [sys.executable, __file__, "--child", kind, src, dst]
                command += ["--model", args.model, "--factor", str(args.factor)]
                figure = measured(command)
                if kind not in best or figure.inner < best[kind].inner:
                    best[kind] = figure
    mpx = side * side * BANDS / 1e6
    rows = []
    for kind, figure in best.items():
        ratio = figure.inner / best["bare"].inner
        rows.append(
            f"| {side} | {kind} | {figure.inner:.2f} | {figure.cpu:.2f} | "
            f"{mpx / figure.inner:.2f} | {mpx * args.factor**2 / figure.inner:.2f} | "
            f"{figure.rss:.0f} | {ratio:.2f} |"
        )
    return rows


if __name__ == "__main__":
    main()
