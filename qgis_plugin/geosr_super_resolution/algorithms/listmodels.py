# SPDX-License-Identifier: GPL-2.0-or-later
"""List models: ``geosr models``."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterFileDestination,
)

from .. import models, settings
from . import parameters as make
from .base import GeosrAlgorithm, Values


class ListModels(GeosrAlgorithm):
    """Lists the models of the environment, and lets the dialogs know them."""

    NAME = "listmodels"
    GROUP = "models"

    def words(self) -> dict[str, str]:
        """Return what it is called and does."""
        return {
            "title": self.tr("List models"),
            "short": self.tr("Lists the models that geosr has."),
            "about": self.tr(
                "<p>Lists the models of the environment: their factors, bands, licence and how "
                "much better than bicubic interpolation they are. The dialogs of GeoSR offer the "
                "same list from then on.</p>"
            ),
        }

    def tags(self) -> list[str]:
        """Return words to find it by."""
        return ["list", "models", "networks", "weights"]

    def add_all(self) -> None:
        """Add the parameters and outputs."""
        page = QgsProcessingParameterFileDestination(
            "OUTPUT", self.tr("Models"), self.tr("HTML files") + " (*.html)", optional=True
        )
        self.addParameter(make.helped(page, self.tr("The list as a page.")))
        self.addOutput(QgsProcessingOutputString("MODELS", self.tr("Names, with commas between")))
        self.addOutput(QgsProcessingOutputNumber("COUNT", self.tr("Number of models")))

    def carry_out(
        self, parameters: Values, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Values:
        """Run it."""
        path = self.parameterAsFileOutput(parameters, "OUTPUT", context)
        try:
            models.refresh(self.python(feedback), settings.models_cache())
        except models.ModelListError as error:
            raise QgsProcessingException(str(error)) from error
        listed = models.known_models(settings.models_cache())
        for family in models.families(listed):
            feedback.pushInfo(f"{family.name}: {family.description}")
        names = [str(model["name"]) for model in listed]
        found: Values = {"MODELS": ",".join(names), "COUNT": len(names)}
        if path:
            self._write(path, listed)
            found["OUTPUT"] = path
        return found

    def _write(self, path: str, listed: Sequence[dict[str, Any]]) -> None:
        try:
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(self._page(listed))
        except OSError as error:
            raise QgsProcessingException(
                self.tr("{path} cannot be written: {why}.").format(path=path, why=error.strerror)
            ) from error

    def _page(self, listed: Sequence[dict[str, Any]]) -> str:
        heads = (
            self.tr("Name"),
            self.tr("Factor"),
            self.tr("Bands seen together"),
            self.tr("Weights"),
            self.tr("Over bicubic, dB"),
            self.tr("Licence"),
            self.tr("What it is"),
        )
        rows = [heads, *map(_row, listed)]
        cells = [
            "<tr>{}</tr>".format("".join(f"<td>{escape(str(each))}</td>" for each in row))
            for row in rows
        ]
        return (
            '<!DOCTYPE html><html><head><meta charset="utf-8"><title>GeoSR</title></head><body>'
            "<h1>{}</h1><table border='1' cellpadding='4' cellspacing='0'>{}</table></body></html>"
        ).format(escape(self.words()["title"]), "".join(cells))


def _row(model: dict[str, Any]) -> Sequence[Any]:
    gain = model.get("gain_db")
    return (
        model["name"],
        model["upscale_factor"],
        "1" if model["bands"] == 1 else model["bands"],
        "{:,}".format(int(model["parameters"])) if model["parameters"] else "-",
        "-" if gain is None else f"{gain:+.2f}",
        model["licence"],
        model["summary"],
    )
