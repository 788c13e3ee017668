"""Sharpen a scene with the command line, check what came out, and draw it.

    make demo                          the sample scene
    GEOSR_SAMPLE=scene.tif make demo   that and yours

Leaves rasters and pictures in ``demo_output/``. The exit status is 1 if a check says no.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from checks import Checks, check_output, finer, gains_over_bicubic, same_pixels
from pictures import (
    Panel,
    Stretch,
    display_indexes,
    draw_before_after,
    find_detail,
    find_stretch,
    read_pixels,
    square_around,
)
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "sample_data" / "scene.tif"
TRUTH = ROOT / "sample_data" / "scene_truth.tif"
SAMPLE_MIDDLE = (56.0, 204.0)  # source row and column: halls, roads, village and motorway
FACTORS = (2, 4)
OTHER_TILE_SIZE = 96
PART = 1024
"""Side in source pixels of what is run again, for the seams and with bicubic."""

RIM = 64
"""Source pixels at the edge of such a part that are not compared: it saw nothing beyond."""


@dataclass(frozen=True)
class Scene:
    """A scene to show: its file, its truth if known, how and where it is looked at."""

    path: Path
    truth: Path | None
    shape: tuple[int, int]
    middle: tuple[float, float]
    part: Window
    stretch: Stretch
    overview: np.ndarray[Any, np.dtype[np.float64]]

    @property
    def whole(self) -> bool:
        """Whether the part is all of the scene."""
        return (self.part.height, self.part.width) == self.shape

    @property
    def comparable(self) -> Window:
        """The part without the rim that lacked its surroundings when run by itself."""
        part, (height, width) = self.part, self.shape
        top, left = (RIM if offset else 0 for offset in (part.row_off, part.col_off))
        bottom = RIM if part.row_off + part.height < height else 0
        right = RIM if part.col_off + part.width < width else 0
        corner = (part.col_off + left, part.row_off + top)
        return Window(*corner, part.width - left - right, part.height - top - bottom)


@dataclass(frozen=True)
class Run:
    """One run of the command line: how long it took, and what it said of itself."""

    path: Path
    wall_s: float
    stats: dict[str, Any]

    @property
    def seconds(self) -> float:
        """Time without start-up, as geosr reports it."""
        return float(self.stats.get("seconds", self.wall_s))


@dataclass(frozen=True)
class Row:
    """All that is known of one factor."""

    factor: int
    run: Run
    checks: Checks
    seamless: bool
    gains: tuple[float, ...]


def look_at(path: Path, truth: Path | None, middle: tuple[float, float] | None) -> Scene:
    """Open a scene and decide what to show of it; only a decimated overview is read."""
    with rasterio.open(path) as src:
        if any("complex" in dtype for dtype in src.dtypes):
            sys.exit(f"{path.name} holds complex numbers: make a real band first.")
        indexes = display_indexes(src)
        step = max(1.0, max(src.shape) / 1200)
        shape = (max(1, round(src.height / step)), max(1, round(src.width / step)))
        pixels, valid = read_pixels(src, indexes, shape=shape)
        stretch = find_stretch(pixels, valid, indexes)
        overview = stretch.show(pixels, valid)
        if middle is None:
            row, col = find_detail(overview, side=48 / step)
            middle = (row * step, col * step)
        a, b, _, d, e, _ = src.transform[:6]
        upright = b == d == 0 and a > 0 > e  # only such a part can be named by its bounds
        part = square_around(middle, PART if upright else max(src.shape), src.shape)
        return Scene(path, truth, src.shape, middle, part, stretch, overview)


def upscale(src_path: Path, dst_path: Path, *options: str) -> Run:
    """Run ``geosr upscale`` as a user would."""
    command = [sys.executable, "-m", "geosr", "upscale", str(src_path), str(dst_path)]
    began = time.perf_counter()
    # Elsewhere than in the checkout, so that the installed geosr runs, not the one beside us.
    done = subprocess.run(
        [*command, *options, "--overwrite", "--progress", "json"],
        stdout=subprocess.PIPE,
        cwd=dst_path.parent,
        text=True,
        encoding="utf-8",
        check=False,
    )
    wall = time.perf_counter() - began
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    last = events[-1] if events else {}
    if done.returncode or last.get("event") != "result":
        reason = " ".join(filter(None, (last.get("message"), last.get("hint"))))
        sys.exit(f"geosr upscale {src_path.name} failed (status {done.returncode}). {reason}")
    return Run(dst_path, wall, last["stats"])


def bounds_options(scene: Scene) -> list[str]:
    """Return what limits a run to the scene's part."""
    if scene.whole:
        return []
    with rasterio.open(scene.path) as src:
        bounds = src.window_bounds(scene.part)
    return ["--bounds", *(repr(float(edge)) for edge in bounds)]


