"""Before and after in one picture: nearest, bicubic, geosr and, where there is one, the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from rasterio.enums import ColorInterp, Resampling
from rasterio.windows import Window

Image = npt.NDArray[np.float64]
"""``(height, width, 4)``: red, green, blue, alpha in 0..1."""

PANEL = 384  # pixels of the picture: a multiple of both views' sides at every factor
VIEW, ZOOM = 96, 32  # source pixels
GAP, HEADER, LINE, FOOTER = 14, 62, 30, 34
MARK = "#ffd21f"


@dataclass(frozen=True)
class Stretch:
    """Display values of a raster: which bands, and what is black and white in all of them."""

    indexes: tuple[int, ...]
    low: float
    high: float

    def show(self, pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> Image:
        """Return ``(bands, height, width)`` as an image, clear where it is not valid."""
        share = (pixels.astype(np.float64) - self.low) / (self.high - self.low)
        bright = np.nan_to_num(np.clip(share, 0, 1)) ** 0.75
        colour = bright.repeat(3, 0) if len(bright) == 1 else bright
        return np.asarray(np.concatenate([colour, valid[None]]).transpose(1, 2, 0))


@dataclass(frozen=True)
class Panel:
    """One column of the picture.

    ``factor`` is the raster's pixels per source pixel and side, of which ``average`` by
    ``average`` are shown as one; ``origin`` is the source's row and column where it begins.
    """

    path: Path
    title: str
    factor: int = 1
    origin: tuple[int, int] = (0, 0)
    average: int = 1


def display_indexes(src: rasterio.DatasetReader) -> tuple[int, ...]:
    """Return the bands to show as red, green, blue; one band if there are no three."""
    alpha = {
        i for i, what in zip(src.indexes, src.colorinterp, strict=True) if what == ColorInterp.alpha
    }
    names = [(name or "").lower().strip() for name in src.descriptions]
    for wanted in (("red", "green", "blue"), ("b4", "b3", "b2"), ("b04", "b03", "b02")):
        if all(name in names for name in wanted):
            return tuple(names.index(name) + 1 for name in wanted)
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(colour in src.colorinterp for colour in colours):
        return tuple(src.colorinterp.index(colour) + 1 for colour in colours)
    bands = [index for index in src.indexes if index not in alpha]
    return tuple(bands[:3]) if len(bands) >= 3 else tuple(bands[:1])


def read_pixels(
    src: rasterio.DatasetReader,
    indexes: tuple[int, ...],
    window: Window | None = None,
    shape: tuple[int, int] | None = None,
    resampling: Resampling = Resampling.nearest,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return bands ``(bands, height, width)`` and which pixels are good in all of them."""
    out = None if shape is None else (len(indexes), *shape)
    pixels = src.read(indexes, window=window, out_shape=out, resampling=resampling)
    valid = src.read_masks(indexes, window=window, out_shape=out).all(0)
    return pixels, valid & np.isfinite(pixels).all(0)


def find_stretch(
    pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_], indexes: tuple[int, ...]
) -> Stretch:
    """Return the stretch from the 1st to the 99th percentile of the source.

    It is the same for all bands, so that colours stay natural.
    """
    if not valid.any():
        return Stretch(indexes, 0.0, 1.0)
    low, high = np.percentile(pixels[:, valid].astype(np.float64), (1, 99))
    return Stretch(indexes, float(low), float(high) if high > low else float(low) + 1.0)


def find_detail(image: Image, *, side: float) -> tuple[float, float]:
    """Return the middle, ``(row, col)``, of the square of ``side`` pixels with most detail."""
    grey, clear = image[..., :3].mean(2), image[..., 3]
    steps = np.abs(np.diff(grey, axis=0))[:, :-1] + np.abs(np.diff(grey, axis=1))[:-1]
    steps = np.minimum(steps, np.percentile(steps, 95))  # many edges, not few strong ones
    gaps = 1.0 - clear[:-1, :-1]
    size = max(1, min(round(side), *steps.shape))
    score = _box_sums(steps, size) - 10.0 * _box_sums(gaps, size)
    row, col = np.unravel_index(score.argmax(), score.shape)
    return float(row) + size / 2, float(col) + size / 2


