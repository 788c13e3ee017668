"""Cross-sensor pairs: shifts and gains are found again, and what does not fit is dropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from cli_scenes import run
from dataset_scenes import ground, write
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from geosr.degrade import area, mtf
from geosr.training.dataset.index import read_index
from geosr.training.dataset.radiometry import correlation, robust_fit
from geosr.training.dataset.register import resampled, shift_between

FINE = 4  # the truth is made at four times the high resolution, so that it can be shifted


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shifted(image, rows, cols):
    """Move a periodic picture by any amount, exactly, by its Fourier series."""
    height, width = image.shape[-2:]
    phase = np.fft.fftfreq(height)[:, None] * rows + np.fft.fftfreq(width) * cols
    return np.fft.ifft2(np.fft.fft2(image) * np.exp(-2j * np.pi * phase)).real


def smooth(seed, shape=(128, 160)):
    rng = np.random.default_rng(seed)
    return ndimage.gaussian_filter(rng.standard_normal(shape), 1.2, mode="wrap")


def sensors(*, s=2, shift=(0.0, 0.0), gain=1.0, offset=0.0, seed=0, side=192, bands=1, noise=0.0):
    """Return what two sensors see: the high one's ground lies ``shift`` of its pixels off."""
    truth = ground((side * FINE, side * FINE), seed, bands=bands)
    truth = ndimage.gaussian_filter(truth, (0, 3, 3), mode="wrap")
    high = area(shifted(truth, *(-n * FINE for n in shift)), FINE)
    low = gain * mtf(area(truth, FINE), s, mtf_at_nyquist=0.3) + offset
    rng = np.random.default_rng(seed)
    return low + noise * rng.standard_normal(low.shape), high


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.4), (3.27, -5.61), (-20.5, 11.25)])
def test_shift_of_one_picture_is_found_to_some_hundredths(shift):
    image = smooth(1)
    assert shift_between(image, shifted(image, *(-n for n in shift))) == pytest.approx(
        shift, abs=0.05
    )


def test_shift_is_that_of_scikit_image():
    image = smooth(2)
    moved = (
        7
        - 3 * shifted(image, 2.4, -3.7)
        + 0.02 * np.random.default_rng(0).standard_normal(image.shape)
    )
    theirs, *_ = phase_cross_correlation(image, -moved, upsample_factor=100)
    assert shift_between(image, -moved) == pytest.approx(tuple(theirs), abs=0.05)


@given(rows=st.floats(-3, 3), cols=st.floats(-3, 3))
@settings(max_examples=20)
def test_resampling_is_the_shift_it_says(rows, cols):
    image = ndimage.gaussian_filter(smooth(3), 2, mode="wrap")
    expected = shifted(image, rows, cols)[10:-10, 10:-10]
    places = [np.arange(10, n - 10) - by for n, by in zip(image.shape, (rows, cols), strict=True)]
    assert np.abs(resampled(image, *places) - expected).max() < 0.03 * image.std()


def test_whole_pixels_stay_as_they_are():
    image = smooth(4)
    assert (resampled(image, np.arange(5.0, 20), np.arange(7.0, 30)) == image[5:20, 7:30]).all()


def test_robust_line_does_not_mind_outliers():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 100, 2000)
    y = 3.5 * x - 20 + rng.normal(0, 2, 2000)
    y[:300] += rng.uniform(200, 900, 300)  # clouds
    gain, offset = robust_fit(x[None], y)
    assert gain == pytest.approx(3.5, abs=0.03)
    assert offset == pytest.approx(-20, abs=1.5)
    plain = np.polyfit(x, y, 1)
    assert abs(plain[1] + 20) > 20


def test_correlation_is_numpy_s():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (2, 2, 9, 9))
    expected = np.mean([np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in zip(a, b, strict=True)])
    assert correlation(a, b) == pytest.approx(expected)
    assert correlation(np.ones((1, 4, 4)), a[:1, :4, :4]) == 0


def store(low, high, *, s=2, low_form=None, high_form=None):
    write("low.tif", low.astype("float32"), pixel=10.0, **(low_form or {}))
    write("high.tif", high.astype("float32"), pixel=10.0 / s, **(high_form or {}))


