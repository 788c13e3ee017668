"""The sample scene is what its README says: the truth's block means, on the same footprint."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio

FOLDER = Path(__file__).parents[1] / "sample_data"
FACTOR = 4

Pixels = npt.NDArray[np.uint16]


@pytest.fixture(scope="module")
def scene() -> Pixels:
    with rasterio.open(FOLDER / "scene.tif") as src:
        return np.asarray(src.read())


@pytest.fixture(scope="module")
def truth() -> Pixels:
    with rasterio.open(FOLDER / "scene_truth.tif") as src:
        return np.asarray(src.read())


@pytest.fixture(scope="module")
def renderer() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield importlib.import_module("render_scene")


def block_means(truth: Pixels) -> npt.NDArray[np.float64]:
    bands, height, width = truth.shape
    blocks = truth.reshape(bands, height // FACTOR, FACTOR, width // FACTOR, FACTOR)
    return np.asarray(blocks.mean((2, 4), dtype=np.float64))


def test_scene_is_the_mean_of_the_truth_but_for_the_stated_noise(
    scene: Pixels, truth: Pixels
) -> None:
    valid = (scene > 0).all(0)
    means = block_means(truth)
    deviation = np.sqrt(1.5**2 + 0.003 * means)  # as sense() states it
    error = ((scene - means) / deviation)[:, valid]
    assert np.abs(error).max() < 6
    assert abs(error.mean()) < 0.02
    assert 0.95 < error.std() < 1.1  # rounding adds a little to the noise


def test_wedge_is_the_same_in_both_and_nothing_valid_equals_nodata(
    scene: Pixels, truth: Pixels
) -> None:
    gone = scene == 0
    assert (gone == gone[:1]).all()
    assert ((truth == 0) == gone.repeat(FACTOR, 1).repeat(FACTOR, 2)).all()
    assert 0.07 < gone.mean() < 0.09
    assert gone[0, 0, 0]
    assert not gone[0, :, -1].any()


def test_both_lie_on_the_same_ground_and_say_the_same_of_themselves() -> None:
    with (
        rasterio.open(FOLDER / "scene.tif") as coarse,
        rasterio.open(FOLDER / "scene_truth.tif") as fine,
    ):
        assert coarse.crs == fine.crs == rasterio.CRS.from_epsg(32633)
        assert coarse.bounds == fine.bounds
        assert (fine.height, fine.width) == (FACTOR * coarse.height, FACTOR * coarse.width)
        assert coarse.res == (10.0, 10.0)
        assert fine.res == (2.5, 2.5)
        assert coarse.descriptions == ("blue", "green", "red", "nir")
        for src in (coarse, fine):
            assert described(src) == described(coarse)


def described(src: Any) -> tuple[object, ...]:
    tags = [src.tags(), *(src.tags(index) for index in src.indexes)]
    about = (src.nodata, src.dtypes, src.descriptions, src.units, src.scales, src.offsets)
    return (*about, src.colorinterp, tags)


def test_spectra_are_those_of_plants_and_water(truth: Pixels) -> None:
    blue, _, red, nir = truth.astype(np.float64)
    lake = np.s_[560:600, 140:190]
    assert nir[lake].max() < blue[lake].min()
    wood = np.s_[860:900, 620:660]
    assert nir[wood].mean() > 6 * red[wood].mean()


def test_rendering_a_part_anew_gives_the_same_pixels(renderer: ModuleType, truth: Pixels) -> None:
    row, col, height, width = window = (92, 165, 10, 14)  # roofs, trees and the roundabout
    again = renderer.render_truth(window).astype(int)
    stored = truth[
        :, FACTOR * row : FACTOR * (row + height), FACTOR * col : FACTOR * (col + width)
    ].astype(int)
    assert stored.std() > 100
    # Another processor may round a sine otherwise, which can move a pixel by one step.
    assert np.abs(again - stored).max() <= renderer.STEP
    assert (again == stored).mean() > 0.999


def test_sensing_the_truth_anew_gives_the_scene(
    renderer: ModuleType, truth: Pixels, scene: Pixels
) -> None:
    assert np.abs(renderer.sense(truth).astype(int) - scene).max() <= 1


def test_files_stay_small() -> None:
    sizes = {path.name: path.stat().st_size for path in FOLDER.glob("*.tif")}
    assert sizes.keys() == {"scene.tif", "scene_truth.tif"}
    assert max(sizes.values()) < 4_000_000
