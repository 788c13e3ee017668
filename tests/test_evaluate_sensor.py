"""``geosr evaluate --degradation mtf --sensor NAME``: whose blur, and where it is said."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from cli_scenes import run
from evaluation_scenes import photo, satellite, scenery, write

from geosr.degrade import SENSORS, band_named, mtf
from geosr.evaluation.protocol import Protocol
from geosr.evaluation.samples import folder_entries

OPTIONS = ("--degradation", "mtf", "--sensor")
PROTOCOL = Protocol(models=(), degradation="mtf", sensor="sentinel-2")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Go to a folder with a folder of two images."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("images")
    photo("images/a.tif", shape=(48, 56))
    satellite("images/b.tif", shape=(48, 56))
    return tmp_path


def low_of(name, *, protocol=PROTOCOL, descriptions=()):
    """Write an image; return it and its low resolution."""
    os.makedirs("one", exist_ok=True)
    path = write(Path("one") / name, scenery((48, 56), bands=3).astype("f4"))
    if descriptions:
        with rasterio.open(path, "r+") as dst:
            dst.descriptions = descriptions
    (sample,) = [e.load(2) for e in folder_entries(Path("one"), protocol) if e.name == name]
    return sample.truth.astype("f8"), sample.low


def transfers_of(high, low):
    """Return the transfer at Nyquist that explains each band best, out of all in the table."""
    known = sorted(set(SENSORS["sentinel-2"].bands.values()))
    found = []
    for fine, coarse in zip(high, low, strict=True):
        off = {value: np.abs(mtf(fine, 2, mtf_at_nyquist=value) - coarse).max() for value in known}
        best = min(off, key=off.get)
        assert off[best] < 1e-6
        found.append(best)
    return found


def test_described_bands_get_their_own_transfer(place):
    names = ("B4, central wavelength 665 nm", "B05", "b8a")
    high, low = low_of("a.tif", descriptions=names)
    assert transfers_of(high, low) == [0.24, 0.38, 0.33]


def test_other_bands_draw_one_by_seed_and_name(place):
    high, low = low_of("a.tif")
    drawn = transfers_of(high, low)
    assert transfers_of(*low_of("a.tif")) == drawn
    seeds = [transfers_of(*low_of("a.tif", protocol=replace(PROTOCOL, seed=n))) for n in range(4)]
    assert len({tuple(found) for found in seeds}) > 1
    mixed = transfers_of(*low_of("a.tif", descriptions=("red", "B11", None)))
    assert mixed[1] == SENSORS["sentinel-2"].bands["B11"]


@pytest.mark.parametrize(
    ("sensor", "description", "band"),
    [
        ("sentinel-2", "B04", "B04"),
        ("sentinel-2", "b4", "B04"),
        ("sentinel-2", "B12, central wavelength 2190 nm", "B12"),
        ("sentinel-2", "B8A", "B8A"),
        ("sentinel-2", "B10", None),
        ("sentinel-2", "red", None),
        ("sentinel-2", None, None),
        ("landsat-oli", "B02", "B2"),
        ("worldview-3", "PAN", "PAN"),
    ],
)
def test_bands_by_their_descriptions(sensor, description, band):
    assert band_named(sensor, description) == band


def test_the_report_and_the_csv_say_it(place):
    args = ("-m", "lanczos", "-f", "2", "--data", "images", "--report", "r.html", "--csv", "s.csv")
    result = run("evaluate", *args, *OPTIONS, "planetscope")
    assert result.exit_code == 0, result.output
    with open("s.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["degradation"], row["sensor"]) for row in rows} == {("mtf", "planetscope")}
    page = Path("r.html").read_text(encoding="utf-8")
    assert "by the degradation `mtf` of the sensor planetscope" in page
    assert "assumed: the middle of 0.1 to 0.2" in page
    blurred = {(row["image"], row["method"], row["band"]): row["psnr"] for row in rows}
    again = run("evaluate", *args, "--degradation", "mtf", "--overwrite")
    assert again.exit_code == 0, again.output
    with open("s.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["sensor"] for row in rows} == {""}
    for row in rows:  # 0.25 at Nyquist is sharper than 0.15
        if row["band"] == "1" and row["method"] == "bicubic":
            assert float(row["psnr"]) > float(blurred[row["image"], "bicubic", "1"])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--data", "images", *OPTIONS, "Sentinel2"), "Did you mean sentinel-2?"),
        (("--data", "images", *OPTIONS, "hubble"), "no sensor 'hubble' in the table"),
        (("--data", "images", "--sensor", "spot-7"), "is for the degradation mtf, not area"),
        (
            ("--data", "images", "--degradation", "bicubic", "--sensor", "spot-7"),
            "is for the degradation mtf, not bicubic",
        ),
        (
            ("--low", "images/a.tif", "--high", "images/b.tif", "--sensor", "spot-7"),
            "--sensor does not apply to --low and --high",
        ),
    ],
)
def test_bad_use_is_a_sentence(place, args, message):
    result = run("evaluate", *args)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
