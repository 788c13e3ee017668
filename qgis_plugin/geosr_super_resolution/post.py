# SPDX-License-Identifier: GPL-2.0-or-later
"""How a result looks: as its input does, and named as what it is.

Before and after can only be compared with the same stretch. All is kept as text; a layer held by
an algorithm would outlive QGIS, which then crashes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsMapLayerStyle,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterLayer,
)
from qgis.PyQt.QtXml import QDomDocument, QDomElement

from .translation import tr

_BAND_ATTRIBUTES = ("redBand", "greenBand", "blueBand", "grayBand", "band")
_NO_BAND = "-1"
_ALIVE: deque[ResultLook] = deque(maxlen=1000)
"""QGIS keeps a bare pointer to a post-processor, and deletes its algorithm before it is used."""


def look_of(layer: QgsMapLayer) -> str:
    """Return a layer's style as XML; call it on the main thread."""
    style = QgsMapLayerStyle()
    style.readFromLayer(layer)
    return str(style.xmlData())


def look_for(xml: str, indexes: Sequence[int], bands: int) -> str:
    """Return a style for a raster that has some bands of the styled one.

    ``indexes`` are the numbers of the bands that were kept, in order; empty: all. ``bands`` is
    how many the new raster has. If the style needs a band that is not there, the new raster
    keeps its own renderer. Pixels are displayed as they are: the smoothing of a display would
    hide what was gained.
    """
    document = QDomDocument()
    document.setContent(xml)
    pipe = document.documentElement().firstChildElement("pipe")
    if pipe.isNull():
        return ""
    numbers = {old: new for new, old in enumerate(indexes, start=1)} if indexes else {}
    if not indexes:
        numbers = {number: number for number in range(1, bands + 1)}
    renderer = pipe.firstChildElement("rasterrenderer")
    if not renderer.isNull() and not _renumber(renderer, numbers):
        pipe.removeChild(renderer)
    _show_pixels(pipe)
    return str(document.toString())


def apply_look(layer: QgsRasterLayer, xml: str, indexes: Sequence[int]) -> None:
    """Give a layer the style of another one, whose bands ``indexes`` it has; empty: all."""
    text = look_for(xml, indexes, layer.bandCount())
    document = QDomDocument()
    if text and document.setContent(text)[0]:
        layer.importNamedStyle(document)
        layer.triggerRepaint()


def describe(layer: QgsRasterLayer, *, title: str, abstract: str) -> None:
    """Say in a layer's metadata what it is."""
    metadata = layer.metadata()
    metadata.setTitle(title)
    metadata.setAbstract(abstract)
    metadata.setHistory([*metadata.history(), abstract])
    layer.setMetadata(metadata)


def picture_words(source: str, stats: dict[str, Any], version: str) -> dict[str, str]:
    """Return ``title`` and ``abstract`` of a picture that geosr made of the layer ``source``."""
    model = str(stats.get("model") or "geosr")
    finer = tr("Detail finer than the pixels of '{source}' is estimated by {model}, not measured.")
    words = [finer.format(source=source, model=model), _made_by(version)]
    before, after = stats.get("pixel_size_before"), stats.get("pixel_size")
    if before and after:
        words.append(
            tr("Pixel size: {before:g} before, {after:g} now, in units of the CRS.").format(
                before=float(before[0]), after=float(after[0])
            )
        )
    title = tr("{source} ({model}, detail estimated)").format(source=source, model=model)
    return {"title": title, "abstract": " ".join(words)}


def uncertainty_words(source: str, stats: dict[str, Any], version: str) -> dict[str, str]:
    """Return ``title`` and ``abstract`` of the raster that says how sure a picture is."""
    model = str(stats.get("model") or "geosr")
    about = tr(
        "Estimated standard deviation of each pixel that geosr made of '{source}', by {model}, in "
        "units of the bands."
    ).format(source=source, model=model)
    title = tr("{source} ({model}, uncertainty)").format(source=source, model=model)
    return {"title": title, "abstract": " ".join((about, _made_by(version)))}


class ResultLook(QgsProcessingLayerPostProcessorInterface):
    """Styles, names and describes a result once QGIS has loaded it, on the main thread."""

    def __init__(self, style: str = "", indexes: Sequence[int] = ()) -> None:
        super().__init__()
        self._style, self._indexes = style, tuple(indexes)
        self._titles: dict[str, str] = {}
        self._words: dict[str, str] = {}
        _ALIVE.append(self)

    def say(self, words: dict[str, str], titles: dict[str, str]) -> None:
        """Set title and abstract, and by QGIS's own name for the layer what it is called instead.

        QGIS calls a layer like the output parameter, or like a file that the user has named.
        """
        self._words, self._titles = words, titles

    def postProcessLayer(
        self,
        layer: QgsMapLayer,
        context: QgsProcessingContext,  # noqa: ARG002
        feedback: QgsProcessingFeedback,  # noqa: ARG002
    ) -> None:
        """Do it; a look that cannot be had is no reason to lose the result."""
        if not isinstance(layer, QgsRasterLayer):
            return
        if self._style:
            apply_look(layer, self._style, self._indexes)
        if self._words:
            describe(layer, **self._words)
            layer.setName(self._titles.get(layer.name(), layer.name()))


def _made_by(version: str) -> str:
    return tr("Made by geosr {version}.").format(version=version) if version else ""


def _renumber(renderer: QDomElement, numbers: dict[int, int]) -> bool:
    alpha = renderer.attribute("alphaBand", _NO_BAND)
    renderer.setAttribute("alphaBand", str(numbers.get(_number(alpha), _NO_BAND)))
    for name in _BAND_ATTRIBUTES:
        if not renderer.hasAttribute(name) or renderer.attribute(name) == _NO_BAND:
            continue
        number = numbers.get(_number(renderer.attribute(name)))
        if number is None:
            return False
        renderer.setAttribute(name, str(number))
    return True


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return -1


def _show_pixels(pipe: QDomElement) -> None:
    resampler = pipe.firstChildElement("rasterresampler")
    for name in ("zoomedInResampler", "zoomedOutResampler"):
        resampler.removeAttribute(name)
    early = pipe.firstChildElement("provider").firstChildElement("resampling")
    if not early.isNull():
        early.setAttribute("enabled", "false")
        for name in ("zoomedInResamplingMethod", "zoomedOutResamplingMethod"):
            early.setAttribute(name, "nearestNeighbour")
