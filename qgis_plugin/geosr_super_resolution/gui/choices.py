# SPDX-License-Identifier: GPL-2.0-or-later
"""The models and factors that can be chosen, and which one at first."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QComboBox

from .. import models, settings
from ..models import Family

MODEL_KEY = "geosr/model"


def families() -> Sequence[Family]:
    """Return the models as geosr listed them last."""
    return models.families(models.known_models(settings.models_cache()))


def default_model() -> str:
    """Return the name of the model that the dock begins with."""
    return str(QgsSettings().value(MODEL_KEY, "") or models.DEFAULT_MODEL)


def set_default_model(name: str) -> None:
    """Begin with another model."""
    QgsSettings().setValue(MODEL_KEY, name)


def fill_models(box: QComboBox, chosen: str) -> None:
    """List the models in a box; the one named ``chosen`` is selected if it is among them."""
    box.blockSignals(True)
    box.clear()
    for number, family in enumerate(families()):
        box.addItem(family.name, family)
        box.setItemData(number, family.description, Qt.ItemDataRole.ToolTipRole)
    box.setCurrentIndex(max(box.findText(chosen), 0))
    box.blockSignals(False)


def fill_factors(box: QComboBox, family: Family | None, chosen: int) -> None:
    """List the factors of a model in a box."""
    box.blockSignals(True)
    box.clear()
    for factor in family.factors if family is not None else ():
        box.addItem(f"x{factor}", factor)
    box.setCurrentIndex(max(box.findData(chosen), 0))
    box.blockSignals(False)
