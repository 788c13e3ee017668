"""Time ``geosr upscale`` shared among processes against one process.

    python benchmarks/workers.py --size 4096 --out benchmarks/workers.md

Each figure is a run in a process of its own. Its seconds count from the event "Upscaling", when
workers are there, to the finished file; those before it are a column of their own. The ways are
measured in turns, so their ratios hold on a noisy machine; the best of the turns counts. CPU
seconds are those of all processes, start included: where they stay the same, nothing is done twice.
All ways must make the same bytes, or there is no table.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
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
}
BASE = "--workers 1 --threads 1"


@dataclass(frozen=True)
class Figure:
    """One run: its own seconds, those before them, all CPU seconds, and what it made."""

    seconds: float
    before: float
    cpu: float
    digest: str


def measured(src: str, dst: str, model: str, way: dict[str, int]) -> Figure:
    """Run one way in a process of its own."""
    command = [sys.executable, __file__, "--child", src, dst, model, json.dumps(way)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    told = json.loads(output.splitlines()[-1])
    return Figure(**told)


def child(src: str, dst: str, model: str, way: str) -> None:
    """Do one run and print what it took."""
    import geosr

    moments = {"begun": time.monotonic()}

    def hear(event: dict[str, object]) -> None:
        if event["event"] == "phase":
            moments[str(event["message"])] = time.monotonic()

    geosr.upscale_file(src, dst, model=model, overwrite=True, on_event=hear, **json.loads(way))
    seconds = time.monotonic() - moments["Upscaling"]
    before = moments["Upscaling"] - moments["begun"]
    digest = hashlib.sha256(Path(dst).read_bytes()).hexdigest()
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    told = {"seconds": seconds, "before": before, "cpu": cpu, "digest": digest}
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
        "| way | seconds | CPU s | source Mpx/s | start, s | times as fast as one worker |",
        "|---|---|---|---|---|---|",
    ]
    mpx = args.size**2 * BANDS / 1e6
    for name, figure in best.items():
        ratio = best[BASE].seconds / figure.seconds
        lines.append(
            f"| {name} | {figure.seconds:.1f} | {figure.cpu:.1f} | {mpx / figure.seconds:.2f} | "
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
