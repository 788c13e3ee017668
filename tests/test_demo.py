"""What the demo says of an output is worked out right, and it notices what is wrong."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.transform import Affine
from rasterio.windows import Window

ROOT = Path(__file__).parents[1]

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def checks() -> Iterator[ModuleType]:
    yield from imported("checks")


@pytest.fixture(scope="module")
def pictures() -> Iterator[ModuleType]:
    yield from imported("pictures")


def imported(name: str) -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "demo"))
        yield importlib.import_module(name)


def write(path: Path, pixels: npt.NDArray[Any], *, pixel: float, **profile: Any) -> Path:
    bands, height, width = pixels.shape
    facts = {"crs": "EPSG:32633", "transform": Affine(pixel, 0, 500_000, 0, -pixel, 5_000_000)}
    facts |= {"driver": "GTiff", "count": bands, "height": height, "width": width}
    with rasterio.open(path, "w", dtype=pixels.dtype, **(facts | profile)) as dst:
        dst.write(pixels)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(1).integers(100, 900, (2, 300, 11)).astype(np.uint16)
    pixels[:, 5:9, :3] = 0
    return write(tmp_path / "source.tif", pixels, pixel=10, nodata=0)


def doubled(source: Path) -> npt.NDArray[np.uint16]:
    with rasterio.open(source) as src:
        return np.asarray(src.read().repeat(2, 1).repeat(2, 2))


def test_enlarged_source_passes_every_check(
    checks: ModuleType, source: Path, tmp_path: Path
) -> None:
    output = write(tmp_path / "output.tif", doubled(source), pixel=5, nodata=0)
    assert checks.check_output(source, output, 2) == checks.Checks(True, True, 0.0)


def test_one_pixel_is_enough_to_be_found_inconsistent(
    checks: ModuleType, source: Path, tmp_path: Path
) -> None:
    pixels = doubled(source)
    pixels[1, 599, 21] += 10  # in the last strip, band, row and column
    output = write(tmp_path / "output.tif", pixels, pixel=5, nodata=0)
    assert checks.check_output(source, output, 2).consistency_error == pytest.approx(2.5)


def test_a_hole_or_a_filled_one_is_found(checks: ModuleType, source: Path, tmp_path: Path) -> None:
    for row, value in ((40, 0), (11, 500)):
        pixels = doubled(source)
        pixels[0, row, 0] = value
        output = write(tmp_path / "output.tif", pixels, pixel=5, nodata=0)
        assert not checks.check_output(source, output, 2).same_nodata


def test_a_shift_by_a_tenth_of_a_pixel_is_found(
    checks: ModuleType, source: Path, tmp_path: Path
) -> None:
    moved = Affine(5, 0, 500_000.5, 0, -5, 5_000_000)
    output = write(tmp_path / "output.tif", doubled(source), pixel=5, nodata=0, transform=moved)
    assert not checks.check_output(source, output, 2).same_place


def test_same_pixels_compares_a_part_with_where_it_came_from(
    checks: ModuleType, source: Path, tmp_path: Path
) -> None:
    with rasterio.open(source) as src:
        whole = src.read()
    part = whole[:, 20:290, 3:10].copy()
    part[:, 0] = 7  # outside the window that is compared
    other = write(tmp_path / "part.tif", part, pixel=10)
    window = Window(4, 21, 6, 269)
    assert checks.same_pixels(source, other, window, origin=(20, 3))
    assert not checks.same_pixels(source, other, Window(4, 20, 6, 270), origin=(20, 3))
    part[1, 269, 6] += 1
    other = write(tmp_path / "part.tif", part, pixel=10)
    assert not checks.same_pixels(source, other, window, origin=(20, 3))


def test_gain_is_the_ratio_of_mean_squared_errors(checks: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(1000, 2000, (2, 80, 80)).astype(np.float32)
    mean = checks.block_mean(truth, 2).astype(np.float32)
    error = rng.normal(0, 5, mean.shape).astype(np.float32)
    paths = [
        write(tmp_path / f"{name}.tif", pixels, pixel=5)
        for name, pixels in (
            ("truth", truth),
            ("ours", mean + error),
            ("bicubic", mean - error * np.array([2, 4], np.float32)[:, None, None]),
        )
    ]
    gains = checks.gains_over_bicubic(*paths, 2)
    assert gains == pytest.approx((20 * np.log10(2), 20 * np.log10(4)), abs=1e-3)


@pytest.mark.parametrize(
    ("descriptions", "interpretation", "expected"),
    [
        (("blue", "green", "red", "nir"), None, (3, 2, 1)),
        (("B1", "B2", "B3", "B4"), None, (4, 3, 2)),
        ((None,) * 4, ("red", "green", "blue", "alpha"), (1, 2, 3)),
        ((None,) * 4, ("gray", "undefined", "undefined", "undefined"), (1, 2, 3)),
        ((None,) * 2, ("gray", "alpha"), (1,)),
    ],
)
def test_display_bands(
    pictures: ModuleType,
    tmp_path: Path,
    descriptions: tuple[str | None, ...],
    interpretation: tuple[str, ...] | None,
    expected: tuple[int, ...],
) -> None:
    pixels = np.ones((len(descriptions), 3, 3), np.uint8)
    path = write(tmp_path / "bands.tif", pixels, pixel=1, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as dst:
        dst.descriptions = descriptions
        if interpretation:
            dst.colorinterp = [rasterio.enums.ColorInterp[name] for name in interpretation]
    with rasterio.open(path) as src:
        assert pictures.display_indexes(src) == expected


def test_detail_is_found_and_gaps_are_avoided(pictures: ModuleType) -> None:
    image = np.ones((60, 80, 4))
    image[..., :3] = 0.5
    image[30:50, 50:70, :3] = np.random.default_rng(3).random((20, 20, 3))
    image[5:25, 5:25, :3] = np.random.default_rng(4).random((20, 20, 3))
    image[5:25, 5:25, 3] = 0
    row, col = pictures.find_detail(image, side=20)
    assert row == pytest.approx(40, abs=2)
    assert col == pytest.approx(60, abs=2)


def test_stretch_leaves_nodata_out_and_clear(pictures: ModuleType) -> None:
    pixels = np.linspace(100, 200, 400).reshape(1, 20, 20)
    pixels[0, 0] = 60_000
    valid = np.ones((20, 20), np.bool_)
    valid[0] = False
    stretch = pictures.find_stretch(pixels, valid, (1,))
    assert 100 < stretch.low < 110
    assert 190 < stretch.high < 200
    image = stretch.show(pixels, valid)
    assert (image[0, :, 3] == 0).all()
    assert image[-1, -1].tolist() == [1, 1, 1, 1]


def test_demo_runs_with_a_kernel_on_the_sample_and_on_a_scene_of_ones_own(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(5)
    own = write(tmp_path / "own.tif", rng.random((1, 30, 20)).astype(np.float32), pixel=3)
    command = [sys.executable, str(ROOT / "demo" / "make_demo.py"), "-m", "bicubic"]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path / "out")],
        env={"PYTHONPATH": str(ROOT), "GEOSR_SAMPLE": str(own), "MPLCONFIGDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "seam-free" in done.stdout
    assert "+0.00 dB" in done.stdout  # bicubic against itself
    assert "NO" not in done.stdout
    made = {path.name for path in (tmp_path / "out").iterdir()}
    for factor in (2, 4):
        assert {f"scene_x{factor}.tif", f"before_after_x{factor}.png"} <= made
        assert {f"own_x{factor}.tif", f"own_before_after_x{factor}.png"} <= made
    assert len(made) == 8  # nothing temporary is left
