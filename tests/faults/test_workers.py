"""Workers that are lost, get no memory, no room or no source, or go mad."""

from __future__ import annotations

import random
import re
import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest
from fault_places import APPEND, make_scene

from geosr.io.claim import blocks_of_output

LOST = 12


@pytest.fixture
def shared(place, no_workers):
    """Return a place whose output is made by the workers that a test brings."""
    return replace(place(APPEND), way=no_workers)


@contextmanager
def workers(place, *faults):
    """Start a worker with each of some faults; end them all."""
    address = place.way.options[-1]
    running = [place.nursery.start_worker(address, **fault) for fault in faults]
    try:
        yield running
    finally:
        for worker in running:
            worker.kill()


def test_workers_make_the_same_as_one_process(place, source, undisturbed, two_workers):
    assert place(two_workers).wanted.files == undisturbed(source, APPEND).files


def test_a_lost_worker(place, row, two_workers):
    """Killed at any of its calls; the others do its work."""
    places = [place(two_workers, str(number)) for number in range(LOST)]
    rng = random.Random(5)
    for there in places:
        at = rng.randrange(9)
        fault = {"folder": str(blocks_of_output(there.output)), "at": at}
        with workers(there, {"calls": fault}):
            there.check_finished(there.run())
    row(f"{LOST} workers killed in mid-run", "the others did their blocks", *places)


def failed(place, **fault):
    """Run with one worker and its fault; return the error that the client tells."""
    with workers(place, fault):
        ended = place.run()
    assert ended.status == 1
    assert ended.error["hint"]
    assert not place.check_unfinished()
    return ended.error


def check_goes_on(place):
    with workers(place, {}):
        place.check_finished(place.run())


def test_a_worker_without_memory_for_a_tile(shared, row):
    with workers(shared, {"failing": {"stage": "predict", "at": 3, "times": 2}}):
        shared.check_finished(shared.run())
    row("a worker has no memory for a tile", "its quarters fit", shared)


@pytest.mark.parametrize("stage", ["read", "encode"])
def test_a_worker_without_memory_for_a_block(shared, row, stage):
    error = failed(shared, failing={"stage": stage, "at": 3})
    assert error["code"] == "memory"
    assert re.search(r"block \d", error["message"])
    check_goes_on(shared)
    row(f"a worker has no memory in {stage}", error["message"], shared)


def test_nan_from_the_network_of_a_worker(shared, row):
    error = failed(shared, failing={"stage": "predict", "at": 7, "raising": "nan"})
    assert error["code"] == "model.output"
    assert "in block " in error["message"]
    check_goes_on(shared)
    row("NaN from a worker's network", error["message"], shared)


def test_a_worker_with_a_full_disk(shared, row):
    folder = str(blocks_of_output(shared.output))
    error = failed(shared, calls={"folder": folder, "at": 10, "do": "full"})
    assert error["code"] == "output.unwritable"
    assert re.search("disk is full|No space left", error["message"])
    check_goes_on(shared)
    row("a worker's disk is full", error["message"], shared)


def test_a_source_cut_off_while_workers_read(shared, row, tmp_path):
    path = make_scene(tmp_path / "in.tif")
    whole = path.read_bytes()
    shared = replace(shared, source=path)
    cut = {"path": str(path), "at": 4, "do": "truncate", "size": len(whole) * 2 // 3}
    error = failed(shared, source=cut)
    assert error["code"] == "input.unreadable"
    assert re.search(r"rows \d+ to \d+, columns \d+ to \d+", error["message"])
    path.write_bytes(whole)
    check_goes_on(shared)
    row("source cut off while workers read", error["message"], shared)


def test_a_source_changed_while_workers_read(shared, row, tmp_path, source, undisturbed):
    path = shutil.copy2(source, tmp_path / "in.tif")
    other = make_scene(tmp_path / "other.tif", seed=2)
    shared = replace(shared, source=path)
    error = failed(
        shared, source={"path": str(path), "at": 3, "do": "rewrite", "other": str(other)}
    )
    assert error["code"] == "input.changed"
    assert list(shared.folder.iterdir()) == []
    shared = replace(shared, wanted=undisturbed(other, APPEND))
    check_goes_on(shared)
    row("source changed while workers read", error["message"], shared)
