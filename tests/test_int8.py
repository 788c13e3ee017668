"""int8: any unit, any tile size, any number of workers; and what cannot run it is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import rasterio

import geosr
from geosr.contrast import contrasts, sample_windows
from geosr.core.catalog import WEIGHTS_DIR, find_model, shipped_models
from geosr.core.errors import ModelFileError, OptionError
from geosr.core.facts import kernel_facts
from geosr.core.options import UpscaleOptions
from geosr.io.facts import read_facts
from geosr.planning import plan_run
from geosr.predictors import Machinery, load_predictor, settle
from geosr.radiometry import high_pass

SHIPPED = [facts for facts in shipped_models() if "int8" in facts.files]
CPU = Machinery("openvino", "cpu", "int8", 2)


def picture(shape, seed=0, bands=1):
    """Return blobs and edges with noise, ``(bands, height, width)`` around 1000."""
    rng = np.random.default_rng(seed)
    blocks = rng.uniform(500, 1500, (bands, -(-shape[0] // 7), -(-shape[1] // 7)))
    x = blocks.repeat(7, axis=1).repeat(7, axis=2)[:, : shape[0], : shape[1]]
    return (x + rng.normal(0, 20, x.shape)).astype("float32")


def write(path, x, **profile):
    transform = rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)
    bands, height, width = x.shape
    shape = {"count": bands, "height": height, "width": width, "dtype": x.dtype}
    with rasterio.open(
        path, "w", driver="GTiff", crs="EPSG:32632", transform=transform, **shape, **profile
    ) as dst:
        dst.write(x)
    return str(path)


def pixels(path):
    with rasterio.open(path) as src:
        return src.read()


def upscaled(src, dst, **options):
    geosr.upscale_file(src, dst, upscale_factor=2, precision="int8", overwrite=True, **options)
    return pixels(dst)


@pytest.mark.skipif(not SHIPPED, reason="no int8 weights are shipped")
class TestRuns:
    def test_powers_of_two_scale_the_output_to_the_bit(self, tmp_path):
        x = picture((90, 80), bands=2)
        plain = upscaled(write(tmp_path / "a.tif", x), tmp_path / "a2.tif")
        for factor in (2.0**-13, 2.0**9):
            scaled = upscaled(write(tmp_path / "b.tif", x * factor), tmp_path / "b2.tif")
            assert np.array_equal(scaled, plain * factor)

    def test_bands_of_other_units_do_not_disturb_each_other(self, tmp_path):
        x = picture((70, 80), bands=2)
        alone = upscaled(write(tmp_path / "a.tif", x[:1]), tmp_path / "a2.tif")
        x[1] *= 10_000
        both = upscaled(write(tmp_path / "b.tif", x), tmp_path / "b2.tif")
        assert np.array_equal(both[0], alone[0])

    def test_other_units_differ_by_no_more_than_int8_does(self, tmp_path):
        x = picture((90, 80))
        exact = tmp_path / "exact.tif"
        src = write(tmp_path / "a.tif", x)
        geosr.upscale_file(src, exact, upscale_factor=2, precision="float32")
        one = upscaled(src, tmp_path / "a2.tif")
        other = upscaled(write(tmp_path / "b.tif", x / 3000), tmp_path / "b2.tif") * 3000
        off = [np.sqrt(np.mean((y - pixels(exact)) ** 2)) for y in (one, other)]
        assert min(off) > 0
        assert max(off) < 0.1 * x.std()

    def test_tiles_parts_and_threads_change_nothing(self, tmp_path):
        x = picture((150, 130)).astype("uint16")
        src = write(tmp_path / "a.tif", x)
        whole = upscaled(src, tmp_path / "whole.tif", threads=1)
        for number, (size, threads) in enumerate(((33, 2), (64, 1), (128, 2))):
            path = tmp_path / f"{number}.tif"
            assert np.array_equal(upscaled(src, path, tile_size=size, threads=threads), whole)
        bounds = (500_300, 4_999_000, 500_900, 4_999_700)
        part = upscaled(src, tmp_path / "part.tif", bounds=bounds)
        assert np.array_equal(part, whole[:, 60:200, 60:180])

    def test_workers_agree_with_one_process(self, tmp_path):
        pytest.importorskip("distributed", reason="needs geosr[distributed]")
        src = write(tmp_path / "a.tif", picture((60, 60)).astype("uint16"))
        here, there = tmp_path / "here.tif", tmp_path / "there.tif"
        upscaled(src, here)
        upscaled(src, there, workers=1)
        assert here.read_bytes() == there.read_bytes()

    def test_the_contrast_is_part_of_what_decides_the_bytes(self, tmp_path):
        from geosr.outputs import output_of

        src = write(tmp_path / "a.tif", picture((40, 40)))
        plan = plan_run(src, UpscaleOptions(precision="int8"), processors=1)
        assert plan.work.contrasts == contrasts(read_facts(src), (1,))
        other = replace(plan, work=replace(plan.work, contrasts=(1.0,)))
        identities = [output_of(p, str(tmp_path / "out.tif")).identity for p in (plan, other)]
        assert identities[0] != identities[1]

    def test_no_detail_gives_no_detail(self, tmp_path):
        src = write(tmp_path / "a.tif", np.full((1, 40, 40), 700.5, "float32"))
        assert (upscaled(src, tmp_path / "b.tif") == 700.5).all()

    @pytest.mark.parametrize("facts", SHIPPED, ids=lambda facts: facts.name)
    def test_near_the_float_network_and_no_tile_shows(self, facts):
        exact = load_predictor(facts, replace(CPU, precision="float32"))
        quick = load_predictor(facts, CPU)
        x = picture((120, 131), bands=facts.bands) / 256
        a, b = exact.predict(x), quick.predict(x)
        # One that invents detail puts twice as much of it into noise, and is off by as much more.
        share = 0.2 if "vivid" in facts.name else 0.1
        assert 0 < np.sqrt(np.mean((a - b) ** 2)) < share * x.std()
        for h, w in ((20, 50), (1, 1), (70, 13)):
            height, width = h + 2 * facts.radius, w + 2 * facts.radius
            part = quick.predict(x[:, 5 : 5 + height, 9 : 9 + width])
            assert np.array_equal(part, b[:, :, 5 : 5 + h, 9 : 9 + w])

    @pytest.mark.parametrize("facts", SHIPPED, ids=lambda facts: facts.name)
    def test_the_card_says_what_it_costs(self, facts):
        assert facts.int8_error is not None
        assert facts.scores["int8_loss_db"] <= 0.1

    def test_changed_weights_are_refused(self, tmp_path):
        facts = find_model("geosr-lite-x2")
        for path in WEIGHTS_DIR.glob("geosr-lite-x2.int8.*"):
            shutil.copy(path, tmp_path)
        weights = tmp_path / facts.files["int8_bin"]
        weights.write_bytes(weights.read_bytes()[:-1] + b"x")
        with pytest.raises(ModelFileError, match="is not the file that its card describes"):
            load_predictor(facts, CPU, folder=tmp_path)

    def test_never_by_auto(self):
        machinery = settle(find_model("geosr-lite-x2"), UpscaleOptions(), processors=1)
        assert machinery.precision != "int8"


def test_bands_seen_together_have_one_contrast(tmp_path):
    x = picture((60, 60), bands=3)
    x[1] *= 8
    facts = read_facts(write(tmp_path / "a.tif", x))
    apart = contrasts(facts, (1, 2, 3))
    assert apart[1] == 8 * apart[0]
    assert contrasts(facts, (1, 2, 3), together=True) == (apart[1],) * 3
    flat = write(tmp_path / "c.tif", np.concatenate([x / 2**20, np.full_like(x[:1], 7)]))
    small = contrasts(read_facts(flat), (1, 2, 3, 4), together=True)
    assert small == (apart[1] / 2**20,) * 4  # a band without detail does not count
    alpha = write(tmp_path / "b.tif", np.concatenate([x, x[:1] * 1000]))
    with rasterio.open(alpha, "r+") as dst:
        dst.colorinterp = (*dst.colorinterp[:3], rasterio.enums.ColorInterp.alpha)
    with_alpha = contrasts(read_facts(alpha), (1, 2, 3, 4), together=True)
    assert with_alpha == (*(apart[1],) * 3, 1.0)


def test_contrasts_follow_units_and_pass_over_holes(tmp_path):
    x = picture((60, 60), bands=2)
    x[1] /= 1024
    plain = contrasts(read_facts(write(tmp_path / "a.tif", x)), (1, 2))
    assert plain[0] == 1024 * plain[1]
    spread = np.abs(high_pass(x[:1])).max()
    assert spread / 4 < plain[0] < 2 * spread
    x[:, 20:30, 20:30] = np.nan
    holed = contrasts(read_facts(write(tmp_path / "b.tif", x, nodata=np.nan)), (1, 2))
    assert holed == plain


def test_contrast_of_nothing_is_one(tmp_path):
    facts = read_facts(write(tmp_path / "a.tif", np.full((1, 1, 3), np.nan, "float32")))
    assert contrasts(facts, (1,)) == (1.0,)


@pytest.mark.parametrize("shape", [(1, 1), (300, 7), (640, 641), (5000, 129)])
def test_samples_lie_inside_and_cover_small_rasters(shape):
    hits = np.zeros(shape, int)
    windows = list(sample_windows(shape))
    for window in windows:
        assert window.height * window.width == hits[window.slices].size
        hits[window.slices] += 1
    assert hits.max() == 1
    assert windows == list(sample_windows(shape))
    if max(shape) <= 640:
        assert hits.min() == 1


@pytest.mark.parametrize(
    ("facts", "options", "message"),
    [
        (find_model("geosr-lite-x8"), {}, "geosr-lite-x8 has no int8 weights"),
        (find_model("geosr-lite-x2"), {"runtime": "tensorflow"}, "not with tensorflow"),
        (kernel_facts("bicubic", 2), {}, "bicubic has no network"),
    ],
)
def test_what_cannot_run_it_says_so(facts, options, message):
    if options:
        pytest.importorskip("tensorflow", reason="needs geosr[tensorflow]")
    with pytest.raises(OptionError, match=message):
        settle(facts, UpscaleOptions(precision="int8", **options), processors=1)


def test_arrays_and_networks_without_a_card_are_refused(tmp_path):
    xarray = pytest.importorskip("xarray")
    from foreign_networks import nearest

    raster = xarray.DataArray(picture((20, 20)), dims=("band", "y", "x"))
    with pytest.raises(OptionError, match="int8 does not apply to arrays"):
        geosr.upscale(raster, precision="int8")
    src = write(tmp_path / "a.tif", picture((20, 20)))
    net = tmp_path / "net.onnx"
    nearest(net, bands=1)
    with pytest.raises(OptionError, match="has no card"):
        geosr.upscale_file(src, tmp_path / "b.tif", model=str(net), precision="int8")
