"""Networks as their papers have them: parameters, value ranges, shapes, files."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="needs geosr[tensorflow]")

from geosr.core.errors import ModelFileError  # noqa: E402
from geosr.models.contract import trained_part  # noqa: E402
from geosr.models.edsr import build_edsr_paper  # noqa: E402
from geosr.models.families import ARCHITECTURES, build  # noqa: E402
from geosr.models.probe import probed_radius  # noqa: E402
from geosr.models.radius import factor_of, graph_radius  # noqa: E402
from geosr.models.rcan import build_rcan  # noqa: E402
from geosr.models.rrdb import build_rrdb_paper  # noqa: E402
from geosr.models.srresnet import build_srresnet_paper  # noqa: E402

PAPERS = [name for name, architecture in ARCHITECTURES.items() if not architecture.is_contract]

SMALL = {
    "edsr": partial(build_edsr_paper, filters=6, blocks=2, residual_scale=0.5),
    "espcn": ARCHITECTURES["espcn-paper"].build,
    "fsrcnn": ARCHITECTURES["fsrcnn-paper"].build,
    "rrdb": partial(build_rrdb_paper, filters=6, growth=4, blocks=1),
    "srcnn": ARCHITECTURES["srcnn-paper"].build,
    "srcnn-955": ARCHITECTURES["srcnn-955-paper"].build,
    "srresnet": partial(build_srresnet_paper, filters=6, blocks=2),
    "rcan": partial(build_rcan, filters=8, groups=2, blocks=2, reduction=4),
}
"""The same structures, thinner where they are large."""

SMALL_CASES = [(name, factor) for name in SMALL for factor in (2, 3, 4)]


full = cache(build)
"""Networks of full size, which take seconds to build."""


def count(model: keras.Model, ending: str = "") -> int:
    """Return how many numbers are trained, of the weights whose names end so."""
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables if v.path.endswith(ending))


def run(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(x.astype("float32"), training=False))


# EDSR: Lim et al. 2017, table 1 has 1.5 M for the baseline and for SRResNet and 43 M for the large
# one, all x4; the authors' code prints the numbers to the last digit. RRDBNet and RCAN: what the
# authors' codes print, RCAN's less 2 * 12 fixed numbers of its mean shifts. x3 by the same sums.
@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("edsr-paper", {2: 1_369_859, 3: 1_554_499, 4: 1_517_571}),
        ("edsr-large-paper", {2: 40_729_603, 3: 43_680_003, 4: 43_089_923}),
        ("rcan", {4: 15_592_379 - 24}),
        ("rrdb-paper", {4: 16_697_987}),
    ],
)
def test_parameters_are_the_published_ones(architecture, expected):
    for factor, parameters in expected.items():
        assert count(full(architecture, factor)) == parameters


# Dong et al. 2016 (TPAMI 38), section 4.1: 8,032 for 9-1-5 and 57,184 for 9-5-5. Dong et al. 2016
# (ECCV), table 1: 12,464 for FSRCNN(56, 12, 4). Both count kernels only.
@pytest.mark.parametrize(
    ("architecture", "kernels", "biases"),
    [
        ("srcnn-paper", 8_032, 64 + 32 + 1),
        ("srcnn-955-paper", 57_184, 64 + 32 + 1),
        ("fsrcnn-paper", 12_464, 56 + 12 + 4 * 12 + 56 + 1),
    ],
)
def test_kernels_are_the_published_ones_at_any_factor(architecture, kernels, biases):
    for factor in (2, 3, 4):
        model = build(architecture, factor)
        assert count(model, "kernel") == kernels
        assert count(model, "bias") == biases


def test_srresnet_has_the_one_and_a_half_million_parameters_of_the_table_in_edsr_s_paper():
    conv = 3 * 3 * 64 * 64 + 64
    norm, slopes = 2 * 64, 64
    first = 9 * 9 * 3 * 64 + 64 + slopes
    block = conv + norm + slopes + conv + norm
    up = 3 * 3 * 64 * 256 + 256 + slopes
    last = 9 * 9 * 64 * 3 + 3
    expected = first + 16 * block + conv + norm + 2 * up + last
    assert count(build("srresnet-paper", 4)) == expected == 1_550_659


def test_espcn_has_the_parameters_that_comparisons_list():
    """Tables of efficient networks, such as SAFMN's, list 21K at x2 and 25K at x4."""
    sums = {s: (25 * 64 + 64) + (9 * 64 * 32 + 32) + (9 * 32 * s * s + s * s) for s in (2, 3, 4)}
    assert sums == {2: 21_284, 3: 22_729, 4: 24_752}
    assert {s: count(build("espcn-paper", s)) for s in sums} == sums


