"""Memory that runs out, and networks that go mad."""

from __future__ import annotations

import pytest


def test_a_tile_that_does_not_fit_is_halved(place, row, way):
    tight = place(way)
    ended = tight.run(failing={"stage": "predict", "at": 3, "times": 3})
    tight.check_finished(ended)
    row(f"no memory for a tile ({way.name})", "its quarters fit", tight)


def test_no_tile_fits(place, row, way):
    tight = place(way)
    ended = tight.run(failing={"stage": "predict", "at": 7, "times": 10**6})
    assert (ended.status, ended.error["code"]) == (1, "memory")
    assert "tile" in ended.error["message"]
    assert "kept" in ended.error["hint"]
    tight.check_goes_on()
    row(f"no memory for any tile ({way.name})", ended.error["message"], tight)


@pytest.mark.parametrize("stage", ["read", "encode", "commit"])
def test_a_block_that_does_not_fit(place, row, way, stage):
    tight = place(way)
    ended = tight.run(failing={"stage": stage, "at": 4})
    assert (ended.status, ended.error["code"]) == (1, "memory")
    assert "block 4" in ended.error["message"]
    assert "kept" in ended.error["hint"]
    tight.check_goes_on()
    row(f"no memory in {stage} at block 4 ({way.name})", ended.error["message"], tight)


def test_nan_from_the_network(place, row, way):
    mad = place(way)
    ended = mad.run(failing={"stage": "predict", "at": 7, "raising": "nan"})
    assert (ended.status, ended.error["code"]) == (1, "model.output")
    assert "NaN" in ended.error["message"]
    assert "in block " in ended.error["message"]
    assert "blocks are kept" in ended.error["hint"]
    mad.check_goes_on()
    row(f"NaN from the network ({way.name})", ended.error["message"], mad)
