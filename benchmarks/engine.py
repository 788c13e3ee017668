"""Time ``geosr upscale`` against the bare network and what else people use.

    python benchmarks/engine.py --out benchmarks/engine.md

Each figure is a whole process of its own: wall time, CPU time and peak resident memory. Rows of
one size are measured in turns, so that their ratios hold on a noisy machine; the best of the turns
counts; what is larger than the peers' limit is measured once. Start-up of Python is left out.

- ``bare``: the same weights on as many pixels, in tiles of 512 without a halo, as many threads as
  cores; nothing read, nothing written, weights loaded before.
- ``geosr``: ``upscale_file`` from its call to its return, the weights' loading included, to a
  cloud-optimised GeoTIFF with overviews (ZSTD 1, predictor 2).
- ``gdalwarp``: ``gdalwarp -r cubic -of COG`` to the same compression, all cores, 512 MB of cache.
- ``gdal_translate``: ``gdal_translate -r cubic -outsize -of COG``, likewise.
- ``naive``: reads all, runs the whole network on each band at once, and writes all; no overviews.
- ``dask``: the same network through ``map_overlap``, and rioxarray's ``to_raster``; no overviews.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

BANDS = 4
CREATION = {
    "tiled": True,
    "blockxsize": 512,
    "blockysize": 512,
    "compress": "zstd",
    "zstd_level": 1,
    "predictor": 2,
    "num_threads": "all_cpus",
    "bigtiff": "if_safer",
}


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
    inner = KINDS[kind](src, dst, model, factor)
    own = resource.getrusage(resource.RUSAGE_SELF)
    spawned = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = sum(u.ru_utime + u.ru_stime for u in (own, spawned))
    rss = max(own.ru_maxrss, spawned.ru_maxrss) / 1024
    print(json.dumps({"cpu": cpu, "rss": rss, "inner": inner}))


def _geosr(src: str, dst: str, model: str, factor: int) -> float:
    import geosr
    from geosr.cli.memory import keep_few_arenas

    keep_few_arenas()  # as the command line does
    options = {} if model.endswith(".onnx") else {"upscale_factor": factor}
    begun = time.monotonic()
    geosr.upscale_file(src, dst, model=model, overwrite=True, resume=False, **options)
    return time.monotonic() - begun


def _network(model: str, factor: int) -> tuple[object, int, int]:
    """Return a network as a function of ``(1, 1, h, w)``, its margin, and how many threads."""
    from geosr.core.catalog import find_model
    from geosr.core.options import UpscaleOptions
    from geosr.predictors import load_predictor, settle
    from geosr.runtimes.openvino import OpenVinoNetwork

    threads = os.cpu_count() or 1
    if model.endswith(".onnx"):
        network = OpenVinoNetwork(Path(model), cut=None, precision="float32", threads=threads)
        return lambda x: network.borrow(x[None]), 0, threads
    facts = find_model(model, factor)
    machinery = settle(facts, UpscaleOptions(), processors=threads)
    predictor = load_predictor(facts, machinery)
    return predictor.detail, facts.radius - 4, threads  # what the trained part takes beside


def _bare(src: str, _dst: str, model: str, factor: int) -> float:
    from concurrent.futures import ThreadPoolExecutor

    network, margin, threads = _network(model, factor)
    with rasterio.open(src) as dataset:
        pixels = dataset.width * dataset.height * dataset.count
    core = 512
    x = np.random.default_rng(0).normal(0, 50, (1, core + 2 * margin, core + 2 * margin))
    x = x.astype("float32")
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: network(x).shape, range(threads)))  # compile
        begun = time.monotonic()
        list(pool.map(lambda _: network(x).shape, range(-(-pixels // core**2))))
        return time.monotonic() - begun


def _openvino(model: str, factor: int) -> object:
    """Compile the whole network as a first script would, in the precision of the others."""
    import openvino

    from geosr.core.catalog import WEIGHTS_DIR, find_model

    path = Path(model)
    if not model.endswith(".onnx"):
        path = WEIGHTS_DIR / find_model(model, factor).files["onnx"]
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(path, "CPU", exact)


def _naive(src: str, dst: str, model: str, factor: int) -> float:
    begun = time.monotonic()
    network = _openvino(model, factor)
    with rasterio.open(src) as dataset:
        image, profile = dataset.read(), dataset.profile
    output = np.stack([_picture(network, band) for band in image])
    height, width = output.shape[1:]
    transform = profile["transform"] * rasterio.Affine.scale(1 / factor)
    profile.update(height=height, width=width, transform=transform, **CREATION)
    with rasterio.open(dst, "w", **profile) as dataset:
        dataset.write(output)
    return time.monotonic() - begun


def _picture(network: object, band: np.ndarray) -> np.ndarray:
    """Run a network of either layout on one band."""
    channels_last = network.inputs[0].get_partial_shape()[3] == 1
    x = band.astype("float32")
    x = x[None, :, :, None] if channels_last else x[None, None]
    y = network.create_infer_request().infer([x])[0]  # one for each thread of dask
    y = y[0, :, :, 0] if channels_last else y[0, 0]
    return np.clip(np.rint(y), 0, 65535).astype("uint16")


def _dask(src: str, dst: str, model: str, factor: int) -> float:
    begun = time.monotonic()
    import rioxarray

    network, halo = _openvino(model, factor), 12

    def upscale(block: np.ndarray) -> np.ndarray:
        done = np.stack([_picture(network, band) for band in block])
        cut = halo * factor
        return done[:, cut:-cut, cut:-cut]

    scene = rioxarray.open_rasterio(src, chunks={"band": 1, "y": 1024, "x": 1024}, lock=False)
    chunks = tuple(
        tuple(n * (factor if axis else 1) for n in lengths)
        for axis, lengths in enumerate(scene.data.chunks)
    )
    finer = scene.data.map_overlap(
        upscale,
        depth={0: 0, 1: halo, 2: halo},
        boundary="reflect",
        trim=False,
        chunks=chunks,
        dtype="uint16",
    )
    result = rioxarray.raster_array.xarray.DataArray(finer, dims=("band", "y", "x"))
    transform = scene.rio.transform() * rasterio.Affine.scale(1 / factor)
    result = result.rio.write_crs(scene.rio.crs).rio.write_transform(transform)
    result.rio.to_raster(dst, lock=threading.Lock(), **CREATION)
    return time.monotonic() - begun


def _gdalwarp(src: str, dst: str, _model: str, factor: int) -> float:
    with rasterio.open(src) as dataset:
        side = str(dataset.res[0] / factor)
    return _gdal("gdalwarp", "-tr", side, side, "-multi", "-wo", "NUM_THREADS=ALL_CPUS", src, dst)


def _gdal_translate(src: str, dst: str, _model: str, factor: int) -> float:
    percent = f"{100 * factor}%"
    return _gdal("gdal_translate", "-outsize", percent, percent, src, dst)


def _gdal(program: str, *arguments: str) -> float:
    options = ("COMPRESS=ZSTD", "LEVEL=1", "PREDICTOR=YES", "NUM_THREADS=ALL_CPUS")
    command = [program, "-q", "-r", "cubic", "-of", "COG", "--config", "GDAL_CACHEMAX", "512"]
    for option in (*options, "BIGTIFF=IF_SAFER"):
        command += ["-co", option]
    Path(arguments[-1]).unlink(missing_ok=True)
    begun = time.monotonic()
    subprocess.run([*command, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


KINDS = {
    "bare": _bare,
    "geosr": _geosr,
    "gdalwarp": _gdalwarp,
    "gdal_translate": _gdal_translate,
    "naive": _naive,
    "dask": _dask,
}
READS_ALL = ("naive", "dask")
KERNELS = ("nearest", "bilinear", "bicubic", "lanczos")


def main() -> None:
    """Parse the command line, measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2048, 4096, 8192])
    parser.add_argument("--models", nargs="+", default=["geosr-lite", "bicubic"])
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS))
    parser.add_argument("--factor", type=int, default=2)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--peers-limit", type=int, default=4096, help="larger: geosr and bare only")
    parser.add_argument("--naive-limit", type=int, default=2048)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", nargs=3)
    args = parser.parse_args()
    if args.child:
        child(*args.child, args.models[0], args.factor)
        return
    text = ["# Engine", "", (__doc__ or "").strip(), "", f"{os.cpu_count()} cores.", ""]
    for model in args.models:
        table = [f"## {Path(model).stem} x{args.factor}, {BANDS} bands uint16", "", *HEAD]
        print("\n".join(table[-2:]), flush=True)
        for side in args.sizes:
            rows = _rows(side, model, args)
            print("\n".join(rows), flush=True)
            table += rows
        text += [*table, ""]
    if args.out:
        args.out.write_text("\n".join(text), encoding="utf-8")


