# SPDX-License-Identifier: GPL-2.0-or-later
"""Evaluate a model on this raster: ``geosr evaluate --self``."""

from __future__ import annotations

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
from .base import GeosrAlgorithm, Values, for_option, given
from .compare import seed_parameter

_BICUBIC = "bicubic"
_DEGRADATIONS = ["area", "mtf", "bicubic"]


class EvaluateModel(GeosrAlgorithm):
    """Tells whether a model suits a raster, with the raster as its own truth."""

    NAME = "evaluate"
    GROUP = "quality"

    def words(self) -> dict[str, str]:
        """Return what it is called and does."""
        return {
            "title": self.tr("Evaluate a model on this raster"),
            "short": self.tr("Tells whether a model suits a raster, before you rely on it."),
            "about": self.tr(
                "<p>Makes parts of the raster coarser, lets each model restore them, and compares "
                "that with the raster itself (Wald's protocol). The report says how much better "
                "than bicubic interpolation each model is, how much of its detail is right, and "
                "how much is made up.</p><p>It tells how a model does one scale down; at the "
                "raster's own scale nobody knows the truth.</p>"
            ),
        }

    def tags(self) -> list[str]:
        """Return words to find it by."""
        return ["evaluate", "score", "wald", "psnr", "ssim", "quality", "accuracy", "model"]

    def add_all(self) -> None:
        """Add the parameters and outputs."""
        for parameter in (*self._what(), *self._how(), *self._results()):
            self.addParameter(parameter)
        for name, title in (
            ("PSNR_BICUBIC", self.tr("PSNR of bicubic interpolation, in dB")),
            ("PSNR", self.tr("PSNR of the best model, in dB")),
            ("GAIN", self.tr("The best model's PSNR over bicubic, in dB")),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, title))
        self.addOutput(QgsProcessingOutputString("BEST_MODEL", self.tr("Best model")))
        self.addOutput(QgsProcessingOutputString("SUMMARY", self.tr("Scores of each method")))
        suits = self.tr("Whether each model suits the raster")
        self.addOutput(QgsProcessingOutputString("SUITABILITY", suits))

    def take(self, parameters: Values, context: QgsProcessingContext) -> None:
        """Take from the layer what is needed of it, as text."""
        self._source = self.source(parameters, "INPUT", context)[1]

    def carry_out(
        self, parameters: Values, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Values:
        """Run it."""
        paths = {
            name: self.parameterAsFileOutput(parameters, name, context)
            for name in ("REPORT", "CSV")
        }
        arguments = ["evaluate", "--self=" + self.opened(self._source), "--overwrite"]
        for name in self._models(parameters, context):
            arguments += option("model", name)
        arguments += self._protocol(parameters, context)
        for name, path in paths.items():
            arguments += option(name.lower(), path)
        report = self.run_geosr(arguments, feedback)
        if report is None:
            return {}
        methods = report.result.get("methods") or []
        summary = "\n".join(map(_row, methods))
        feedback.pushInfo(summary)
        answers = "\n".join(map(str, report.result.get("suitability") or ()))
        feedback.pushInfo(answers)
        found: Values = {name: path for name, path in paths.items() if path}
        found.update(SUMMARY=summary, SUITABILITY=answers)
        found.update(_figures(methods))
        return found

    def _what(self) -> list[Any]:
        factor = self.tr("Of the test. Not set: the models', or 2.")
        own = self.tr("A card (.json) or a network (.onnx, .keras), scored beside the others.")
        return [
            make.layer_parameter(
                "INPUT", self.tr("Raster layer"), self.tr("The raster to upscale later.")
            ),
            for_option(make.models_parameter("MODELS"), "--model"),
            make.model_file_parameter(own, self.tr("Own model, beside those above")),
            for_option(make.factor_parameter(factor), "--factor"),
            for_option(
                make.bands_parameter("INPUT", self.tr("Bands to score. None: all.")), "--bidx"
            ),
        ]

    def _how(self) -> list[Any]:
        rgb = QgsProcessingParameterString("RGB", self.tr("Bands to show"), optional=True)
        degradation = make.choice(
            "DEGRADATION", self.tr("How the raster is made coarser"), _DEGRADATIONS, default="area"
        )
        listed = [
            (
                degradation,
                "--degradation",
                self.tr("area: block means. mtf: a sensor's blur first. bicubic: as in papers."),
            ),
            (
                make.number("CROPS", self.tr("Parts that are scored, at most"), minimum=1),
                "--crops",
                self.tr("Not set: 16."),
            ),
            (
                make.number("CROP_SIZE", self.tr("Side of a part, in pixels"), minimum=32),
                "--crop-size",
                self.tr("Not set: 512, or less for small rasters."),
            ),
            (rgb, "--rgb", self.tr("In the report, as red, green and blue: 3,2,1.")),
        ]
        made = [
            for_option(make.helped(parameter, text, advanced=True), name)
            for parameter, name, text in listed
        ]
        return [*made, for_option(seed_parameter(self.tr("Seed")), "--seed")]

    def _results(self) -> list[Any]:
        report = QgsProcessingParameterFileDestination(
            "REPORT", self.tr("Report"), self.tr("HTML files") + " (*.html)", optional=True
        )
        table = QgsProcessingParameterFileDestination(
            "CSV",
            self.tr("Table"),
            self.tr("CSV files") + " (*.csv)",
            optional=True,
            createByDefault=False,
        )
        return [
            make.helped(report, self.tr("One file, with pictures.")),
            make.helped(table, self.tr("A row for each part, method and band.")),
        ]

    def _models(self, parameters: Values, context: QgsProcessingContext) -> list[str]:
        """Return the names chosen and the own network; nothing chosen is the default model."""
        own = self.parameterAsString(parameters, "MODEL_FILE", context)
        chosen = self.parameterDefinition("MODELS").defaultValue()
        if given(parameters, "MODELS"):
            chosen = parameters["MODELS"]
        if isinstance(chosen, str):
            chosen = chosen.replace(";", ",").split(",")
        names = [str(name).strip() for name in chosen if str(name).strip()]
        return [*names, own] if own else names

    def _protocol(self, parameters: Values, context: QgsProcessingContext) -> list[str]:
        arguments = bands(self.parameterAsInts(parameters, "BANDS", context))
        for key, name in (("FACTOR", "factor"), ("CROPS", "crops"), ("CROP_SIZE", "crop-size")):
            if given(parameters, key):
                arguments += option(name, self.parameterAsInt(parameters, key, context))
        for key, name in (("DEGRADATION", "degradation"), ("RGB", "rgb")):
            arguments += option(name, self.parameterAsString(parameters, key, context))
        return arguments + option("seed", self.parameterAsInt(parameters, "SEED", context))


def _figures(methods: Sequence[dict[str, Any]]) -> Values:
    scores = {each["method"]: float(each["means"]["psnr"]) for each in methods}
    bicubic = scores.get(_BICUBIC)
    models = {name: score for name, score in scores.items() if not _is_baseline(name)}
    if not models:
        return {"PSNR_BICUBIC": bicubic}
    best = max(models, key=lambda name: models[name])
    return {
        "PSNR_BICUBIC": bicubic,
        "PSNR": models[best],
        "GAIN": None if bicubic is None else models[best] - bicubic,
        "BEST_MODEL": best,
    }


def _is_baseline(name: str) -> bool:
    return name == _BICUBIC or name.startswith("gdalwarp")


def _row(each: dict[str, Any]) -> str:
    means = {name: float(value) for name, value in each["means"].items() if value is not None}
    nan = float("nan")
    return "{}: PSNR {:.2f} dB, SSIM {:.4f}, made up {:.3f}, left out {:.3f}".format(
        each["method"],
        means.get("psnr", nan),
        means.get("ssim", nan),
        means.get("hallucination", nan),
        means.get("omission", nan),
    )
