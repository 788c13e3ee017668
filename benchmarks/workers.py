"""Time ``geosr upscale`` shared among processes against one process.

    python benchmarks/workers.py --size 4096 --out benchmarks/workers.md

Each figure is a run in a process of its own: the seconds of ``upscale_file``, as its report says
them, without the start of Python and of the workers; that start is a column of its own. The ways
are measured in turns, so their ratios hold on a noisy machine; the best of the turns counts. All of
them must make the same bytes, or there is no table.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from engine import BANDS, make_scene

WAYS = {
    "one process, 1 thread": {"threads": 1},
    "one process, 2 threads": {"threads": 2},
    "--workers 1 --threads 1": {"workers": 1, "threads": 1},
    "--workers 2 --threads 1": {"workers": 2, "threads": 1},
    "--workers 1 --threads 2": {"workers": 1, "threads": 2},
}
BASE = "--workers 1 --threads 1"


@dataclass(frozen=True)
class Figure:
    """One run: its own seconds, those before them, and what it made."""

    seconds: float
    before: float
    digest: str


def measured(src: str, dst: str, model: str, way: dict[str, int]) -> Figure:
    """Run one way in a process of its own."""
    command = [sys.executable, __file__, "--child", src, dst, model, json.dumps(way)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    told = json.loads(output.splitlines()[-1])
    return Figure(told["seconds"], told["before"], told["digest"])


def child(src: str, dst: str, model: str, way: str) -> None:
    """Do one run and print what it took."""
    import geosr

    begun = time.monotonic()
    report = geosr.upscale_file(src, dst, model=model, overwrite=True, **json.loads(way))
    whole, seconds = time.monotonic() - begun, report.stats["seconds"]
    digest = hashlib.sha256(Path(dst).read_bytes()).hexdigest()
    told = {"seconds": seconds, "before": max(whole - seconds, 0), "digest": digest}
    print(json.dumps(told))


def main() -> None:
    """Parse the command line, measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--model", default="geosr-lite-x2")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", nargs=4)
    args = parser.parse_args()
    if args.child:
        child(*args.child)
        return
    best = _best(args)
    if len({figure.digest for figure in best.values()}) > 1:
        raise SystemExit("The ways do not make the same bytes.")
    lines = [
        "| way | seconds | source Mpx/s | start and end, s | times `--workers 1 --threads 1` |",
        "|---|---|---|---|---|",
    ]
    mpx = args.size**2 * BANDS / 1e6
    for name, figure in best.items():
        ratio = best[BASE].seconds / figure.seconds
        lines.append(
            f"| {name} | {figure.seconds:.2f} | {mpx / figure.seconds:.2f} | "
            f"{figure.before:.1f} | {ratio:.2f} |"
        )
    print("\n".join(lines))
    if args.out:
        title = f"# Workers: {args.model}, {args.size} x {args.size} pixels, {BANDS} bands uint16"
        told = f"{os.cpu_count()} cores, best of {args.turns} turns; all outputs are the same."
        text = "\n".join([title, "", (__doc__ or "").strip(), "", told, "", *lines, ""])
        args.out.write_text(text, encoding="utf-8")


def _best(args: argparse.Namespace) -> dict[str, Figure]:
    best: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory() as folder:
        src, dst = str(Path(folder) / "in.tif"), str(Path(folder) / "out.tif")
        make_scene(Path(src), args.size)
        for turn in range(args.turns):
            for name, way in WAYS.items():
                figure = measured(src, dst, args.model, way)
                print(f"turn {turn + 1}, {name}: {figure.seconds:.2f} s", flush=True)
                if name not in best or figure.seconds < best[name].seconds:
                    best[name] = figure
    return best


if __name__ == "__main__":
    main()
