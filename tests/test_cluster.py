"""Processes that share the work: the same bytes as one, whatever happens to them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from cli_scenes import make_raster

pytest.importorskip("distributed", reason="processes that share the work need geosr[distributed]")

import dask
import psutil
from cluster_processes import client, plan_of, run_alone, run_shared, scheduler, started

from geosr.cluster import ClusterError, Workers, fitness, open_workers, run_on_cluster
from geosr.cluster import run as cluster_run
from geosr.cluster import worker as cluster_worker
from geosr.cluster import workers as cluster_workers
from geosr.cluster.parts import Parts
from geosr.core.catalog import find_model
from geosr.core.errors import (
    CancelledError,
    DeviceError,
    InputFileError,
    MissingDependencyError,
    ModelFileError,
    OptionError,
    OutputError,
)
from geosr.core.options import UpscaleOptions
from geosr.io.sinks import open_sink
from geosr.outputs import output_of
from geosr.predictors import Machinery

BICUBIC = {"model": "bicubic", "upscale_factor": 4}
SIZE = 600  # 5 x 5 blocks of 512 output pixels
BLOCKS = 25


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("source") / "in.tif"
    make_raster(path, size=SIZE, bands=2)
    return path


@pytest.fixture(scope="module")
def expected(source) -> bytes:
    """The bytes that one process makes."""
    path = source.with_name("expected.tif")
    run_alone(source, path, **BICUBIC)
    return path.read_bytes()


@pytest.fixture(scope="module")
def workers():
    """Two processes of this machine."""
    with open_workers(UpscaleOptions(workers=2, threads=1)) as running:
        yield running


@pytest.fixture(scope="module")
def cluster():
    """A scheduler with two workers, all of them processes that know nothing of this one.

    The second worker has two threads.
    """
    with scheduler() as running:
        running.add_worker()
        running.add_worker("--nthreads", "2")
        yield running


def only(folder: Path) -> bytes:
    """Return the content of the only thing in a folder."""
    (path,) = folder.iterdir()
    return path.read_bytes()


def test_two_processes_make_the_same_bytes(workers, source, expected, tmp_path):
    assert run_shared(workers, source, tmp_path / "out.tif", **BICUBIC) == (0, BLOCKS)
    assert only(tmp_path) == expected


def test_a_network_holes_and_a_mask_are_the_same_too(workers, tmp_path):
    path, out = tmp_path / "in.tif", tmp_path / "out"
    make_raster(path, size=520, bands=1, nodata=None, dtype="float32")
    options = {"model": "geosr-lite-x2", "precision": "float32", "dtype": "uint16"}
    run_alone(path, tmp_path / "expected.tif", **options)
    out.mkdir()
    run_shared(workers, path, out / "out.tif", **options)
    assert only(out) == (tmp_path / "expected.tif").read_bytes()


def test_a_network_without_a_card_is_opened_by_each_process(workers, tmp_path, monkeypatch):
    from foreign_networks import convolutions

    path, out = tmp_path / "in.tif", tmp_path / "out"
    make_raster(path, size=300, bands=2)
    convolutions(tmp_path / "net.onnx", bands=2)
    monkeypatch.chdir(tmp_path)  # the workers are elsewhere
    out.mkdir()
    run_alone(path, "expected.tif", model="net.onnx")
    run_shared(workers, "in.tif", out / "out.tif", model="net.onnx")
    expected = Path("expected.tif").read_bytes()
    assert only(out) == expected

    def exchanged(tiles):
        convolutions(tmp_path / "net.onnx", bands=2, seed=1)

    convolutions(tmp_path / "net.onnx", bands=2)
    plan = plan_of("in.tif", UpscaleOptions(model="net.onnx"))
    exchanged(0)
    with pytest.raises(ModelFileError, match="another network"):
        run_planned(workers, plan, out / "second.tif", UpscaleOptions(model="net.onnx"))
    assert only(out) == expected


def run_planned(workers, plan, dst, options=None, **keywords):
    """Run a plan with workers."""
    output = output_of(plan, str(dst))
    asked = replace(workers, options=options or workers.options)
    with open_sink(output) as sink:
        return run_on_cluster(plan, output, sink, asked, **keywords)


def stops_after(tiles: int):
    """Return what is told of tiles, and what asks to stop after some of them."""
    seen = [0]
    return seen.append, lambda: seen[-1] >= tiles


def test_a_stopped_run_goes_on(workers, source, expected, tmp_path):
    on_tiles, should_stop = stops_after(3)
    out = tmp_path / "out.tif"
    with pytest.raises(CancelledError, match="of 25 blocks are kept"):
        run_shared(workers, source, out, on_tiles=on_tiles, should_stop=should_stop, **BICUBIC)
    assert not out.exists()
    found, made = run_shared(workers, source, out, **BICUBIC)
    assert found + made < BLOCKS
    assert only(tmp_path) == expected


def test_a_stopped_run_that_shall_not_go_on_leaves_nothing(workers, source, tmp_path):
    on_tiles, should_stop = stops_after(3)
    with pytest.raises(CancelledError):
        run_shared(
            workers,
            source,
            tmp_path / "out.tif",
            on_tiles=on_tiles,
            should_stop=should_stop,
            resume=False,
            **BICUBIC,
        )
    assert list(tmp_path.iterdir()) == []


def test_whole_parts_of_an_earlier_run_are_taken(workers, source, expected, tmp_path, monkeypatch):
    """Only those of the same output, and only if they are not damaged."""
    out, folder = tmp_path / "out.tif", tmp_path / "out.tif.part.blocks"
    monkeypatch.setattr(Parts, "remove", lambda parts, number: None)
    monkeypatch.setattr(cluster_run, "_END_S", 30)
    with pytest.raises(KeyboardInterrupt):
        run_shared(workers, source, out, on_tiles=interrupted, **BICUBIC)
    parts = sorted(folder.iterdir())
    (tmp_path / "out.tif.part.journal").unlink()  # as if nothing had been stored
    assert 4 <= len(parts) < BLOCKS
    parts[0].write_bytes(parts[0].read_bytes()[:-1])
    (folder / parts[1].name.replace("-", "-0")).write_bytes(b"of another run")
    (folder / f"{parts[1].name}.host-1-2").write_bytes(b"not whole")
    monkeypatch.undo()
    told = run_shared(workers, source, out, **BICUBIC)
    assert told == (len(parts) - 1, BLOCKS - len(parts) + 1)
    assert only(tmp_path) == expected


def interrupted(tiles: int) -> None:
    if tiles == 4:
        raise KeyboardInterrupt


class HereFuture:
    """A block that is made in this process."""

    status = "pending"

    def __init__(self, make):
        self._make, self._told = make, []

    def add_done_callback(self, tell):
        self._told.append(tell)
        if self.status != "pending":
            tell(self)

    def make(self):
        self._make()
        self.status = "finished"
        for tell in self._told:
            tell(self)


class HereClient:
    """A Dask client without a cluster: blocks are made here at once, but for those held back."""

    status = "running"

    def __init__(self, *, held=(), threads=2):
        self.threads, self._numbers, self.held = threads, held, []
        self.most_parts, self.handed_out = 0, []

    def nthreads(self):
        return {"here": self.threads}

    def run(self, function, *args, on_error):
        return {"here": function(*args)}

    def submit(self, function, job, *blocks, **how):
        if not blocks:
            return job
        number = blocks[0].number
        self.handed_out.append(number)
        future = HereFuture(lambda: function(job, *blocks))
        if number in self._numbers and not self.held:
            self.held.append(future)
        else:
            future.make()
        self.most_parts = max(self.most_parts, len(job.parts.found()))
        return future

    def cancel(self, futures):
        pass


@pytest.fixture
def here(monkeypatch):
    """Return what makes workers that are this process itself."""
    monkeypatch.setattr(cluster_worker, "_threads", lambda: 1)

    def make(**keywords):
        options = UpscaleOptions(workers=2)
        return Workers(HereClient(**keywords), options, fitness.versions())

    return make


def test_blocks_are_stored_in_order_and_nobody_runs_far_ahead(here, source, expected, tmp_path):
    workers, asked = here(held=[3]), []
    client = workers.client

    def release():
        asked.append(len(client.handed_out))
        if len(asked) > 20 and client.held[0].status == "pending":
            client.held[0].make()
        return False

    run_shared(workers, source, tmp_path / "out.tif", should_stop=release, **BICUBIC)
    waited_at = 3 + cluster_run.AHEAD * client.threads
    assert asked[20] == waited_at
    assert client.most_parts <= cluster_run.AHEAD * client.threads
    assert sorted(client.handed_out) == list(range(BLOCKS))
    assert only(tmp_path) == expected


def test_a_part_that_cannot_be_read_is_made_again(here, source, expected, tmp_path, monkeypatch):
    workers, read, losses = here(), Parts.read, [1]

    def sometimes(parts, number):
        if number == 2 and losses:
            losses.pop()
            parts.remove(number)
        return read(parts, number)

    monkeypatch.setattr(Parts, "read", sometimes)
    run_shared(workers, source, tmp_path / "out.tif", **BICUBIC)
    assert workers.client.handed_out.count(2) == 2
    assert only(tmp_path) == expected


def test_parts_that_are_never_seen_here_are_said(here, source, tmp_path, monkeypatch):
    monkeypatch.setattr(Parts, "write", lambda parts, number, data: None)
    workers = here()
    with pytest.raises(OutputError, match=r"Block 0 was made 3 times.*cannot be read") as raised:
        run_shared(workers, source, tmp_path / "out.tif", **BICUBIC)
    assert "folder that all machines share" in raised.value.hint
    assert list(tmp_path.iterdir()) == []


def test_workers_that_vanish_are_waited_for(here, source, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_run, "_COUNT_S", 0.0)
    workers = replace(here(held=[4]), wait_s=0.2)

    def vanish(tiles):
        workers.client.threads = 0

    with pytest.raises(ClusterError, match=r"has had no workers for 0\.2 s"):
        run_shared(workers, source, tmp_path / "out.tif", on_tiles=vanish, **BICUBIC)


def test_workers_must_see_the_folder(workers, source, tmp_path, monkeypatch):
    """Here they do not see the sign that the run goes on."""
    monkeypatch.setattr(Parts, "begin", lambda parts: os.mkdir(parts.folder))
    with pytest.raises(ClusterError, match=r"does not see .*out\.tif\.part\.blocks"):
        run_shared(workers, source, tmp_path / "out.tif", **BICUBIC)
    assert list(tmp_path.iterdir()) == []


def test_workers_must_see_the_source(workers, source, tmp_path):
    path = tmp_path / "in.tif"
    shutil.copy(source, path)
    plan = plan_of(path, UpscaleOptions(**BICUBIC))
    path.unlink()
    with pytest.raises(InputFileError, match="There is no file") as raised:
        run_planned(workers, plan, tmp_path / "out.tif")
    assert "All workers must read it" in raised.value.hint
    make_raster(path, size=SIZE - 1, bands=2)
    with pytest.raises(InputFileError, match="is another raster on"):
        run_planned(workers, plan, tmp_path / "out.tif")


def test_an_error_of_a_worker_comes_back(workers, source, tmp_path):
    """A damaged block is told as by one process."""
    path = tmp_path / "in.tif"
    make_raster(path, size=SIZE, bands=2, compress="deflate", tiled=True, blockxsize=128)
    data = bytearray(path.read_bytes())
    data[-3000] ^= 0xFF
    path.write_bytes(data)
    told = []
    for run in (run_alone, partial(run_shared, workers)):
        with pytest.raises(InputFileError, match="cannot be read at rows") as raised:
            run(path, tmp_path / "out.tif", resume=False, **BICUBIC)
        told.append(str(raised.value))
    assert told[0] == told[1]


def test_versions_must_be_the_same(workers, source, tmp_path, monkeypatch):
    other = {**workers.versions, "GDAL": "2.0.0"}
    with pytest.raises(ClusterError, match=r"has GDAL 3.*, and this run 2\.0\.0"):
        run_shared(replace(workers, versions=other), source, tmp_path / "out.tif", **BICUBIC)
    monkeypatch.setattr(Workers, "_ask", lambda *args: {"tcp://a": other})
    with pytest.raises(ClusterError, match=r"The worker tcp://a has GDAL 2\.0\.0, and this run 3"):
        workers.common_versions()


def test_what_auto_means_is_settled_on_the_workers(workers, monkeypatch):
    options = UpscaleOptions(scheduler="tcp://10.0.0.1:8786", precision="float32")
    remote, model = replace(workers, options=options), find_model("geosr-lite", 2)
    settled = remote.settle(model, options)
    assert workers.settle(model, options) == settled
    assert settled == Machinery("openvino", "cpu", "float32", 2)
    answers = {"tcp://a": settled, "tcp://b": replace(settled, precision="bfloat16")}
    monkeypatch.setattr(Workers, "_ask", lambda *args: answers)
    with pytest.raises(OptionError, match=r"not alike: .* float32 at tcp://a; .* at tcp://b"):
        remote.settle(model, options)
    answers["tcp://a"] = DeviceError("TensorFlow sees no GPU.")
    with pytest.raises(DeviceError, match="sees no GPU"):
        remote.settle(model, options)


def test_what_cannot_be_shared(tmp_path, monkeypatch):
    def refused(**options):
        with open_workers(UpscaleOptions(**options)):
            pass

    with pytest.raises(OptionError, match="--threads does not apply with --scheduler"):
        refused(scheduler="tcp://127.0.0.1:1", threads=2)
    with pytest.raises(OptionError, match="--format gtiff is written by one process"):
        refused(workers=2, format="gtiff")
    with pytest.raises(OptionError, match="'nonsense' is no address of a Dask scheduler"):
        refused(scheduler="nonsense")
    monkeypatch.setattr(cluster_workers, "CONNECT_S", 0.3)
    with pytest.raises(ClusterError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:1"):
        refused(scheduler="tcp://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependencyError, match="not installed") as raised:
        refused(workers=2)
    assert raised.value.hint == 'pip install "geosr[distributed]"'


def lines_until(process, wanted):
    """Return the lines of a process up to the one that is wanted."""
    lines = []
    for line in process.stdout:
        lines.append(json.loads(line))
        if wanted(lines[-1]):
            return lines
    raise AssertionError(process.stderr.read())


def test_a_killed_run_goes_on_and_leaves_no_process(workers, source, expected, tmp_path):
    out, second = tmp_path / "a" / "out.tif", tmp_path / "b" / "out.tif"
    out.parent.mkdir()
    with client(source, out, workers=2, threads=1, **BICUBIC) as process:
        lines = lines_until(process, lambda line: line == 3)
        process.kill()
    assert not out.exists()
    deadline = time.monotonic() + 30
    while any(map(is_alive, lines[0])):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    shutil.copytree(out.parent, second.parent)
    found, made = run_shared(workers, source, out, **BICUBIC)
    assert found + made <= BLOCKS - 3
    assert only(out.parent) == expected
    assert run_alone(source, second, **BICUBIC).stats["resumed"] > 0
    assert only(second.parent) == expected


def test_ctrl_c_is_for_the_command_alone(tmp_path):
    """A terminal sends it to the workers, too; they go quietly, and when they are told to."""
    source, out = tmp_path / "in.tif", tmp_path / "out.tif"
    make_raster(source, size=600, bands=9)  # nine blocks
    command = [sys.executable, "-m", "geosr", "upscale", str(source), str(out), "--workers", "2"]
    command += ["-m", "bicubic", "-f", "4", "--threads", "1", "--progress", "json"]
    with started(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        lines_until(process, lambda line: line.get("done"))
        os.killpg(process.pid, signal.SIGINT)
        lines = lines_until(process, lambda line: line["event"] == "error")
        shown = process.stderr.read()
    assert (process.returncode, shown) == (1, "")
    assert lines[-1]["code"] == "cancelled"
    assert "goes on" in lines[-1]["message"]


def is_alive(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_a_worker_lost_in_mid_run(cluster, source, expected, tmp_path):
    with open_workers(UpscaleOptions(scheduler=cluster.address)) as workers:
        while workers.threads < 3:
            time.sleep(0.05)

        def kill_one(tiles):
            if tiles == 5:
                cluster.workers[0].kill()

        told = run_shared(workers, source, tmp_path / "out.tif", on_tiles=kill_one, **BICUBIC)
        assert workers.threads == 2
    assert told == (0, BLOCKS)
    assert only(tmp_path) == expected


def test_a_block_that_kills_its_workers(source, tmp_path):
    first = {"distributed.scheduler.allowed-failures": 0}
    options = UpscaleOptions(workers=1, threads=1)
    with dask.config.set(first), open_workers(options) as workers:
        (pid,) = workers.client.run(os.getpid).values()
        with pytest.raises(ClusterError, match=r"Block \d+: its worker died 1 times"):
            run_shared(
                workers,
                source,
                tmp_path / "out.tif",
                on_tiles=lambda tiles: killed(pid),
                **BICUBIC,
            )


def killed(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def test_a_scheduler_without_workers_and_then_a_lost_one(source, tmp_path, expected):
    out, logs = tmp_path / "out.tif", []
    with scheduler() as running:
        options = UpscaleOptions(scheduler=running.address)
        with (
            pytest.raises(ClusterError, match="has had no workers for 0 s"),
            open_workers(options, wait_s=0),
        ):
            pass
        running.add_worker()
        with (
            open_workers(options, on_log=logs.append) as workers,
            pytest.raises(ClusterError, match="does not answer any more"),
        ):
            run_shared(
                workers, source, out, on_tiles=lambda tiles: running.process.kill(), **BICUBIC
            )
    assert logs[-2] == "Workers: 1, threads: 1"
    assert logs[-1].startswith("Dask dashboard: http://127.0.0.1:")
    assert run_alone(source, out, **BICUBIC).stats["resumed"] > 0
    assert only(tmp_path) == expected
