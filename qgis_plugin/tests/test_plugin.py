# SPDX-License-Identifier: GPL-2.0-or-later
"""Loading, unloading, what is offered, and what is said without an environment."""

from __future__ import annotations

import json
import sys
import time

import pytest
from conftest import SAMPLE

pytest.importorskip("qgis.core")
from qgis.core import QgsApplication, QgsProcessingException
from qgis.PyQt.QtCore import QCoreApplication, QUrl, QVariant
from qgis.PyQt.QtWidgets import QPushButton

PARAMETERS = {
    "upscale": "INPUT MODEL MODEL_FILE FACTOR RESOLUTION BANDS EXTENT CONSISTENCY NODATA OUTPUT "
    "UNCERTAINTY TILE_SIZE DEVICE PRECISION RUNTIME WORKERS THREADS DTYPE OPTIONS MODEL_RANGE "
    "UNCERTAINTY_MODEL",
    "compare": "INPUT FINER BANDS RGB SEED REPORT",
    "evaluate": "INPUT MODELS MODEL_FILE FACTOR BANDS DEGRADATION CROPS CROP_SIZE RGB SEED REPORT "
    "CSV",
    "adapt": "INPUT MODEL MODEL_FILE FACTOR BANDS STEPS OUTPUT LEARNING_RATE PULL MEMORY FORCE "
    "SEED",
    "train": "DATA RECIPE NAME FACTOR STEPS SEED RESUME OUTPUT",
    "listmodels": "OUTPUT",
}
"""Names that scripts and saved models hold: none may ever be taken out or changed."""


def test_names_stay_what_they_are(plugin):
    provider = QgsApplication.processingRegistry().providerById("geosr")
    found = {
        each.name(): [parameter.name() for parameter in each.parameterDefinitions()]
        for each in provider.algorithms()
    }
    assert found == {name: listed.split() for name, listed in PARAMETERS.items()}


def test_every_algorithm_explains_itself(plugin):
    for each in QgsApplication.processingRegistry().providerById("geosr").algorithms():
        assert each.displayName()
        assert each.group()
        assert each.shortDescription().endswith(".")
        assert len(each.shortHelpString()) > 200
        assert each.tags()
        copy = each.create()
        assert copy.name() == each.name()


def test_models_are_described_and_unknown_ones_accepted(plugin):
    algorithm = QgsApplication.processingRegistry().algorithmById("geosr:upscale")
    parameter = algorithm.parameterDefinition("MODEL")
    assert parameter.options()[0] == "geosr-lite" == parameter.defaultValue()
    assert "Fast network" in algorithm.shortHelpString()
    for value, wanted in (("of-tomorrow-x4", True), ("", True), (["a"], False), (3, False)):
        assert parameter.checkValueIsAcceptable(value) is wanted
    several = QgsApplication.processingRegistry().algorithmById("geosr:evaluate")
    assert several.parameterDefinition("MODELS").checkValueIsAcceptable(["a", "bicubic"])


