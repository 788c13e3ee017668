"""Upscale a whole Sentinel-2 tile for real: 10,980 x 10,980 pixels of 4 bands, four times finer.

    python benchmarks/scene.py --data DATA --out benchmarks/scene.md

The scene is laid out of real Sentinel-2 crops of 10 m pixels (B2, B3, B4, B8, uint16), mirrored
where they meet so that no edge is made up, with the slanted nodata wedge of an orbit's end. It is
stored as such scenes come: tiles of 1024 pixels, DEFLATE, predictor 2.

It is upscaled twice by the command line: once in one go, and once killed with ``kill -9`` half-way
and started again by the same command. Reported are time, CPU time, peak resident memory, peak size
of the temporary files, and what the result holds: both files are compared byte by byte, the file is
checked as a cloud-optimised GeoTIFF, and windows of it are compared with the source.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window
from rio_cogeo.cogeo import cog_validate

CROPS = (
    "eval/ms/s2_l1c_T49JGM_20171022_10m_u16.tif",
    "train/ms/s2_l1c_T33UUB_20170527_10m_u16.tif",
    "train/ms/s2_l1c_T33UUU_20170216_10m_u16.tif",
)
SIDE = 600  # of a crop
ROWS = 1024


@dataclass
class Run:
    """What a process took."""

    wall: float
    cpu: float
    rss_mib: float
    disk_mib: float
    tail: str = ""
    samples: list[float] = field(default_factory=list)


def make_scene(path: Path, data: Path, side: int) -> None:
    """Lay a scene out of mirrored crops."""
    crops = []
    for name in CROPS:
        with rasterio.open(data / name) as src:
            crops.append(src.read(window=Window(0, 0, SIDE, SIDE)))
    kinds = np.random.default_rng(0).integers(len(crops), size=(side // SIDE + 1,) * 2)
    profile = {
        "driver": "GTiff",
        "height": side,
        "width": side,
        "count": 4,
        "dtype": "uint16",
        "nodata": 0,
        "crs": "EPSG:32633",
        "transform": rasterio.Affine(10, 0, 399960, 0, -10, 5800020),
        "tiled": True,
        "blockxsize": 1024,
        "blockysize": 1024,
        "compress": "deflate",
        "predictor": 2,
        "num_threads": "all_cpus",
    }
    with rasterio.open(path, "w", **profile) as dst:
        for row in range(0, side, ROWS):
            rows = np.arange(row, min(row + ROWS, side))
            strip = np.empty((4, len(rows), side), np.uint16)
            cols = np.arange(side)
            for across, kind_row in enumerate(kinds):
                mine = rows // SIDE == across
                if mine.any():
                    strip[:, mine] = _laid(crops, kind_row, across, rows[mine], cols)
            # The orbit ends in the west: a wedge of an eighth of the scene.
            strip[:, cols[None, :] < (side * 0.25 - rows[:, None] * 0.25)] = 0
            dst.write(strip, window=Window(0, row, side, len(rows)))


def _laid(
    crops: list[np.ndarray], kinds: np.ndarray, across: int, rows: np.ndarray, cols: np.ndarray
) -> np.ndarray:
    """Return rows of the scene: every other crop is mirrored."""
    y = rows % SIDE if across % 2 == 0 else SIDE - 1 - rows % SIDE
    x = np.where(cols // SIDE % 2 == 0, cols % SIDE, SIDE - 1 - cols % SIDE)
    laid = np.empty((4, len(rows), len(cols)), np.uint16)
    for number in range(len(kinds)):
        mine = cols // SIDE == number
        laid[:, :, mine] = crops[kinds[number]][:, y][:, :, x[mine]]
    return laid


def measured(command: list[str], dst: Path, *, kill_at_mib: float | None = None) -> Run:
    """Run a command, watch its memory and its files; kill it when they have grown so far."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    )
    run = Run(0, 0, 0, 0)
    watcher = threading.Thread(target=_watch, args=(process, dst, run, kill_at_mib))
    watcher.start()
    output, _ = process.communicate()
    watcher.join()
    run.wall = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    run.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    run.tail = output
    wanted = 0 if kill_at_mib is None else -signal.SIGKILL
    if process.returncode != wanted:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {output}")
    return run


def _watch(process: subprocess.Popen[str], dst: Path, run: Run, kill_at: float | None) -> None:
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status")
        try:
            lines = status.read_text(encoding="ascii").splitlines()
        except OSError:
            break
        peak = [line for line in lines if line.startswith("VmHWM")]
        if peak:
            run.rss_mib = max(run.rss_mib, int(peak[0].split()[1]) / 1024)
        size = _size(dst)
        run.disk_mib = max(run.disk_mib, size)
        if kill_at is not None and size >= kill_at:
            process.kill()
            return
        time.sleep(0.2)


