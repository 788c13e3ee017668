# SPDX-License-Identifier: GPL-2.0-or-later
"""Adapt a model to this raster: ``geosr adapt``."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputBoolean,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFileDestination,
)

from . import parameters as make
from .arguments import bands, option
from .base import GeosrAlgorithm, Values, for_option, given, needs_tensorflow
from .compare import seed_parameter


class AdaptModel(GeosrAlgorithm):
    """Fine-tunes a model on a raster, which is its own truth at a coarser scale."""

    NAME = "adapt"
    GROUP = "models"
    TRAINS = True

    def words(self) -> dict[str, str]:
        """Return what it is called and does."""
        about = self.tr(
            "<p>Fine-tunes a model on a raster, which is its own truth one scale down. A quarter "
            "of the raster is held back and tells whether it helped; if it did not, the model's "
            "own weights are written.</p><p>Then choose the card as 'Own model' in 'Super-resolve "
            "raster'.</p>"
        )
        return {
            "title": self.tr("Adapt a model to this raster"),
            "short": self.tr("Fine-tunes a model on a raster and tells whether it helped."),
            "about": about + needs_tensorflow(),
        }

    def tags(self) -> list[str]:
        """Return words to find it by."""
        return ["adapt", "train", "fine-tune", "learn", "model", "network"]

    def add_all(self) -> None:
        """Add the parameters and outputs."""
        for parameter in (*self._what(), *self._how()):
            self.addParameter(parameter)
        for name, title in (
            ("PSNR_BICUBIC", self.tr("PSNR of bicubic interpolation, in dB")),
            ("PSNR_BEFORE", self.tr("PSNR of the model, in dB")),
            ("PSNR_AFTER", self.tr("PSNR of the adapted model, in dB")),
            ("GAIN", self.tr("What adapting adds to the PSNR, in dB")),
            ("GAIN_LOW", self.tr("Lower end of its 95 % interval")),
            ("GAIN_HIGH", self.tr("Upper end of its 95 % interval")),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, title))
        self.addOutput(QgsProcessingOutputBoolean("HELPS", self.tr("Whether it helped")))

    def take(self, parameters: Values, context: QgsProcessingContext) -> None:
        """Take from the layer what is needed of it, as text."""
        self._source = self.source(parameters, "INPUT", context)[1]

    def carry_out(
        self, parameters: Values, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Values:
        """Run it."""
        card = self.parameterAsFileOutput(parameters, "OUTPUT", context)
        own = self.parameterAsString(parameters, "MODEL_FILE", context)
        arguments = ["adapt", self.opened(self._source), *option("out", card)]
        arguments += option("model", own or self.parameterAsString(parameters, "MODEL", context))
        for key, name in (
            ("FACTOR", "factor"),
            ("STEPS", "steps"),
            ("SEED", "seed"),
            ("MEMORY", "memory"),
        ):
            if given(parameters, key):
                arguments += option(name, self.parameterAsInt(parameters, key, context))
        for key, name in (("LEARNING_RATE", "learning-rate"), ("PULL", "pull")):
            arguments += option(name, self.parameterAsDouble(parameters, key, context))
        arguments += bands(self.parameterAsInts(parameters, "BANDS", context))
        if self.parameterAsBool(parameters, "FORCE", context):
            arguments.append("--force")
        report = self.run_geosr(arguments, feedback)
        if report is None:
            return {}
        scores = report.stats.get("held_psnr") or {}
        helps = bool(report.stats.get("helps"))
        self._sum_up(scores, helps, bool(report.stats.get("weights_kept")), feedback)
        gain = scores.get("difference") or {}
        return {
            "OUTPUT": str(report.result.get("output") or card),
            "PSNR_BICUBIC": scores.get("bicubic"),
            "PSNR_BEFORE": scores.get("model"),
            "PSNR_AFTER": scores.get("adapted"),
            "GAIN": gain.get("mean"),
            "GAIN_LOW": gain.get("low"),
            "GAIN_HIGH": gain.get("high"),
            "HELPS": helps,
        }

    def _what(self) -> list[Any]:
        card = QgsProcessingParameterFileDestination(
            "OUTPUT", self.tr("Adapted model"), self.tr("Cards") + " (*.json)"
        )
        own = self.tr("The card (.json) of a model to start from.")
        return [
            make.layer_parameter(
                "INPUT", self.tr("Raster layer"), self.tr("The raster to upscale later.")
            ),
            for_option(make.model_parameter(networks_only=True), "--model"),
            make.model_file_parameter(own),
            for_option(make.factor_parameter(self.tr("Not set: 2.")), "--factor"),
            for_option(
                make.bands_parameter("INPUT", self.tr("Bands to adapt to. None: all.")), "--bidx"
            ),
            for_option(
                make.helped(
                    make.number("STEPS", self.tr("Steps"), default=300, minimum=1),
                    self.tr("300 take a few minutes on a processor."),
                ),
                "--steps",
            ),
            for_option(
                make.helped(card, self.tr("The model's card; its weights are written beside it.")),
                "--out",
            ),
        ]

    def _how(self) -> list[Any]:
        force = QgsProcessingParameterBoolean(
            "FORCE", self.tr("Write the adapted weights even if they do not help"), False
        )
        rate = make.number(
            "LEARNING_RATE",
            self.tr("Learning rate, at most"),
            default=3e-4,
            maximum=1.0,
            kind=make.DOUBLE,
        )
        pull = make.number(
            "PULL",
            self.tr("How strongly the weights are held to the model's"),
            default=1.0,
            kind=make.DOUBLE,
        )
        memory = make.number(
            "MEMORY", self.tr("Memory for the raster, in MiB"), default=512, minimum=16
        )
        listed = [
            (rate, "--learning-rate", ""),
            (pull, "--pull", self.tr("0 does not hold them.")),
            (memory, "--memory", self.tr("More of a large raster is seen with more.")),
            (force, "--force", ""),
        ]
        made = [
            for_option(make.helped(parameter, text, advanced=True), name)
            for parameter, name, text in listed
        ]
        return [*made, for_option(seed_parameter(self.tr("Seed")), "--seed")]

    def _sum_up(
        self, scores: dict[str, Any], helps: bool, kept: bool, feedback: QgsProcessingFeedback
    ) -> None:
        feedback.pushInfo(
            self.tr(
                "PSNR where the raster was held back: bicubic {bicubic:.2f} dB, the model "
                "{model:.2f} dB, adapted {adapted:.2f} dB."
            ).format(
                **{
                    name: float(scores.get(name) or float("nan"))
                    for name in ("bicubic", "model", "adapted")
                }
            )
        )
        gain = scores.get("difference") or {}
        if gain.get("low") is not None:
            feedback.pushInfo(
                self.tr(
                    "Adapting adds {mean:+.2f} dB (95 % interval: {low:+.2f} to {high:+.2f})."
                ).format(**{name: float(gain[name]) for name in ("mean", "low", "high")})
            )
        if helps:
            feedback.pushInfo(self.tr("Adapting helps."))
        elif kept:
            feedback.pushInfo(self.tr("Adapting does not help; the model's weights were kept."))
        else:
            feedback.pushInfo(self.tr("Adapting does not help; the weights were written anyway."))
