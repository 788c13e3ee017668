"""The evaluation as one HTML file, which needs nothing besides itself."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from html import escape

from geosr.core.version import __version__
from geosr.evaluation.page import (
    Cell,
    Head,
    bullets,
    document,
    facts,
    plot,
    scene,
    section,
    table,
)
from geosr.evaluation.plots import dot_plot, line_plot
from geosr.evaluation.protocol import BASELINES, BICUBIC
from geosr.evaluation.run import MOST_SCENES, Evaluation
from geosr.evaluation.scoring import ALL, Score
from geosr.evaluation.summary import MethodSummary, gain_of
from geosr.evaluation.tables import Column, interval_text, number, signed, used_columns
from geosr.evaluation.words import answer, protocol_words
from geosr.io.gdal import gdal_version

_LINKS = (
    ("summary", "Summary"),
    ("psnr", "PSNR of each image"),
    ("spectrum", "Power spectrum"),
    ("scenes", "Scenes"),
    ("images", "All scores"),
    ("protocol", "Protocol"),
)


def report(evaluation: Evaluation, command: str) -> str:
    """Return the page."""
    parts = [
        _answers(evaluation),
        _failures(evaluation),
        _summary(evaluation),
        _psnr(evaluation),
        _spectrum(evaluation),
        _scenes(evaluation),
        _images(evaluation),
        _protocol(evaluation, command),
    ]
    images = evaluation.summaries[0].images
    noun = "crop" if evaluation.kind == "scene" else "image"
    lead = (
        f"{images} {noun}{'s' * (images != 1)} at factor {evaluation.factor}. Higher PSNR is "
        "better; every gain is over bicubic interpolation of the same input."
    )
    return document(f"Evaluation: {evaluation.title}", lead, "".join(parts), links=_LINKS)


def _answers(evaluation: Evaluation) -> str:
    cards = []
    for summary in evaluation.summaries:
        if summary.is_baseline:
            continue
        gain, images = summary.gain, summary.images
        cards.append(
            f'<div class="answer {summary.verdict}">'
            f'<span class="name">{escape(summary.method)}</span>'
            f"<b>{signed(gain.mean)} dB</b>"
            f"<span>{escape(answer(summary, evaluation.kind))}</span><br>"
            f'<span class="soft">95 % interval {interval_text(gain, sign=True)}; below bicubic on '
            f"{summary.losses} of {images}; worst {signed(summary.worst[0])} dB</span></div>"
        )
    return f'<div class="answers">{"".join(cards)}</div>' if cards else ""


def _failures(evaluation: Evaluation) -> str:
    lines = [f"{one.source}: {one.message} {one.hint}" for one in evaluation.failures]
    if not (lines or evaluation.notes):
        return ""
    return section(
        "failures",
        "Left out, and to be known",
        bullets([*lines, *evaluation.notes]),
        about="These images are in no mean." if lines else "",
        kind="warn",
    )


def _summary(evaluation: Evaluation) -> str:
    columns = used_columns(evaluation.summaries)
    heads = [
        Head("Method", first="ascending"),
        Head("Gain", "dB", "PSNR above bicubic."),
        Head("Losses", "", "Images where bicubic is better.", "ascending"),
    ]
    heads += [
        Head(
            column.title,
            column.unit,
            column.about,
            "ascending" if column.best in ("low", "") else "descending",
        )
        for column in columns
    ]
    best = {column.key: _best(column, evaluation.summaries) for column in columns}
    rows = [_summary_row(summary, columns, best) for summary in evaluation.summaries]
    about = "Means over images. A small line below a mean is its 95 % interval. Bold is best."
    return section("summary", "Summary", table(heads, rows, "Summary"), about=about)


def _summary_row(
    summary: MethodSummary, columns: Sequence[Column], best: dict[str, str]
) -> list[Cell]:
    gain = summary.gain
    if summary.method == BICUBIC:
        cells = [Cell("-", "0"), Cell("-", "")]
    else:
        colour = {"gains": "good", "loses": "bad"}.get(summary.verdict, "")
        if abs(gain.mean) < 0.005:
            colour = ""
        cells = [
            Cell(
                f'<span class="{colour}">{signed(gain.mean)}</span>'
                f"<small>{interval_text(gain, sign=True)}</small>",
                f"{gain.mean:.6g}",
            ),
            Cell(f"{summary.losses} of {summary.images}", str(summary.losses)),
        ]
    for column in columns:
        value = summary.means[column.key]
        shown = number(value, column.digits)
        if column.key == "psnr":
            value, shown = summary.psnr.mean, number(summary.psnr.mean, 2)
            shown += f"<small>{interval_text(summary.psnr)}</small>"
        cells.append(Cell(shown, _key(value), best[column.key] == number(value, column.digits)))
    return [Cell(escape(summary.method)), *cells]


def _best(column: Column, summaries: Sequence[MethodSummary]) -> str:
    """Return the best value of a column as it is shown: equal ones are all bold."""
    if not column.best:
        return ""
    values = [summary.means[column.key] for summary in summaries]
    known = [value for value in values if not math.isnan(value)]
    if column.best == "one":
        return number(min(known, key=lambda value: abs(value - 1)), column.digits)
    return number(min(known) if column.best == "low" else max(known), column.digits)


def _psnr(evaluation: Evaluation) -> str:
    rows = _rows(evaluation)
    gains = {
        image: max(
            (
                gain_of(score, scores[BICUBIC])
                for method, score in scores.items()
                if method != BICUBIC
            ),
            default=0.0,
        )
        for image, scores in rows.items()
    }
    names = sorted(rows, key=lambda image: gains[image], reverse=True)
    methods = evaluation.protocol.methods
    series = {method: [min(rows[name][method].psnr, 100.0) for name in names] for method in methods}
    html = plot(dot_plot(names, series, unit="dB", title="PSNR"), methods, "PSNR of each image")
    about = "One row an image, the largest gain first. Point at a dot to read it."
    return section("psnr", "PSNR of each image", html, about=about)


def _spectrum(evaluation: Evaluation) -> str:
    series, mark = evaluation.spectra, 0.5 / evaluation.factor
    svg = line_plot(evaluation.frequencies, series, mark=mark, axis="cycles per output pixel")
    html = plot(svg, tuple(series), "Radial power spectrum")
    about = (
        "Power at each fineness of detail, mean over images, 1 being all of the truth's. Right of "
        "the dashed line the input holds nothing that could be read off it directly: a model that "
        "follows the truth there adds detail in the right amount, though not always in the right "
        "place."
    )
    return section("spectrum", "Radial power spectrum", html, about=about)


def _scenes(evaluation: Evaluation) -> str:
    methods = evaluation.protocol.methods
    left, right = 1, 2 if len(methods) > len(BASELINES) else 0  # layers: input, bicubic, models
    html = "".join(scene(one, left=left, right=right, ramp="heat") for one in evaluation.scenes)
    about = (
        "Drag the divider, or focus it and use the arrow keys, Home and End. Pictures are "
        "compressed for the page; scores are not computed from them."
    )
    if evaluation.summaries[0].images > MOST_SCENES:
        about += f" The first {MOST_SCENES} are shown."
    return section("scenes", "Scenes", html, about=about)


def _images(evaluation: Evaluation) -> str:
    columns = used_columns(evaluation.summaries)
    heads = [
        Head("Image", first="ascending"),
        Head("Method", first="ascending"),
        Head("Gain", "dB", "PSNR above bicubic."),
    ]
    heads += [Head(column.title, column.unit, column.about) for column in columns]
    rows = []
    for image, scores in _rows(evaluation).items():
        for method, score in scores.items():
            gain = gain_of(score, scores[BICUBIC])
            colour = "good" if gain >= 0.005 else "bad" if gain <= -0.005 else ""
            cells = [Cell(f'<span class="{colour}">{signed(gain)}</span>', _key(gain))]
            if method == BICUBIC:
                cells = [Cell("-", "0")]
            for column in columns:
                value = getattr(score, column.key)
                cells.append(Cell(number(value, column.digits), _key(value)))
            rows.append([Cell(escape(image)), Cell(escape(method)), *cells])
    return section("images", "All scores", table(heads, rows, "All scores"))


def _protocol(evaluation: Evaluation, command: str) -> str:
    pairs = [(term, escape(text)) for term, text in protocol_words(evaluation)]
    versions = f"geosr {__version__}, Python {platform.python_version()}, GDAL {gdal_version()}"
    pairs += [
        ("Versions", escape(f"{versions}, {platform.system()} {platform.machine()}")),
        ("Took", f"{evaluation.seconds:.0f} s"),
        ("Command", f"<code>{escape(command)}</code>"),
    ]
    return section("protocol", "Protocol", facts(pairs))


def _rows(evaluation: Evaluation) -> dict[str, dict[str, Score]]:
    rows: dict[str, dict[str, Score]] = {}
    for score in evaluation.scores:
        if score.band == ALL:
            rows.setdefault(score.image, {})[score.method] = score
    return rows


def _key(value: float) -> str:
    """Return what a cell is sorted by; what is not known comes last."""
    return "" if math.isnan(value) else f"{value:.8g}"
