"""Environments are made for real, with a geosr of one small file."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import fake_geosr
import pytest
from geosr_super_resolution import creation, creation_plan, explain, managed_folder
from geosr_super_resolution.environment import (
    BasePython,
    CreationCancelled,
    CreationPlan,
    EnvironmentProblem,
    commands_by_hand,
    create,
    describe_plan,
    plan_creation,
)
from test_runner import PLUGIN, is_alive, wait_until

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script"),
    pytest.mark.skipif(
        not (3, 11) <= sys.version_info[:2] <= (3, 13), reason="geosr is not for this Python"
    ),
]


def write_wheel(folder, *, needs="", code="", extra=False):
    """Write a wheel of a geosr whose only command is ``info``."""
    folder.mkdir(parents=True, exist_ok=True)
    main = code or f"print({json.dumps(fake_geosr.INFO)!r})"
    about = "geosr-0.1.0.dist-info"
    metadata = "Metadata-Version: 2.1\nName: geosr\nVersion: 0.1.0\n"
    metadata += f"Requires-Dist: {needs}\n" if needs else ""
    metadata += "Provides-Extra: tensorflow\n" if extra else ""
    files = {
        "geosr/__init__.py": "",
        "geosr/__main__.py": main,
        f"{about}/METADATA": metadata,
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(folder / "geosr-0.1.0-py3-none-any.whl", "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
    return str(folder)


def planned(folder, **keywords):
    return plan_creation(str(folder), base=sys.executable, **{"installer": "pip", **keywords})


def made(plan, **keywords):
    log = []
    keywords = {"is_cancelled": lambda: False, **keywords}
    return create(plan, on_log=log.append, **keywords), log


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    return write_wheel(tmp_path_factory.mktemp("wheels and more"))


@pytest.fixture(scope="module")
def environment_made(tmp_path_factory, wheels):
    """An environment, made while the variables that harm are set."""
    folder = tmp_path_factory.mktemp("made") / "with space" / "env"
    environ = {**os.environ, "PIP_TARGET": "/nowhere", "PIP_INDEX_URL": "http://127.0.0.1:9/"}
    environ.update(PYTHONHOME="/nowhere", PYTHONPATH="/nowhere")
    found, log = made(planned(folder, wheel_folder=wheels), environ=environ)
    return folder, found, log


def test_an_environment_is_made_and_checked(environment_made):
    folder, found, log = environment_made
    assert (found.how, found.version) == ("managed", "0.1.0")
    assert Path(found.python) == folder / "bin" / "python"
    assert not managed_folder.is_unfinished(folder)
    assert log[0].startswith("> ")
    assert any("Successfully installed geosr-0.1.0" in line for line in log)
    assert log[-1] == found.in_words()


def test_it_is_apart_from_other_pythons(environment_made):
    _, found, _ = environment_made
    code = "import sys; print([p for p in sys.path if 'site-packages' in p])"
    done = subprocess.run([found.python, "-c", code], capture_output=True, text=True, check=True)
    (packages,) = eval(done.stdout)  # noqa: S307 - our own list
    assert packages.startswith(str(environment_made[0]))


def test_a_failure_puts_the_old_one_back(environment_made, tmp_path):
    folder, found, _ = environment_made
    before = (folder / managed_folder.MARK).read_text()
    lacking = write_wheel(tmp_path / "lacking", needs="surely-not-there>=7")
    with pytest.raises(EnvironmentProblem, match="surely-not-there") as caught:
        made(planned(folder, wheel_folder=lacking))
    assert caught.value.message.startswith("The packages could not be installed: ")
    assert "lacks what is named above" in caught.value.hint
    assert caught.value.log
    assert (folder / managed_folder.MARK).read_text() == before
    assert os.path.exists(found.python)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_one_that_does_not_work_is_removed(tmp_path):
    broken = write_wheel(tmp_path / "wheels", code="raise SystemExit('no such luck')")
    with pytest.raises(EnvironmentProblem, match="no such luck"):
        made(planned(tmp_path / "env", wheel_folder=broken))
    assert not (tmp_path / "env").exists()


@pytest.mark.parametrize("words", ["> ", "Processing"])
def test_cancelling_removes_all(tmp_path, wheels, words):
    log = []
    plan = planned(tmp_path / "env", wheel_folder=wheels)
    with pytest.raises(CreationCancelled):
        create(
            plan,
            on_log=log.append,
            is_cancelled=lambda: any(line.startswith(words) for line in log),
        )
    assert list(tmp_path.iterdir()) == []


def test_other_peoples_folders_are_left_alone(tmp_path, wheels):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(EnvironmentProblem, match="not empty"):
        planned(tmp_path, wheel_folder=wheels)
    managed_folder.remove(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_what_a_killed_run_left_is_replaced(tmp_path):
    for state in ("unfinished", "ready"):
        folder = tmp_path / ("env" if state == "unfinished" else "env.old")
        folder.mkdir()
        (folder / "from").write_text(state)
        (folder / managed_folder.MARK).write_text(json.dumps({"state": state}))
    with managed_folder.ManagedFolder(tmp_path / "env", "geosr"):
        assert not (tmp_path / "env" / "from").exists()
    assert (tmp_path / "env" / "from").read_text() == "ready"  # the older one is back


def test_plans_that_cannot_be_carried_out(tmp_path, wheels):
    (tmp_path / "empty").mkdir()
    for keywords, words in (
        ({"wheel_folder": str(tmp_path / "empty")}, "no geosr in the wheel folder"),
        ({"ca_bundle": "/nowhere.pem"}, "no CA bundle"),
        ({"extra": "jax"}, "no extra"),
    ):
        with pytest.raises(EnvironmentProblem, match=words):
            planned(tmp_path / "env", **keywords)
    with pytest.raises(EnvironmentProblem, match="no working Python"):
        plan_creation(str(tmp_path / "env"), base="/nowhere/python", installer="pip")
    with pytest.raises(EnvironmentProblem, match="uv is not on PATH"):
        plan_creation(str(tmp_path / "env"), {"PATH": ""}, installer="uv")


def test_no_room(tmp_path, monkeypatch):
    monkeypatch.setattr(creation_plan, "EXTRAS", {"": (1e9, 1, 1)})
    with pytest.raises(EnvironmentProblem, match="GB of room"):
        planned(tmp_path / "env")


PLAN = CreationPlan("/home/ada/env", BasePython("/usr/bin/python3", (3, 12)))


def test_the_plan_says_what_it_costs():
    light = describe_plan(PLAN)
    assert "0.6 GB" in light
    assert "/home/ada/env" in light
    assert "3.12" in light
    assert "TensorFlow" not in light
    full = CreationPlan("/e", PLAN.base, "tensorflow", index_url="https://a:b@index.example/")
    assert "TensorFlow" in describe_plan(full)
    assert "a:b" not in describe_plan(full)
    assert full.requirement == "geosr[tensorflow]"


def test_commands_to_copy():
    plan = CreationPlan(
        "/my env", PLAN.base, "tensorflow", proxy="http://p:1", index_url="https://i/"
    )
    first, second = commands_by_hand(plan).splitlines()
    assert first == '/usr/bin/python3 -m venv "/my env"'
    assert second.startswith('"/my env/bin/python" -m pip install ')
    assert second.endswith('"geosr[tensorflow]" --index-url https://i/ --proxy http://p:1')


def test_network_settings_are_variables(tmp_path):
    """Not arguments, which every user of a computer can read."""
    plan = CreationPlan(
        "/e",
        PLAN.base,
        proxy="http://a:secret@p:1",
        index_url="https://a:secret@i/",
        ca_bundle="/c",
    )
    variables = creation._variables(plan, {})
    assert variables["PIP_INDEX_URL"] == variables["UV_DEFAULT_INDEX"] == plan.index_url
    assert variables["PIP_PROXY"] == variables["https_proxy"] == plan.proxy
    assert variables["PIP_CERT"] == variables["SSL_CERT_FILE"] == "/c"
    assert variables["UV_PYTHON_DOWNLOADS"] == "never"
    assert "secret" not in " ".join(creation_plan.install_command(plan))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ProxyError('Cannot connect to proxy', '407 Proxy Authentication Required')", "proxy"),
        ("SSL: CERTIFICATE_VERIFY_FAILED self-signed certificate in chain", "CA bundle"),
        ("OSError: [Errno 28] No space left on device", "room"),
        ("Failed to establish a new connection: [Errno -2] Name or service not known", "reached"),
        ("ERROR: HTTP error 403 while getting https://x", "refuses"),
        ("ERROR: No matching distribution found for openvino", "lacks"),
        ("OSError: [WinError 5] Access is denied: 'C:\\x'", "Choose a folder"),
        ("something new", "log above"),
    ],
)
def test_failures_are_explained(line, words):
    assert words in explain.hint_for(["Collecting geosr", line])


PARENT = """
import sys
sys.path.insert(0, sys.argv[1])
from geosr_super_resolution.creation import _run
_run(sys.argv[2:], {}, print, lambda: False)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
def test_a_killed_parent_leaves_no_pip(tmp_path):
    pid_file = tmp_path / "pid"
    code = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    watched = [sys.executable, creation.WATCH, sys.executable, "-c", code]
    with subprocess.Popen([sys.executable, "-c", PARENT, str(PLUGIN), *watched]) as parent:
        assert wait_until(lambda: pid_file.exists() and pid_file.read_text())
        parent.kill()
    assert wait_until(lambda: not is_alive(int(pid_file.read_text())))


def test_watch_passes_the_status_on():
    code = "import sys; print('said'); sys.exit(5)"
    command = [sys.executable, creation.WATCH, sys.executable, "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as process:
        assert process.stdout.read() == b"said\n"
        assert process.wait() == 5


def test_watch_ends_no_one_else():
    """Outside a group of its own it ends the command alone."""
    command = [sys.executable, creation.WATCH, sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=False) as process:
        process.stdin.close()
        assert process.wait(20) == -signal.SIGTERM or process.returncode > 0


def test_with_uv(tmp_path, wheels):
    if shutil.which("uv") is None:
        pytest.skip("uv is not here")
    plan = planned(tmp_path / "env", wheel_folder=wheels, installer="uv")
    begun = time.monotonic()
    found, log = made(plan)
    assert found.version == "0.1.0"
    assert any("geosr==0.1.0" in line for line in log)
    assert time.monotonic() - begun < 60
