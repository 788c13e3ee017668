"""The folder of previews: kept for a while, and gone with its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_scenes import ROOT

from geosr.core.errors import OutputError
from geosr.serving import folder as module
from geosr.serving.folder import LOCK, PREFIX, SessionFolder, sweep

OWNER = """
import sys
from pathlib import Path
from geosr.serving import SessionFolder
with SessionFolder(Path(sys.argv[1])) as folder:
    Path(folder.new_path()).write_bytes(b"a preview")
    print(Path(folder.new_path()).parent, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path):
    """Start a process that has a folder; return it and the folder."""
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def names(path):
    return sorted(child.name for child in path.iterdir())


def made(folder, size=1):
    path = Path(folder.new_path())
    path.write_bytes(b"x" * size)
    folder.keep(str(path))
    return path


def test_a_folder_goes_with_its_owner(owner, tmp_path):
    process, path = owner
    assert names(path) == [LOCK, "preview-00001.tif"]
    process.stdin.close()
    process.wait(30)
    assert names(tmp_path) == []


def test_what_a_killed_owner_has_left_is_swept_by_the_next_one(owner, tmp_path):
    process, path = owner
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert names(path) == [LOCK, "preview-00001.tif"]
    with SessionFolder(tmp_path):
        assert not path.exists()
        assert len(names(tmp_path)) == 1
    assert names(tmp_path) == []


def test_folders_of_the_living_are_left_alone(owner, tmp_path):
    _, path = owner
    with SessionFolder(tmp_path), SessionFolder(tmp_path):
        assert len(names(tmp_path)) == 3
    assert names(tmp_path) == [path.name]
    assert names(path) == [LOCK, "preview-00001.tif"]


def test_only_folders_of_this_kind_are_swept(tmp_path):
    left = {
        "dead": tmp_path / f"{PREFIX}dead",  # killed before it had a lock
        "other": tmp_path / "other",
        "file": tmp_path / f"{PREFIX}file",
        "target": tmp_path / "target",
        "link": tmp_path / f"{PREFIX}link",
    }
    for name in ("dead", "other", "target"):
        left[name].mkdir()
        (left[name] / "preview-00001.tif").touch()
    left["file"].touch()
    left["link"].symlink_to(left["target"])
    sweep(tmp_path)
    assert names(tmp_path) == sorted(path.name for key, path in left.items() if key != "dead")
    assert names(left["target"]) == ["preview-00001.tif"]


def test_nothing_is_swept_where_locks_do_not_work(owner, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "lock", lambda fd: True)  # as on some network file systems
    _, path = owner
    with SessionFolder(tmp_path):
        assert names(path) == [LOCK, "preview-00001.tif"]


def test_the_last_previews_are_kept(tmp_path):
    with SessionFolder(tmp_path) as folder:
        paths = [made(folder) for _ in range(module.KEPT + 3)]
        assert [path.exists() for path in paths] == [False] * 3 + [True] * module.KEPT


def test_large_previews_are_kept_for_less_long_but_the_last_one_always(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "KEPT_BYTES", 100)
    with SessionFolder(tmp_path) as folder:
        paths = [made(folder, size) for size in (40, 60, 70)]
        assert [path.exists() for path in paths] == [True, True, True]
        paths.append(made(folder, 300))
        assert [path.exists() for path in paths] == [False, False, True, True]


def test_a_preview_that_the_system_holds_is_removed_later(tmp_path, monkeypatch):
    """Windows does not remove a file that somebody has open."""
    real, held = Path.unlink, set()

    def unlink(path, missing_ok=False):
        if path.name in held:
            raise PermissionError(13, "in use")
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    with SessionFolder(tmp_path) as folder:
        first = made(folder)
        held.add(first.name)
        others = [made(folder) for _ in range(module.KEPT + 1)]
        assert first.exists()
        assert all(path.exists() for path in others)
        held.clear()
        made(folder)
        assert [path.exists() for path in (first, *others[:3])] == [False, False, False, True]


def test_no_folder_is_said_in_a_sentence(tmp_path):
    with pytest.raises(OutputError, match="No folder for previews") as error:
        SessionFolder(tmp_path / "nowhere").__enter__()
    assert "TMPDIR" in error.value.hint


def test_a_removed_folder_gives_no_more_names(tmp_path):
    with SessionFolder(tmp_path) as folder:
        folder.remove()
        folder.remove()
        assert names(tmp_path) == []
        with pytest.raises(OutputError, match="gone"):
            folder.new_path()
