"""Time the previews of ``geosr serve``, as QGIS meets them.

    python benchmarks/serve.py --out benchmarks/serve.md

A worker is started and driven through pipes; times are those that its parent sees, from writing
a request to reading its answer, the preview's GeoTIFF written by then. *Ready* is from starting
the process to its first line. *First* is the first preview, which loads rasterio, the model and
OpenVINO and compiles the network; *after warm* is the first one of a worker that was asked to
warm the model before. *Warm* is the median of the views that follow, each elsewhere in the
raster and of another size, within 10 % of the one named; *best* and *worst* are the quickest and
the slowest of them. *Network* is the share of the warm time that all cores spent in the network,
and *load* what the system says of the last minute: other work on the same cores shows in it.

The second table has warm views again, with tiles cut to fit each view: the network is compiled
(and the run planned) for each new size, which is why previews have tiles of one size.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine import make_scene

SIDE = 2048
MODELS = (("geosr-lite", 2), ("geosr-lite", 4), ("bicubic", 2), ("bicubic", 4))


class Served:
    """A worker."""

    def __init__(self) -> None:
        begun = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "geosr", "serve", "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.answer("ready")
        self.ready = time.monotonic() - begun

    def answer(self, *kinds: str) -> dict[str, Any]:
        """Return the next event of these kinds."""
        assert self.process.stdout
        for line in self.process.stdout:
            event: dict[str, Any] = json.loads(line)
            if event["event"] in kinds:
                return event
            if event["event"] == "error":
                raise SystemExit(event["message"])
        raise SystemExit("geosr serve has ended")

    def ask(self, **message: Any) -> tuple[float, dict[str, Any]]:
        """Return the seconds until the answer, and the answer."""
        assert self.process.stdin
        begun = time.monotonic()
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        event = self.answer(message["do"])
        return time.monotonic() - begun, event


@contextmanager
def served() -> Iterator[Served]:
    """Yield a worker that ends."""
    worker = Served()
    try:
        yield worker
    finally:
        worker.process.communicate('{"do": "quit"}\n', timeout=30)


def views(side: int, count: int) -> Iterator[tuple[float, float, float, float]]:
    """Yield bounds of views of about ``side`` pixels of 10 m, in places of their own."""
    for number in range(count):
        height = side - number * side // 10 // count
        width = side - (number * 7 % count) * side // 10 // count
        row, col = 300 + number * 97, 280 + number * 113
        west, north = 5e5 + col * 10, 5e6 - row * 10
        yield west + 1, north - height * 10 + 1, west + width * 10 - 1, north - 1


def asked(source: Path, model: str, factor: int, bands: int) -> dict[str, Any]:
    """Return what all requests for previews have in common."""
    indexes = list(range(1, bands + 1))
    return {
        "do": "preview", "source": str(source), "model": model, "upscale_factor": factor,
        "indexes": indexes,
    }  # fmt: skip


def row(source: Path, model: str, factor: int, bands: int, side: int, count: int) -> str:
    """Return a line of the first table."""
    request = asked(source, model, factor, bands)
    first_view, *others = views(side, count + 1)
    with served() as worker:
        worker.ask(do="warm", id="warm", model=model, upscale_factor=factor)
        after_warm, _ = worker.ask(**request, id=0, bounds=first_view)
    with served() as worker:
        first, _ = worker.ask(**request, id=0, bounds=first_view)
        times, shares = [], []
        for number, bounds in enumerate(others, 1):
            seconds, event = worker.ask(**request, id=number, bounds=bounds)
            times.append(seconds)
            shares.append(event["stats"]["network_s"] / (os.cpu_count() or 1) / seconds)
        ready = worker.ready
    cells = [
        bands, f"{model} x{factor}", side, side * factor, f"{ready:.2f}", f"{first:.2f}",
        f"{after_warm:.2f}", f"**{statistics.median(times):.2f}**", f"{min(times):.2f}",
        f"{max(times):.2f}", f"{statistics.median(shares):.0%}", f"{os.getloadavg()[0]:.1f}",
    ]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def fitted_row(source: Path, factor: int, bands: int, side: int, count: int) -> str:
    """Return a line of the second table: one tile for each view, 10 pixels around it."""
    request = asked(source, "geosr-lite", factor, bands)
    times: dict[bool, list[float]] = {True: [], False: []}
    with served() as worker:
        for number, bounds in enumerate(views(side, count + 2)):
            west, _, east, _ = bounds
            fitted = round((east - west) / 10) + 20
            for fits in (True, False):
                more = {"tile_size": fitted} if fits else {}
                identity = f"{number}{fits}"
                seconds, _ = worker.ask(**request, **more, id=identity, bounds=bounds)
                if number > 1:  # until then models are loaded
                    times[fits].append(seconds)
    fixed, fitted_s = (statistics.median(times[fits]) for fits in (False, True))
    return f"| {bands} | geosr-lite x{factor} | {side} | {fixed:.2f} | {fitted_s:.2f} |"


def main() -> None:
    """Parse the command line, measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--views", type=int, default=7)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    lines = [
        f"{SIDE} x {SIDE} x 4 uint16, DEFLATE in tiles of 512; {os.cpu_count()} processors "
        f"({platform.machine()}).",
        "",
        "| bands | model | view, source px | output px | ready s | first s | after warm s | "
        "warm s | best s | worst s | network | load |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "scene.tif"
        make_scene(source, SIDE)
        for bands in (1, 4):
            for model, factor in MODELS:
                for side in args.sides:
                    lines.append(row(source, model, factor, bands, side, args.views))
                    print(lines[-1], flush=True)
        lines += [
            "",
            "| bands | model | view, source px | tiles of one size s | tiles that fit s |",
            "|---|---|---|---|---|",
        ]
        print("\n".join(lines[-3:]), flush=True)
        for bands in (1, 4):
            for factor in (2, 4):
                lines.append(fitted_row(source, factor, bands, args.sides[0], args.views))
                print(lines[-1], flush=True)
    if args.out:
        text = "\n".join(["# Previews", "", (__doc__ or "").strip(), "", *lines, ""])
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
