# SPDX-License-Identifier: GPL-2.0-or-later
"""Compare rasters: ``geosr compare``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterString,
)

from . import parameters as make
from .arguments import bands, option
from .base import GeosrAlgorithm, Values, for_option


class CompareRasters(GeosrAlgorithm):
    """Tells how far a finer raster agrees with the one it came from."""

    NAME = "compare"
    GROUP = "quality"

    def words(self) -> dict[str, str]:
        """Return what it is called and does."""
        return {
            "title": self.tr("Compare rasters"),
            "short": self.tr("Tells how far a finer raster agrees with a coarser one."),
            "about": self.tr(
                "<p>Averages the finer raster to the pixels of the coarser one and compares the "
                "two, band by band. The report has the differences, both power spectra (how much "
                "detail of which size) and both pictures to swipe between. Neither is taken for "
                "the truth.</p>"
            ),
        }

    def tags(self) -> list[str]:
        """Return words to find it by."""
        return [
            "compare",
            "consistency",
            "difference",
            "spectrum",
            "rmse",
            "correlation",
            "quality",
        ]

    def add_all(self) -> None:
        """Add the parameters and outputs."""
        rgb = QgsProcessingParameterString("RGB", self.tr("Bands to show"), optional=True)
        report = QgsProcessingParameterFileDestination(
            "REPORT", self.tr("Report"), self.tr("HTML files") + " (*.html)", optional=True
        )
        for parameter in (
            make.layer_parameter(
                "INPUT", self.tr("Coarser raster"), self.tr("Such as the input of an upscaling.")
            ),
            make.layer_parameter(
                "FINER",
                self.tr("Finer raster"),
                self.tr("Such as its result: the same place, with pixels as large or smaller."),
            ),
            for_option(
                make.bands_parameter("INPUT", self.tr("Bands to compare. None: all.")), "--bidx"
            ),
            for_option(
                make.helped(rgb, self.tr("As red, green and blue: 3,2,1."), advanced=True), "--rgb"
            ),
            for_option(seed_parameter(self.tr("Seed")), "--seed"),
            make.helped(report, self.tr("One file, with pictures.")),
        ):
            self.addParameter(parameter)
        for name, title in (
            ("FACTOR", self.tr("Pixels of the finer raster per pixel of the coarser one, a side")),
            ("RMSE", self.tr("Root mean square difference, all bands")),
            ("LARGEST", self.tr("Largest difference")),
            ("CORRELATION", self.tr("Correlation, of the worst band")),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, title))
        self.addOutput(QgsProcessingOutputString("SUMMARY", self.tr("Differences of each band")))

    def take(self, parameters: Values, context: QgsProcessingContext) -> None:
        """Take from the layers what is needed of them, as text."""
        self._coarser = self.source(parameters, "INPUT", context)[1]
        self._finer = self.source(parameters, "FINER", context)[1]

    def carry_out(
        self, parameters: Values, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Values:
        """Run it."""
        path = self.parameterAsFileOutput(parameters, "REPORT", context)
        arguments = ["compare", self.opened(self._coarser), self.opened(self._finer)]
        arguments += ["--overwrite", *option("report", path)]
        arguments += bands(self.parameterAsInts(parameters, "BANDS", context))
        arguments += option("rgb", self.parameterAsString(parameters, "RGB", context))
        arguments += option("seed", self.parameterAsInt(parameters, "SEED", context))
        report = self.run_geosr(arguments, feedback)
        if report is None:
            return {}
        rows = report.result.get("bands") or []
        summary = "\n".join(map(_row, rows))
        feedback.pushInfo(summary)
        found: Values = {"FACTOR": report.result.get("factor"), "SUMMARY": summary}
        if path:
            found["REPORT"] = path
        found.update(_figures(rows))
        return found


def seed_parameter(title: str) -> Any:
    """Return the advanced parameter for the seed of all chance."""
    return make.helped(make.number("SEED", title, default=0), "", advanced=True)


def _figures(rows: Sequence[dict[str, Any]]) -> Values:
    squares = [_float(row["rmse"]) ** 2 for row in rows]
    return {
        "RMSE": math.sqrt(sum(squares) / len(squares)) if squares else None,
        "LARGEST": max((abs(_float(row["largest"])) for row in rows), default=None),
        "CORRELATION": min((_float(row["correlation"]) for row in rows), default=None),
    }


def _row(row: dict[str, Any]) -> str:
    return "Band {}: mean {:.6g}, RMSE {:.6g}, largest {:.6g}, correlation {:.6f}".format(
        row["band"], *(_float(row[key]) for key in ("mean", "rmse", "largest", "correlation"))
    )


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)