def _size(dst: Path) -> float:
    """Return what lies beside the output, in MiB, as the disk counts it."""
    blocks = 0
    for entry in dst.parent.glob(f"{dst.name}*"):
        try:
            blocks += entry.stat().st_blocks
        except OSError:
            continue  # renamed just now
    return blocks * 512 / 2**20


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked(src_path: Path, dst_path: Path, factor: int) -> list[str]:
    """Compare windows with the source; return what was found, in lines."""
    rng = np.random.default_rng(1)
    means = holes = 0
    windows = 40
    with rasterio.open(src_path) as src, rasterio.open(dst_path) as dst:
        for _ in range(windows):
            row, col = (int(rng.integers(0, length - 256)) for length in src.shape)
            old = src.read(window=Window(col, row, 256, 256))
            new = dst.read(window=Window(col * factor, row * factor, 256 * factor, 256 * factor))
            blocks = new.reshape(4, 256, factor, 256, factor).sum(axis=(2, 4), dtype=np.int64)
            means += int((blocks != old.astype(np.int64) * factor**2).sum())
            holes += int(((old == 0) != (blocks == 0)).sum())
        lines = [
            f"{dst.width} x {dst.height} x {dst.count} {dst.dtypes[0]}, overviews "
            f"{dst.overviews(1)}, bounds equal: {dst.bounds == src.bounds}",
        ]
    valid, errors, warnings = cog_validate(str(dst_path), strict=True)
    lines.append(f"valid cloud-optimised GeoTIFF, strictly: {valid} {errors + warnings or ''}")
    pixels = windows * 4 * 256 * 256
    lines.append(f"{means} of {pixels} source pixels are not the mean of their block")
    lines.append(f"{holes} of them are a hole on one side only")
    return lines


def main() -> None:
    """Make the scene, upscale it twice, and write what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--side", type=int, default=10980)
    parser.add_argument("--model", default="geosr-lite")
    parser.add_argument("--factor", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="where there is room for two outputs")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        src = folder / "scene.tif"
        make_scene(src, args.data, args.side)
        command = [sys.executable, "-m", "geosr", "upscale", str(src)]
        options = ["-m", args.model, "-f", str(args.factor), "--progress", "none"]
        one, two = folder / "one.tif", folder / "two.tif"
        whole = measured([*command, str(one), *options], one)
        made = one.stat().st_size / 2**20
        print(whole, made, flush=True)
        killed = measured([*command, str(two), *options], two, kill_at_mib=made / 2)
        again = measured([*command, str(two), *options], two)
        same = digest(one) == digest(two)
        left = sorted(entry.name for entry in folder.iterdir())
        found = checked(src, one, args.factor)
        raw = args.side**2 * args.factor**2 * 4 * 2
        mpx = args.side**2 * 4 / 1e6
        lines = [
            f"# A whole scene: {args.side} x {args.side} x 4, {args.model} x{args.factor}",
            "",
            (__doc__ or "").strip(),
            "",
            f"{os.cpu_count()} cores. Source {src.stat().st_size / 2**20:.0f} MiB, output "
            f"{raw / 1e9:.1f} GB raw, {made / 1024:.2f} GiB as ZSTD 1 with overviews.",
            "",
            "| run | wall s | CPU s | source Mpx/s | output Mpx/s | peak RSS MiB | peak disk MiB | "
            "of the finished file |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for title, run in (("in one go", whole), ("killed half-way", killed), ("again", again)):
            speed = f"{mpx / run.wall:.2f} | {mpx * args.factor**2 / run.wall:.1f}"
            if run is not whole:
                speed = "- | -"
            lines.append(
                f"| {title} | {run.wall:.0f} | {run.cpu:.0f} | {speed} | {run.rss_mib:.0f} | "
                f"{run.disk_mib:.0f} | {run.disk_mib / made:.2f} |"
            )
        lines += ["", f"- The file that was killed and resumed has the same bytes: {same}."]
        lines += [f"- {line}" for line in found]
        lines += [f"- Left in the folder: {', '.join(left)}.", "", "The last run's own words:", ""]
        lines += ["```", again.tail.strip(), "```", ""]
        text = "\n".join(lines).replace(f"{folder}{os.sep}", "")
        print(text)
        if args.out:
            args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
