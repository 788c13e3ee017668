"""What is asked of ``geosr serve``, from text to values and back."""

from __future__ import annotations

import json
import math
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geosr.core.answers import preview_event
from geosr.core.errors import OptionError
from geosr.core.events import format_event, parse_event
from geosr.core.geometry import GeoGrid
from geosr.core.options import UpscaleKeywords
from geosr.core.requests import (
    OPTIONS,
    REQUESTS,
    WARM_OPTIONS,
    Cancel,
    Info,
    Models,
    Ping,
    Preview,
    Quit,
    Warm,
    message_id,
    parse_request,
    read_message,
)

BOUNDS = (7.1, 46.2, 7.3, 46.4)


def asked(line):
    return parse_request(read_message(line))


@pytest.mark.parametrize(
    "request_",
    [
        Preview(1, "in.tif", BOUNDS),
        Preview(
            "view 7",
            "Über/in\udcff.tif",
            BOUNDS,
            bounds_crs="EPSG:4326",
            width=800,
            height=600,
            answer="bytes",
            replaces=True,
            options={
                "model": "bicubic",
                "upscale_factor": 3,
                "indexes": (3, 1),
                "consistency": False,
                "model_range": (0.0, 10000.0),
                "nodata": -1.5,
            },
        ),
        Preview(-3, "in.tif", BOUNDS, options={"resolution": "2.5m"}),
        Preview(2, "in.tif", BOUNDS, options={"resolution": 2.5, "tile_size": 64}),
        Warm(4, options={"model": "geosr-lite-x2", "threads": 2}),
        Warm(None, bands=3),
        Info(5, "in.tif"),
        Cancel(1),
        Models(6),
        Ping(),
        Ping(7),
        Quit(),
    ],
    ids=str,
)
def test_a_request_comes_back_from_its_line(request_):
    line = request_.to_line()
    assert "\n" not in line
    assert asked(line) == request_
    assert asked(line.encode()) == request_


def test_nodata_may_be_nan():
    line = Preview(1, "in.tif", BOUNDS, options={"nodata": math.nan}).to_line()
    json.loads(line, parse_constant=pytest.fail)  # plain JSON has no NaN
    assert math.isnan(asked(line).options["nodata"])


def test_what_is_null_is_left_out():
    message = {"do": "preview", "id": 1, "source": "a", "bounds": BOUNDS, "width": None}
    assert asked(json.dumps({**message, "model": None})) == Preview(1, "a", BOUNDS)


def test_each_option_of_a_run_is_for_previews_or_for_files():
    for_files = {
        "bounds", "bounds_crs", "format", "creation_options", "overwrite", "resume", "workers",
        "scheduler", "temp_dir", "uncertainty", "uncertainty_model",
    }  # fmt: skip
    keywords = set(typing.get_type_hints(UpscaleKeywords))
    assert set(OPTIONS) | for_files == keywords
    assert not set(OPTIONS) & for_files
    assert set(WARM_OPTIONS) < set(OPTIONS)


PREVIEW = {"do": "preview", "id": 1, "source": "a.tif", "bounds": list(BOUNDS)}
WRONG = {
    "no JSON": ("{", "no JSON"),
    "bytes": (b"\xff\xfe", "no JSON"),
    "nested": ("[" * 100_000, "no JSON"),
    "no object": ("[1]", "no object"),
    "nothing asked": ({}, "no request null"),
    "unknown": ({"do": "upscale"}, 'no request "upscale"'),
    "of no name": ({"do": ["preview"]}, "no request"),
    "no id": ({**PREVIEW, "id": None}, "no id"),
    "id of a list": ({**PREVIEW, "id": [1]}, "id"),
    "id of truth": ({**PREVIEW, "id": True}, "id"),
    "no source": ({**PREVIEW, "source": None}, "no source"),
    "an empty source": ({**PREVIEW, "source": ""}, "source"),
    "a zero in the source": ({**PREVIEW, "source": "a\0b"}, "source"),
    "no bounds": ({**PREVIEW, "bounds": None}, "no bounds"),
    "three bounds": ({**PREVIEW, "bounds": [1, 2, 3]}, "4 numbers"),
    "bounds of text": ({**PREVIEW, "bounds": ["1", 2, 3, 4]}, "finite"),
    "infinite bounds": ({**PREVIEW, "bounds": [math.inf, 2, 3, 4]}, "finite"),
    "bounds beyond floats": ({**PREVIEW, "bounds": [10**400, 2, 3, 4]}, "finite"),
    "NaN": ({**PREVIEW, "bounds": [math.nan, 2, 3, 4]}, "finite"),
    "another answer": ({**PREVIEW, "answer": "png"}, "path, bytes"),
    "replaces what": ({**PREVIEW, "replaces": 1}, "true or false"),
    "no width": ({**PREVIEW, "width": 0}, "whole number"),
    "half a band": ({**PREVIEW, "indexes": [1.5]}, "whole number"),
    "one band without its list": ({**PREVIEW, "indexes": 1}, "list"),
    "a band twice": ({**PREVIEW, "indexes": [1, 1]}, "twice"),
    "factor of text": ({**PREVIEW, "upscale_factor": "2"}, "whole number"),
    "factor 1": ({**PREVIEW, "upscale_factor": 1}, "factor"),
    "both sizes": ({**PREVIEW, "upscale_factor": 2, "resolution": 5}, "resolution"),
    "an unknown device": ({**PREVIEW, "device": "tpu"}, "tpu"),
    "an option for files": ({**PREVIEW, "overwrite": True}, '"overwrite"'),
    "an unknown field": ({**PREVIEW, "zoom": 3}, '"zoom"'),
    "a raster's option": ({"do": "warm", "nodata": 0}, '"nodata"'),
    "options for ping": ({"do": "ping", "model": "bicubic"}, '"model"'),
    "cancel what": ({"do": "cancel"}, "no id"),
    "info of what": ({"do": "info"}, "no source"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_in_a_sentence(name):
    message, named = WRONG[name]
    line = message if isinstance(message, str | bytes) else json.dumps(message)
    with pytest.raises(OptionError) as error:
        asked(line)
    assert named in error.value.message
    assert error.value.hint
    assert len(error.value.message) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
NAMES = st.sampled_from([*OPTIONS, "id", "source", "bounds", "width", "answer", "bands", "x"])


@given(do=st.sampled_from([*REQUESTS]), given_=st.dictionaries(NAMES, JSON))
def test_any_json_is_a_request_or_refused(do, given_):
    message = read_message(json.dumps({**PREVIEW, **given_, "do": do}))
    message_id(message)
    try:
        request = parse_request(message)
    except OptionError:
        return
    assert asked(request.to_line()).kind() == do


def test_an_answer_comes_back_from_its_line():
    grid = GeoGrid((2, 3), (5.0, 0.0, 100.0, 0.0, -5.0, 200.0), "LOCAL_CS[]")
    request = Preview(1, "a.tif", BOUNDS)
    event = preview_event(request, grid, {"path": "b"}, seconds=0.5, stats={}, placed=True)
    assert parse_event(format_event(event)) == {
        "event": "preview",
        "id": 1,
        "path": "b",
        "width": 3,
        "height": 2,
        "transform": [5.0, 0.0, 100.0, 0.0, -5.0, 200.0],
        "crs": "LOCAL_CS[]",
        "bounds": [100.0, 190.0, 115.0, 200.0],
        "seconds": 0.5,
        "stats": {},
    }
    unplaced = preview_event(request, grid, {"path": "b"}, seconds=0.5, stats={}, placed=False)
    assert (unplaced["transform"], unplaced["bounds"]) == (None, None)
