"""Training from a patch set: what is drawn, from where, and that it goes on where it stopped."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_scenes import run
from dataset_scenes import ground, scene, write
from training_scenes import TINY

from geosr.core.errors import InputFileError, OptionError
from geosr.degrade import area, mtf
from geosr.metrics import LUMA
from geosr.training.dataset.index import read_index
from geosr.training.dataset.stored import PatchSet, StoredPair
from geosr.training.patches import Pool, draw_batch, load_pools, validation_pairs
from geosr.training.recipe import Source, read_recipe

RECIPE = replace(TINY, sources=(Source(dataset="set"),), steps=3, warmup=1)
HALO = 10
SIDE = (12 + 2 * HALO) * 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A set of two-band patches, and one of pairs of the same ground."""
    folder = tmp_path_factory.mktemp("sets")
    paths = [scene(folder / f"s{i}.tif", i, east=1000 * i, side=160, bands=2) for i in range(3)]
    args = ("--patch", "80", "--split", "0.7", "--out")
    assert run("dataset", *paths, *args, folder / "set").exit_code == 0
    for i in range(2):
        high = ground((192, 192), 50 + i)
        place = {"origin": (500_000.0 + 90_000 * i, 5e6)}
        write(folder / f"low{i}.tif", mtf(high, 2).astype("f4"), pixel=20.0, **place)
        write(folder / f"high{i}.tif", (3 * high + 1).astype("f4"), pixel=10.0, **place)
    named = [("--pairs", folder / f"low{i}.tif", folder / f"high{i}.tif") for i in range(2)]
    pairs = [part for pair in named for part in pair]
    args = ("--patch", "96", "--split", "0.5", "--out", folder / "pairs")
    assert run("dataset", *pairs, *args).exit_code == 0
    return folder


def test_planes_are_the_patches_scaled(folder):
    stored = PatchSet(folder / "set")
    planes = stored.planes("train")
    assert len(planes) == 2 * stored.index.count("train")  # each band by itself
    first = stored.index.patches[0]
    shard, source = stored.index.shards[first.shard], stored.index.sources[first.source]
    values = np.load(folder / "set" / shard.file)[first.item]
    for band in (0, 1):
        low, high = source.scaling[band]
        expected = (values[band].astype("f4") - low) / (high - low)
        assert planes[band].shape == (80, 80)
        np.testing.assert_allclose(planes[band][:, :], expected, rtol=1e-6, atol=1e-7)
        np.testing.assert_array_equal(planes[band][7:30, 11:50], planes[band][:, :][7:30, 11:50])


def test_colour_has_its_luma_too(tmp_path):
    values = np.rint(ground((64, 64), 3, bands=3) * 255).astype("uint8")
    write(tmp_path / "rgb.tif", values, photometric="RGB")
    args = (tmp_path / "rgb.tif", "--patch", "64", "--split", "1", "--out", tmp_path / "set")
    assert run("dataset", *args).exit_code == 0
    planes = PatchSet(tmp_path / "set").planes("train")
    assert len(planes) == 4
    np.testing.assert_allclose(planes[0][:, :], values[0] / 255, atol=1e-6)
    luma = np.tensordot(LUMA, values / 255, axes=1)
    np.testing.assert_allclose(planes[3][:, :], luma, atol=1e-6)


def test_batches_are_degraded_as_they_are_drawn_and_repeatable(folder):
    pool, held = load_pools(RECIPE, folder, side=SIDE)
    assert len(held.planes) > 0
    low, high = draw_batch(pool, RECIPE, halo=HALO, step=3, upscale_factor=2)
    again = load_pools(RECIPE, folder, side=SIDE)[0]
    same, _ = draw_batch(again, RECIPE, halo=HALO, step=3, upscale_factor=2)
    other, _ = draw_batch(pool, RECIPE, halo=HALO, step=4, upscale_factor=2)
    assert low.shape == (2, 32, 32, 1)
    assert high.shape == (2, 24, 24, 1)
    assert np.array_equal(low, same)
    assert not np.array_equal(low, other)
    core = low[:, HALO:-HALO, HALO:-HALO, 0]
    np.testing.assert_allclose(area(high[..., 0], 2), core, atol=1e-6)


