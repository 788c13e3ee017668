"""Render the sample scene: an invented landscape, seen by an invented sensor.

    python sample_data/render_scene.py

writes ``scene_truth.tif`` (2.5 m), ``scene.tif`` (the same at 10 m), and the picture of both.
The same numbers come out every time. Needs NumPy and rasterio.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine
from scenery.canvas import Array, Canvas, fractal
from scenery.land import divide_land, paint_land
from scenery.nature import paint_forests, paint_trees, paint_water, plant_trees
from scenery.roads import paint_roads, paint_tracks
from scenery.village import build_village, paint_buildings, paint_village_ground

HERE = Path(__file__).parent
SHAPE = (237, 283)
"""Height and width of the scene in pixels of 10 m: odd, and no multiple of a tile."""

FACTOR = 4
PIXEL = 10.0
SAMPLES = 2
"""Samples per pixel of the truth and side: edges are averages of them."""

SCALE = 1e-4
STEP = 4
"""The truth is stored in steps of 4, as a 12-bit sensor would: half the bytes, nothing seen."""

WEST, NORTH = 437_240.0, 5_391_730.0
BANDS = (
    ("blue", ColorInterp.blue, 490),
    ("green", ColorInterp.green, 560),
    ("red", ColorInterp.red, 665),
    ("nir", ColorInterp.undefined, 842),
)
SEED = 20250607

Window = tuple[int, int, int, int]
"""Row and column offset, height and width, in pixels of the scene."""


def render_reflectance(window: Window) -> Array:
    """Return surface reflectance ``(4, height, width)`` at 2.5 m for a window of the scene."""
    row, col, height, width = window
    step = PIXEL / FACTOR / SAMPLES
    shape = (height * FACTOR * SAMPLES, width * FACTOR * SAMPLES)
    canvas = Canvas(col * PIXEL, row * PIXEL, shape, step)
    land = divide_land(SHAPE[1] * PIXEL, SHAPE[0] * PIXEL, seed=SEED)
    paint_land(canvas, land)
    paint_tracks(canvas, land)
    paint_village_ground(canvas)
    paint_water(canvas)
    paint_roads(canvas)
    paint_forests(canvas)
    paint_buildings(canvas, build_village(seed=SEED + 1))
    paint_trees(canvas, plant_trees(land, seed=SEED + 2))
    x, y = np.meshgrid(canvas.x, canvas.y)
    relief = 1 + 0.025 * fractal(x, y, 700, 91, octaves=3)
    return block_mean(np.clip(canvas.bands * relief, 0.002, 1.0), SAMPLES)


def render_truth(window: Window) -> npt.NDArray[np.uint16]:
    """Return a window of the truth as it is stored, 0 outside the swath."""
    row, col, height, width = window
    truth = np.concatenate(
        [
            np.round(
                render_reflectance((top, col, min(32, row + height - top), width)) / SCALE / STEP
            )
            for top in range(row, row + height, 32)
        ],
        axis=1,
    )
    seen = swath()[row : row + height, col : col + width]
    return (STEP * truth * seen.repeat(FACTOR, 0).repeat(FACTOR, 1)).astype(np.uint16)


def swath() -> npt.NDArray[np.bool_]:
    """Return which pixels of the scene the sensor saw: all but a wedge at its edge."""
    row, col = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.asarray(col > 52 - 0.27 * row)


def sense(truth: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Return what the sensor reports: the mean over each pixel's area, and a little noise.

    The noise is Poisson-Gaussian: variance of read-out, plus variance in step with the signal.
    There is no blur beyond the pixel's area.
    """
    signal = block_mean(truth.astype(np.float64), FACTOR)
    deviation = np.sqrt(1.5**2 + 0.003 * signal)
    noise = np.random.default_rng(SEED + 3).standard_normal(signal.shape) * deviation
    return (np.maximum(np.round(signal + noise), 1) * swath()).astype(np.uint16)


