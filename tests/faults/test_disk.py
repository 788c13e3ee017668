"""No room on the disk: at any moment, by a quota, for real; and folders that may not be changed."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

AT_ONCE = 5


def test_a_full_disk_at_any_moment(place, row, any_way):
    """From some call on, nothing can be written; later there is room again."""
    places = [place(any_way, str(number)) for number in range(10)]
    calls = range(len(places[0].wanted.calls))
    chosen = random.Random(3).sample(calls, len(places))
    kept = 0
    for first in range(0, len(places), AT_ONCE):
        some = places[first : first + AT_ONCE]
        moments = chosen[first : first + AT_ONCE]
        runs = [p.start(calls=p.calls(at, "full")) for p, at in zip(some, moments, strict=True)]
        for p, run in zip(some, runs, strict=True):
            ended = run.wait()
            if ended.status == 0:  # nothing had to be written any more
                p.check_finished(ended)
                continue
            assert (ended.status, ended.error["code"]) == (1, "output.unwritable")
            assert re.search("disk is full|No space left", ended.error["message"])
            assert ended.error["hint"]
            assert not p.check_unfinished()
            assert bool(p.left) == ("kept" in ended.error["hint"])
            kept += bool(p.left)
            p.check_finished(p.run())
    assert kept > 2
    row(f"disk full at {len(places)} moments", f"{kept} of them kept blocks", *places)


def test_a_quota(place, row, way):
    """As a limit of the file's size."""
    limited = place(way)
    largest = max(map(len, limited.wanted.files.values()))
    size = largest // 2 if way.name == "append" else largest - 1
    ended = limited.run(file_size={"limit": size})
    assert (ended.status, ended.error["code"]) == (1, "output.unwritable")
    assert "File too large" in ended.error["message"]
    assert limited.left
    limited.check_goes_on()
    row("quota reached", ended.error["message"], limited)


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    mount = shutil.which("mount")
    if mount is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a disk can be mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_small_disk(place, row, way, small_disk):
    (small_disk / "out").mkdir()
    small = replace(place(way), folder=small_disk / "out")
    size = sum(map(len, small.wanted.files.values()))
    filler = small_disk / "filler"
    filler.write_bytes(bytes((8 << 20) - size * 2 // 3))
    ended = small.run()
    assert (ended.status, ended.error["code"]) == (1, "output.unwritable")
    assert ended.error["message"].startswith("The disk is full")
    assert "kept" in ended.error["hint"]
    assert not small.check_unfinished()
    again = small.run()  # still no room: what is kept stays
    assert again.error["message"].startswith("The disk is full")
    filler.unlink()
    small.check_goes_on()
    row("a disk that is too small", ended.error["message"], small)


def test_a_disk_that_was_full_before(place, way, small_disk):
    (small_disk / "out").mkdir()
    full = replace(place(way), folder=small_disk / "out")
    with pytest.raises(OSError, match="No space"):
        (small_disk / "filler").write_bytes(bytes(9 << 20))
    ended = full.run()
    assert (ended.status, ended.error["code"]) == (1, "output.unwritable")
    assert list(full.folder.iterdir()) == []
    (small_disk / "filler").unlink()
    full.check_finished(full.run())


def test_a_folder_that_may_not_be_written_to(place, row, way):
    there = place(way)
    there.folder.chmod(0o500)
    ended = there.run(unprivileged={})
    assert (ended.status, ended.error["code"]) == (1, "output.unwritable")
    assert "may not be written to" in ended.error["message"]
    assert list(there.folder.iterdir()) == []
    there.folder.chmod(0o755)
    there.check_finished(there.run(unprivileged={}))
    row("read-only folder", ended.error["message"], there)


def test_a_folder_that_becomes_read_only(place, row, way):
    """The output cannot get its name then; once it can, that is what is left to do."""
    there = place(way)
    at = len(there.wanted.calls) // 3
    ended = there.run(unprivileged={}, calls=there.calls(at, "protect"))
    assert (ended.status, ended.error["code"]) == (1, "output.unwritable")
    assert "Permission denied" in ended.error["message"]
    assert "kept" in ended.error["hint"]
    assert not there.check_unfinished()
    there.folder.chmod(0o755)
    there.check_goes_on(unprivileged={})
    row("folder becomes read-only", ended.error["message"], there)
