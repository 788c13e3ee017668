"""The ZIP: the same bytes each time, all that belongs into it, and nothing else."""

import ast
import configparser
import os
import shutil
import subprocess
import sys
import time
import zipfile
from xml.etree import ElementTree

import build_zip
import pytest
from test_runner import PLUGIN

SOURCE = PLUGIN / "geosr_super_resolution"
TRANSLATES = build_zip.lrelease() is not None


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    target = tmp_path_factory.mktemp("zip") / "plugin.zip"
    with zipfile.ZipFile(build_zip.build_zip(target, translations=TRANSLATES)) as opened:
        yield opened


def copy_of_plugin(folder):
    return shutil.copytree(
        SOURCE, folder / "copy", ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )


def test_two_builds_are_the_same(archive, tmp_path):
    copied = copy_of_plugin(tmp_path)
    for number, path in enumerate(sorted(copied.rglob("*"), reverse=True)):
        os.utime(path, (time.time() - number * 999, time.time() - number * 999))
        if path.is_file():
            path.chmod(0o600 if number % 2 else 0o755)
    (copied / "__pycache__").mkdir()
    (copied / "__pycache__" / "plugin.cpython-39.pyc").write_bytes(b"\0")
    other = build_zip.build_zip(tmp_path / "other.zip", plugin=copied, translations=TRANSLATES)
    with open(archive.filename, "rb") as first:
        assert other.read_bytes() == first.read()


def test_content(archive):
    names = archive.namelist()
    assert names == sorted(names)
    assert {name.split("/")[0] for name in names} == {"geosr_super_resolution"}
    inside = {name.partition("/")[2] for name in names}
    assert {"__init__.py", "metadata.txt", "LICENSE", "icon.svg", "runner.py"} <= inside
    python = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py")}
    assert {name for name in inside if name.endswith(".py")} == python
    assert not [name for name in inside if "__pycache__" in name or name.endswith((".pyc", ".ts"))]
    if TRANSLATES:
        sources = {path.relative_to(SOURCE).as_posix()[:-3] for path in SOURCE.rglob("*.ts")}
        assert {name[:-3] for name in inside if name.endswith(".qm")} == sources


def test_size_and_permissions(archive):
    assert os.path.getsize(archive.filename) < 1_000_000
    for entry in archive.infolist():
        assert entry.external_attr >> 16 == 0o100644
        assert entry.date_time == build_zip.TIME


def test_only_translations_and_pictures_are_binary(archive):
    for name in archive.namelist():
        if not name.endswith((".qm", ".png")):
            archive.read(name).decode("utf-8")


def test_metadata(archive):
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read_string(archive.read("geosr_super_resolution/metadata.txt").decode())
    general = metadata["general"]
    assert general["version"] == build_zip.geosr_version()
    wanted = ["name", "description", "about", "author", "email", "repository", "license"]
    wanted += ["homepage", "tracker"]
    assert all(general[key] for key in wanted)
    assert (general["qgisMinimumVersion"], general["qgisMaximumVersion"]) == ("3.22", "4.99")
    assert general["hasProcessingProvider"] == "yes"
    assert f"geosr_super_resolution/{general['icon']}" in archive.namelist()
    assert "plugin" not in general["name"].lower()
    assert "geosr" in general["about"]  # external dependencies are to be named there
    slug = general["name"].lower().replace(" ", "_").replace("-", "_")
    assert slug == "geosr_super_resolution"


def test_version_in_the_sources_is_not_stale():
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(SOURCE / "metadata.txt", encoding="utf-8")
    assert metadata["general"]["version"] == build_zip.geosr_version()


def test_licence(archive):
    text = archive.read("geosr_super_resolution/LICENSE").decode()
    assert "GNU GENERAL PUBLIC LICENSE" in text
    assert "Version 2, June 1991" in text
    assert "END OF TERMS AND CONDITIONS" in text
    for name in archive.namelist():
        if name.endswith(".py"):
            first = archive.read(name).decode().splitlines()[0]
            assert first == "# SPDX-License-Identifier: GPL-2.0-or-later", name


def test_icon_is_a_drawing(archive):
    root = ElementTree.fromstring(archive.read("geosr_super_resolution/icon.svg"))  # noqa: S314
    assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_every_module_is_python_3_9(archive):
    for name in archive.namelist():
        if name.endswith(".py"):
            tree = ast.parse(archive.read(name), name, feature_version=(3, 9))
            absolute = {
                node.module.split(".")[0]
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom) and node.module and not node.level
            }
            assert not absolute & {"geosr", "geosr_super_resolution", "PyQt5", "PyQt6"}, name


@pytest.mark.parametrize("name", ["data.bin", "lib.so", "notes.docx"])
def test_strangers_are_refused(tmp_path, name):
    copied = copy_of_plugin(tmp_path)
    (copied / name).write_bytes(b"\0")
    with pytest.raises(build_zip.BuildProblem, match=name):
        build_zip.build_zip(tmp_path / "x.zip", plugin=copied, translations=False)
    assert not (tmp_path / "x.zip").exists()


def test_too_large_is_refused(tmp_path):
    copied = copy_of_plugin(tmp_path)
    (copied / "big.json").write_bytes(os.urandom(2_000_000).hex().encode())
    with pytest.raises(build_zip.BuildProblem, match="most"):
        build_zip.build_zip(tmp_path / "x.zip", plugin=copied, translations=False)
    assert list(tmp_path.iterdir()) == [copied]


def test_command_line(tmp_path):
    command = [sys.executable, str(PLUGIN / "build_zip.py"), "--output", str(tmp_path / "a.zip")]
    command += [] if TRANSLATES else ["--without-translations"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "kB" in done.stdout
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        assert opened.testzip() is None