def block_mean(pixels: npt.NDArray[np.generic], size: int) -> Array:
    """Return the mean of each ``size`` by ``size`` block of ``(bands, height, width)``."""
    bands, height, width = pixels.shape
    blocks = pixels.reshape(bands, height // size, size, width // size, size)
    return np.asarray(blocks.mean((2, 4), dtype=np.float64))


def write_scene(path: Path, pixels: npt.NDArray[np.uint16], *, pixel: float, about: str) -> None:
    """Write a tiled GeoTIFF with everything that a careful provider would put in."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=4,
        dtype="uint16",
        height=pixels.shape[1],
        width=pixels.shape[2],
        crs="EPSG:32633",
        transform=Affine(pixel, 0, WEST, 0, -pixel, NORTH),
        nodata=0,
        tiled=True,
        blockxsize=128,
        blockysize=128,
        interleave="band",
        compress="deflate",
        predictor=2,
        zlevel=9,
    ) as dst:
        dst.write(pixels)
        dst.scales, dst.offsets = (SCALE,) * 4, (0.0,) * 4
        dst.units = ("reflectance",) * 4
        dst.colorinterp = [interp for _, interp, _ in BANDS]
        for number, (name, _, wavelength) in enumerate(BANDS, 1):
            dst.set_band_description(number, name)
            dst.update_tags(number, WAVELENGTH=str(wavelength), WAVELENGTH_UNIT="nm")
        dst.update_tags(
            SENSOR="SYNTHETIC-MSI",
            ACQUISITION="2025-06-07T10:12:00Z",
            SUN_ELEVATION="50",
            SUN_AZIMUTH="149",
            PROCESSING_LEVEL="surface reflectance",
            LICENCE="CC0-1.0",
            ABOUT=about,
        )


def write_picture(path: Path, scene: npt.NDArray[np.uint16], truth: npt.NDArray[np.uint16]) -> None:
    """Write a picture: the scene left, the truth right; whole above, part of the village below."""
    low, high = np.percentile(scene[:3, swath()], (1, 99))

    def shown(pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
        share = (pixels[:3].astype(np.float64) - low) / (high - low)
        return np.asarray(255 * np.clip(share, 0, 1) ** 0.7)[::-1].astype(np.uint8)

    def larger(pixels: npt.NDArray[np.uint16], times: int) -> npt.NDArray[np.uint16]:
        return pixels.repeat(times, 1).repeat(times, 2)

    rows, cols = slice(80, 112), slice(150, 185)
    part = larger(scene[:, rows, cols], 16)
    fine = larger(truth[:, rows.start * 4 : rows.stop * 4, cols.start * 4 : cols.stop * 4], 4)
    rim = 2 * SHAPE[1] - part.shape[2]
    white = np.iinfo(np.uint16).max
    part, fine = (
        np.pad(p, ((0, 0), (8, 0), (0, rim)), constant_values=white) for p in (part, fine)
    )
    left = np.concatenate([shown(larger(scene, 2)), shown(part)], 1)
    right = np.concatenate([shown(block_mean(truth, 2)), shown(fine)], 1)
    picture = np.concatenate([left, np.full((3, left.shape[1], 8), 255, np.uint8), right], 2)
    height, width = picture.shape[1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a picture has no place
        with rasterio.open(
            path, "w", driver="PNG", count=3, dtype="uint8", height=height, width=width
        ) as dst:
            dst.write(picture)


def main() -> None:
    """Write the three files beside this script, or into a folder."""
    parser = argparse.ArgumentParser(description="Render the sample scene.")
    parser.add_argument("folder", nargs="?", type=Path, default=HERE)
    folder = parser.parse_args().folder
    truth = render_truth((0, 0, *SHAPE))
    scene = sense(truth)
    about = "An invented landscape rendered by geosr's sample_data/render_scene.py"
    write_scene(folder / "scene_truth.tif", truth, pixel=PIXEL / FACTOR, about=about)
    write_scene(folder / "scene.tif", scene, pixel=PIXEL, about=about)
    write_picture(folder / "scene.png", scene, truth)


if __name__ == "__main__":
    main()
