"""HTML pieces of the reports; the style and the script lie beside this file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from geosr.evaluation.pictures import Layer, ScenePictures
from geosr.evaluation.plots import legend

_HERE = Path(__file__).parent

# Nothing is fetched: whatever a browser might try, it may not.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes
    ----------
    html
        What it shows.
    value
        What it is sorted by; None: its text, empty: always last.
    best
        Whether it is the best of its column.
    """

    html: str
    value: str | None = None
    best: bool = False


@dataclass(frozen=True)
class Head:
    """The title of a column.

    Attributes
    ----------
    text
        What it is called.
    unit
        Of its numbers.
    about
        What it says, in a sentence.
    first
        The order of the first click.
    """

    text: str
    unit: str = ""
    about: str = ""
    first: str = "descending"


def document(title: str, lead: str, body: str, *, links: Sequence[tuple[str, str]]) -> str:
    """Return a whole page; ``body`` is HTML, ``links`` are pairs of an id and a title."""
    style = (_HERE / "style.css").read_text(encoding="utf-8")
    script = (_HERE / "script.js").read_text(encoding="utf-8")
    nav = "".join(f'<a href="#{place}">{escape(text)}</a>' for place, text in links)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f'<header class="top"><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>'
        f"<nav>{nav}</nav></header>\n<main>\n{body}\n</main>\n"
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def section(place: str, title: str, html: str, *, about: str = "", kind: str = "") -> str:
    """Return a part of the page with an id."""
    told = f'<p class="soft">{escape(about)}</p>' if about else ""
    name = f' class="{kind}"' if kind else ""
    return f'<section id="{place}"{name}><h2>{escape(title)}</h2>{told}{html}</section>\n'


def table(heads: Sequence[Head], rows: Iterable[Sequence[Cell]], label: str) -> str:
    """Return a table that is sorted by a click on a title, and scrolls if it is wide."""
    titles = "".join(
        f'<th scope="col" data-first="{head.first}" title="{escape(head.about)}">'
        f'<button type="button">{escape(head.text)}</button>{_small(head.unit)}</th>'
        for head in heads
    )
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">'
        f'<table class="sortable"><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>'
        "</div>"
    )


def scene(pictures: ScenePictures, *, left: int, right: int, ramp: str) -> str:
    """Return a scene: a swipe of its layers, with two of them chosen, and its maps.

    ``ramp`` is the class of the colours in the maps.
    """
    title = escape(pictures.name)
    note = f'<p class="soft">{escape(pictures.note)}</p>' if pictures.note else ""
    maps = "".join(_map(layer, pictures.map_title) for layer in pictures.maps)
    return (
        f'<article class="scene"><h3>{title}</h3>{_swipe(pictures, left, right)}'
        f'<div><p class="soft">{escape(pictures.map_title)}</p><div class="ramp {ramp}"></div>'
        f'<div class="maps">{maps}</div>{note}</div></article>'
    )


def plot(svg: str, names: Sequence[str], label: str, *, first: int = 0) -> str:
    """Return a plot below the list of its colours; on a small screen it scrolls."""
    return (
        f'{legend(names, first=first)}<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escape(label)}">{svg}</div>'
    )


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a list of terms and what they are; the second ones are HTML."""
    items = "".join(f"<dt>{escape(term)}</dt><dd>{html}</dd>" for term, html in pairs)
    return f"<dl>{items}</dl>"


def bullets(items: Iterable[str]) -> str:
    """Return a list of sentences."""
    return f'<ul class="plain">{"".join(f"<li>{escape(item)}</li>" for item in items)}</ul>'


def _small(text: str) -> str:
    return f"<small>{escape(text)}</small>" if text else ""


def _cell(cell: Cell) -> str:
    value = "" if cell.value is None else f' data-value="{escape(cell.value)}"'
    best = ' class="best"' if cell.best else ""
    return f"<td{value}{best}>{cell.html}</td>"


def _swipe(pictures: ScenePictures, left: int, right: int) -> str:
    height, width = pictures.shape
    labels = [layer.label for layer in pictures.layers]
    images = "".join(
        f'<img src="{layer.uri}" alt="{escape(f"{pictures.name}, {layer.label}")}"'
        f"{_class(layer, number, left, right)}>"
        for number, layer in enumerate(pictures.layers)
    )
    about = escape(f"Divider between {labels[left]} and {labels[right]} of {pictures.name}")
    return (
        f'<figure class="swipe"><div class="stage" style="aspect-ratio: {width} / {height}">'
        f'{images}<span class="tag left">{escape(labels[left])}</span>'
        f'<span class="tag right">{escape(labels[right])}</span>'
        f'<div class="handle" style="z-index: 2" role="slider" tabindex="0" aria-label="{about}" '
        'aria-orientation="horizontal" aria-valuemin="0" aria-valuemax="100" aria-valuenow="50">'
        f"</div></div>"
        f'<figcaption class="choose">{_select("Left", labels, left)}'
        f"{_select('Right', labels, right)}</figcaption></figure>"
    )


def _class(layer: Layer, number: int, left: int, right: int) -> str:
    names = ["pixelated"] * layer.pixelated + ["over"] * (number == left)
    names += ["under"] * (number == right)
    return f' class="{" ".join(names)}"' if names else ""


def _select(title: str, labels: Sequence[str], chosen: int) -> str:
    options = "".join(
        f'<option value="{number}"{" selected" * (number == chosen)}>{escape(label)}</option>'
        for number, label in enumerate(labels)
    )
    return f'<label>{title}<select autocomplete="off">{options}</select></label>'


def _map(layer: Layer, title: str) -> str:
    about = escape(f"{title}: {layer.label}")
    kind = ' class="pixelated"' if layer.pixelated else ""
    return (
        f'<figure><img src="{layer.uri}" alt="{about}" loading="lazy"{kind}><figcaption>'
        f"{escape(layer.label)}<br><b>{escape(layer.caption)}</b></figcaption></figure>"
    )
