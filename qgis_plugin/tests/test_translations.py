# SPDX-License-Identifier: GPL-2.0-or-later
"""The German translation is whole, compiles, and is loaded; so are the sentences of `said`."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

import pytest
import update_translations
from conftest import PLUGIN_PARENT

pytest.importorskip("qgis.core")
from geosr_super_resolution import said as module
from geosr_super_resolution import translation
from geosr_super_resolution.said import said
from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QCoreApplication

PLUGIN = PLUGIN_PARENT / "geosr_super_resolution"
RAISED = {"EnvironmentProblem", "WorkerError", "ProtocolProblem"}
LEFT_IN_ENGLISH = (
    "There is no extra ",
    "Choose tensorflow, or none.",
    "uv is not on PATH.",
    "Install it, or choose pip.",
)
"""What the dialogs cannot lead to, and beginnings of what cannot."""


def test_german_is_whole():
    wanted = update_translations.texts()
    assert len(wanted) > 200
    found = update_translations.read(PLUGIN / "i18n" / "geosr_de.ts")
    assert update_translations.problems(wanted, found) == []


def test_what_is_missing_is_told():
    said_so = {"Old": "Alt", "{a} <b>of</b> b": "{b} von b"}
    lines = update_translations.problems({"New": "x", "{a} <b>of</b> b": "x"}, said_so)
    kinds = [line.split(":")[0] for line in lines]
    assert kinds == ["not translated", "no longer in the plugin", "other fields", "other tags"]


def test_what_is_written_is_read_again(tmp_path):
    said_so = {'a < "b" & c': "ä > 'ö'", "two\nlines": "zwei\nZeilen"}
    path = tmp_path / "geosr_xx.ts"
    path.write_text(update_translations.written("xx", dict.fromkeys(said_so, "x.py"), said_so))
    assert update_translations.read(path) == said_so


def sentences(path: Path):
    """Yield what a module says in its exceptions, with X in place of what changes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        called = isinstance(node, ast.Call) and getattr(node.func, "id", "")
        if called not in RAISED:
            continue
        for argument in node.args[:2]:
            if isinstance(argument, ast.Constant):
                yield argument.value
            elif isinstance(argument, ast.JoinedStr):
                parts = (getattr(part, "value", "X") for part in argument.values)
                yield "".join(part if isinstance(part, str) else "X" for part in parts)


def test_said_knows_all_sentences_of_the_modules_without_qgis(qgis_app):
    unknown = []
    for path in sorted(PLUGIN.glob("*.py")):
        for text in sentences(path):
            bare = text.replace("X", "").strip(" :.\"'")
            if not text or not bare or text.startswith(LEFT_IN_ENGLISH):
                continue
            if not any(pattern.fullmatch(text) for pattern, _ in module._PATTERNS):
                unknown.append((path.name, text))
    assert not unknown, "\n".join(map(str, unknown))


@pytest.fixture
def german(qgis_app, tmp_path, monkeypatch):
    program = shutil.which("lrelease")
    if program is None:
        pytest.skip("lrelease is missing")
    command = [program, "-silent", PLUGIN / "i18n" / "geosr_de.ts", "-qm", tmp_path / "geosr_de.qm"]
    subprocess.run(list(map(str, command)), check=True)
    monkeypatch.setattr(translation, "_FOLDER", str(tmp_path))
    settings = QgsSettings()
    before = settings.value("locale/userLocale", "")
    settings.setValue("locale/userLocale", "de_AT")
    translator = translation.install_translator()
    yield translator
    if translator is not None:
        QCoreApplication.removeTranslator(translator)
    settings.setValue("locale/userLocale", before)


def test_german_is_spoken(german):
    assert german is not None
    assert translation.tr("Preview this view") == "Vorschau dieser Ansicht"
    path = "/opt/a {b}/bin/python"
    assert said("There is no Python at " + path + ".") == "Unter " + path + " ist kein Python."
    hint = "Choose or create an environment in Settings > Options > GeoSR. By hand: x -m pip"
    assert said(hint).startswith("Wählen oder erstellen Sie eine unter Einstellungen")
    assert said(hint).endswith("Von Hand: x -m pip")
    assert said("Something else: 1.") == "Something else: 1."


def test_english_stays(qgis_app):
    assert said("geosr gave no answer.") == "geosr gave no answer."
