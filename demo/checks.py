"""What is true of an output, worked out from the files alone: no geosr code is used here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp
from rasterio.windows import Window

Pixels = npt.NDArray[Any]

ROWS = 256  # source rows held at once


@dataclass(frozen=True)
class Checks:
    """What was found of an output.

    Attributes
    ----------
    same_place
        Shape is ``factor`` times the source's; bounds, to the last bit, and CRS are its own.
    same_nodata
        A pixel is nodata exactly where its source pixel is.
    consistency_error
        Largest difference between a source pixel and the mean of its block, in its own units.
    """

    same_place: bool
    same_nodata: bool
    consistency_error: float


def check_output(src_path: Path, dst_path: Path, factor: int) -> Checks:
    """Compare an output with its source, strip by strip."""
    error, same_nodata = 0.0, True
    with rasterio.open(src_path) as src, rasterio.open(dst_path) as dst:
        unplaced = src.transform.is_identity  # none, or by ground control points
        same_place = (
            dst.crs == src.crs
            and (unplaced or dst.bounds == src.bounds)
            and dst.shape == (factor * src.height, factor * src.width)
        )
        indexes = _picture_bands(src)
        for window in _strips(src.shape):
            source, valid = _read(src, indexes, window)
            output, finer_valid = _read(dst, indexes, finer(window, factor))
            same_nodata &= bool((finer_valid == _larger(valid, factor)).all())
            off = np.abs(block_mean(output, factor) - source)[valid]
            error = max(error, float(off.max(initial=0.0)))
    return Checks(same_place, same_nodata, error)


def same_pixels(
    path: Path, other_path: Path, window: Window, *, origin: tuple[int, int] = (0, 0)
) -> bool:
    """Return whether two rasters hold the same bytes in ``window``, one of ``path``.

    ``origin`` is the row and column of ``path`` where ``other_path`` begins.
    """
    with rasterio.open(path) as one, rasterio.open(other_path) as other:
        for strip in _strips((window.height, window.width)):
            row, col = window.row_off + strip.row_off, window.col_off
            here = Window(col, row, strip.width, strip.height)
            there = Window(col - origin[1], row - origin[0], strip.width, strip.height)
            if one.read(window=here).tobytes() != other.read(window=there).tobytes():
                return False
    return True


def gains_over_bicubic(
    truth_path: Path, path: Path, bicubic_path: Path, factor: int
) -> tuple[float, ...]:
    """Return how many dB each band's PSNR against the truth is above that of bicubic.

    The truth is brought to the output's pixels by area means. A rim of ``2 * factor`` output
    pixels is left out. Both PSNRs have the same data range, which so falls out of the difference.
    """
    with rasterio.open(truth_path) as src:
        indexes = _picture_bands(src)
        truth, valid = _read(src, indexes, None)
    with rasterio.open(path) as src:
        ours, _ = _read(src, indexes, None)
    with rasterio.open(bicubic_path) as src:
        bicubic, _ = _read(src, indexes, None)
    shrink = truth.shape[1] // ours.shape[1]
    truth = block_mean(truth, shrink)
    inner = valid[:, ::shrink, ::shrink].copy()
    rim = 2 * factor
    inner[:, :rim] = inner[:, -rim:] = inner[:, :, :rim] = inner[:, :, -rim:] = False
    gains = []
    for band, good in enumerate(inner):
        ours_error, bicubic_error = (
            np.square(image[band][good].astype(np.float64) - truth[band][good]).mean()
            for image in (ours, bicubic)
        )
        gains.append(float(10 * np.log10(bicubic_error / ours_error)))
    return tuple(gains)


def block_mean(pixels: Pixels, size: int) -> npt.NDArray[np.float64]:
    """Return the mean of each ``size`` by ``size`` block of ``(bands, height, width)``."""
    bands, height, width = pixels.shape
    blocks = pixels.reshape(bands, height // size, size, width // size, size)
    return np.asarray(blocks.mean((2, 4), dtype=np.float64))


def _picture_bands(src: rasterio.DatasetReader) -> list[int]:
    kinds = zip(src.indexes, src.colorinterp, strict=True)
    return [index for index, kind in kinds if kind != ColorInterp.alpha]


def _read(
    src: rasterio.DatasetReader, indexes: list[int], window: Window | None
) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    pixels = src.read(indexes, window=window)
    valid = src.read_masks(indexes, window=window) > 0
    return pixels, valid & np.isfinite(pixels)


def _strips(shape: tuple[int, int]) -> Iterator[Window]:
    for top in range(0, shape[0], ROWS):
        yield Window(0, top, shape[1], min(ROWS, shape[0] - top))


def finer(window: Window, factor: int) -> Window:
    """Return a window of the source in the pixels of an output."""
    corner = (window.col_off * factor, window.row_off * factor)
    return Window(*corner, window.width * factor, window.height * factor)


def _larger(valid: npt.NDArray[np.bool_], factor: int) -> npt.NDArray[np.bool_]:
    return valid.repeat(factor, 1).repeat(factor, 2)
