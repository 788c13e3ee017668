"""Plots as SVG, drawn in the colours of the page that they stand in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

Line = NDArray[np.float64]

_ROW = 24
_WIDTH = 860


@dataclass(frozen=True)
class Frame:
    """Where values lie in a drawing: ``x`` from left to right, ``y`` from bottom to top."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point is drawn."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return self.left + across * self.width, self.top + (1 - up) * self.height


def dot_plot(
    rows: Sequence[str], series: Mapping[str, Sequence[float]], *, unit: str, title: str
) -> str:
    """Return a plot with a row for each image and a dot for each method in it.

    ``series`` has a value for each row; NaN is not drawn.
    """
    values = [value for line in series.values() for value in line if math.isfinite(value)]
    if not values:
        return ""
    low, high, ticks = nice_ticks(min(values), max(values))
    label = min(max((len(row) for row in rows), default=0) * 7.2 + 16, 260)
    frame = Frame(
        label, 12, _WIDTH - label - 16, len(rows) * _ROW, (low, high), (0, max(len(rows), 1))
    )
    parts = [_vertical(frame, tick, f"{tick:g}") for tick in ticks]
    for number, row in enumerate(rows):
        _, y = frame.place(low, len(rows) - number - 0.5)
        parts.append(
            f'<line class="row" x1="{label:.1f}" x2="{_WIDTH - 16}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(
            f'<text class="name" x="{label - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">'
            f"{escape(_short(row))}</text>"
        )
    for place, (name, line) in enumerate(series.items()):
        for number, value in enumerate(line):
            if math.isfinite(value):
                x, y = frame.place(value, len(rows) - number - 0.5)
                tip = f"{rows[number]}, {name}: {value:.2f} {unit}"
                radius = 3 if place == 1 else 5  # the second baseline lies on the first one
                parts.append(
                    f'<circle class="s{place % 8}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">'
                    f"<title>{escape(tip)}</title></circle>"
                )
    bottom = frame.top + frame.height
    parts.append(_below(frame, f"{title}, {unit}"))
    return _svg(_WIDTH, bottom + 46, title, parts)


def line_plot(
    frequencies: Line,
    series: Mapping[str, Line],
    *,
    mark: float | None,
    axis: str,
    first: int = 0,
) -> str:
    """Return a plot of power in decades over frequency in cycles per pixel.

    ``axis`` is what stands below, ``first`` the number of the first line's colour, and ``mark`` a
    frequency with a dashed line: where the low resolution ends.
    """
    values = np.concatenate([line[np.isfinite(line)] for line in series.values()])
    if values.size == 0:
        return ""
    low, high = math.floor(values.min()), math.ceil(values.max())
    frame = Frame(56, 14, _WIDTH - 72, 300, (0.0, 0.5), (low, max(high, low + 1)))
    parts = [_vertical(frame, tick, f"{tick:g}") for tick in (0, 0.1, 0.2, 0.3, 0.4, 0.5)]
    step = max((high - low) // 6, 1)
    for decade in range(low, high + 1, step):
        x, y = frame.place(0, decade)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{_WIDTH - 16}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(
            f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">10'
            f'<tspan class="power" dy="-5">{decade}</tspan></text>'
        )
    if mark is not None:
        x, _ = frame.place(mark, low)
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="14" y2="314"/>')
        parts.append(f'<text class="name" x="{x + 6:.1f}" y="26">the input ends here</text>')
    for place, (name, line) in enumerate(series.items()):
        known = [
            frame.place(f, v) for f, v in zip(frequencies, line, strict=True) if np.isfinite(v)
        ]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in known)
        kind = _colour(name, first + place)
        parts.append(
            f'<polyline class="{kind}" points="{points}"><title>{escape(name)}</title></polyline>'
        )
    parts.append(_below(frame, axis))
    return _svg(_WIDTH, frame.top + frame.height + 46, "Radial power spectrum", parts)


def legend(names: Sequence[str], *, first: int = 0) -> str:
    """Return the list that tells which colour is which, beginning with number ``first``."""
    items = (
        f'<li><i class="{_colour(name, first + place)}"></i>{escape(name)}</li>'
        for place, name in enumerate(names)
    )
    return f'<ul class="legend">{"".join(items)}</ul>'


def nice_ticks(low: float, high: float) -> tuple[float, float, list[float]]:
    """Return a range of round numbers around two values, and four to nine ticks in it.

    >>> nice_ticks(27.3, 38.1)
    (26.0, 40.0, [26.0, 28.0, 30.0, 32.0, 34.0, 36.0, 38.0, 40.0])
    """
    span = max(high - low, 1e-3)
    rough = span / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * unit for unit in (1, 2, 5, 10) if power * unit >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = [round(step * number, 10) for number in range(first, max(last, first + 1) + 1)]
    return ticks[0], ticks[-1], ticks


def _colour(name: str, place: int) -> str:
    return "truth" if name == "truth" else f"s{place % 8}"


def _vertical(frame: Frame, value: float, text: str) -> str:
    x, _ = frame.place(value, frame.y[0])
    bottom = frame.top + frame.height
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.top}" y2="{bottom:.1f}"/>'
        f'<text x="{x:.1f}" y="{bottom + 18:.1f}" text-anchor="middle">{text}</text>'
    )


def _below(frame: Frame, text: str) -> str:
    x, y = frame.left + frame.width / 2, frame.top + frame.height + 38
    return f'<text class="name" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(text)}</text>'


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _short(name: str, length: int = 33) -> str:
    return name if len(name) <= length else f"{name[: length - 13]}…{name[-12:]}"
