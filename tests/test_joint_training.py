"""Training networks that see several bands together; single bands are drawn as ever."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from cli_scenes import run

keras = pytest.importorskip("keras", reason="needs geosr[tensorflow]")
pytest.importorskip("tf2onnx", reason="needs geosr[tensorflow]")

import geosr  # noqa: E402
from geosr.core.catalog import read_card  # noqa: E402
from geosr.core.errors import BandError, OptionError  # noqa: E402
from geosr.degrade import area, mtf  # noqa: E402
from geosr.io.facts import read_facts  # noqa: E402
from geosr.training.dataset.stored import PatchSet  # noqa: E402
from geosr.training.fit import train  # noqa: E402
from geosr.training.head_recipe import head_recipe  # noqa: E402
from geosr.training.history import read_history  # noqa: E402
from geosr.training.patches import draw_batch, load_pools, validation_pairs  # noqa: E402
from geosr.training.recipe import Gan, Recipe, Source, read_recipe  # noqa: E402

BANDS = ("red", "green", "nir")
RECIPE = Recipe(
    name="joint-x2",
    architecture="geosr-lite",
    upscale_factor=2,
    bands=BANDS,
    sources=(Source("s*.tif", bands=(3, 1, 4), validation=("s2.tif",)),),
    degradation="mtf",
    degrade={"mtf_at_nyquist": (0.15, 0.35)},
    steps=4,
    batch_size=2,
    patch=10,
    warmup=1,
    ema=0.5,
    expansion=4,
    validate_every=2,
)
HALO = 10
SIDE = (10 + 2 * HALO) * 2


def write(path, values, **profile):
    count, height, width = values.shape
    shape = {"count": count, "height": height, "width": width, "dtype": values.dtype}
    grid = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}
    with rasterio.open(path, "w", driver="GTiff", **shape, **{**grid, **profile}) as dst:
        dst.write(values)
    return path


def ground(bands: int, seed: int, side: int = 80) -> np.ndarray:
    """Return fields of 5 pixels and some noise; each band is twice as bright as the one before."""
    rng = np.random.default_rng(seed)
    fields = rng.uniform(0, 1, (bands, side // 5, side // 5)).repeat(5, 1).repeat(5, 2)
    levels = 500.0 * 2 ** np.arange(bands)[:, None, None]
    return (levels * (fields + 0.1 * rng.uniform(0, 1, fields.shape) + 1)).astype("uint16")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    for number in range(3):
        write(folder / f"s{number}.tif", ground(4, number))
    return folder


def test_single_bands_are_drawn_as_they_were_before_there_were_joint_ones(tmp_path):
    """The numbers are of the version before: a run that was stopped then goes on the same."""
    rng = np.random.default_rng(5)
    for name, dtype, count in (("a", "uint8", 3), ("b", "uint16", 4)):
        values = rng.integers(0, 250, (count, 20, 20)).repeat(5, 1).repeat(5, 2)
        write(tmp_path / f"{name}.tif", values.astype(dtype))
    recipe = Recipe(
        name="t",
        architecture="geosr-lite",
        upscale_factor=(2, 3),
        sources=(Source("a.tif"), Source("b.tif", weight=2.0)),
        degradation=("area", "mtf"),
        degrade={"mtf_at_nyquist": (0.2, 0.3)},
        batch_size=3,
        patch=6,
    )
    pool, _ = load_pools(recipe, tmp_path, side=78)
    seen = []
    for factor in (2, 3):
        low, high = draw_batch(pool, recipe, halo=10, step=7, upscale_factor=factor)
        assert low.shape == (3, 26, 26, 1)
        assert high.shape == (3, 6 * factor, 6 * factor, 1)
        seen += [*low[:, 5, 5, 0], *high[:, 3, 4, 0], low.mean(), high.mean()]
    two = [0.39179, 0.528112, 0.198381, 0.538153, 0.124498, 0.360324]
    three = [0.518072, 0.38281, 0.526104, 0.409639, 0.490196, 0.915663]
    means = [(1053.126 / 2028, 184.598 / 432), (1048.779 / 2028, 515.832 / 972)]
    np.testing.assert_allclose(seen, [*two, *means[0], *three, *means[1]], atol=2e-6)


def test_cubes_keep_the_ratio_of_their_bands(images):
    pool, held = load_pools(RECIPE, images, side=SIDE)
    assert (len(pool.planes), len(held.planes)) == (2, 1)
    values = ground(4, 0)[[2, 0, 3]].astype("float64")
    low, high = np.percentile(values, (0.1, 99.9), axis=(1, 2))
    expected = (values - low[:, None, None]) / (high - low).max()
    assert pool.planes[0].shape == (3, 80, 80)
    np.testing.assert_allclose(pool.planes[0], expected, atol=1e-5)


def test_8_bit_cubes_are_scaled_by_255_and_reduced(tmp_path):
    values = (ground(3, 1, side=160) / 40).astype("uint8")
    write(tmp_path / "rgn.tif", values)
    recipe = replace(RECIPE, sources=(Source("rgn.tif", reduce=(1, 2)),))
    pool, _ = load_pools(recipe, tmp_path, side=SIDE)
    np.testing.assert_allclose(pool.planes[0], values / 255, atol=1e-6)
    np.testing.assert_allclose(pool.planes[1], area(values / 255, 2), atol=1e-6)


def test_holes_in_any_band_are_cut_off(tmp_path):
    values = ground(3, 1, side=160)
    values[1, :, :30] = 0
    write(tmp_path / "x.tif", values, nodata=0)
    pool, _ = load_pools(replace(RECIPE, sources=(Source("x.tif"),)), tmp_path, side=SIDE)
    assert [plane.shape for plane in pool.planes] == [(3, 160, 130)]


def test_batches_are_cut_turned_and_degraded_together(images):
    recipe = replace(RECIPE, degradation="area", degrade={}, batch_size=8)
    pool, _ = load_pools(recipe, images, side=SIDE)
    low, high = draw_batch(pool, recipe, halo=HALO, step=3, upscale_factor=2)
    assert low.shape == (8, 30, 30, 3)
    assert high.shape == (8, 20, 20, 3)
    core = low[:, HALO:-HALO, HALO:-HALO]
    np.testing.assert_allclose(
        area(np.moveaxis(high, -1, 1), 2), np.moveaxis(core, -1, 1), atol=1e-6
    )
    again, _ = draw_batch(pool, recipe, halo=HALO, step=3, upscale_factor=2)
    other, _ = draw_batch(pool, recipe, halo=HALO, step=4, upscale_factor=2)
    assert np.array_equal(low, again)
    assert not np.array_equal(low, other)


def test_all_bands_of_a_sample_have_one_point_spread(images, monkeypatch):
    drawn = []

    def noted(high, factor, rng=None, *, mtf_at_nyquist):
        drawn.append((high.shape, mtf_at_nyquist))
        return mtf(high, factor, rng, mtf_at_nyquist=mtf_at_nyquist)

    monkeypatch.setattr("geosr.degrade.drawn.mtf", noted)
    pool, _ = load_pools(RECIPE, images, side=SIDE)
    draw_batch(pool, RECIPE, halo=HALO, step=0, upscale_factor=2)
    assert [shape for shape, _ in drawn] == [(3, 60, 60)] * 2
    assert len({transfer for _, transfer in drawn}) == 2


def test_validation_scores_all_bands_at_once(images):
    _, held = load_pools(RECIPE, images, side=SIDE)
    (pair,) = validation_pairs(held, RECIPE, 2)
    assert pair.low.shape == (3, 40, 40)
    assert pair.high.shape == (3, 80, 80)
    assert 10 < pair.bicubic < 60


def test_patch_sets_give_cubes(tmp_path):
    paths = [write(tmp_path / f"p{i}.tif", ground(4, i, side=160)) for i in range(2)]
    for number, path in enumerate(paths):
        with rasterio.open(path, "r+") as dst:
            dst.transform = rasterio.Affine(10, 0, 5e5 + 5e4 * number, 0, -10, 5e6)
    args = ("--patch", "80", "--split", "0.5", "--out", tmp_path / "set")
    assert run("dataset", *paths, *args).exit_code == 0
    recipe = replace(RECIPE, sources=(Source(dataset="set", bands=(3, 1, 4)),))
    pool, held = load_pools(recipe, tmp_path, side=SIDE)
    stored = PatchSet(tmp_path / "set")
    assert len(pool.planes) == stored.index.count("train")
    assert len(held.planes) == stored.index.count("validation")
    patch = next(p for p in stored.index.patches if stored.index.shards[p.shard].part == "train")
    values = np.load(tmp_path / "set" / stored.index.shards[patch.shard].file)[patch.item]
    scaling = np.array(stored.index.sources[patch.source].scaling)[[2, 0, 3]]
    span = np.ptp(scaling, axis=1).max()
    expected = (values[[2, 0, 3]] - scaling[:, :1, None]) / span
    np.testing.assert_allclose(pool.planes[0][..., 5:40, 7:50], expected[:, 5:40, 7:50], atol=1e-5)
    low, _ = draw_batch(pool, recipe, halo=HALO, step=0, upscale_factor=2)
    assert low.shape == (2, 30, 30, 3)
    with pytest.raises(BandError, match="has 4 bands, and the recipe takes red, green, nir"):
        load_pools(
            replace(recipe, sources=(Source(dataset="set", bands=(3, 1, 5)),)), tmp_path, side=SIDE
        )


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    return train(RECIPE, images, out)


def test_a_run_leaves_a_card_that_names_its_bands_and_weights_that_run(images, trained, tmp_path):
    facts = read_card(str(trained))
    assert (facts.name, facts.bands, facts.band_names, facts.radius) == ("joint-x2", 3, BANDS, 10)
    assert set(facts.sha256) == {"keras", "onnx"}
    assert [row.step for row in read_history(trained.parent)] == [2, 4]
    report = geosr.upscale_file(
        images / "s0.tif", tmp_path / "out.tif", model=str(trained), indexes=(3, 1, 4)
    )
    assert report.stats["consistency_error"] == 0
    with rasterio.open(tmp_path / "out.tif") as dst:
        assert (dst.count, dst.shape) == (3, (160, 160))


def test_a_stopped_run_goes_on_the_same(images, trained, tmp_path):
    class StopError(Exception):
        pass

    def stop(event):
        if event["event"] == "progress" and event["done"] == 3:
            raise StopError

    with pytest.raises(StopError):
        train(RECIPE, images, tmp_path, on_event=stop)
    card = train(RECIPE, images, tmp_path)
    ours, theirs = (
        keras.saving.load_model(path.with_suffix(".keras")).get_weights()
        for path in (card, trained)
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_joint_network_starts_from_one_of_single_bands(images, trained, tmp_path):
    """For two factors, whose trunk is one."""
    single = replace(RECIPE, name="one-x2", bands=(), steps=1, sources=(Source("s*.tif"),))
    train(single, images, tmp_path / "one")
    donor = keras.saving.load_model(tmp_path / "one" / "training_form.keras")
    recipe = replace(
        RECIPE,
        name="both",
        upscale_factor=(2, 3),
        patch=6,
        steps=1,
        learning_rate=1e-12,
        precision="mixed_bfloat16",
        initial=str(tmp_path / "one" / "training_form.keras"),
    )
    train(recipe, images, tmp_path / "both")
    for factor in (2, 3):
        started = keras.saving.load_model(tmp_path / "both" / f"training_form-x{factor}.keras")
        for name in ("conv0", "conv1", "conv4"):
            for a, b in zip(
                started.get_layer(name).get_weights(),
                donor.get_layer(name).get_weights(),
                strict=True,
            ):
                np.testing.assert_allclose(a, b, atol=1e-6)
        assert read_card(str(tmp_path / "both" / f"both-x{factor}.json")).band_names == BANDS


def test_joint_networks_train_against_a_discriminator(images, tmp_path):
    recipe = replace(
        RECIPE,
        steps=2,
        patch=8,
        losses={"charbonnier": 1.0, "sam": 0.1, "adversarial": {"weight": 0.01}},
        gan=Gan(filters=4, pause_above=1.0),
    )
    card = train(recipe, images, tmp_path)
    assert read_card(str(card)).bands == 3
    assert list((tmp_path / "samples").glob("*.png"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bands": ("nir",)}, r"bands = \['nir'\]"),
        ({"bands": ("red", "red", "nir")}, "Name two or more different bands"),
        ({"bands": (1, 2, 3)}, "Name two or more different bands"),
        ({"bands": ("red", "nir")}, r"says bands = \[3, 1, 4\], and the network sees red, nir tog"),
        ({"bands": ()}, "the network sees each band by itself"),
        ({"sources": (Source("s*.tif", bands=(0, 1, 2)),)}, "The recipe's source s"),
        ({"sources": (Source("s*.tif", bands=(1, 1, 2)),)}, "from 1, or leave bands out"),
    ],
)
def test_bands_that_do_not_fit_are_one_sentence(changes, message):
    with pytest.raises(OptionError, match=message) as caught:
        replace(RECIPE, **changes)
    assert caught.value.hint


def test_files_and_networks_that_do_not_fit_are_one_sentence(images, tmp_path):
    recipe = replace(RECIPE, sources=(Source("s0.tif", bands=(3, 1, 7)),))
    with pytest.raises(BandError, match=r"s0\.tif has 4 bands, and the recipe takes red, green"):
        load_pools(recipe, images, side=SIDE)
    with pytest.raises(OptionError, match="espcn takes each band by itself, not 3 together"):
        train(replace(RECIPE, architecture="espcn"), images, tmp_path)
    with pytest.raises(OptionError, match="both `of` and 'bands'"):
        head_recipe({"of": "geosr-lite-x2", "name": "h", "bands": ["red", "nir"]})


def test_the_recipe_of_geosr_rgbn_reads_its_files_in_its_order():
    recipe = read_recipe("recipes/geosr-rgbn-x4.toml")
    assert recipe.bands == ("red", "green", "blue", "nir")
    assert recipe.name_of(4) == "geosr-rgbn-x4"
    numbers = {(source.name.split("/")[1][:2], source.bands) for source in recipe.sources}
    assert numbers == {("s2", (3, 2, 1, 4)), ("l8", (3, 2, 1, 4)), ("na", ())}


def test_the_files_of_geosr_rgbn_describe_those_bands(data_dir):
    wanted = [("B04", "B4"), ("B03", "B3"), ("B02", "B2"), ("B08", "B5")]
    for source in read_recipe("recipes/geosr-rgbn-x4.toml").sources:
        (path,) = (data_dir / "train").glob(source.glob)
        facts = read_facts(str(path))
        if not source.bands:
            assert facts.count == 4
            continue
        found = [facts.metadata.descriptions[n - 1] for n in source.bands]
        assert all(text in words for text, words in zip(found, wanted, strict=True))
