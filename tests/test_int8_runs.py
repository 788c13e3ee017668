"""``geosr upscale --precision int8`` by several workers, and killed in the middle."""

from __future__ import annotations

import signal
from functools import partial

import pytest
from cli_processes import is_at, start, stop_after
from cli_scenes import make_raster, run

from geosr.core.catalog import find_model
from geosr.core.events import parse_event

pytestmark = pytest.mark.skipif(
    "int8" not in find_model("geosr-lite-x2").files, reason="no int8 weights are shipped"
)

INT8 = ("-m", "geosr-lite-x2", "--precision", "int8", "--tile-size", "64", "--progress", "json")
ALONE, SHARED = ("--threads", "1"), ("--workers", "2", "--threads", "1")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Make a raster of three blocks with holes."""
    path = tmp_path_factory.mktemp("source") / "in.tif"
    make_raster(path, size=100, width=4400, bands=1)
    return path


@pytest.fixture(scope="module")
def undisturbed(source, tmp_path_factory):
    """Return the bytes that one process makes of it."""
    out = tmp_path_factory.mktemp("undisturbed") / "out.tif"
    upscaled(source, out, *ALONE)
    return out.read_bytes()


def upscaled(source, out, *args):
    """Run the command to its end; return its result."""
    result = run("upscale", source, out, *INT8, *args)
    assert result.exit_code == 0, result.output
    return parse_event(result.stdout.splitlines()[-1])


def test_two_workers_make_the_same_bytes(source, undisturbed, tmp_path):
    pytest.importorskip("distributed", reason="needs geosr[distributed]")
    result = upscaled(source, tmp_path / "out.tif", *SHARED)
    assert (result["stats"]["precision"], result["stats"]["resumed"]) == ("int8", 0)
    assert (tmp_path / "out.tif").read_bytes() == undisturbed


@pytest.mark.parametrize("how", [ALONE, SHARED], ids=["alone", "by two workers"])
def test_a_killed_run_goes_on_to_the_same_bytes(source, undisturbed, tmp_path, how):
    if how is SHARED:
        pytest.importorskip("distributed", reason="needs geosr[distributed]")
    out = tmp_path / "out.tif"
    with start(str(source), str(out), *INT8[:-2], *ALONE) as process:
        _, status, _ = stop_after(process, partial(is_at, 0.7), process.kill)
    assert status == -signal.SIGKILL
    assert not out.exists()
    result = upscaled(source, out, *how)
    assert result["stats"]["resumed"] > 0
    assert out.read_bytes() == undisturbed
    assert [path.name for path in tmp_path.iterdir()] == ["out.tif"]