def make(*args, status=0):
    result = run("dataset", "--pairs", "low.tif", "high.tif", "--split", "1", "--out", "out", *args)
    assert result.exit_code == status, result.output
    return result


@pytest.mark.parametrize("s", [2, 3, 4])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.4, -0.7), (-2.3, 3.1)])
def test_shift_and_gain_of_a_pair_are_found(s, shift):
    side = 64 * max(s, 3)
    low, high = sensors(s=s, shift=shift, gain=2.5, offset=40, side=side, noise=0.01)
    store(low, high, s=s)
    make("--patch", str(12 * s), "--max-likeness", "1", "--min-sharpness", "0")
    index = read_index(Path("out"))
    matching = index.sources[0].low
    assert index.upscale_factor == s
    assert matching["shift"] == pytest.approx(shift, abs=0.1)
    assert matching["gains"] == pytest.approx([2.5], rel=0.06)
    assert matching["offsets"] == pytest.approx([40], abs=0.1)
    inner = [p for p in index.patches if min(p.window[:2]) > 0]
    assert len(inner) > 4
    for patch in inner:
        shard = index.shards[patch.shard]
        row, col, height, width = patch.window
        coarse = np.load(Path("out") / shard.low["file"])[patch.item]
        fine = np.load(Path("out") / shard.file)[patch.item]
        # The low side is the sensor's own; the high one's means are those of its pixels.
        assert (coarse == low[:, row : row + height, col : col + width].astype("f4")).all()
        assert fine.shape == (1, height * s, width * s)
        assert patch.correlation > 0.9
        means = area(fine.astype(float), s)
        # Pixel by pixel they differ by their sharpness; over some pixels they agree.
        assert np.abs(area(means - coarse, 4)).mean() < 0.1 * coarse.std()


def test_offset_of_the_grids_is_known_from_their_transforms():
    """The high raster begins elsewhere, by no whole number of pixels: no shift is left."""
    low, high = sensors(s=2, side=192)
    store(
        low,
        high[:, 13:, 6:],
        high_form={"transform": Affine(5, 0, 500_030, 0, -5, 5e6 - 65)},
    )
    make("--patch", "24", "--max-likeness", "1", "--min-sharpness", "0")
    index = read_index(Path("out"))
    assert index.sources[0].low["shift"] == pytest.approx((0, 0), abs=0.1)
    assert min(patch.correlation for patch in index.patches) > 0.95


def test_a_panchromatic_band_goes_with_a_mixture_of_the_others():
    low, high = sensors(s=4, bands=3, side=192)
    pan = np.tensordot([0.2, 0.5, 0.3], high, axes=1)[None]
    store(low, pan, s=4)
    make("--patch", "48", "--max-likeness", "1", "--min-sharpness", "0")
    source = read_index(Path("out")).sources[0]
    *weights, _ = source.low["mixing"]
    assert weights == pytest.approx([0.2, 0.5, 0.3], abs=0.1)
    assert source.bands == (1,)
    assert source.low["bands"] == [1, 2, 3]


def test_misfits_are_dropped_and_counted():
    low, high = sensors(s=2, side=192)
    low[:, :24, :48] = ground((24, 48), 99)  # here a field was ploughed
    store(low, high)
    result = make("--patch", "48", "--max-likeness", "1", "--min-sharpness", "0")
    assert "2 misfits" in result.stdout
    windows = {patch.window[:2] for patch in read_index(Path("out")).patches}
    assert len(windows) == 14
    assert not windows & {(0, 0), (0, 24)}


def test_holes_of_either_side_are_left_out():
    low, high = sensors(s=2, side=192)
    low[0, 30, 30] = high[0, 120, 20] = -1
    store(low, high, low_form={"nodata": -1}, high_form={"nodata": -1})
    result = make("--patch", "48", "--max-likeness", "1", "--min-sharpness", "0")
    assert "2 holes" in result.stdout