@pytest.mark.parametrize("name", PAPERS)
def test_a_paper_s_network_declares_what_it_takes(name):
    architecture = ARCHITECTURES[name]
    assert architecture.value_range in ((0, 1), (0, 255))
    assert architecture.exact == (name != "rcan")
    model = full(name, 4)
    assert model.inputs[0].shape == (None, None, None, architecture.bands)
    assert model.outputs[0].shape[-1] == architecture.bands
    assert factor_of(model) == 4
    with pytest.raises(ModelFileError, match="detail_in"):
        trained_part(model)  # so `geosr train` cannot take it for one of the contract


@pytest.mark.parametrize(("name", "factor"), SMALL_CASES)
def test_odd_shapes_and_files(name, factor, tmp_path):
    model = SMALL[name](upscale_factor=factor)
    bands = model.inputs[0].shape[-1]
    x = np.random.default_rng(0).uniform(0, 1, (2, 15, 22, bands))
    y = run(model, x)
    assert y.shape == (2, 15 * factor, 22 * factor, bands)
    assert np.ptp(y) > 0
    model.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras", safe_mode=True)
    assert np.array_equal(run(again, x), y)


@pytest.mark.parametrize(("name", "factor"), [case for case in SMALL_CASES if case[0] != "rcan"])
def test_radius_is_counted_and_measured_alike(name, factor):
    model = SMALL[name](upscale_factor=factor)
    counted = graph_radius(model)
    assert probed_radius(model, expected=counted) == counted


@pytest.mark.parametrize(
    ("name", "radius"),
    [("edsr-paper", 36), ("edsr-large-paper", 68), ("rrdb-paper", 349), ("srresnet-paper", 40)],
)
def test_radius_of_the_full_size(name, radius):
    assert graph_radius(full(name, 4)) == radius


def test_gates_over_the_whole_picture_have_no_radius():
    with pytest.raises(ModelFileError, match=r"mean \(GlobalAveragePooling2D\).*not known to be"):
        graph_radius(SMALL["rcan"](upscale_factor=2))


def test_srcnn_sees_the_picture_that_bicubic_makes():
    from geosr.kernels import interleave, upsample

    model = SMALL["srcnn"](upscale_factor=3)
    x = np.random.default_rng(1).uniform(0, 1, (1, 14, 13))
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2)), "reflect")
    image = keras.Model(model.inputs[0], model.get_layer("image").output)
    expected = interleave(upsample(padded, "bicubic", 3))
    assert np.abs(run(image, x[..., None])[..., 0] - expected).max() < 1e-6


def test_means_come_back():
    model = SMALL["edsr"](upscale_factor=2)
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    y = run(model, np.zeros((1, 6, 6, 3)))
    assert np.allclose(y, np.array([0.4488, 0.4371, 0.4040]) * 255)


def test_srresnet_counts_from_minus_one_inside():
    model = SMALL["srresnet"](upscale_factor=2)
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    assert np.allclose(run(model, np.ones((1, 6, 6, 3))), 0.5)


def test_a_saved_rcan_runs_blended_and_its_output_says_so(tmp_path):
    import rasterio

    import geosr

    SMALL["rcan"](upscale_factor=2).save(tmp_path / "rcan.keras")
    image = np.random.default_rng(2).integers(0, 255, (3, 40, 50), dtype="uint8")
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(1, 0, 500, 0, -1, 900)}
    with rasterio.open(
        tmp_path / "in.tif",
        "w",
        driver="GTiff",
        height=40,
        width=50,
        count=3,
        dtype="uint8",
        **place,
    ) as dst:
        dst.write(image)
    geosr.upscale_file(
        tmp_path / "in.tif", tmp_path / "out.tif", model=str(tmp_path / "rcan.keras")
    )
    with rasterio.open(tmp_path / "out.tif") as src:
        assert src.shape == (80, 100)
        assert src.tags()["GEOSR_EXACT"].startswith("no")
