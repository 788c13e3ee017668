"""Whole runs into cloud-optimised GeoTIFFs: the same bytes however they are run."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
import rasterio
from affine import Affine
from cog_checks import check_same, check_valid
from sink_runs import holes

from geosr.api import plan_file, upscale_file
from geosr.core.errors import CancelledError, OutputBusyError
from geosr.io.sinks import open_sink
from geosr.outputs import output_of

# rasterio 1.4 multiplies with a sign that affine 3 will drop.
pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
]

OPTIONS = {"model": "lanczos", "creation_options": {"BLOCKSIZE": "128"}}


@pytest.fixture
def small_blocks(monkeypatch):
    """Plan blocks of few tiles of 128 pixels, so that small rasters have many."""

    def side(factor, **keywords):
        return 128 // math.gcd(128, factor)

    monkeypatch.setattr("geosr.planning.block_side", side)


@pytest.fixture
def source(tmp_path, small_blocks):
    """A raster of 4 x 5 such blocks, with holes."""
    shape, path = (200, 260), tmp_path / "src.tif"
    values = np.random.default_rng(5).integers(1, 9000, (2, *shape)).astype("uint16")
    values[:, ~holes(shape)] = 0
    profile = {"height": 200, "width": 260, "count": 2, "dtype": "uint16", "nodata": 0}
    place = Affine(10, 0, 500_000, 0, -10, 5_000_000)
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32633", transform=place,
                       **profile) as dst:  # fmt: skip
        dst.write(values)
        dst.update_tags(NOTE="kept")
    return path


def run(source, name="out.tif", **options):
    """Return the bytes of an output, the run's report, and what it told."""
    events = []
    out = source.with_name(name)
    report = upscale_file(source, out, on_event=events.append, **{**OPTIONS, **options})
    told = [event["message"] for event in events if event["event"] == "log"]
    return out.read_bytes(), report, told


def stop_after(source, tiles, **options):
    """Stop a run after about so many tiles."""
    seen = []

    def on_event(event):
        if event["event"] == "progress":
            seen.append(event["done"])

    with pytest.raises(CancelledError) as caught:
        upscale_file(
            source, source.with_name("out.tif"), on_event=on_event,
            should_stop=lambda: bool(seen) and seen[-1] >= tiles, **{**OPTIONS, **options},
        )  # fmt: skip
    return caught.value.message


def test_threads_and_tiles_change_no_byte(source, monkeypatch):
    alone, _, _ = run(source, "0.tif", threads=1)
    check_valid(source.with_name("0.tif"))
    for number, options in enumerate([{"threads": 2}, {"threads": 3, "tile_size": 30},
                                      {"tile_size": 77}, {"tile_size": 200}], 1):  # fmt: skip
        assert run(source, f"{number}.tif", **options)[0] == alone
    for threads in ("1", "3", "ALL_CPUS"):
        monkeypatch.setenv("GDAL_NUM_THREADS", threads)
        again = {"BLOCKSIZE": "128", "NUM_THREADS": threads}
        assert run(source, f"threads-{threads}.tif", creation_options=again)[0] == alone


def test_a_stopped_run_goes_on_to_the_same_bytes(source):
    alone, report, _ = run(source, "0.tif")
    assert report.stats["resumed"] == 0
    resumed = []
    for tiles in range(1, 20, 3):
        said = stop_after(source, tiles, threads=1)
        made, report, told = run(source, threads=2, tile_size=50)
        assert made == alone
        if "blocks are kept" in said:
            assert "the same command goes on" in said
            assert told == [
                f"Going on from block {said.split()[1]} of 20, where an earlier run stopped."
            ]
            resumed.append(report.stats["resumed"])
        assert sorted(os.listdir(source.parent)) == ["0.tif", "out.tif", "src.tif"]
        source.with_name("out.tif").unlink()
    assert len(resumed) > 4
    assert 0 < min(resumed) < max(resumed) < 1


