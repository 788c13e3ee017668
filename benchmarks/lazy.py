"""Measure lazy arrays of many chunks: what the tasks cost besides the pixels.

    python benchmarks/lazy.py --out benchmarks/lazy.md

Sources are arrays that dask makes: square chunks of one uint16 band with a nodata value. ``geosr``
is ``geosr.upscale`` x2; ``map_overlap`` is dask's own way to the same pixels, as deep as geosr
looks; ``source`` only makes the source. All go to a store that keeps nothing, unless one is
named. With the kernel ``empty``, chunks come out unfilled: what is left is the tasks. The others
run the very same code on each chunk. Each row is a process of its own. Seconds of graphs and
milliseconds are of the processor; what the source alone takes is subtracted from the latter.

Processes are those of a ``LocalCluster``, whose scheduler runs in the client. ``moved`` are bytes
that went from one of them to another, for each byte of the source. Dask has their C library give
all memory back at once, which is dear where the system's pages are. In the last table it is kept:
``MALLOC_TRIM_THRESHOLD_`` and ``MALLOC_MMAP_THRESHOLD_`` are 2^30 in the setting
``distributed.nanny.pre-spawn-environ``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import dask
import dask.array
import numpy as np
import psutil
import rioxarray  # noqa: F401 -- DataArray.rio
import xarray
from distributed import Client, LocalCluster

import geosr
from geosr.core.geometry import Window
from geosr.lazy import blocks, graph

MODEL = "bicubic"
Figures = dict[str, float]


class Nowhere:
    """A store that keeps nothing."""

    def __setitem__(self, place: Any, values: Any) -> None:
        pass


def filled(side: int) -> Any:
    return np.full((side, side), 7, "uint16")


def source(count: int, side: int) -> xarray.DataArray:
    """Return an array of ``count x count`` chunks of ``side x side`` pixels."""
    chunks = ((side,) * count,) * 2
    data = dask.array.map_blocks(
        lambda block_info=None: filled(side), chunks=chunks, meta=np.empty((0, 0), "uint16")
    )
    places = 5 + 10.0 * np.arange(count * side)
    raster = xarray.DataArray(data, {"y": -places, "x": places}, ("y", "x"), "finer")
    return raster.assign_attrs(_FillValue=np.uint16(0)).rio.write_crs(32633)


def empty_piece(_job: Any, piece: blocks.Piece, *_given: Any) -> Any:
    return np.empty(piece.core.scale(2).shape, "uint16")


def empty_block(depth: int, block: Any) -> Any:
    return np.empty([2 * (length - 2 * depth) for length in block.shape], "uint16")


def same_block(job: blocks.Job, depth: int, block: Any) -> Any:
    """Do what geosr's task does, with a chunk that map_overlap has put together."""
    height, width = block.shape
    core = Window(depth, depth, height - 2 * depth, width - 2 * depth)
    piece = blocks.Piece(core, Window(0, 0, height, width), (blocks.Part(0, 0),))
    alone = replace(job, plan=replace(job.plan, shape=block.shape))
    return blocks.upscale_piece(alone, piece, block)


def made(way: str, kernel: str, raster: xarray.DataArray) -> xarray.DataArray:
    """Return the array whose making is measured."""
    if way == "source":
        return raster
    if kernel == "empty":
        graph.upscale_piece = empty_piece
    finer = geosr.upscale(raster, model=MODEL)
    if way == "geosr":
        return finer
    job = finer.data.dask.layers[finer.data.name][finer.data.name, 0, 0][1]
    depth = 2 * job.plan.halo  # as far as geosr looks where holes may be
    block = partial(empty_block, depth) if kernel == "empty" else partial(same_block, job, depth)
    options = {"depth": depth, "boundary": "reflect", "trim": False, "chunks": finer.chunks}
    meta = np.empty((0, 0), "uint16")
    return finer.copy(data=dask.array.map_overlap(block, raster.data, meta=meta, **options))


def save(array: xarray.DataArray, form: str) -> None:
    """Compute an array into a store."""
    with tempfile.TemporaryDirectory() as folder:
        if form == "nowhere":
            dask.array.store(array.data, Nowhere(), lock=False)
        elif form == "zarr":
            array.to_zarr(Path(folder) / "finer.zarr", consolidated=False)
        else:
            array.rio.to_raster(Path(folder) / "finer.tif", tiled=True, lock=threading.Lock())


@contextmanager
def watched(*processes: psutil.Process) -> Iterator[Figures]:
    """Yield figures: time, processor time, and the most memory that any of the processes held."""
    held: list[float] = []
    over = threading.Event()

    def look() -> None:
        held.append(max(process.memory_info().rss / 2**20 for process in processes))

    def watch() -> None:
        while not over.wait(0.02):
            look()

    def cpu() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    figures: Figures = {}
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    begun, used = time.monotonic(), cpu()
    yield figures
    figures.update(wall=time.monotonic() - begun, cpu=cpu() - used)
    over.set()
    thread.join()
    look()
    figures["memory"] = max(held)


def measure_graph(way: str, count: int, side: int) -> Figures:
    """Build a graph and make it ready for a scheduler."""
    raster, here = source(count, side), psutil.Process()
    made(way, MODEL, raster[: 2 * side, : 2 * side])  # load what is loaded once
    before = here.memory_info().rss / 2**20
    with watched(here) as figures:
        begun = time.process_time()
        array = made(way, MODEL, raster)
        built = time.process_time() - begun
        (ready,) = dask.optimize(array.data)
        seconds = time.process_time() - begun
    tasks = dict(ready.dask)
    return {
        "built": built,
        "seconds": seconds,
        "memory": figures["memory"] - before,
        "tasks": len(tasks) / count**2,
        "pickled": len(cloudpickle.dumps(tasks)) / 1e6,
    }


