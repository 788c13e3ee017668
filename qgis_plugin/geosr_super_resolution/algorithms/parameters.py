# SPDX-License-Identifier: GPL-2.0-or-later
"""Parameters that several algorithms have."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingParameterBand,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
)

from .. import models, settings
from ..translation import tr

# The spellings that QGIS 3.22 and QGIS 4 share; what lies between moved to other classes.
ADVANCED = QgsProcessingParameterDefinition.FlagAdvanced
INTEGER = QgsProcessingParameterNumber.Integer
DOUBLE = QgsProcessingParameterNumber.Double
FOLDER = QgsProcessingParameterFile.Folder
NETWORK_FILES = "{} (*.json *.onnx *.keras)"


class ModelParameter(QgsProcessingParameterEnum):
    """A choice of model names that takes other names, too.

    The list grows with geosr, and a saved model or script may hold a name that this computer does
    not know yet, or one such as ``geosr-lite-x4`` that stands for a family and a factor. geosr
    itself says which names there are.
    """

    def checkValueIsAcceptable(
        self, value: Any, context: QgsProcessingContext | None = None
    ) -> bool:
        """Return whether ``value`` may be a name, or names."""
        if isinstance(value, str):
            return bool(value.strip()) or self.defaultValue() is not None
        if isinstance(value, (list, tuple)):
            return self.allowMultiple() and all(isinstance(name, str) and name for name in value)
        return bool(super().checkValueIsAcceptable(value, context))


def families() -> Sequence[models.Family]:
    """Return the models that can be chosen."""
    return models.families(models.known_models(settings.models_cache()))


def models_in_words(known: Sequence[models.Family]) -> str:
    """Return a list of models, a sentence each, as HTML."""
    lines = [f"<b>{escape(each.name)}</b>: {escape(each.description)}" for each in known]
    return "<br>".join(lines)


def helped(
    parameter: QgsProcessingParameterDefinition, text: str, *, advanced: bool = False
) -> QgsProcessingParameterDefinition:
    """Return a parameter with its help text, and perhaps among the advanced ones."""
    parameter.setHelp(text)
    if advanced:
        parameter.setFlags(parameter.flags() | ADVANCED)
    return parameter


def layer_parameter(name: str, description: str, text: str) -> QgsProcessingParameterDefinition:
    """Return a parameter for a raster layer."""
    return helped(QgsProcessingParameterRasterLayer(name, description), text)


def model_parameter(name: str = "MODEL", *, networks_only: bool = False) -> ModelParameter:
    """Return the choice of a model."""
    known = [each for each in families() if not (networks_only and each.classical)]
    parameter = ModelParameter(
        name,
        tr("Model"),
        options=[each.name for each in known],
        defaultValue=models.DEFAULT_MODEL,
        usesStaticStrings=True,
    )
    text = tr(
        "What makes the detail; names with a factor, such as geosr-lite-x4, are understood in "
        "scripts, too."
    )
    text = f"{text}<br>{models_in_words(known)}"
    helped(parameter, text)
    return parameter


def models_parameter(name: str) -> ModelParameter:
    """Return the choice of one or more models."""
    parameter = ModelParameter(
        name,
        tr("Models"),
        options=[each.name for each in families()],
        allowMultiple=True,
        defaultValue=[models.DEFAULT_MODEL],
        usesStaticStrings=True,
    )
    text = tr("What is scored; bicubic interpolation is always scored beside them.")
    helped(parameter, f"{text}<br>{models_in_words(families())}")
    return parameter


def model_file_parameter(text: str, title: str = "") -> QgsProcessingParameterDefinition:
    """Return the parameter for a network of the user's own."""
    parameter = QgsProcessingParameterFile(
        "MODEL_FILE",
        title or tr("Own model, in place of the one above"),
        optional=True,
        fileFilter=NETWORK_FILES.format(tr("Networks")),
    )
    return helped(parameter, text)


def factor_parameter(text: str) -> QgsProcessingParameterDefinition:
    """Return the parameter for the upscale factor."""
    return helped(number("FACTOR", tr("Factor"), minimum=2, maximum=64), text)


def bands_parameter(parent: str, text: str) -> QgsProcessingParameterDefinition:
    """Return the choice of bands of the layer ``parent``."""
    parameter = QgsProcessingParameterBand(
        "BANDS", tr("Bands"), None, parent, optional=True, allowMultiple=True
    )
    return helped(parameter, text)


def number(
    name: str,
    description: str,
    *,
    default: float | None = None,
    minimum: float = 0,
    maximum: float = 2**31 - 1,
    kind: Any = INTEGER,
) -> QgsProcessingParameterNumber:
    """Return a number; one without a default is optional."""
    return QgsProcessingParameterNumber(
        name,
        description,
        type=kind,
        defaultValue=default,
        optional=default is None,
        minValue=minimum,
        maxValue=maximum,
    )


def choice(
    name: str, description: str, options: list[str], *, default: str
) -> QgsProcessingParameterEnum:
    """Return a choice among words, which are also its values."""
    return QgsProcessingParameterEnum(
        name, description, options=options, defaultValue=default, usesStaticStrings=True
    )
