"""Options are checked before anything is opened."""

from __future__ import annotations

from dataclasses import fields
from typing import get_type_hints

import pytest

from geosr.core.errors import OptionError
from geosr.core.options import DTYPES, FORMATS, UpscaleKeywords, UpscaleOptions


def test_keywords_and_fields_are_alike():
    assert get_type_hints(UpscaleKeywords) == get_type_hints(UpscaleOptions)


def test_defaults_leave_the_choice_open():
    options = UpscaleOptions()
    for field in fields(options):
        value = getattr(options, field.name)
        assert value in (None, (), {}, "auto", False, True, "geosr-lite", "cog"), field.name


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"upscale_factor": 2, "resolution": 5}, "resolution"),
        ({"upscale_factor": 1}, "1"),
        ({"upscale_factor": -2}, "-2"),
        ({"bounds_crs": "EPSG:4326"}, "bounds"),
        ({"workers": 0}, "0"),
        ({"threads": 0}, "0"),
        ({"model_range": (1, 1)}, "1 1"),
        ({"model_range": (5, 2)}, "5 2"),
        ({"indexes": (1, 2, 1)}, "1, 2, 1"),
        ({"device": "tpu"}, "tpu"),
        ({"precision": "float16"}, "float16"),
        ({"runtime": "onnx"}, "onnx"),
        ({"dtype": "complex64"}, "complex64"),
        ({"format": "png"}, "png"),
        ({"workers": 2, "scheduler": "tcp://127.0.0.1:8786"}, "scheduler"),
    ],
)
def test_nonsense_is_refused_with_a_hint(wrong, said):
    with pytest.raises(OptionError) as caught:
        UpscaleOptions(**wrong)
    assert said in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_are_taken(dtype):
    assert UpscaleOptions(dtype=dtype).dtype == dtype


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_taken(name):
    assert UpscaleOptions(format=name).format == name