def test_without_an_environment_all_is_visible_and_says_what_to_do(
    plugin, run, monkeypatch, tmp_path
):
    monkeypatch.delenv("GEOSR_PYTHON", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    algorithm = QgsApplication.processingRegistry().algorithmById("geosr:upscale")
    possible, why = algorithm.canExecute()
    assert not possible
    assert "No environment with geosr was found." in why
    assert "Options" in why
    with pytest.raises(QgsProcessingException, match="No environment with geosr was found"):
        run("upscale", INPUT=str(SAMPLE), OUTPUT=str(tmp_path / "a.tif"))


def test_a_python_without_geosr_is_named(run, monkeypatch, tmp_path):
    monkeypatch.setenv("GEOSR_PYTHON", sys.executable)
    with pytest.raises(QgsProcessingException, match="geosr is not installed in"):
        run("upscale", INPUT=str(SAMPLE), OUTPUT=str(tmp_path / "a.tif"))


def test_training_without_tensorflow_is_refused(run, monkeypatch, tmp_path):
    from geosr_super_resolution import settings
    from geosr_super_resolution.probing import Environment

    light = Environment(python="/light", how="given", version="0.1.0", protocol=1)
    monkeypatch.setattr(settings, "find_environment", lambda: light)
    with pytest.raises(QgsProcessingException, match="has no TensorFlow, which training needs"):
        run("adapt", INPUT=str(SAMPLE), OUTPUT=str(tmp_path / "a.json"))


def test_desktop_without_an_environment_says_so_once(
    qgis_iface, qgis_processing, monkeypatch, tmp_path
):
    monkeypatch.delenv("GEOSR_PYTHON", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    bar = Bar()
    monkeypatch.setattr(qgis_iface, "messageBar", lambda: bar)
    plugin = loaded(qgis_iface)
    wait_for(lambda: bar.shown)
    (message,) = bar.shown
    assert [each.text() for each in message.findChildren(QPushButton)] == ["Set up…"]
    plugin.unload()
    assert bar.shown == []
    assert QgsApplication.processingRegistry().providerById("geosr") is None


def test_desktop_with_an_environment_takes_its_models(
    qgis_iface, qgis_processing, geosr_python, monkeypatch, tmp_path
):
    from geosr_super_resolution import models, settings

    cache = str(tmp_path / "models.json")
    monkeypatch.setattr(settings, "models_cache", lambda: cache)
    with open(cache, "w", encoding="utf-8") as stream:
        json.dump([dict(models.known_models("")[0], name="old-x2", family="old")], stream)
    plugin = loaded(qgis_iface)
    registry = QgsApplication.processingRegistry()
    options = registry.algorithmById("geosr:upscale").parameterDefinition("MODEL").options
    assert options() == ["old"]

    def now():
        found = registry.algorithmById("geosr:upscale").parameterDefinition("MODEL")
        return list(found.options())

    wait_for(lambda: "bicubic" in now())
    assert now()[0] == "geosr-lite"
    assert "old" not in now()
    plugin.unload()


def test_unload_when_the_provider_is_gone(qgis_processing):
    from geosr_super_resolution import classFactory

    plugin = classFactory(None)
    plugin.initProcessing()
    QgsApplication.processingRegistry().removeProvider("geosr")
    plugin.unload()


class Bar:
    """A message bar."""

    def __init__(self):
        self.shown = []

    def createMessage(self, title, text):
        from qgis.gui import QgsMessageBar

        return QgsMessageBar.createMessage(title, text)

    def pushWidget(self, item, level):
        self.shown.append(item)

    def popWidget(self, item):
        self.shown.remove(item)


def loaded(iface):
    from geosr_super_resolution import classFactory

    plugin = classFactory(iface)
    plugin.initGui()
    return plugin


def wait_for(condition, seconds=30):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        QCoreApplication.processEvents()
        time.sleep(0.02)


def test_help_page_is_up_to_date_and_has_every_algorithm(plugin, monkeypatch):
    import make_help
    from geosr_super_resolution import settings

    monkeypatch.setattr(settings, "models_cache", lambda: "")
    with open(make_help.PAGE, encoding="utf-8") as stream:
        text = stream.read()
    assert text == make_help.page()
    for each in QgsApplication.processingRegistry().providerById("geosr").algorithms():
        address = QUrl(each.helpUrl())
        assert address.toLocalFile() == make_help.PAGE
        assert f'<h2 id="{address.fragment()}">' in text


@pytest.mark.parametrize(
    ("value", "wanted"), [(None, False), ("", False), (QVariant(), False), (0, True), ([1], True)]
)
def test_what_counts_as_given(value, wanted):
    from geosr_super_resolution.algorithms.base import given

    assert given({"A": value}, "A") is wanted
    assert not given({}, "A")
