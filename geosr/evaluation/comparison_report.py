"""The comparison as one HTML file."""

from __future__ import annotations

import platform
from html import escape

from geosr.core.version import __version__
from geosr.evaluation.comparison import MOST_PARTS, Comparison
from geosr.evaluation.page import Cell, Head, document, facts, plot, scene, section, table
from geosr.evaluation.plots import line_plot
from geosr.evaluation.tables import number
from geosr.io.facts import RasterFacts
from geosr.io.gdal import gdal_version

_LINKS = (
    ("consistency", "Consistency"),
    ("spectrum", "Power spectrum"),
    ("scenes", "Scenes"),
    ("protocol", "Protocol"),
)


_FIRST = 2  # of the colours: the ones before are the baselines


def comparison_report(comparison: Comparison, command: str) -> str:
    """Return the page."""
    factor = comparison.overlap.factor
    finer = f"has {factor} x {factor} pixels for each of A's" if factor > 1 else "lies on A's grid"
    lead = (
        f"A is {comparison.first.path}, B is {comparison.second.path}; B {finer}. There is no "
        "truth here: this tells what B says of A's ground, not which of them is right."
    )
    body = _consistency(comparison) + _spectrum(comparison) + _scenes(comparison)
    body += _protocol(comparison, command)
    return document("Comparison of two rasters", lead, body, links=_LINKS)


def difference_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return how the bands differ, as text, with a head."""
    head = ("band", "mean", "RMSE", "largest", "correlation")
    return [
        head,
        *(
            (
                str(one.band),
                f"{one.mean:.4g}",
                f"{one.rmse:.4g}",
                f"{one.largest:.4g}",
                number(one.correlation, 6),
            )
            for one in comparison.bands
        ),
    ]


def _consistency(comparison: Comparison) -> str:
    head, *rows = difference_rows(comparison)
    html = table(
        [Head(text.capitalize() if text != "RMSE" else text, first="ascending") for text in head],
        [[Cell(text) for text in row] for row in rows],
        "Consistency",
    )
    about = (
        "B averaged over each of A's pixels, less A, in the rasters' own units. Zero means that B "
        "adds detail to A and changes nothing else."
    )
    return section("consistency", "Consistency", html, about=about)


def _spectrum(comparison: Comparison) -> str:
    factor = comparison.overlap.factor
    mark = 0.5 / factor if factor > 1 else None
    svg = line_plot(
        comparison.frequencies,
        comparison.spectra,
        mark=mark,
        axis="cycles per pixel of B",
        first=_FIRST,
    )
    about = (
        "Power per area of the first band shown. Where A has detail, B should have as much; right "
        "of the dashed line A has none, and what B has there is its own."
    )
    html = plot(svg, tuple(comparison.spectra), "Radial power spectrum", first=_FIRST)
    return section("spectrum", "Radial power spectrum", html, about=about)


def _scenes(comparison: Comparison) -> str:
    html = "".join(scene(one, left=0, right=1, ramp="signed") for one in comparison.scenes)
    about = (
        "Drag the divider, or focus it and use the arrow keys, Home and End. Both are shown with "
        "the same colours, those of A's 2nd to 98th percentile unless it has 8 bits."
    )
    return section("scenes", "Scenes", html, about=about)


def _protocol(comparison: Comparison, command: str) -> str:
    done, parts = comparison.parts
    extent = f"{comparison.pixels:,} pixels of A, in {done} of {parts} parts."
    if parts > MOST_PARTS:
        extent += f" Of so large rasters, {MOST_PARTS} parts are drawn by the seed."
    versions = f"geosr {__version__}, Python {platform.python_version()}, GDAL {gdal_version()}"
    return section(
        "protocol",
        "Protocol",
        facts(
            [
                ("A", _described(comparison.first)),
                ("B", _described(comparison.second)),
                ("Compared", escape(extent)),
                ("Holes", "A pixel of A counts if it is valid and all of B inside it is."),
                ("Versions", escape(versions)),
                ("Command", f"<code>{escape(command)}</code>"),
            ]
        ),
    )


def _described(raster: RasterFacts) -> str:
    height, width = raster.grid.shape
    size = ""
    if raster.has_transform:
        size = f", pixels of {raster.grid.pixel_size[0]:g} x {raster.grid.pixel_size[1]:g}"
    return escape(
        f"{raster.path}: {width} x {height}, {raster.count} bands of {raster.dtype}{size}"
    )