def test_a_list_of_pairs(here):
    for i in range(2):
        low, high = sensors(s=2, side=96, seed=i)
        place = {"origin": (500_000.0 + 90_000 * i, 5e6)}
        (here / f"p{i}").mkdir()
        write(f"p{i}/low.tif", low.astype("float32"), pixel=10.0, **place)
        write(f"p{i}/high.tif", high.astype("float32"), pixel=5.0, **place)
    Path("list.csv").write_text("low,high\np0/low.tif, p0/high.tif\np1/low.tif,p1/high.tif\n")
    args = ("--pairs-csv", "list.csv", "--patch", "32", "--split", "0.5", "--out", "out")
    result = run("dataset", *args, "--min-sharpness", "0")
    assert result.exit_code == 0, result.output
    index = read_index(Path("out"))
    assert [source.scene for source in index.sources] == [0, 1]
    assert {source.part for source in index.sources} == {"train", "validation"}


@pytest.mark.parametrize(
    ("forms", "status", "message"),
    [
        ({"pixel": 4.0}, 1, "is 2.5 pixels of high.tif wide"),
        ({"pixel": 10.0}, 1, "is 1 pixels of high.tif wide"),
        ({"pixel": 5.0, "crs": "EPSG:32634"}, 1, "not in the same CRS"),
        ({"pixel": 5.0, "bands": 3}, 2, "low.tif has 2 bands and high.tif has 3"),
        ({"pixel": 5.0, "origin": (900_000.0, 5e6)}, 1, "no room for a patch"),
        ({"pixel": 5.0, "negative": True}, 1, "do not show the same"),
    ],
)
def test_pairs_that_are_none_are_one_sentence(forms, status, message):
    low, high = sensors(s=2, side=96, bands=2)
    bands, negative = forms.pop("bands", 2), forms.pop("negative", False)
    high = np.concatenate([high, high[:1]])[:bands]
    write("low.tif", low.astype("float32"), pixel=10.0)
    write("high.tif", (-high if negative else high).astype("float32"), **forms)
    result = make("--patch", "32", status=status)
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not Path("out").exists()


def test_pairs_of_different_factors(here):
    for name, s in (("a", 2), ("b", 3)):
        low, high = sensors(s=s, side=144)
        write(f"{name}_low.tif", low.astype("float32"), pixel=10.0)
        write(f"{name}_high.tif", high.astype("float32"), pixel=10.0 / s)
    pairs = ("--pairs", "a_low.tif", "a_high.tif", "--pairs", "b_low.tif", "b_high.tif")
    args = ("dataset", *pairs, "--patch", "48", "--out", "out", "--split", "1")
    result = run(*args)
    assert result.exit_code == 2
    assert "of factor 2" in result.stderr
    result = run(*args, "--factor", "3", "--min-sharpness", "0")
    assert result.exit_code == 1  # the other pair is named and left out
    assert "a pair of factor 2, not 3" in result.stderr
    assert read_index(Path("out")).upscale_factor == 3


@pytest.mark.parametrize(
    ("low", "high", "factor"),
    [
        ("eval/pairs/sentinel2_b432_byte_of_ngi.tif", "eval/pairs/ngi_aerial_5m_rgb.tif", 2),
        (
            "train/pairs/spacenet_rotterdam1_ms2m_u16.tif",
            "train/pairs/spacenet_rotterdam1_pan05m_u16.tif",
            4,
        ),
    ],
)
def test_real_sensors(data_dir, low, high, factor):
    """Two sensors of one satellite, and a satellite and an aeroplane, agree within two pixels."""
    paths = [data_dir / low, data_dir / high]
    if not all(path.exists() for path in paths):
        pytest.skip("the pair is not here")
    args = ("--pairs", *paths, "--patch", "96", "--split", "1", "--out", "out")
    result = run("dataset", *args)
    assert result.exit_code == 0, result.output
    index = read_index(Path("out"))
    assert index.upscale_factor == factor
    assert len(index.patches) >= 20
    assert np.abs(index.sources[0].low["shift"]).max() < 2
    assert np.median([patch.correlation for patch in index.patches]) > 0.8
