"""What an evaluation does, without its command: grids, crops, samples, scores, means."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from evaluation_scenes import photo, satellite, scenery, write
from rasterio.warp import Resampling, reproject
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import geosr
from geosr.core.errors import CancelledError, GeosrError, InputFileError, OptionError
from geosr.core.events import no_events
from geosr.core.geometry import Window
from geosr.degrade import DEGRADATIONS
from geosr.evaluation.crops import choose_crops
from geosr.evaluation.methods import common_factor
from geosr.evaluation.overlap import GridError, lay
from geosr.evaluation.pairs import pair_entries
from geosr.evaluation.pictures import BUDGET, scene_pictures
from geosr.evaluation.protocol import BASELINES, Protocol
from geosr.evaluation.run import evaluate
from geosr.evaluation.samples import folder_entries, scene_entries
from geosr.evaluation.scoring import Score
from geosr.evaluation.summary import summarise
from geosr.io.facts import read_facts
from geosr.io.raster import RasterReader
from geosr.metrics import ergas, luma, sam

X2 = Protocol(models=("geosr-lite-x2",))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Go to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scored(folder, protocol=X2, **options):
    entries = folder_entries(Path(folder), protocol)
    return evaluate(
        entries, protocol, title="t", kind="folder", **{"on_event": no_events, **options}
    )


def rows(evaluation, band="all"):
    return {(s.image, s.method): s for s in evaluation.scores if s.band == band}


# Grids


def facts(name, *, shape=(20, 30), **options):
    return read_facts(write(name, np.zeros((1, *shape), np.uint8), **options))


def test_grids_on_one_footprint(place):
    coarse = facts("a.tif")
    fine = facts("b.tif", shape=(60, 90), pixel=10 / 3)
    found = lay(coarse, fine)
    assert (found.factor, found.coarse, found.fine) == (
        3,
        Window(0, 0, 20, 30),
        Window(0, 0, 60, 90),
    )
    assert lay(coarse, coarse).factor == 1


def test_grids_that_overlap_in_part(place):
    coarse = facts("a.tif")
    # Its corner lies 2.5 coarse pixels right of and 1 below the coarse one's.
    fine = facts("b.tif", shape=(24, 25), pixel=5.0, origin=(500025.0, 4999990.0))
    found = lay(coarse, fine)
    assert found.coarse == Window(1, 3, 12, 12)
    assert found.fine == Window(0, 1, 24, 24)
    # Both windows cover the same ground.
    assert coarse.grid.crop(found.coarse).bounds == fine.grid.crop(found.fine).bounds


def test_the_middle_of_a_footprint_is_one_as_well(place):
    coarse, fine = facts("a.tif"), facts("b.tif", shape=(60, 90), pixel=10 / 3)
    found = lay(coarse, fine).middle(32)
    assert (found.coarse.shape, found.fine.shape) == ((10, 10), (30, 30))
    ground = [g.crop(w).bounds for g, w in ((coarse.grid, found.coarse), (fine.grid, found.fine))]
    assert ground[0] == pytest.approx(ground[1])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"pixel": 4.0, "shape": (50, 75)}, "different grids: their pixels measure 10 and 4"),
        ({"pixel": 5.0, "origin": (500001.5, 5000000.0)}, "shifted against each other by 0.30"),
        ({"pixel": 5.0, "crs": "EPSG:32633"}, "different coordinate systems"),
        ({"pixel": 5.0, "origin": (600000.0, 5000000.0)}, "no pixel in common"),
        ({"pixel": 20.0}, "1 or more of the second"),
        ({"pixel": None}, "has no georeferencing"),
    ],
)
def test_grids_that_do_not_fit(place, other, message):
    with pytest.raises(GridError, match=message) as caught:
        lay(facts("a.tif"), facts("b.tif", **other))
    assert caught.value.hint
    assert caught.value.exit_status == 1


def test_grids_without_a_place_go_by_their_shapes(place):
    coarse = facts("a.tif", pixel=None)
    assert lay(coarse, facts("b.tif", pixel=None, shape=(80, 120))).factor == 4
    with pytest.raises(GridError, match="no whole multiple"):
        lay(coarse, facts("c.tif", pixel=None, shape=(80, 118)))


# Crops


class CountingReader(RasterReader):
    """Counts the pixels that are read."""

    pixels = 0

    def read(self, window):
        self.pixels += window.height * window.width
        return super().read(window)


def reader_of(path):
    found = read_facts(path)
    return CountingReader(found, (), Window(0, 0, *found.grid.shape))


def test_crops_are_seeded_whole_and_apart(place):
    satellite("s.tif", shape=(700, 900), bands=1, hole=(slice(0, 300), slice(0, 300)))
    with reader_of("s.tif") as reader:
        crops = choose_crops(reader, "s.tif", count=5, side=100, seed=1)
        assert crops == choose_crops(reader, "s.tif", count=5, side=100, seed=1)
        assert crops != choose_crops(reader, "s.tif", count=5, side=100, seed=2)
        assert all(reader.read(crop)[1] is None for crop in crops)
    covered = np.zeros((700, 900), int)
    for crop in crops:
        covered[crop.slices] += 1
    assert covered.max() == 1
    assert covered.sum() == 5 * 100 * 100


def test_crops_read_little_of_a_large_scene(place):
    shape = {"count": 1, "height": 10_980, "width": 10_980, "dtype": "uint8", "sparse_ok": True}
    shape["transform"] = rasterio.Affine(10, 0, 0, 0, -10, 0)
    with rasterio.open("s.tif", "w", driver="GTiff", tiled=True, **shape):
        pass
    with reader_of("s.tif") as reader:
        assert len(choose_crops(reader, "s.tif", count=4, side=None, seed=0)) == 4
        assert reader.pixels == 4 * 512 * 512


def test_a_small_scene_is_cut_into_enough_crops(place):
    satellite("s.tif", shape=(300, 340), bands=1)
    with reader_of("s.tif") as reader:
        crops = choose_crops(reader, "s.tif", count=16, side=None, seed=0)
    assert len(crops) >= 12
    assert {crop.shape for crop in crops} == {(79, 79)}


def test_one_crop_of_a_small_scene_is_as_large_as_it_can_be(place):
    satellite("s.tif", shape=(237, 283), bands=1)
    with reader_of("s.tif") as reader:
        (crop,) = choose_crops(reader, "s.tif", count=1, side=None, seed=0)
    assert crop == Window(0, 23, 237, 237)


def test_scenes_without_any_crop(place):
    satellite("s.tif", shape=(130, 130), bands=1, hole=(slice(60, 70), slice(0, 130)))
    with reader_of("s.tif") as reader:
        with pytest.raises(GeosrError, match="free of nodata; 1 of 1 were tried"):
            choose_crops(reader, "s.tif", count=4, side=128, seed=0)
        with pytest.raises(GeosrError, match="smaller than one crop of 200"):
            choose_crops(reader, "s.tif", count=4, side=200, seed=0)


# Samples


def test_the_low_resolution_is_the_rounded_degradation(place):
    image = photo("a.tif", shape=(73, 80))
    sample = folder_entries(place, X2)[0].load(2)
    expected = image[:, :72].reshape(3, 36, 2, 40, 2).mean(axis=(2, 4))
    assert sample.low.dtype == np.uint8
    np.testing.assert_array_equal(sample.low, np.floor(expected + 0.5))
    np.testing.assert_array_equal(sample.truth, image[:, :72])
    assert sample.valid is None


@pytest.mark.parametrize("name", sorted(DEGRADATIONS))
def test_every_degradation_makes_a_sample(place, name):
    satellite("a.tif", bands=2)
    protocol = replace(X2, degradation=name)
    first, second = (folder_entries(place, protocol)[0].load(2).low for _ in range(2))
    assert (first.shape, first.dtype) == ((2, 36, 40), np.uint16)
    np.testing.assert_array_equal(first, second)  # chance is seeded
    truth = satellite("b.tif", bands=2).mean(axis=(1, 2))
    np.testing.assert_allclose(first.mean(axis=(1, 2)), truth, rtol=0.15)


@pytest.mark.parametrize("name", ["area", "mtf", "bicubic"])
def test_what_was_made_of_holes_does_not_count(place, name):
    hole = (slice(20, 25), slice(30, 31))
    protocol = replace(X2, degradation=name)
    satellite("a.tif", hole=hole)
    sample = folder_entries(place, protocol)[0].load(2)
    kept = sample.low_valid
    np.testing.assert_array_equal(sample.valid, kept.repeat(2, 0).repeat(2, 1))
    if name == "area":
        expected = np.ones((36, 40), bool)
        expected[10:13, 15] = False
        np.testing.assert_array_equal(kept, expected)
    assert 3 <= (~kept).sum() < 80
    # What was under the hole shows nowhere that counts.
    whole = satellite("a.tif")
    other = folder_entries(place, protocol)[0].load(2)
    assert (sample.low != other.low).any()
    np.testing.assert_array_equal(sample.low[:, kept], other.low[:, kept])
    np.testing.assert_array_equal(sample.truth[:, sample.valid], whole[:, sample.valid])


def test_crops_of_a_scene_are_samples(place):
    image = satellite("s.tif", shape=(300, 340))
    entries = scene_entries(Path("s.tif"), replace(X2, crops=3, crop_size=64))
    assert len(entries) == 3
    for entry in entries:
        row, col = (int(word) for word in entry.name.replace(",", "").split()[1::2])
        expected = image[:, row : row + 64, col : col + 64]
        np.testing.assert_array_equal(entry.load(2).truth, expected)


# Pairs


@pytest.fixture
def pair(place):
    """Make a pair whose truth is brighter and lies on the finer grid."""
    fine = np.rint(scenery((96, 100), bands=2) * 3000 + 500)
    coarse = fine.reshape(2, 48, 2, 50, 2).mean(axis=(2, 4))
    write("low.tif", np.rint(coarse).astype(np.uint16))
    write("high.tif", (fine * 2 + 100).astype(np.uint16), pixel=5.0)
    return Path("low.tif"), Path("high.tif"), fine


def test_a_pair_is_taken_as_it_is(pair):
    low, high, fine = pair
    (entry,), alone = pair_entries(low, high, X2)
    sample = entry.load(2)
    assert alone == []
    np.testing.assert_array_equal(sample.truth, fine * 2 + 100)


def test_match_brings_the_truth_to_the_input_s_values(pair):
    low, high, fine = pair
    (entry,), _ = pair_entries(low, high, replace(X2, match=True))
    np.testing.assert_allclose(entry.load(2).truth, fine, atol=1)


def test_align_resamples_the_truth_onto_the_input_s_grid(pair):
    low, _, fine = pair
    write("moved.tif", fine.astype(np.uint16), pixel=5.0, origin=(500005.0, 5000000.0))
    (entry,), _ = pair_entries(low, Path("moved.tif"), replace(X2, align=True))
    sample = entry.load(2)
    np.testing.assert_array_equal(sample.truth[:, 2:-2, 4:-4], fine[:, 2:-2, 3:-5])
    assert not sample.valid[:, :2].any()  # the truth begins half a coarse pixel later
    assert sample.valid[8:-8, 8:-8].all()


def test_pairs_of_folders_go_by_names(pair):
    for folder in ("lows", "highs"):
        os.mkdir(folder)
    os.rename("low.tif", "lows/one.tif")
    os.rename("high.tif", "highs/one.tiff")
    photo("lows/two.tif")
    entries, alone = pair_entries(Path("lows"), Path("highs"), X2)
    assert [entry.name for entry in entries] == ["one"]
    assert alone == [os.path.join("lows", "two.tif")]
    with pytest.raises(InputFileError, match="a folder and a file"):
        pair_entries(Path("lows"), Path("highs/one.tiff"), X2)


# Scores


def test_scores_are_those_of_the_command_line_and_of_scikit_image(place):
    truth = photo("a.tif")
    found = rows(scored(place))["a.tif", "geosr-lite-x2"]
    low = np.floor(truth.reshape(3, 36, 2, 40, 2).mean(axis=(2, 4)) + 0.5).astype(np.uint8)
    write("low.tif", low)
    geosr.upscale_file("low.tif", "up.tif", model="geosr-lite-x2")
    with rasterio.open("up.tif") as src:
        made = src.read()
    inner = (slice(4, -4),) * 2
    want, got = luma(truth)[inner], luma(made)[inner]
    assert found.psnr == pytest.approx(peak_signal_noise_ratio(want, got, data_range=255))
    index = structural_similarity(
        want, got, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert found.ssim == pytest.approx(index)
    assert found.sam == pytest.approx(sam(truth[:, *inner], made[:, *inner]))
    assert found.ergas == pytest.approx(ergas(truth[:, *inner], made[:, *inner], upscale_factor=2))
    assert found.consistency == 0
    assert found.improvement + found.omission + found.hallucination == pytest.approx(1)
    assert 0 < found.seconds_per_mpx < 1000


def test_the_gdalwarp_row_is_gdal_s(place):
    truth = satellite("a.tif")
    found = rows(scored(place), band="2")["a.tif", "gdalwarp -r cubic"]
    low = np.floor(truth.reshape(4, 36, 2, 40, 2).mean(axis=(2, 4)) + 0.5).astype(np.uint16)
    made = np.zeros_like(truth)
    coarse, fine = rasterio.Affine(2, 0, 0, 0, -2, 72), rasterio.Affine(1, 0, 0, 0, -1, 72)
    reproject(
        low,
        made,
        src_transform=coarse,
        dst_transform=fine,
        src_crs="EPSG:32633",
        dst_crs="EPSG:32633",
        resampling=Resampling.cubic,
    )
    inner = (slice(4, -4),) * 2
    low_end, high_end = np.percentile(truth[1][inner], (0.1, 99.9))
    assert found.data_range == pytest.approx(high_end - low_end)
    expected = peak_signal_noise_ratio(truth[1][inner], made[1][inner], data_range=found.data_range)
    assert found.psnr == pytest.approx(expected)


def test_the_model_gains_where_it_should(place):
    for seed in range(3):
        satellite(f"{seed}.tif", seed=seed)
    evaluation = scored(place)
    bicubic, gdal, model = evaluation.summaries
    assert [s.method for s in evaluation.summaries] == [*BASELINES, "geosr-lite-x2"]
    assert abs(gdal.gain.mean) < 0.05
    assert model.gain.low > 0.1
    assert (model.verdict, model.losses, model.images) == ("gains", 0, 3)
    assert bicubic.gain.mean == 0
    assert model.means["sharpness"] > bicubic.means["sharpness"]
    assert model.means["omission"] < bicubic.means["omission"]


def test_holes_do_not_move_the_scores_of_the_rest(place):
    satellite("a.tif", hole=(slice(30, 34), slice(30, 34)))
    found = rows(scored(place))["a.tif", "geosr-lite-x2"]
    assert found.psnr > 20
    assert found.consistency == 0


def test_nan_is_a_hole(place):
    image = satellite("a.tif", bands=2, hole=(slice(30, 33), slice(40, 44)))
    kept = rows(scored(place))["a.tif", "bicubic"]
    write("a.tif", np.where(image == 0, np.nan, image).astype(np.float32))
    found = scored(place)
    same = rows(found)["a.tif", "bicubic"]
    for name in ("psnr", "ssim", "sam", "ergas", "uiqi", "sharpness", "improvement"):
        assert getattr(same, name) == pytest.approx(getattr(kept, name), rel=2e-3), name
    assert all(np.isfinite(line).any() for line in found.spectra.values())
    assert len(found.scenes) == 1


def test_pictures_keep_within_their_budget(place):
    rng = np.random.default_rng(0)
    write("noise.tif", rng.integers(0, 255, (3, 640, 640), dtype=np.uint8))  # the worst case
    protocol = replace(X2, border=4)
    sample = folder_entries(place, protocol)[0].load(2)
    images = dict.fromkeys(("bicubic", "one", "two", "three"), sample.truth)
    captions = dict.fromkeys(images, "")
    for budget in (BUDGET // 40, BUDGET):
        made = scene_pictures("noise", sample, images, 2, captions=captions, budget=budget)
        size = sum(len(layer.uri) for layer in (*made.layers, *made.maps))
        assert size <= budget * 4 / 3
        assert max(made.shape) <= 512
    assert made.shape == (512, 512)
    assert BUDGET * 4 / 3 + 1e6 < 20e6


def test_border_and_data_range_are_as_asked(place):
    truth = satellite("a.tif", bands=1)
    found = rows(scored(place, replace(X2, border=10, data_range=10_000)), band="1")
    plain = rows(scored(place, replace(X2, border=0, data_range=5_000)), band="1")
    key = "a.tif", "bicubic"
    assert (found[key].data_range, plain[key].data_range) == (10_000, 5_000)
    low = np.floor(truth.reshape(1, 36, 2, 40, 2).mean(axis=(2, 4)) + 0.5).astype(np.uint16)
    write("low.tif", low)
    geosr.upscale_file("low.tif", "up.tif", model="bicubic", upscale_factor=2)
    with rasterio.open("up.tif") as src:
        made = src.read()
    for one, border in ((found, 10), (plain, 0)):
        inner = slice(border, -border or None)
        expected = peak_signal_noise_ratio(
            truth[0, inner, inner], made[0, inner, inner], data_range=one[key].data_range
        )
        assert one[key].psnr == pytest.approx(expected)


def test_a_constant_band_has_no_psnr_and_spoils_no_mean(place):
    image = np.full((2, 72, 80), 500, np.uint16)
    image[1] = satellite("b.tif", bands=1)[0]
    os.remove("b.tif")
    write("a.tif", image)
    evaluation = scored(place)
    assert np.isnan(rows(evaluation, "1")["a.tif", "bicubic"].psnr)
    both = rows(evaluation)["a.tif", "bicubic"].psnr
    assert both == rows(evaluation, "2")["a.tif", "bicubic"].psnr


def test_spectra_tell_who_has_detail(place):
    satellite("a.tif", shape=(128, 128))
    evaluation = scored(place)
    fine = evaluation.frequencies > 0.3
    power = {name: np.nanmean(line[fine]) for name, line in evaluation.spectra.items()}
    assert power["bicubic"] < power["geosr-lite-x2"] < power["truth"] + 0.3
    assert list(evaluation.spectra)[-1] == "truth"


def score(image, method, value):
    return Score(image, method, "all", psnr=value)


def test_losses_and_worst_are_counted_by_image():
    values = {"a": (30.0, 31.0), "b": (28.0, 27.5), "c": (25.0, float("inf"))}
    scores = [score(n, "bicubic", plain) for n, (plain, _) in values.items()]
    scores += [score(n, "m", made) for n, (_, made) in values.items()]
    _, model = summarise(scores, ("bicubic", "m"), seed=0)
    assert (model.losses, model.worst) == (1, (-0.5, "b"))
    assert model.gain.mean == pytest.approx((1 - 0.5 + 75) / 3)  # equal pictures: 100 dB
    assert model.verdict == "unsure"


# What can go wrong


def test_a_failure_stops_no_other_image(place):
    satellite("a.tif")
    satellite("tiny.tif", shape=(20, 20))
    Path("b.tif").write_bytes(b"no raster")
    events = []
    evaluation = scored(place, on_event=events.append)
    assert [failure.source for failure in evaluation.failures] == ["b.tif", "tiny.tif"]
    assert "20 x 20 pixels; at factor 2 an image needs 24 a side" in evaluation.failures[1].message
    assert {s.image for s in evaluation.scores} == {"a.tif"}
    warned = [event["message"] for event in events if event["event"] == "log"]
    assert [message.split()[0] for message in warned] == ["b.tif", "tiny.tif"]
    assert events[-1] != events[0]


def test_no_image_at_all(place):
    with pytest.raises(InputFileError, match="There is no raster in"):
        scored(place)
    with pytest.raises(InputFileError, match="There is no folder"):
        scored("nowhere")
    satellite("tiny.tif", shape=(20, 20))
    with pytest.raises(InputFileError, match=r"tiny.tif is 20 x 20"):
        scored(place)
    satellite("all.tif", hole=(slice(None), slice(None)))
    with pytest.raises(InputFileError, match="None of the 2 images could be scored"):
        scored(place)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"degradation": "aera"}, "no degradation 'aera'"),
        ({"border": -1}, "border of -1"),
        ({"data_range": 0.0}, "data range 0"),
        ({"models": ("a", "a")}, "named twice"),
        ({"crop_size": 8}, "cannot be scored"),
        ({"colours": (1, 2)}, "no colours"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(OptionError, match=message):
        Protocol(**{"models": ("geosr-lite",), **options})


def test_models_of_different_factors_cannot_be_compared(place):
    satellite("a.tif")
    with pytest.raises(OptionError, match="geosr-lite-x2 makes x2, geosr-lite-x4 makes x4"):
        scored(place, Protocol(models=("geosr-lite-x2", "geosr-lite-x4")))
    with pytest.raises(OptionError, match="makes 2 times the pixels, not 4"):
        scored(place, replace(X2, upscale_factor=4))


def test_families_follow_the_model_that_makes_one_factor():
    assert common_factor(Protocol(models=("lanczos", "geosr-lite-x4", "geosr-lite"))) == 4
    assert common_factor(Protocol(models=("geosr-lite",))) == 2
    assert common_factor(Protocol(models=("geosr-lite",), upscale_factor=3)) == 3
    assert common_factor(Protocol(models=())) == 2


@pytest.mark.parametrize("heard", range(6))
def test_a_stop_is_heard_between_methods_and_within(place, heard):
    """Whoever asks first, evaluation or the upscaling in it: what is left behind is the same."""
    satellite("a.tif")
    asked = iter([False] * heard)
    with pytest.raises(CancelledError, match=r"^Stopped; nothing was written"):
        scored(place, should_stop=lambda: next(asked, True))


def test_real_images(data_dir):
    folder = data_dir / "eval" / "ms"
    if not folder.is_dir():
        pytest.skip("the folder eval/ms is not here")
    protocol = Protocol(models=("geosr-lite-x4",), degradation="mtf")
    entries = [e for e in folder_entries(folder, protocol) if e.name.startswith("s2_demmin")]
    evaluation = evaluate(entries, protocol, title="t", kind="folder", on_event=no_events)
    assert evaluation.summaries[-1].gain.mean > 0.3