def leave_some(source, **options):
    """Leave 5 blocks, as a run that was stopped."""
    chosen = {**OPTIONS, **options}
    plan = plan_file(source, source.with_name("out.tif"), **chosen)
    output = output_of(plan, str(source.with_name("out.tif")))
    with pytest.raises(KeyboardInterrupt), open_sink(output) as sink:  # noqa: PT012
        for block in list(plan.blocks.blocks())[:5]:
            shape = plan.output.count, *block.output.shape
            note = {"unresolved": 0, "clamped": 0, "error": 0.0, "consistency_error": 0.0}
            values = np.ones(shape, plan.output.dtype)
            sink.commit(
                block, sink.encode(block, values, None), {**note, "tiles": 4, "network_s": 0}
            )
        raise KeyboardInterrupt


def test_what_was_left_is_used(source):
    leave_some(source)
    made, report, told = run(source)
    assert told == ["Going on from block 5 of 20, where an earlier run stopped."]
    assert 0.1 < report.stats["resumed"] < 0.6
    assert made != run(source, "0.tif")[0]  # for it was no picture


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "bicubic"}, "model"),
        ({"upscale_factor": 3}, "model"),
        ({"indexes": (2, 1)}, "part of the source"),
        ({"bounds": (500_000, 4_998_500, 502_000, 5_000_000)}, "part of the source"),
        ({"dtype": "float32"}, "output"),
        ({"nodata": 65535}, "output"),
        ({"creation_options": {"BLOCKSIZE": "128", "COMPRESS": "LZW"}}, "output"),
        ({"creation_options": {"BLOCKSIZE": "128", "INTERLEAVE": "BAND"}}, "output"),
    ],
)
def test_other_options_start_anew_and_say_so(source, options, said):
    leave_some(source)
    made, report, told = run(source, **options)
    assert len(told) == 1
    assert told[0].endswith("changed since the earlier run; this one starts anew.")
    assert told[0].startswith(f"The {said}")
    assert report.stats["resumed"] == 0
    assert made == run(source, "0.tif", **options)[0]


@pytest.mark.parametrize("change", ["time", "size", "geosr", "GDAL"])
def test_another_source_or_program_starts_anew_and_says_so(source, change, monkeypatch):
    leave_some(source)
    if change == "time":
        os.utime(source, ns=(1, 1))
    elif change == "size":
        with source.open("ab") as file:
            file.write(b"\0")
    elif change == "geosr":
        monkeypatch.setattr("geosr.outputs.__version__", "0.0.1")
    else:
        monkeypatch.setattr("geosr.outputs.gdal_version", lambda: "4.0")
    what = {"geosr": "version of geosr", "GDAL": "version of GDAL"}.get(change, "source")
    _, report, told = run(source)
    assert len(told) == 1
    assert f"The {what} " in told[0] or f"the {what} " in told[0]
    assert report.stats["resumed"] == 0
    monkeypatch.undo()


def test_no_resume(source):
    alone, _, _ = run(source, "0.tif")
    leave_some(source)
    made, _, told = run(source, resume=False)
    assert told == ["--no-resume was given; what an earlier run left is not used."]
    assert made == alone


def test_a_second_run_at_the_same_output(source):
    out = str(source.with_name("out.tif"))
    sink = open_sink(output_of(plan_file(source, out, **OPTIONS), out))
    sink.__enter__()
    with pytest.raises(OutputBusyError, match=f"process {os.getpid()}"):
        run(source)
    sink.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    run(source)


def test_another_format_starts_anew(source):
    leave_some(source)
    run(source, format="gtiff", creation_options={"BLOCKXSIZE": "128", "BLOCKYSIZE": "128"})
    assert sorted(os.listdir(source.parent)) == ["out.tif", "src.tif"]
    run(source, "0.tif")
    check_same(source.with_name("out.tif"), source.with_name("0.tif"))