def show_factor(scene: Scene, factor: int, model: str, folder: Path) -> Row:
    """Upscale a scene by a factor, check it, draw it."""
    of_sample = scene.path == SAMPLE
    output = folder / f"{scene.path.stem}_x{factor}.tif"
    print(f"geosr upscale {scene.path.name} {output.name} -m {model} -f {factor}", flush=True)
    run = upscale(scene.path, output, "-m", model, "-f", str(factor))
    checks = check_output(scene.path, output, factor)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as temporary:
        part = bounds_options(scene)
        again, bicubic = (Path(temporary) / name for name in ("again.tif", "bicubic.tif"))
        tiles = ("--tile-size", str(OTHER_TILE_SIZE))
        upscale(scene.path, again, "-m", model, "-f", str(factor), *tiles, *part)
        upscale(scene.path, bicubic, "-m", "bicubic", "-f", str(factor), *part)
        origin = (scene.part.row_off * factor, scene.part.col_off * factor)
        seamless = same_pixels(output, again, finer(scene.comparable, factor), origin=origin)
        gains: tuple[float, ...] = ()
        if scene.truth is not None:
            gains = gains_over_bicubic(scene.truth, output, bicubic, factor)
        row = Row(factor, run, checks, seamless, gains)
        name = (
            f"before_after_x{factor}" if of_sample else f"{scene.path.stem}_before_after_x{factor}"
        )
        draw(scene, row, bicubic, folder / f"{name}.png", model)
    return row


