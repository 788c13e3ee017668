# SPDX-License-Identifier: GPL-2.0-or-later
"""The set-up dialog and the options page, with environments that are made up."""

from __future__ import annotations

import os
import time

import pytest

pytest.importorskip("qgis.core")
from fake_geosr import interpreter
from geosr_super_resolution import environment, settings
from geosr_super_resolution.environment import (
    BasePython,
    CreationCancelled,
    CreationPlan,
    Environment,
    EnvironmentProblem,
)
from geosr_super_resolution.gui import create_page
from geosr_super_resolution.gui.environment_state import EnvironmentState
from geosr_super_resolution.gui.options_page import OptionsFactory
from geosr_super_resolution.gui.qgis_proxy import qgis_proxy
from geosr_super_resolution.gui.setup_dialog import EXISTING, SetupDialog
from qgis.core import QgsSettings
from qgis.PyQt.QtWidgets import QApplication

BASE = BasePython("/usr/bin/python3.12", (3, 12))


@pytest.fixture
def nothing(qgis_app, monkeypatch):
    """A computer without any geosr."""
    monkeypatch.delenv("GEOSR_PYTHON", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    environment.forget()
    yield
    settings.set_python_setting("")
    environment.forget()


@pytest.fixture
def state(nothing):
    made = EnvironmentState()
    yield made
    made.close()


@pytest.fixture
def pythons(monkeypatch):
    """Nothing is looked for on this computer, and nothing is installed."""
    monkeypatch.setattr(environment, "base_pythons", lambda: [BASE])

    def plan(folder, **values):
        values = {key: value for key, value in values.items() if key != "base"}
        return CreationPlan(folder=folder, base=BASE, **values)

    monkeypatch.setattr(environment, "plan_creation", plan)


@pytest.fixture
def dialog(state, pythons, qtbot):
    made = SetupDialog(state)
    qtbot.addWidget(made)
    with qtbot.waitSignal(made.create_page.planned, timeout=5000):
        made.show()
    yield made
    made.close_down()


def text_of(label):
    return label.text().replace("<br>", "\n")


def test_an_existing_environment_is_checked_and_used(dialog, state, qtbot, tmp_path):
    python = interpreter(tmp_path / "fake env")
    dialog.tabs.setCurrentIndex(EXISTING)
    assert not dialog.use_button.isEnabled()
    dialog.existing.path.setFilePath(python)
    with qtbot.waitSignal(dialog.existing.checked, timeout=20000):
        dialog.existing.button.click()
    assert "0.1.0" in text_of(dialog.existing.words)
    assert "3.11.7" in text_of(dialog.existing.words)
    with qtbot.waitSignal(state.changed, timeout=20000):
        dialog.use_button.click()
    assert state.found.python == python
    assert state.found.how == "setting"
    assert settings.python_setting() == python


def test_a_path_that_does_not_work_is_a_sentence(dialog, qtbot, tmp_path):
    dialog.existing.path.setFilePath(str(tmp_path / "no <b>python</b>"))
    dialog.existing.check()
    qtbot.waitUntil(lambda: dialog.existing.problem is not None, timeout=20000)
    words = text_of(dialog.existing.words)
    assert "There is no Python at" in words
    assert "no &lt;b&gt;python" in words
    assert not dialog.use_button.isEnabled()


def test_what_is_missing_comes_with_the_pip_line(dialog, qtbot):
    dialog.existing.path.setFilePath("/usr/bin/python3")
    dialog.existing.check()
    qtbot.waitUntil(lambda: dialog.existing.problem is not None, timeout=20000)
    assert "-m pip install" in text_of(dialog.existing.words)


def test_size_and_time_are_said_before_anything_is_made(dialog, qtbot):
    page = dialog.create_page
    assert page.create_button.isEnabled()
    assert not page.log.toPlainText()
    light = text_of(page.words)
    assert "GB on disk" in light
    assert "min" in light
    assert settings.managed_folder() in light
    with qtbot.waitSignal(page.planned, timeout=5000):
        page.fields.training.click()
    assert text_of(page.words) != light
    assert page.plan.requirement == "geosr[tensorflow]"
    assert "geosr[tensorflow]" in dialog.by_hand.commands.toPlainText()


def test_fields_reach_the_plan(dialog, qtbot, tmp_path):
    page = dialog.create_page
    fields = page.fields
    fields.index_url.setText("https://ada:word@index.example/simple")  # pragma: allowlist secret
    fields.proxy.setText("http://proxy:3128")
    fields.ca_bundle.setFilePath(str(tmp_path / "ca.pem"))
    with qtbot.waitSignal(page.planned, timeout=5000):
        fields.folder.setFilePath(str(tmp_path / "env"))
    plan = page.plan
    assert (plan.proxy, plan.ca_bundle) == ("http://proxy:3128", str(tmp_path / "ca.pem"))
    assert plan.index_url.startswith("https://ada")
    assert plan.folder == str(tmp_path / "env")
    for shown in (page.words.text(), dialog.by_hand.commands.toPlainText()):
        assert "word@" not in shown
        assert "index.example" in shown


def test_creating_shows_the_log_and_ends_in_use(dialog, state, qtbot, monkeypatch, tmp_path):
    page = dialog.create_page
    python = interpreter(tmp_path / "made" / "bin")
    said = []

    def create(plan, *, on_log, is_cancelled):
        said.append(plan)
        on_log("Collecting geosr")
        return Environment(python, "managed", "0.1.0", 1, python_version="3.12.1")

    monkeypatch.setattr(environment, "create", create)
    with qtbot.waitSignal(state.changed, timeout=20000):
        page.create_button.click()
        assert page.busy
        assert page.cancel_button.isEnabled()
        assert not page.fields.isEnabled()
    assert said == [page.plan]
    assert "Collecting geosr" in page.log.toPlainText()
    assert not page.busy
    assert page.fields.isEnabled()
    assert state.found.python == python
    assert state.found.how == "setting"


def test_cancel_stops_the_creation(dialog, qtbot, monkeypatch):
    page = dialog.create_page

    def create(plan, *, on_log, is_cancelled):
        while not is_cancelled():
            time.sleep(0.01)
        raise CreationCancelled

    monkeypatch.setattr(environment, "create", create)
    page.create_button.click()
    dialog.close()  # goes on
    assert page.busy
    dialog.show()
    page.cancel_button.click()
    qtbot.waitUntil(lambda: not page.busy, timeout=5000)
    assert "Cancelled" in page.words.text()
    assert page.create_button.isEnabled()


def test_a_failed_creation_says_why(dialog, state, qtbot, monkeypatch):
    page = dialog.create_page

    def create(plan, *, on_log, is_cancelled):
        raise EnvironmentProblem("pip failed: ERROR 407", "Set the proxy.", log=("ERROR 407",))

    monkeypatch.setattr(environment, "create", create)
    page.create_button.click()
    qtbot.waitUntil(lambda: not page.busy, timeout=5000)
    assert "pip failed" in page.words.text()
    assert "Set the proxy." in page.words.text()
    assert "407" in page.log.toPlainText()
    assert state.found is None


def test_the_proxy_of_qgis_is_filled_in_without_its_secret(qgis_app):
    store = QgsSettings()
    values = {
        "proxyEnabled": True,
        "proxyType": "HttpProxy",
        "proxyHost": "proxy.example",
        "proxyPort": "3128",
        "proxyUser": "ada l",
        "proxyPassword": "a@b",  # pragma: allowlist secret
    }
    assert qgis_proxy().shown == ""
    try:
        for key, value in values.items():
            store.setValue("proxy/" + key, value)
        proxy = qgis_proxy()
    finally:
        store.remove("proxy")
    assert proxy.shown == "http://ada%20l@proxy.example:3128"
    assert proxy.resolved(proxy.shown) == "http://ada%20l:a%40b@proxy.example:3128"
    assert proxy.resolved(" http://other:1 ") == "http://other:1"
    assert proxy.resolved("") == ""


def test_diagnostics_go_to_the_clipboard_without_the_home_folder(dialog, state, qtbot):
    with qtbot.waitSignal(state.changed, timeout=20000):
        state.check()
    dialog.copy_button.click()
    text = QApplication.clipboard().text()
    assert "QGIS" in text
    assert "Problem" in text
    assert os.path.expanduser("~") + "/" not in text


def test_options_page(state, qtbot, tmp_path):
    python = interpreter(tmp_path / "env")
    opened = []
    factory = OptionsFactory(state, lambda: opened.append(True), None)
    page = factory.createWidget(None)
    qtbot.addWidget(page)
    qtbot.waitUntil(lambda: state.problem is not None, timeout=20000)
    assert "Does not work" in page.in_use.text()
    page.setup_button.click()
    assert opened == [True]
    page.field.path.setFilePath(python)
    page.field.button.click()
    qtbot.waitUntil(lambda: page.field.found is not None, timeout=20000)
    page.model_box.setCurrentIndex(page.model_box.findText("bicubic"))
    with qtbot.waitSignal(state.changed, timeout=20000):
        page.apply()
    assert settings.python_setting() == python
    assert "chosen in the settings" in page.in_use.text()
    from geosr_super_resolution.gui.choices import MODEL_KEY, default_model

    assert default_model() == "bicubic"
    QgsSettings().remove(MODEL_KEY)


def test_create_page_without_any_python(state, qtbot, monkeypatch):
    def refuse(**_):
        raise EnvironmentProblem("There is no Python 3.11 to 3.13 here.", "Install one.")

    monkeypatch.setattr(environment, "base_pythons", list)
    monkeypatch.setattr(environment, "plan_creation", refuse)
    page = create_page.CreatePage()
    qtbot.addWidget(page)
    with qtbot.waitSignal(page.planned, timeout=5000):
        page.begin()
    assert not page.create_button.isEnabled()
    assert "There is no Python" in page.words.text()
    page.close_down()
