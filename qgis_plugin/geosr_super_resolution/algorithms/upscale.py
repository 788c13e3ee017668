# SPDX-License-Identifier: GPL-2.0-or-later
"""Super-resolve raster: ``geosr upscale``."""

from __future__ import annotations

import math
import os
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsRasterLayer,
    QgsRectangle,
)

from ..post import ResultLook, look_of, picture_words, uncertainty_words
from .arguments import UpscaleChoices, upscale_arguments
from .base import GeosrAlgorithm, Values, given
from .report import RunReport
from .upscale_parameters import AS_INPUT, how_parameters, output_parameters, what_parameters


class UpscaleRaster(GeosrAlgorithm):
    """Makes a raster finer on the same footprint."""

    NAME = "upscale"
    GROUP = "upscaling"

    def words(self) -> dict[str, str]:
        """Return what it is called and does."""
        about = self.tr(
            "<p>Makes a raster finer without moving it: the result covers the same footprint, in "
            "the same units, with nodata and scale kept. Each block of its pixels averages to the "
            "pixel it came from, unless you switch that off.</p>"
            "<p>Detail finer than the input's pixels is <b>estimated</b>: good for looking and "
            "mapping, no proof that something is there.</p>"
        )
        return {
            "title": self.tr("Super-resolve raster"),
            "short": self.tr("Makes a raster finer with a neural network, on the same footprint."),
            "about": about,
        }

    def tags(self) -> list[str]:
        """Return words to find it by."""
        words = "super resolution,upscale,upsample,sharpen,enhance,resample,downscale,pansharpen,ai"
        return words.split(",")

    def add_all(self) -> None:
        """Add the parameters and outputs."""
        for parameter in (*what_parameters(), *output_parameters(), *how_parameters()):
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputString("MODEL_USED", self.tr("Model that was used")))
        for name, title in (
            ("FACTOR_USED", self.tr("Factor of that model")),
            ("WIDTH", self.tr("Columns of the result")),
            ("HEIGHT", self.tr("Rows of the result")),
            ("SECONDS", self.tr("Seconds that it took")),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, title))

    def checkParameterValues(self, parameters: Values, context: QgsProcessingContext) -> Any:
        """Refuse what cannot be meant, before anything is started."""
        if given(parameters, "FACTOR") and given(parameters, "RESOLUTION"):
            return False, self.tr("Give either a factor or a pixel size, not both.")
        return super().checkParameterValues(parameters, context)

    def take(self, parameters: Values, context: QgsProcessingContext) -> None:
        """Take from the layer what is needed of it, as text."""
        layer, self._source = self.source(parameters, "INPUT", context)
        self._extent = self._extent_of(parameters, layer, context)
        self._indexes = self.parameterAsInts(parameters, "BANDS", context)
        self._look = ResultLook(look_of(layer), self._indexes)
        self._uncertainty_look = ResultLook()

    def carry_out(
        self, parameters: Values, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Values:
        """Run it."""
        output = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        uncertainty = self.parameterAsOutputLayer(parameters, "UNCERTAINTY", context)
        choices = self._choices(parameters, context)
        source = self.opened(self._source)
        report = self.run_geosr(
            upscale_arguments(source, output, choices, uncertainty=uncertainty or ""), feedback
        )
        if report is None:
            return {}
        found: Values = {"OUTPUT": output}
        if uncertainty:
            found["UNCERTAINTY"] = uncertainty
        self._dress(found, report, context)
        found.update(
            MODEL_USED=str(report.stats.get("model", "")),
            FACTOR_USED=report.stats.get("factor"),
            WIDTH=report.result.get("width"),
            HEIGHT=report.result.get("height"),
            SECONDS=report.stats.get("seconds"),
        )
        self._sum_up(report, feedback)
        return found

    def _choices(self, parameters: Values, context: QgsProcessingContext) -> UpscaleChoices:
        def text(name: str) -> str:
            return str(self.parameterAsString(parameters, name, context) or "").strip()

        def whole(name: str) -> int | None:
            set_ = given(parameters, name)
            return self.parameterAsInt(parameters, name, context) if set_ else None

        def real(name: str) -> float | None:
            set_ = given(parameters, name)
            return self.parameterAsDouble(parameters, name, context) if set_ else None

        dtype = text("DTYPE")
        model_range = self.parameterAsRange(parameters, "MODEL_RANGE", context)
        if not model_range or any(map(math.isnan, model_range)):  # a dialog's way to say: not set
            model_range = None
        return UpscaleChoices(
            model=text("MODEL_FILE") or text("MODEL"),
            factor=whole("FACTOR"),
            resolution=real("RESOLUTION"),
            indexes=tuple(self._indexes),
            bounds=self._extent,
            consistency=self.parameterAsBool(parameters, "CONSISTENCY", context),
            nodata=real("NODATA"),
            tile_size=whole("TILE_SIZE"),
            device=text("DEVICE"),
            precision=text("PRECISION"),
            runtime=text("RUNTIME"),
            workers=whole("WORKERS"),
            threads=whole("THREADS"),
            dtype="" if dtype == AS_INPUT else dtype,
            creation_options=tuple(part for part in text("OPTIONS").split("|") if part),
            model_range=tuple(model_range) if model_range else None,
            uncertainty_model=text("UNCERTAINTY_MODEL"),
        )

    def _extent_of(
        self, parameters: Values, layer: QgsRasterLayer, context: QgsProcessingContext
    ) -> tuple[float, float, float, float] | None:
        """Return west, south, east and north in the layer's CRS, or None."""
        if not given(parameters, "EXTENT"):
            return None
        extent: QgsRectangle = self.parameterAsExtent(parameters, "EXTENT", context, layer.crs())
        if extent.isNull():
            return None
        return (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())

    def _dress(self, found: Values, report: RunReport, context: QgsProcessingContext) -> None:
        """Let QGIS style, name and describe the results when it loads them."""
        stats, sigma = report.stats, report.stats.get("uncertainty") or {}
        for key, look, words_of, told in (
            ("OUTPUT", self._look, picture_words, stats),
            ("UNCERTAINTY", self._uncertainty_look, uncertainty_words, sigma),
        ):
            path = found.get(key)
            if not path or not context.willLoadLayerOnCompletion(path):
                continue
            words = words_of(self._source.name, told, report.version)
            file_name = os.path.splitext(os.path.basename(path))[0]
            titles = {file_name: words_of(file_name, told, report.version)["title"]}
            titles[self.parameterDefinition(key).description()] = words["title"]
            look.say(words, titles)
            context.layerToLoadOnCompletionDetails(path).setPostProcessor(look)

    def _sum_up(self, report: RunReport, feedback: QgsProcessingFeedback) -> None:
        stats = report.stats
        feedback.pushInfo(
            self.tr("{width} x {height} pixels by {model} in {seconds} s ({device}).").format(
                width=report.result.get("width"),
                height=report.result.get("height"),
                model=stats.get("model"),
                seconds=stats.get("seconds"),
                device=", ".join(
                    str(stats[key]) for key in ("device", "runtime", "precision") if stats.get(key)
                ),
            )
        )
        for note in stats.get("notes") or ():
            feedback.pushInfo(str(note))