HEAD = (
    "| size | what | wall s | CPU s | source Mpx/s | output Mpx/s | peak RSS MiB | wall ratio | "
    "CPU ratio |",
    "|---|---|---|---|---|---|---|---|---|",
)


def _kinds(side: int, model: str, args: argparse.Namespace) -> list[str]:
    """Return what is run; a classical kernel is compared with GDAL's, and with itself."""
    kinds = list(args.kinds or KINDS)
    left_out = set() if side <= args.peers_limit else set(KINDS) - {"bare", "geosr"}
    left_out |= {name for name in ("gdalwarp", "gdal_translate") if not shutil.which(name)}
    if side > args.naive_limit:
        left_out |= set(READS_ALL)
    if model in KERNELS:
        left_out |= {"bare", *READS_ALL}
    return [kind for kind in kinds if kind not in left_out]


def _rows(side: int, model: str, args: argparse.Namespace) -> list[str]:
    kinds = _kinds(side, model, args)
    best: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory() as folder:
        src, dst = str(Path(folder) / "in.tif"), str(Path(folder) / "out.tif")
        # In a process of its own: what this one held would count as its children's peak.
        maker = multiprocessing.get_context("spawn").Process(
            target=make_scene, args=(Path(src), side)
        )
        maker.start()
        maker.join()
        for _ in range(args.turns if side <= args.peers_limit else 1):
            for kind in kinds:
                command = [sys.executable, __file__, "--child", kind, src, dst]
                command += ["--models", model, "--factor", str(args.factor)]
                figure = measured(command)
                Path(dst).unlink(missing_ok=True)
                if kind not in best or figure.inner < best[kind].inner:
                    best[kind] = figure
    mpx = side * side * BANDS / 1e6
    base = best.get("bare") or next(iter(best.values()))
    return [
        f"| {side} | {kind} | {figure.inner:.2f} | {figure.cpu:.2f} | "
        f"{mpx / figure.inner:.2f} | {mpx * args.factor**2 / figure.inner:.2f} | "
        f"{figure.rss:.0f} | {figure.inner / base.inner:.2f} | {figure.cpu / base.cpu:.2f} |"
        for kind, figure in best.items()
    ]


if __name__ == "__main__":
    main()
