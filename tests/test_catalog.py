"""Model facts: names, cards, and radii that are what the kernels have."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from geosr.core.catalog import WEIGHTS_DIR, factors_of, find_model, shipped_models
from geosr.core.errors import ModelFileError, OptionError, UnknownModelError
from geosr.core.facts import KERNEL_FACTORS, KERNEL_RADIUS, ModelFacts, kernel_facts
from geosr.kernels import polyphase_weights

MODELS = tuple(
    ModelFacts(
        name=f"terrain-x{factor}",
        family="terrain",
        upscale_factor=factor,
        radius=10,
        parameters=70_000,
        files={"onnx": f"terrain-x{factor}.onnx"},
        sha256={"onnx": "0" * 64},
        sources=("hills", "valleys"),
        scores={"psnr": 30.5},
    )
    for factor in (2, 4)
)


@pytest.mark.parametrize("kernel", KERNEL_RADIUS)
def test_radius_is_what_the_widest_factor_needs(kernel):
    reach = 0
    for factor in KERNEL_FACTORS:
        weights = polyphase_weights(kernel, factor)
        used = np.flatnonzero((np.abs(weights) > 1e-12).any(axis=0))
        middle = weights.shape[1] // 2
        reach = max(reach, middle - used.min(), used.max() - middle)
        assert kernel_facts(kernel, factor).radius == middle
    assert reach == KERNEL_RADIUS[kernel]


def test_card_comes_back_the_same():
    for facts in (*MODELS, kernel_facts("bicubic", 3)):
        assert ModelFacts.from_card(facts.to_card()) == facts


def test_card_of_a_later_version_is_read():
    card = {**json.loads(MODELS[0].to_card()), "invented_later": [1, 2]}
    assert ModelFacts.from_card(json.dumps(card)) == MODELS[0]


@pytest.mark.parametrize(
    "card",
    ["", "{", "[]", '{"name": "x"}', '"text"', '{"name": 1, "family": "f", "radius": "ten"}'],
)
def test_broken_cards_are_refused(card):
    with pytest.raises(ModelFileError):
        ModelFacts.from_card(card)


@pytest.mark.parametrize(
    "wrong", [{"upscale_factor": 0}, {"radius": -1}, {"bands": 0}, {"consistency": "maybe"}]
)
def test_impossible_facts_are_refused(wrong):
    with pytest.raises(ModelFileError):
        replace(MODELS[0], **wrong)


@pytest.mark.parametrize(
    ("name", "factor", "expected"),
    [
        ("terrain", None, "terrain-x2"),
        ("terrain", 4, "terrain-x4"),
        ("terrain-x4", None, "terrain-x4"),
        ("terrain-x4", 4, "terrain-x4"),
        ("bicubic", None, "bicubic-x2"),
        ("lanczos-x3", None, "lanczos-x3"),
        ("nearest", 8, "nearest-x8"),
    ],
)
def test_models_are_found_by_name_and_family(name, factor, expected):
    assert find_model(name, factor, models=MODELS).name == expected


@pytest.mark.parametrize(("name", "near"), [("terain", "terrain"), ("bicubik-x2", "bicubic")])
def test_an_unknown_model_gets_the_nearest_names(name, near):
    with pytest.raises(UnknownModelError) as caught:
        find_model(name, models=MODELS)
    assert name in caught.value.message
    assert near in caught.value.hint


@pytest.mark.parametrize(
    ("name", "factor"), [("terrain", 3), ("terrain-x3", None), ("bicubic", 9), ("terrain-x4", 2)]
)
def test_a_factor_without_weights_is_refused(name, factor):
    with pytest.raises(OptionError) as caught:
        find_model(name, factor, models=MODELS)
    assert not isinstance(caught.value, UnknownModelError)
    assert caught.value.hint


def test_factors_of_families_and_of_single_models():
    assert factors_of("terrain", models=MODELS) == (2, 4, 8)  # 8 is 4, then 2
    assert factors_of("terrain-x4", models=MODELS) == (4,)
    assert factors_of("nearest", models=MODELS) == tuple(KERNEL_FACTORS)
    with pytest.raises(UnknownModelError):
        factors_of("nothing", models=MODELS)


def test_kernels_are_kernels_and_networks_are_not():
    assert kernel_facts("bicubic", 2).is_kernel
    assert not MODELS[0].is_kernel
    assert not replace(MODELS[0], name="bicubic-x2").is_kernel  # it has files


def test_shipped_files_are_what_their_cards_say():
    for facts in shipped_models():
        assert facts.name == f"{facts.family}-x{facts.upscale_factor}"
        assert set(facts.files) - {"int8", "int8_bin"} == {"keras", "onnx"}
        for kind, name in facts.files.items():
            digest = hashlib.sha256((WEIGHTS_DIR / name).read_bytes()).hexdigest()
            assert digest == facts.sha256[kind]
