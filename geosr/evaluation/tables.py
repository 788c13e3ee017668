"""Scores as a CSV, and as a table for the terminal."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from geosr.evaluation.scoring import Score
from geosr.evaluation.summary import MethodSummary
from geosr.metrics import Interval


@dataclass(frozen=True)
class Column:
    """A column of the summary.

    Attributes
    ----------
    key
        A number of `Score`.
    title, unit
        For people.
    digits
        After the point.
    best
        ``high``, ``low``, ``one`` (near 1), or empty if neither is better.
    about
        What it says, in a sentence.
    """

    key: str
    title: str
    unit: str
    digits: int
    best: str
    about: str


COLUMNS = (
    Column("psnr", "PSNR", "dB", 2, "high", "Peak signal-to-noise ratio."),
    Column("ssim", "SSIM", "", 4, "high", "Structural similarity, Gaussian windows; 1 is best."),
    Column("lpips", "LPIPS", "", 4, "low", "Learned perceptual distance; 0 is best."),
    Column("sam", "SAM", "°", 3, "low", "Spectral angle between the bands; 0 is best."),
    Column("ergas", "ERGAS", "", 3, "low", "Relative error over all bands; 0 is best."),
    Column("uiqi", "UIQI", "", 4, "high", "Universal quality index, mean of the bands; 1 is best."),
    Column(
        "consistency",
        "Consistency",
        "DN",
        3,
        "low",
        "Largest difference between the mean of a block of output pixels and its source pixel.",
    ),
    Column(
        "sharpness",
        "Sharpness",
        "",
        3,
        "one",
        "Steepness of the truth's edges; 1 as in the truth, below softer, above overdrawn.",
    ),
    Column("improvement", "Improvement", "", 3, "high", "Share of detail that is right."),
    Column("omission", "Omission", "", 3, "low", "Share of detail that is missing."),
    Column("hallucination", "Hallucination", "", 3, "low", "Share of detail that is made up."),
    Column("seconds_per_mpx", "Time", "s/Mpx", 3, "", "Seconds for a million output pixels."),
    Column("peak_mib", "Memory", "MiB", 0, "", "Growth of resident memory at its peak."),
)
"""What the summary shows, in order; a column without any value is left out."""


def used_columns(summaries: Sequence[MethodSummary]) -> list[Column]:
    """Return the columns of which some method has a value."""
    return [
        column
        for column in COLUMNS
        if any(not math.isnan(summary.means[column.key]) for summary in summaries)
    ]


def to_csv(scores: Iterable[Score], *, factor: int, degradation: str, sensor: str = "") -> str:
    """Return one row for each image, method and band."""
    text = io.StringIO()
    names = ["degradation", "sensor", "factor", *(field.name for field in fields(Score))]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    how = {"degradation": degradation, "sensor": sensor, "factor": factor}
    for score in scores:
        writer.writerow({**how, **score.to_row()})
    return text.getvalue()


def number(value: float, digits: int) -> str:
    """Return a number for people; a dash if there is none.

    >>> number(3.14159, 2), number(float("nan"), 2)
    ('3.14', '-')
    """
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def signed(value: float, digits: int = 2) -> str:
    """Return a difference for people; what rounds to nothing has no sign.

    >>> signed(0.5), signed(-0.5), signed(-0.001)
    ('+0.50', '-0.50', '0.00')
    """
    if math.isnan(value):
        return "-"
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def interval_text(interval: Interval, digits: int = 2, *, sign: bool = False) -> str:
    """Return the ends of an interval, or why there is none.

    >>> interval_text(Interval(1.0, 0.5, 1.5, 9), sign=True)
    '+0.50 to +1.50'
    """
    if interval.low is None or interval.high is None:
        return "one image"
    show = signed if sign else number
    return f"{show(interval.low, digits)} to {show(interval.high, digits)}"


def text_table(summaries: Sequence[MethodSummary]) -> list[str]:
    """Return the summary for a terminal."""
    head = [
        "method",
        "PSNR dB",
        "gain dB (95 % interval)",
        "losses",
        "SSIM",
        "consistency",
        "s/Mpx",
    ]
    rows = [head]
    for summary in summaries:
        gain = f"{signed(summary.gain.mean)} ({interval_text(summary.gain, sign=True)})"
        rows.append(
            [
                summary.method,
                number(summary.psnr.mean, 2),
                "-" if summary.method == "bicubic" else gain,
                "-" if summary.method == "bicubic" else f"{summary.losses} of {summary.images}",
                number(summary.means["ssim"], 4),
                number(summary.means["consistency"], 3),
                number(summary.means["seconds_per_mpx"], 3),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