def test_pool_draws_as_numpy_does():
    odds = np.random.default_rng(0).uniform(0, 1, 50)
    pool = Pool(tuple(range(50)), odds / odds.sum())
    ours, theirs = np.random.default_rng(7), np.random.default_rng(7)
    for _ in range(300):
        assert pool.draw(ours) == theirs.choice(50, p=pool.odds)


def test_pairs_are_drawn_as_they_are_stored(folder):
    recipe = replace(RECIPE, sources=(Source(dataset="pairs"),), batch_size=8)
    pool, held = load_pools(recipe, folder, side=SIDE)
    assert all(isinstance(plane, StoredPair) for plane in (*pool.planes, *held.planes))
    low, high = draw_batch(pool, recipe, halo=HALO, step=0, upscale_factor=2)
    index = read_index(folder / "pairs")
    wholes = []
    for patch in index.patches:
        shard = index.shards[patch.shard]
        (scaling,) = index.sources[patch.source].scaling
        sides = [
            (np.load(folder / "pairs" / name)[patch.item, 0] - scaling[0])
            / (scaling[1] - scaling[0])
            for name in (shard.low["file"], shard.file)
        ]
        wholes += [
            tuple(np.rot90(side[:, ::flip], turn) for side in sides)
            for turn in range(4)
            for flip in (1, -1)
        ]
    for coarse, fine in zip(low[..., 0], high[..., 0], strict=True):
        found = False
        for whole_low, whole_high in wholes:
            windows = np.lib.stride_tricks.sliding_window_view(whole_low, coarse.shape)
            near = np.abs(windows[:, :, 0, 0] - coarse[0, 0]) < 1e-6
            for row, col in zip(*np.nonzero(near), strict=True):
                if np.abs(windows[row, col] - coarse).max() < 1e-5:
                    at = [(n + HALO) * 2 for n in (row, col)]
                    part = whole_high[at[0] : at[0] + 24, at[1] : at[1] + 24]
                    found = found or np.abs(part - fine).max() < 1e-5
        assert found
    (pair, *_) = validation_pairs(held, recipe, 2)
    assert pair.high.shape == (96, 96)
    assert pair.low.shape == (48, 48)
    assert 10 < pair.bicubic < 60


def test_pairs_and_patches_mix_in_a_batch(folder):
    recipe = replace(
        RECIPE, sources=(Source(dataset="pairs"), Source(dataset="set")), batch_size=16
    )
    pool, _ = load_pools(recipe, folder, side=SIDE)
    low, high = draw_batch(pool, recipe, halo=HALO, step=0, upscale_factor=2)
    means = area(high[..., 0], 2)
    exact = np.abs(means - low[:, HALO:-HALO, HALO:-HALO, 0]).max(axis=(1, 2)) < 1e-5
    assert 0 < exact.sum() < 16  # block means are what degraded patches have, and pairs do not


def test_memory_does_not_grow_with_the_set(tmp_path):
    """A set of more than 20 MB is drawn from with less than 8 MB."""
    for i in range(3):
        scene(tmp_path / f"s{i}.tif", i, east=9000 * i, side=1024, dtype="float32", bands=2)
    args = (tmp_path, "--patch", "64", "--split", "0.9", "--max-likeness", "1")
    assert run("dataset", *args, "--out", tmp_path / "set").exit_code == 0
    stored = sum(path.stat().st_size for path in (tmp_path / "set").glob("*.npy"))
    assert stored > 20e6
    recipe = replace(RECIPE, batch_size=16)
    tracemalloc.start()
    pool, _ = load_pools(recipe, tmp_path, side=64)
    for step in range(20):
        draw_batch(pool, recipe, halo=HALO, step=step, upscale_factor=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8e6


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"patch": 48}, InputFileError, "are 80 pixels wide, and the recipe needs 136"),
        ({"sources": (Source(dataset="none"),)}, InputFileError, "no patch set"),
        (
            {"sources": (Source(dataset="pairs"),), "upscale_factor": 3, "patch": 8},
            OptionError,
            "pairs of factor 2, and the recipe is for 3",
        ),
    ],
)
def test_a_set_that_does_not_fit_is_one_sentence(folder, change, error, message):
    recipe = replace(RECIPE, **change)
    side = (recipe.patch + 2 * HALO) * recipe.factors[0]
    with pytest.raises(error, match=message):
        load_pools(recipe, folder, side=side)


