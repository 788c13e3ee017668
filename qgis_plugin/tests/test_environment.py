"""Where geosr is looked for, what is said of it, and which Pythons there are."""

import os
import sys
import venv
from pathlib import Path

import fake_geosr
import pytest
from geosr_super_resolution import environment, interpreters, managed_folder, probing
from geosr_super_resolution.environment import Environment, EnvironmentProblem

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")

PLAIN = {"PATH": "/usr/bin:/bin", "HOME": "/home/ada"}


@pytest.fixture(autouse=True)
def nothing_known():
    environment.forget()
    yield
    environment.forget()


def made(folder, **info):
    """Make a folder that looks like an environment, and return its interpreter."""
    python = fake_geosr.interpreter(folder / "bin", **info)
    (folder / managed_folder.MARK).write_text('{"state": "ready"}')
    return python


def command_in(folder, python):
    folder.mkdir()
    script = folder / "geosr"
    script.write_text(f"#!{python}\nimport geosr\n")
    script.chmod(0o755)
    return str(folder)


def test_order_of_the_candidates(tmp_path):
    managed, on_path = made(tmp_path / "managed"), made(tmp_path / "path")
    environ = {"GEOSR_PYTHON": "/a/python", "PATH": command_in(tmp_path / "bin", on_path)}
    found = environment.candidates("/b/python", str(tmp_path / "managed"), environ)
    assert [(each.python, each.how) for each in found] == [
        ("/a/python", "GEOSR_PYTHON"),
        ("/b/python", "setting"),
        (str(tmp_path / "managed"), "managed"),
        (on_path, "PATH"),
    ]
    assert probing.interpreter_of(found[2].python) == managed
    assert environment.candidates(" ", "", PLAIN) == []


def test_an_unfinished_environment_is_none(tmp_path):
    made(tmp_path / "managed")
    (tmp_path / "managed" / managed_folder.MARK).write_text('{"state": "unfinished"}')
    assert environment.candidates("", str(tmp_path / "managed"), PLAIN) == []
    (tmp_path / "managed" / managed_folder.MARK).write_text("")
    assert environment.candidates("", str(tmp_path / "managed"), PLAIN) == []


def test_nothing_is_found():
    with pytest.raises(EnvironmentProblem) as caught:
        environment.find("", "", {**PLAIN, "PATH": "/nowhere"})
    assert caught.value.message == "No environment with geosr was found."
    assert "Settings" in caught.value.hint


def test_find_probes_once_until_something_changes(tmp_path):
    made(tmp_path / "env")
    packages = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    folder = str(tmp_path / "env")
    assert environment.known("", folder, PLAIN) is None
    first = environment.find("", folder, PLAIN)
    assert (first.how, first.version, first.can_train) == ("managed", "0.1.0", False)
    assert environment.find("", folder, PLAIN) is first
    assert environment.known("", folder, PLAIN) is first
    os.utime(packages, ns=(1, 1))  # as an installation does
    assert environment.known("", folder, PLAIN) is None
    second = environment.find("", folder, PLAIN)
    assert second is not first
    environment.forget()
    assert environment.known("", folder, PLAIN) is None


def test_what_somebody_chose_is_not_replaced_silently(tmp_path):
    made(tmp_path / "managed")
    for setting, environ in (
        ("/nowhere/python", PLAIN),
        ("", {**PLAIN, "GEOSR_PYTHON": "/nowhere/python"}),
    ):
        with pytest.raises(EnvironmentProblem, match="no Python at /nowhere/python"):
            environment.find(setting, str(tmp_path / "managed"), environ)


def test_a_broken_managed_one_gives_way_to_path(tmp_path):
    made(tmp_path / "managed", problem="PROJ finds no database.")
    python = made(tmp_path / "other")
    environ = {**PLAIN, "PATH": command_in(tmp_path / "bin", python)}
    assert environment.find("", str(tmp_path / "managed"), environ).how == "PATH"
    with pytest.raises(EnvironmentProblem, match="PROJ finds no database"):
        environment.find("", str(tmp_path / "managed"), PLAIN)


def test_extras_are_seen(tmp_path):
    packages = {"tensorflow": "2.21.0", "keras": "3.15.0"}
    found = environment.probe(made(tmp_path, packages=packages))
    assert found.can_train
    assert found.extras == ("tensorflow",)
    assert "with training" in found.in_words()


@pytest.mark.parametrize(
    ("spoken", "advice"), [(0, "Update the environment"), (9, "Update the pl")]
)
def test_another_protocol(tmp_path, spoken, advice):
    with pytest.raises(EnvironmentProblem) as caught:
        environment.probe(made(tmp_path, protocol=spoken))
    assert caught.value.hint.startswith(advice)


def test_python_without_geosr(tmp_path):
    venv.create(tmp_path / "env", with_pip=False)
    with pytest.raises(EnvironmentProblem) as caught:
        environment.probe(str(tmp_path / "env"), environ={**PLAIN, "HOME": str(tmp_path)})
    if sys.version_info < (3, 11):
        assert "geosr needs 3.11" in caught.value.message
    else:
        assert caught.value.message.startswith("geosr is not installed in ")
        assert f'"{tmp_path}/env/bin/python" -m pip install' in caught.value.hint


