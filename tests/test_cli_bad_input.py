"""Bad input to ``geosr upscale``: a sentence, a hint, an exit status, and nothing lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import rasterio
from cli_scenes import files, make_raster, run

from geosr.core.events import parse_event


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """Make ``in.tif`` and go there; return its values."""
    monkeypatch.chdir(tmp_path)
    return make_raster("in.tif")


def truncated():
    """Write half of a good raster."""
    make_raster("whole.tif", size=100)
    data = Path("whole.tif").read_bytes()
    Path("whole.tif").unlink()
    Path("half.tif").write_bytes(data[: len(data) // 2])


def damaged():
    """Spoil one block of a compressed raster, and put something precious at the output."""
    make_raster("damaged.tif", size=600, tiled=True, compress="deflate")
    with open("damaged.tif", "r+b") as file:
        file.seek(Path("damaged.tif").stat().st_size * 2 // 3)
        file.write(b"\xff" * 200)
    existing()


def complex_values():
    """Write a raster of complex numbers."""
    make_raster("complex.tif", dtype="complex64", nodata=None)


def colour_table():
    """Write a raster of classes."""
    make_raster("classes.tif", bands=1, dtype="uint8")
    with rasterio.open("classes.tif", "r+") as dst:
        dst.write_colormap(1, {1: (255, 0, 0, 255)})


def text_file():
    """Write what is no raster."""
    Path("notes.tif").write_text("not a raster")


def existing(name="out.tif"):
    """Put something precious where the output shall be."""
    Path(name).write_bytes(b"precious")


def folder():
    """Make a folder named as the output."""
    Path("out.tif").mkdir()


def linked():
    """Make the output another name of the input."""
    os.link("in.tif", "out.tif")


# name: (what to prepare, arguments, exit status, code, words of the message or hint; None: any)
BAD = {
    "missing file": (None, ["no.tif", "out.tif"], 1, "input.unreadable", "no.tif"),
    "no raster": (text_file, ["notes.tif", "out.tif"], 1, "input.unreadable", "notes.tif"),
    "truncated": (truncated, ["half.tif", "out.tif"], 1, "input.unreadable", "half.tif"),
    "damaged": (
        damaged,
        ["damaged.tif", "out.tif", "--overwrite"],
        1,
        "input.unreadable",
        "damaged.tif",
    ),
    "complex": (complex_values, ["complex.tif", "out.tif"], 1, "input.unsupported", "complex"),
    "colours": (colour_table, ["classes.tif", "out.tif"], 1, "input.unsupported", "colour"),
    "exists": (existing, ["in.tif", "out.tif"], 1, "output.exists", "--overwrite"),
    "output is input": (None, ["in.tif", "in.tif", "--overwrite"], 2, "usage", "in.tif"),
    "hard link": (linked, ["in.tif", "out.tif", "--overwrite"], 2, "usage", "out.tif"),
    "output is folder": (folder, ["in.tif", "out.tif"], 1, "output.unwritable", "folder"),
    "no such folder": (None, ["in.tif", "no/out.tif"], 1, "output.unwritable", "folder"),
    "other format": (None, ["in.tif", "out.png"], 2, "usage", ".tif"),
    "unknown model": (None, ["-m", "bicubik"], 2, "model.unknown", "bicubic"),
    "missing network": (None, ["-m", "no.onnx"], None, None, "no.onnx"),
    "factor 9": (None, ["-f", "9"], 2, "usage", "factor 9"),
    "two factors": (None, ["-m", "bicubic-x2", "-f", "3"], 2, "usage", "bicubic"),
    "band 0": (None, ["-b", "0"], 2, "input.bands", "0"),
    "band 4": (None, ["-b", "4"], 2, "input.bands", "4"),
    "bounds outside": (None, ["--bounds", "0", "0", "9", "9"], 2, "input.bounds", "500000"),
    "bounds reversed": (
        None,
        ["--bounds", "500200", "4999900", "500100", "4999700"],
        2,
        "input.bounds",
        "WEST",
    ),
    "bounds crs": (
        None,
        ["--bounds", "1", "2", "3", "4", "--bounds-crs", "EPSG:0"],
        2,
        None,
        "EPSG:0",
    ),
    "resolution coarser": (None, ["--resolution", "20"], 2, "usage", "20"),
    "resolution of words": (None, ["--resolution", "fine"], 2, "usage", "fine"),
    "complex dtype": (None, ["-t", "complex64"], 2, "usage", "complex64"),
    "nodata too large": (None, ["-t", "uint8", "--nodata", "300"], 2, "usage", "300"),
    "unknown creation option": (None, ["--co", "FOO=1"], 2, "usage", "FOO"),
    "bad creation option": (None, ["--co", "COMPRESS=FAST"], 2, "usage", "FAST"),
    "tile too small": (None, ["--tile-size", "3"], 2, "usage.plan", "tile"),
    "gpu for a kernel": (None, ["--device", "gpu"], 2, "usage", "--device"),
    "range for a kernel": (None, ["--model-range", "0", "1"], 2, "usage", "--model-range"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_sentence_and_loses_nothing(scene, name):
    prepare, args, status, code, words = BAD[name]
    if prepare:
        prepare()
    if args[0].startswith("-"):
        args = ["in.tif", "out.tif", *args]
    if "-m" not in args:
        args = [*args, "-m", "bicubic"]
    before = files()
    result = run("upscale", *args)
    assert result.exit_code == (status or result.exit_code) != 0, result.output
    assert isinstance(result.exception, SystemExit)
    assert words.lower() in result.stderr.lower()
    assert "Traceback" not in result.stderr
    assert "bug in geosr" not in result.stderr
    assert result.stdout == ""
    assert files() == before
    in_json = run("upscale", *args, "--progress", "json")
    event = parse_event(in_json.stdout.splitlines()[-1])
    assert event["event"] == "error"
    assert event["code"] == (code or event["code"])
    assert event["message"].endswith((".", "?", "!"))
    assert "\n" not in event["message"]
    assert event["hint"]
    assert files() == before