def test_a_damaged_set_is_one_sentence(tmp_path):
    scene(tmp_path / "a.tif", 1, side=64)
    args = (tmp_path / "a.tif", "--patch", "32", "--split", "1", "--out", tmp_path / "set")
    assert run("dataset", *args).exit_code == 0
    (shard,) = (tmp_path / "set").glob("*.npy")
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(InputFileError, match=r"is not whole: train-00000\.npy"):
        PatchSet(tmp_path / "set")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "either a glob or a dataset"),
        ('glob = "*"\ndataset = "set"', "either a glob or a dataset"),
        ('dataset = "set"\nreduce = [2]', "reduce or validation"),
    ],
)
def test_a_wrong_source_is_one_sentence(tmp_path, source, message):
    head = 'name = "a"\narchitecture = "geosr-lite"\nupscale_factor = 2\n[[sources]]\n'
    (tmp_path / "r.toml").write_text(f"{head}{source}\n")
    with pytest.raises(OptionError, match=message):
        read_recipe(tmp_path / "r.toml")


def test_degradations_of_a_recipe(tmp_path):
    (tmp_path / "r.toml").write_text(
        'name = "a"\narchitecture = "geosr-lite"\nupscale_factor = 2\n'
        'degradation = ["area", "mtf"]\n[degrade]\nsensor = "sentinel-2"\nsnr = [50, 200]\n'
        '[[sources]]\ndataset = "set"\n'
    )
    recipe = read_recipe(tmp_path / "r.toml")
    assert recipe.degrader.names == ("area", "mtf")
    assert recipe.degrader.snr == (50, 200)
    (tmp_path / "wrong.toml").write_text(
        (tmp_path / "r.toml").read_text().replace("sentinel-2", "sentinel-3")
    )
    with pytest.raises(OptionError, match="no sensor 'sentinel-3'"):
        read_recipe(tmp_path / "wrong.toml")


def test_drawn_degradations_are_repeatable(folder):
    recipe = replace(
        RECIPE, degradation=("area", "mtf", "real"), degrade={"mtf_at_nyquist": [0.15, 0.3]}
    )
    pool, held = load_pools(recipe, folder, side=SIDE)
    one, again = (draw_batch(pool, recipe, halo=HALO, step=5, upscale_factor=2) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    scores = [[pair.bicubic for pair in validation_pairs(held, recipe, 2)] for _ in range(2)]
    assert scores[0] == scores[1]


def test_a_network_trains_on_a_set(folder, tmp_path):
    pytest.importorskip("keras", reason="needs geosr[tensorflow]")
    pytest.importorskip("tf2onnx", reason="needs geosr[tensorflow]")
    (tmp_path / "r.toml").write_text(
        'name = "tiny-x2"\narchitecture = "geosr-lite"\nupscale_factor = 2\nsteps = 3\n'
        "batch_size = 2\npatch = 12\nexpansion = 8\nvalidate_every = 3\n"
        '[[sources]]\ndataset = "set"\nlicence = "CC0"\n[[sources]]\ndataset = "pairs"\n'
    )
    args = (tmp_path / "r.toml", "--data", folder, "--out", tmp_path / "run")
    result = run("train", *args)
    assert result.exit_code == 0, result.output
    card = (tmp_path / "run" / "tiny-x2.json").read_text(encoding="utf-8")
    assert '"set: CC0"' in card
    assert Path(tmp_path / "run" / "tiny-x2.keras").exists()
