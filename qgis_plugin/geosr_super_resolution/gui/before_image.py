# SPDX-License-Identifier: GPL-2.0-or-later
"""The map as it was before, rendered beside the canvas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from qgis.core import (
    QgsMapLayer,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsPointXY,
    QgsRasterLayer,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtGui import QImage

_ENDING: set[Any] = set()
"""Jobs that were cancelled and have not ended: Qt must not lose them before."""


@dataclass(frozen=True)
class BeforeImage:
    """A rendered map.

    Attributes
    ----------
    image
        Its pixels; its device pixel ratio is the screen's.
    center
        The map point in its middle.
    units_per_pixel
        Map units per pixel of the canvas.
    rotation
        Of the map, in degrees.
    """

    image: QImage
    center: QgsPointXY
    units_per_pixel: float
    rotation: float


class BeforeRenderer:
    """Renders the canvas with the layer ``before`` in place of ``after``, one job at a time.

    Parameters
    ----------
    canvas
        Where ``after`` is shown.
    before, after
        The layers to compare. If ``before`` is hidden, it takes the place of ``after``.
    on_image
        Called with each image, in the main thread.
    """

    def __init__(
        self,
        canvas: QgsMapCanvas,
        before: QgsMapLayer,
        after: QgsMapLayer,
        on_image: Callable[[BeforeImage], None],
    ) -> None:
        self._canvas, self._on_image = canvas, on_image
        self._before, self._after = before, after
        self._job: QgsMapRendererParallelJob | None = None

    def start(self) -> None:
        """Render what the canvas shows now; a job that runs is cancelled."""
        self.cancel()
        settings = self._settings()
        if not settings.hasValidSettings():
            return
        job = QgsMapRendererParallelJob(settings)
        self._job = job
        job.finished.connect(lambda: self._take(job))
        job.start()

    def cancel(self) -> None:
        """Stop a job that runs, without waiting for it."""
        job, self._job = self._job, None
        if job is not None and job.isActive():
            _ENDING.add(job)
            job.cancelWithoutBlocking()

    def close(self) -> None:
        """Stop a job that runs, and wait for its end: a layer may go after it."""
        job, self._job = self._job, None
        if job is not None and job.isActive():
            job.cancel()
        for ending in list(_ENDING):
            ending.cancel()
        _ENDING.clear()

    def _settings(self) -> QgsMapSettings:
        settings = QgsMapSettings(self._canvas.mapSettings())
        settings.setLayers(self._layers(settings.layers()))
        return settings

    def _layers(self, shown: list[QgsMapLayer]) -> list[QgsMapLayer]:
        """Return what is drawn, of what the canvas shows, from the top: no raster hides one."""
        ids = [each.id() for each in shown]
        if self._before.id() not in ids:
            place = ids.index(self._after.id()) if self._after.id() in ids else 0
            shown = [*shown[:place], self._before, *shown[place:]]
            ids.insert(place, self._before.id())
        place = ids.index(self._before.id())
        above = [each for each in shown[:place] if not isinstance(each, QgsRasterLayer)]
        return above + [each for each in shown[place:] if each.id() != self._after.id()]

    def _take(self, job: Any) -> None:
        _ENDING.discard(job)
        if self._job is None or job is not self._job:
            return
        self._job = None
        settings = job.mapSettings()
        self._on_image(
            BeforeImage(
                job.renderedImage(),
                settings.visibleExtent().center(),
                settings.mapUnitsPerPixel(),
                settings.rotation(),
            )
        )
