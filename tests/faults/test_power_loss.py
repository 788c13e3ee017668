"""Files as a power loss may leave them: what was written last is missing, zero or garbage."""

from __future__ import annotations

import os
import shutil
import time

import pytest
from fault_places import APPEND, NUM_BLOCKS, ZARR

from geosr.io.claim import blocks_of_output

OWNER_BYTES = 256


@pytest.fixture
def dead(place, way):
    """Return a place where a run was killed with some blocks stored."""
    dead = place(way)
    assert dead.run(calls=dead.calls(len(dead.wanted.calls) * 2 // 5)).status == -9
    return dead


def journal(place):
    return place.folder / f"{place.way.output}.part.journal"


def lines(place):
    return journal(place).read_bytes()[OWNER_BYTES:].splitlines(keepends=True)


def put_lines(place, new):
    path = journal(place)
    path.write_bytes(path.read_bytes()[:OWNER_BYTES] + b"".join(new))


def flipped(line):
    place = len(line) // 2
    return line[:place] + bytes([line[place] ^ 4]) + line[place + 1 :]


JOURNALS = {
    "the last line is damaged": lambda old: [*old[:-1], flipped(old[-1])],
    "the last line is half": lambda old: [*old[:-1], old[-1][: len(old[-1]) // 2]],
    "zeros at its end": lambda old: [*old, bytes(4096)],
    "a line in the middle is damaged": lambda old: [*old[:1], flipped(old[1]), *old[2:]],
    "garbage at its end": lambda old: [*old, bytes(range(256))],
}


@pytest.mark.parametrize("damage", JOURNALS)
def test_a_damaged_journal(dead, row, damage):
    """What is before the damage counts, what is behind it is made again."""
    old = lines(dead)
    assert len(old) > 2, "there must be something to damage"
    put_lines(dead, JOURNALS[damage](old))
    ended = dead.run()
    dead.check_finished(ended)
    resumed = ended.events[-1]["stats"]["resumed"]
    assert (resumed > 0) == ("middle" not in damage)
    row(f"journal: {damage}", ended.news or "starts anew", dead)


LOST = {
    "is empty": lambda path: os.truncate(path, 0),
    "has zeros only": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "is gone": lambda path: path.unlink(),
    "has lost its first line": lambda path: path.write_bytes(
        path.read_bytes()[:OWNER_BYTES].replace(b'"pid"', b"\0\0\0\0\0")
        + path.read_bytes()[OWNER_BYTES + 40 :]
    ),
}


@pytest.mark.parametrize("loss", LOST)
def test_a_lost_journal(dead, row, loss):
    LOST[loss](journal(dead))
    ended = dead.run()
    dead.check_finished(ended)
    assert ended.events[-1]["stats"]["resumed"] == 0
    row(f"journal {loss}", "starts anew", dead)


@pytest.mark.parametrize("tail", [bytes(1 << 20), b"\xff" * 1000], ids=["zeros", "garbage"])
def test_more_in_the_file_than_in_the_journal(place, row, tail):
    dead = place(APPEND)
    assert dead.run(calls=dead.calls(len(dead.wanted.calls) * 2 // 5)).status == -9
    with dead.part.open("ab") as file:
        file.write(tail)
    ended = dead.check_goes_on()
    row("zeros or garbage behind the last block", ended.news, dead)


def test_less_in_the_file_than_in_the_journal(place, row):
    dead = place(APPEND)
    assert dead.run(calls=dead.calls(len(dead.wanted.calls) * 2 // 5)).status == -9
    os.truncate(dead.part, dead.part.stat().st_size // 2)
    ended = dead.run()
    dead.check_finished(ended)
    assert "starts anew" in ended.news
    row("file shorter than its journal", ended.news, dead)


def test_a_store_that_has_lost_files(place, row):
    dead = place(ZARR)
    assert dead.run(calls=dead.calls(len(dead.wanted.calls) * 2 // 5)).status == -9
    files = sorted(path for path in dead.part.rglob("*") if path.is_file())
    os.truncate(files[0], files[0].stat().st_size - 1)
    ended = dead.check_goes_on()
    row("a block's file is too short", ended.news, dead)


def test_the_part_is_gone(dead, row):
    if dead.part.is_dir():
        shutil.rmtree(dead.part)
    else:
        dead.part.unlink()
    ended = dead.run()
    dead.check_finished(ended)
    assert "starts anew" in ended.news
    row("the part is gone", ended.news, dead)


def test_damaged_parts_of_workers(place, row, two_workers):
    """All parts are made and none is stored when the client dies."""
    dead = place(two_workers)
    run = dead.start(calls=dead.calls(dead.wanted.calls.index("fdatasync"), "pause"))
    assert run.wait().status == "paused"
    parts = []
    while len(parts) < NUM_BLOCKS:
        time.sleep(0.02)
        parts = sorted(blocks_of_output(dead.output).glob("*.part"))
    run.kill()
    parts[1].write_bytes(bytes(parts[1].stat().st_size))
    os.truncate(parts[2], parts[2].stat().st_size // 2)
    os.truncate(parts[3], 0)
    ended = dead.run()
    dead.check_finished(ended)
    resumed = ended.events[-1]["stats"]["resumed"]
    assert 0.3 < resumed < 0.7  # three of six blocks, of different sizes
    row("parts of zeros, half and none", f"{resumed:.0%} were taken", dead)