def _box_sums(values: Image, size: int) -> Image:
    total = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    return np.asarray(
        total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
    )


def square_around(middle: tuple[float, float], side: int, shape: tuple[int, int]) -> Window:
    """Return a square of ``side`` pixels, less at most what a raster of ``shape`` lacks."""
    height, width = min(side, shape[0]), min(side, shape[1])
    row = min(max(round(middle[0] - height / 2), 0), shape[0] - height)
    col = min(max(round(middle[1] - width / 2), 0), shape[1] - width)
    return Window(col, row, width, height)


def draw_before_after(
    path: Path,
    *,
    panels: Sequence[Panel],
    overview: Image,
    shape: tuple[int, int],
    middle: tuple[float, float],
    stretch: Stretch,
    title: str,
    notes: str,
) -> None:
    """Draw the picture: the whole left with the view marked on it, then a column per panel."""
    columns = len(panels) + 1
    width = columns * PANEL + (columns + 1) * GAP
    height = HEADER + 2 * (PANEL + LINE) + GAP + FOOTER
    figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="white")

    def place(column: int, row: int) -> Any:
        left, top = GAP + column * (PANEL + GAP), HEADER + LINE + row * (PANEL + LINE)
        axes = figure.add_axes(
            (left / width, 1 - (top + PANEL) / height, PANEL / width, PANEL / height)
        )
        axes.set(xticks=[], yticks=[], facecolor="#e8e8e8")
        for spine in axes.spines.values():
            spine.set(color="#9a9a9a", linewidth=0.6)
        return axes

    view, zoom = (square_around(middle, side, shape) for side in (VIEW, ZOOM))
    whole = place(0, 0)
    whole.set_anchor("N")
    whole.imshow(overview, extent=(0, shape[1], shape[0], 0), interpolation="antialiased")
    _mark(whole, view)
    whole.set_title("the whole scene", fontsize=11, loc="left")
    text = place(0, 1)
    text.axis("off")
    text.text(0.0, 0.97, notes, va="top", fontsize=11, linespacing=1.55, color="#333333")
    for column, panel in enumerate(panels, 1):
        for row, window in enumerate((view, zoom)):
            axes = place(column, row)
            _draw_window(axes, panel, window, stretch)
            if row == 0:
                _mark(axes, zoom)
                axes.set_title(panel.title, fontsize=12, loc="left", fontweight="bold")
    figure.text(GAP / width, 1 - 24 / height, title, fontsize=16, fontweight="bold", va="center")
    caption = (
        "Same contrast in all panels: 1st to 99th percentile of the source, one stretch for "
        "all bands. Each pixel is drawn as it is; detail finer than the source is estimated."
    )
    figure.text(GAP / width, 14 / height, caption, fontsize=10, color="#666666", va="center")
    figure.savefig(path)


def _draw_window(axes: Any, panel: Panel, window: Window, stretch: Stretch) -> None:
    """Draw a window of the source's grid from a raster that may be finer and start elsewhere."""
    n = panel.factor
    finer = Window(
        (window.col_off - panel.origin[1]) * n,
        (window.row_off - panel.origin[0]) * n,
        window.width * n,
        window.height * n,
    )
    with rasterio.open(panel.path) as src:
        shape = (finer.height // panel.average, finer.width // panel.average)
        image = stretch.show(*read_pixels(src, stretch.indexes, finer, shape, Resampling.average))
    right, bottom = window.col_off + window.width, window.row_off + window.height
    axes.imshow(
        image, extent=(window.col_off, right, bottom, window.row_off), interpolation="nearest"
    )


def _mark(axes: Any, window: Window) -> None:
    corner = (window.col_off, window.row_off)
    axes.add_patch(
        Rectangle(corner, window.width, window.height, fill=False, edgecolor=MARK, linewidth=1.6)
    )
