"""Workers that are lost, get no memory, no room or no source, or go mad."""

from __future__ import annotations

import random
import re
import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest
from fault_runs import APPEND, parts

from geosr.io.claim import blocks_of_output

LOST = 12


@pytest.fixture
def shared(place, dask_scheduler, undisturbed, source):
    """Return a place whose output is made by the workers that a test brings."""
    return replace(place(APPEND), way=parts(dask_scheduler))


@contextmanager
def workers(place, *faults):
    """Start a worker with each of some faults; end them all."""
    address = place.way.options[-1]
    running = [place.nursery.start_worker(address, **fault) for fault in faults]
    try:
        yield running
    finally:
        for worker in running:
            worker.send("SIGKILL")
            worker.wait()


def test_workers_make_the_same_as_one_process(place, source, undisturbed, two_workers):
    assert place(two_workers).wanted.files == undisturbed(source, APPEND).files


def test_a_lost_worker(place, row, two_workers):
    """Killed as it stores its part, at any call; the others do its work."""
    places = [place(two_workers, str(number)) for number in range(LOST)]
    rng = random.Random(5)
    for there in places:
        at = rng.randrange(1, 9)
        with workers(there, {"calls": {"folder": str(blocks_of_output(there.output)), "at": at}}):
            there.check_finished(there.run())
    row(f"{LOST} workers killed in mid-run (parts)", "the others did their blocks", *places)
