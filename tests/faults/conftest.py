"""What the faults have in common: a source, undisturbed runs, and rows of the table."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager

import pytest
from fault_places import APPEND, ZARR, Place, Undisturbed, files_in, make_scene, parts
from fault_runs import Nursery

if sys.platform != "linux":  # elsewhere processes are not forked, and not limited in this way
    collect_ignore_glob = ["*.py"]


@pytest.fixture(scope="session")
def nursery(tmp_path_factory):
    """Start the process that forks runs."""
    with Nursery(tmp_path_factory.mktemp("runs")) as nursery:
        yield nursery


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """Make a raster that becomes six blocks; no test may change it."""
    return make_scene(tmp_path_factory.mktemp("source") / "in.tif")


@pytest.fixture(scope="session")
def undisturbed(nursery, tmp_path_factory):
    """Return what makes a source in a way without any fault, once."""
    made = {}

    def undisturbed(source, way):
        if (source, way) not in made:
            folder = tmp_path_factory.mktemp("undisturbed")
            told = tmp_path_factory.mktemp("calls") / "calls"
            output = folder / way.output
            run = nursery.start(
                *("upscale", source, output, *way.options),
                blocks={"pixels": way.side},
                calls={"folder": str(folder), "told": str(told)},
            )
            assert run.wait().status == 0
            made[source, way] = Undisturbed(files_in(folder), told.read_text().split())
        return made[source, way]

    return undisturbed


@pytest.fixture
def place(nursery, source, undisturbed, tmp_path):
    """Return what makes places."""

    def place(way, name="out", *, source=source):
        folder = tmp_path / name
        folder.mkdir()
        return Place(nursery, source, folder, way, undisturbed(source, way))

    return place


@contextmanager
def dask_scheduler():
    """Yield the address of a Dask scheduler without workers."""
    pytest.importorskip("distributed", reason="needs geosr[distributed]")
    from cluster_processes import scheduler

    with scheduler() as running:
        # It logs each client that comes and goes; a full pipe would stop it.
        threading.Thread(target=running.process.stderr.read, daemon=True).start()
        yield running.address


@pytest.fixture(scope="session")
def two_workers(nursery):
    """Return the way of two workers that nothing happens to."""
    with dask_scheduler() as address:
        workers = [nursery.start_worker(address) for _ in range(2)]
        yield parts(address)
        for worker in workers:
            worker.kill()


@pytest.fixture(scope="session")
def no_workers():
    """Return the way of workers that a test brings."""
    with dask_scheduler() as address:
        yield parts(address)


@pytest.fixture(params=["append", "zarr"])
def way(request):
    """Return the ways in which one process stores an output that can be taken up again."""
    if request.param == "append":
        return APPEND
    pytest.importorskip("zarr", reason="needs geosr[zarr]")
    return ZARR


@pytest.fixture(params=["append", "zarr", "parts"])
def any_way(request):
    """Return all ways in which an output is stored that can be taken up again."""
    if request.param == "parts":
        return request.getfixturevalue("two_workers")
    if request.param == "zarr":
        pytest.importorskip("zarr", reason="needs geosr[zarr]")
    return {"append": APPEND, "zarr": ZARR}[request.param]


@pytest.fixture
def row(record_property):
    """Return what notes a row of the table that `benchmarks/faults.py` prints."""

    def row(fault, happened, *places):
        for place in places:
            for folder in (place.folder, place.source.parent):
                happened = happened.replace(f"{folder}/", "").replace(str(folder), "")
        left = {name for place in places for name in place.left}
        identical = sum(place.is_identical for place in places)
        record_property("fault", fault)
        record_property("sink", places[0].way.name)
        record_property("happened", happened)
        record_property("left", ", ".join(sorted(left)) or "nothing")
        record_property("identical", f"{identical} of {len(places)}" if places[1:] else "yes")
        assert identical == len(places)

    return row