def draw(scene: Scene, row: Row, bicubic: Path, path: Path, model: str) -> None:
    """Draw the picture of one factor."""
    before, after = pixel_size(scene.path), pixel_size(row.run.path)
    corner = (int(scene.part.row_off), int(scene.part.col_off))
    panels = [
        Panel(scene.path, called("nearest: the source", before)),
        Panel(bicubic, called("bicubic", after), row.factor, corner),
        Panel(row.run.path, called(model, after), row.factor),
    ]
    if scene.truth is not None:
        panels.append(Panel(scene.truth, called("truth", after), 4, average=4 // row.factor))
    with rasterio.open(scene.path) as src:
        bands = f"{src.count} band{'s' * (src.count > 1)} {src.dtypes[0]}"
        names = [src.descriptions[i - 1] or str(i) for i in scene.stretch.indexes]
    notes = [
        f"{scene.shape[1]} x {scene.shape[0]} pixels, {bands}",
        f"shown: {', '.join(names)}",
        f"{row.run.seconds:.1f} s on {os.cpu_count()} cores",
        f"block means off by at most {row.checks.consistency_error:.3g}",
    ]
    if row.gains:
        notes.append(f"PSNR {np.mean(row.gains):+.2f} dB over bicubic")
        notes.append("(an invented scene: judge by real ones)")
    draw_before_after(
        path,
        panels=panels,
        overview=scene.overview,
        shape=scene.shape,
        middle=scene.middle,
        stretch=scene.stretch,
        title=f"{scene.path.name}  x{row.factor}"
        + (f":  {before} to {after} pixels" if before else ""),
        notes="\n".join(notes),
    )


def pixel_size(path: Path) -> str:
    """Return a raster's pixel size with its unit, as text; none if it lies nowhere."""
    with rasterio.open(path) as src:
        if src.crs is None or src.transform.is_identity:
            return ""
        a, b, _, d, e, _ = src.transform[:6]
        sides = {f"{float(np.hypot(*side)):.4g}" for side in ((a, d), (b, e))}
        unit = "°" if src.crs.is_geographic else " m" if src.crs.linear_units == "metre" else ""
    return " x ".join(sorted(sides)) + unit


def called(name: str, size: str) -> str:
    """Return a name and a pixel size, if there is one."""
    return f"{name}, {size}" if size else name


def summary(scene: Scene, rows: list[Row]) -> str:
    """Return what was found, a column per factor."""
    size = scene.shape[0] * scene.shape[1] / 1e6

    def yes(answer: bool) -> str:
        return "yes" if answer else "NO"

    table: list[tuple[str, list[str]]] = [
        ("", [f"x{row.factor}" for row in rows]),
        ("pixels", [f"{scene.shape[1] * r.factor} x {scene.shape[0] * r.factor}" for r in rows]),
        ("pixel size", [pixel_size(r.run.path) or "unknown" for r in rows]),
        ("time", [f"{r.run.seconds:.2f} s" for r in rows]),
        ("  with start-up", [f"{r.run.wall_s:.2f} s" for r in rows]),
        ("source Mpx/s", [f"{size / r.run.seconds:.3g}" for r in rows]),
        ("output Mpx/s", [f"{size * r.factor**2 / r.run.seconds:.3g}" for r in rows]),
        ("file", [f"{r.run.path.stat().st_size / 1e6:.2f} MB" for r in rows]),
        ("same place and CRS", [yes(r.checks.same_place) for r in rows]),
        ("same nodata", [yes(r.checks.same_nodata) for r in rows]),
        ("seam-free", [yes(r.seamless) for r in rows]),
        ("consistency error", [f"{r.checks.consistency_error:.3g}" for r in rows]),
    ]
    if scene.truth is not None:
        table.append(("PSNR over bicubic", [f"{np.mean(r.gains):+.2f} dB" for r in rows]))
        table.append(("  worst band", [f"{min(r.gains):+.2f} dB" for r in rows]))
    name = called(scene.path.name, pixel_size(scene.path))
    with rasterio.open(scene.path) as src:
        about = (
            f"{name}, {src.width} x {src.height} pixels, "
            f"{src.count} x {src.dtypes[0]}, {scene.path.stat().st_size / 1e6:.2f} MB"
        )
    lines = [f"  {name:<20}" + "".join(f"{cell:>18}" for cell in cells) for name, cells in table]
    return "\n".join(["", about, *lines])


LEGEND = f"""
  seam-free          run again with tiles of {OTHER_TILE_SIZE}: every pixel the same
  consistency error  largest |mean of a block - its source pixel|, in the raster's own units
  PSNR over bicubic  against the truth of the sample scene, mean of its bands"""


def main() -> None:
    """Show the sample scene, and the one named by the environment."""
    parser = argparse.ArgumentParser(description="Sharpen a scene, check it, draw it.")
    parser.add_argument("-m", "--model", default="geosr-lite")
    parser.add_argument("--folder", type=Path, default=ROOT / "demo_output")
    options = parser.parse_args()
    warnings.simplefilter("ignore", NotGeoreferencedWarning)  # the table says it
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    scenes = [look_at(SAMPLE, TRUTH, SAMPLE_MIDDLE)]
    if real := os.environ.get("GEOSR_SAMPLE"):
        try:
            scenes.append(look_at(Path(real).resolve(), None, None))
        except rasterio.RasterioIOError as error:
            sys.exit(f"GEOSR_SAMPLE={real} cannot be read: {error.__cause__ or error}")
    fine = True
    for scene in scenes:
        rows = [show_factor(scene, factor, options.model, folder) for factor in FACTORS]
        print(summary(scene, rows))
        fine &= all(r.seamless and r.checks.same_place and r.checks.same_nodata for r in rows)
    print(LEGEND)
    print(f"\nPictures and rasters are in {folder}")
    sys.exit(0 if fine else "A check said no: see above.")


if __name__ == "__main__":
    main()