def test_what_is_no_python(tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(EnvironmentProblem, match="no working Python"):
        environment.probe(str(program))
    program.chmod(0o644)
    with pytest.raises(EnvironmentProblem, match="cannot be started"):
        environment.probe(str(program))
    (tmp_path / "empty").mkdir()
    with pytest.raises(EnvironmentProblem, match="no Python in the folder"):
        environment.probe(str(tmp_path / "empty"))


def test_old_python(tmp_path):
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\ncase "$1" in -c) echo "[[3, 9], 64, true]";; *) exit 1;; esac\n')
    program.chmod(0o755)
    with pytest.raises(EnvironmentProblem, match=r"is Python 3\.9; geosr needs 3\.11 or later"):
        environment.probe(str(program))


def test_qgis_is_never_started(tmp_path):
    for name in ("qgis-bin.exe", "qgis", "QGIS"):
        with pytest.raises(EnvironmentProblem, match="QGIS itself"):
            environment.probe(str(tmp_path / name))


def test_interpreter_of_what_users_choose():
    windows = {r"C:\env\Scripts\python.exe", r"C:\conda\python.exe", "/env/bin/python"}
    exists = windows.__contains__
    assert probing.interpreter_of("/env/bin/geosr", platform="linux", exists=exists) == (
        "/env/bin/python"
    )
    assert probing.interpreter_of(' "C:\\conda\\python.exe" ', platform="win32", exists=exists) == (
        r"C:\conda\python.exe"
    )


def test_python_of_a_command(tmp_path):
    python = tmp_path / "with space" / "python3"
    python.parent.mkdir()
    python.touch()
    script = tmp_path / "geosr"
    script.write_text(f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\nimport geosr\n")
    assert environment.python_of_command(str(script)) == str(python)
    script.write_bytes(b"MZ\x00\xff" + f"#!{python}.exe\r\nPK".encode())
    Path(f"{python}.exe").touch()
    assert environment.python_of_command(str(script), platform="win32") == f"{python}.exe"
    script.write_text("#!/usr/bin/env python3\n")
    assert environment.python_of_command(str(script)) == str(script)


def test_diagnostics_tell_no_secret(tmp_path):
    home = tmp_path / "home" / "ada"
    python = made(home / "env")
    environ = {
        "HOME": str(home),
        "USER": "ada",
        "PATH": f"{home}/bin:/usr/bin",
        "PIP_INDEX_URL": "https://ada:hunter2@index.example/simple",
        "PYTHONPATH": f"{home}/lib",
        "GDAL_HTTP_AUTH": "hunter2",
        "PYTHON_SECRET": "hunter2",
    }
    found = environment.probe(python, how="setting", environ=environ)
    text = environment.diagnostics(found, environ=environ, extra=[("QGIS", "3.22")])
    assert "hunter2" not in text
    assert "ada" not in text.replace("adata", "")
    assert "Environment: ~/env/bin/python (setting)" in text
    assert "Left out: PYTHONPATH=~/lib" in text
    assert "QGIS: 3.22" in text
    problem = EnvironmentProblem("It broke.", "Mend it.", log=("line 1",))
    text = environment.diagnostics(problem, environ=environ)
    assert "Problem: It broke." in text
    assert "Log: line 1" in text
    assert environment.diagnostics(None, environ=environ)


def test_base_pythons_of_this_machine():
    found = environment.base_pythons()
    assert all(interpreters.OLDEST <= each.version <= interpreters.NEWEST for each in found)
    real = [os.path.realpath(each.path) for each in found]
    assert len(set(real)) == len(real)
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        assert found


def test_places_on_windows():
    listed = " -V:3.12 *        C:\\Py312\\python.exe\n -V:3.9  C:\\x\\WindowsApps\\python.exe\n"
    environ = {"PATH": r"C:\Tools;C:\U\WindowsApps", "LOCALAPPDATA": r"C:\L"}
    found = list(
        interpreters.places(
            environ, platform="win32", prefix=r"C:\QGIS\apps\Python312", launcher=lambda _: listed
        )
    )
    assert found[0] == r"C:\Py312\python.exe"
    assert r"C:\Tools\python3.12.exe" in found
    assert r"C:\L\Programs\Python\Python31*\python.exe" in found
    assert found[-1] == r"C:\QGIS\apps\Python312\python.exe"
    assert not [path for path in found if "WindowsApps" in path]


def test_places_on_macos():
    inside = "/Applications/QGIS.app/Contents"
    found = list(
        interpreters.places({"PATH": "/usr/bin"}, platform="darwin", prefix=f"{inside}/MacOS")
    )
    assert "/opt/homebrew/bin/python3.12" in found
    assert "/Library/Frameworks/Python.framework/Versions/3.12/bin/python3.12" in found
    assert found[-1] == f"{inside}/MacOS/bin/python3"
    assert sys.executable not in found


def test_environment_is_a_value():
    one = Environment("p", "given", "0.1.0", 1)
    with pytest.raises(AttributeError):
        one.python = "q"
