"""Multiply-adds counted from the graph, against sums by hand and published ones."""

from __future__ import annotations

import pytest

keras = pytest.importorskip("keras", reason="needs geosr[tensorflow]")

from geosr.core.errors import ModelFileError  # noqa: E402
from geosr.models.cost import multiply_adds  # noqa: E402
from geosr.models.families import build  # noqa: E402
from geosr.models.fsrcnn import build_fsrcnn_paper  # noqa: E402
from geosr.models.layers import PixelShuffle  # noqa: E402
from geosr.models.rcan import build_rcan  # noqa: E402

FULL_HD_READY = 1280 * 720
"""Output pixels for which papers state multiply-adds."""

FIXED = 9 * 9  # the high-pass, for each source pixel


def bicubic(factor: int) -> int:
    """Return the multiply-adds of the contract's interpolation, for each source pixel."""
    return 5 * 5 * factor**2


def test_geosr_lite_by_hand():
    inner = 9 * (1 * 32 + 32 * 48 + 48 * 48 + 48 * 48 + 48 * 32)
    for factor in (2, 3, 4):
        source_pixel = inner + 9 * 32 * factor**2 + FIXED + bicubic(factor)
        for expansion in (0, 8):  # the training form computes as the plain one does
            model = build("geosr-lite", factor, expansion=expansion)
            assert multiply_adds(model) == pytest.approx(source_pixel / factor**2)


def test_srcnn_by_hand():
    for factor in (2, 3):
        source_pixel = FIXED + 2 * bicubic(factor)  # the base, and what the network sees
        expected = 8_032 + source_pixel / factor**2
        assert multiply_adds(build("srcnn", factor)) == pytest.approx(expected)


def test_fsrcnn_by_hand():
    """A transposed convolution multiplies each source pixel by each of its taps."""
    d, s, m = 10, 4, 2
    source_pixel = 25 * d + d * s + m * 9 * s * s + s * d + 81 * d
    model = build_fsrcnn_paper(upscale_factor=3, d=d, s=s, m=m)
    assert multiply_adds(model) == pytest.approx(source_pixel / 9)


def test_gates_over_the_whole_picture_cost_nothing_for_a_pixel():
    f = 8
    convs = 9 * (3 * f + 2 * 2 * f * f + f * f + f * f)  # two blocks, group end, body end
    source_pixel = convs + 9 * f * 4 * f + 4 * 9 * f * 3
    model = build_rcan(upscale_factor=2, filters=f, groups=1, blocks=2, reduction=4)
    assert multiply_adds(model) == pytest.approx(source_pixel / 4)


def test_strides_and_repeats():
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same")(inputs)  # 216 a quarter pixel
    x = keras.layers.UpSampling2D(4)(x)
    x = keras.layers.Conv2D(4, 1)(x)  # 32 for 4 pixels
    model = keras.Model(inputs, PixelShuffle(2, name="high_resolution")(x))
    assert multiply_adds(model) == pytest.approx((216 / 4 + 32 * 4) / 16)


# Tables of SAFMN (Sun et al. 2023) and of RCAN's successors, for an output of 1280 x 720.
@pytest.mark.parametrize(
    ("architecture", "factor", "giga"),
    [
        ("edsr-paper", 2, 316),
        ("edsr-paper", 4, 114),
        ("srcnn-955-paper", 2, 53),
        ("srcnn-955-paper", 4, 53),
        ("espcn-paper", 2, 5),
        ("espcn-paper", 4, 1),
    ],
)
def test_published_multiply_adds(architecture, factor, giga):
    assert round(multiply_adds(build(architecture, factor)) * FULL_HD_READY / 1e9) == giga


def test_a_layer_that_cannot_be_counted_is_refused():
    inputs = keras.Input((None, None, 2))
    model = keras.Model(inputs, keras.layers.Dense(3, name="mixing")(inputs))
    with pytest.raises(ModelFileError, match="mixing"):
        multiply_adds(model)