def measure_run(what: str, way: str, kernel: str, form: str, count: int, side: int) -> Figures:
    """Compute an array, in this process or in two others."""
    raster = source(count, side)
    array, here = made(way, kernel, raster), psutil.Process()
    if what == "threads":
        with dask.config.set(num_workers=2), watched(here) as figures:
            save(array, form)
        return figures
    dask.config.set({"distributed.admin.log-length": 10_000_000})
    if what == "kept":
        names = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
        dask.config.set({"distributed.nanny.pre-spawn-environ": dict.fromkeys(names, 1 << 30)})
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        workers = [psutil.Process(pid) for pid in client.run(os.getpid).values()]
        with watched(here) as own, watched(*workers) as figures:
            save(array, form)
        moved = sum(client.run(incoming).values()) / raster.nbytes
    figures["cpu"] += own["cpu"]
    return {**figures, "client": own["memory"], "moved": moved}


def incoming(dask_worker: Any) -> int:
    return sum(one["total"] for one in dask_worker.transfer_incoming_log)


def measured(limit: float, *row: object) -> Figures | None:
    """Measure one row in a process of its own; None if it does not finish in time."""
    command = [sys.executable, __file__, "--child", *map(str, row)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its workers, too: they hold the pipe
            return None
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return dict(json.loads(output.splitlines()[-1]))


def graph_table(limit: float, count: int) -> Iterator[str]:
    """Yield the table of graphs."""
    yield f"## Graphs of {count**2:,} chunks of 1024 pixels"
    yield ""
    yield "| | graph s | and `dask.optimize` s | over geosr | MiB | tasks per chunk | pickled MB |"
    yield "|---" * 7 + "|"
    own: Figures = {}
    for way in ("geosr", "map_overlap", "source"):
        found = measured(limit, "graph", way, MODEL, "nowhere", count, 1024)
        if found is None:
            yield f"| {way} | not finished |"
            continue
        own = own or found
        yield (
            f"| {way} | {found['built']:.2f} | {found['seconds']:.2f} "
            f"| {found['seconds'] / own['seconds']:.1f} | {found['memory']:.0f} "
            f"| {found['tasks']:.1f} | {found['pickled']:.1f} |"
        )


BOTH = ("geosr", "map_overlap")
ROWS = {
    "threads": [("empty", "nowhere", BOTH), (MODEL, "nowhere", BOTH), (MODEL, "zarr", BOTH[:1]),
                (MODEL, "tif", BOTH[:1])],
    "processes": [("empty", "nowhere", BOTH), (MODEL, "nowhere", BOTH), (MODEL, "zarr", BOTH[:1])],
    "kept": [(MODEL, "nowhere", BOTH)],
}  # fmt: skip


def run_table(limit: float, what: str, count: int, side: int) -> Iterator[str]:
    """Yield a table of runs: in threads, or in processes."""
    place = {"threads": "two threads", "processes": "two processes"}
    yield f"## {count**2:,} chunks of {side} pixels in {place.get(what, 'two, memory kept')}"
    yield ""
    rest = "" if what == "threads" else " client MiB | moved |"
    yield f"| kernel | to | | wall s | ms per chunk | over geosr | peak MiB of one |{rest}"
    yield "|---" * (7 if what == "threads" else 9) + "|"
    bare = 0.0
    for kernel, form, ways in [("", "nowhere", ("source",)), *ROWS[what]]:
        own = None
        for way in ways:
            found = measured(limit, what, way, kernel, form, count, side)
            names = f"| {kernel} | {form} | {way} |"
            if found is None:
                yield f"{names} not finished in {limit:.0f} |"
                continue
            spent = 1e3 * found["cpu"] / count**2 - bare
            own, bare = own or spent, bare or spent
            over = f"{spent / own:.1f}" if kernel else ""
            yield f"{names} {found['wall']:.1f} | {spent:.2f} | {over} |" + "".join(
                f" {found[name]:.{digits}f} |"
                for name, digits in (("memory", 0), ("client", 0), ("moved", 2))
                if name in found
            )


def main() -> None:
    """Parse the command line, measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="chunks a side")
    parser.add_argument("--limit", type=float, default=600, help="seconds for a row")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", nargs=6)
    args = parser.parse_args()
    if args.child:
        what, way, kernel, form, count, side = *args.child[:4], *map(int, args.child[4:])
        graphs = what == "graph"
        print(json.dumps(measure_graph(way, count, side) if graphs else
                         measure_run(what, way, kernel, form, count, side)))  # fmt: skip
        return
    tables = [
        graph_table(args.limit, args.count),
        run_table(args.limit, "threads", args.count, 64),
        run_table(args.limit, "processes", args.count, 64),
        run_table(args.limit, "processes", args.count // 5, 1024),
        run_table(args.limit, "kept", args.count // 5, 1024),
    ]
    lines = ["# Lazy arrays of many chunks", "", (__doc__ or "").strip()]
    for table in tables:
        lines.append("")
        for line in table:
            print(line, flush=True)
            lines.append(line)
    if args.out:
        args.out.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
