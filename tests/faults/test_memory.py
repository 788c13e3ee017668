"""Memory that runs out, and networks that go mad."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from fault_places import LARGE_NETWORK
from rasterio.errors import RasterioIOError

from geosr.core.catalog import WEIGHTS_DIR, find_model
from geosr.core.errors import InputFileError
from geosr.core.geometry import Window
from geosr.io.raster import RasterReader, read_facts
from geosr.runtimes.openvino import OpenVinoNetwork


def test_a_tile_that_does_not_fit_is_halved(place, row, way):
    tight = place(way)
    ended = tight.run(failing={"stage": "predict", "at": 3, "times": 3})
    tight.check_finished(ended)
    row("no memory for a tile", "its quarters fit", tight)


def test_no_tile_fits(place, row, way):
    tight = place(way)
    ended = tight.run(failing={"stage": "predict", "at": 30, "times": 10**6})
    assert (ended.status, ended.error["code"]) == (1, "memory")
    assert "tile" in ended.error["message"]
    assert "kept" in ended.error["hint"]
    tight.check_goes_on()
    row("no memory for any tile", ended.error["message"], tight)


@pytest.mark.parametrize("stage", ["read", "encode", "commit"])
def test_a_block_that_does_not_fit(place, row, way, stage):
    tight = place(way)
    ended = tight.run(failing={"stage": stage, "at": 4})
    assert (ended.status, ended.error["code"]) == (1, "memory")
    assert "block 4" in ended.error["message"]
    assert "kept" in ended.error["hint"]
    tight.check_goes_on()
    row(f"no memory in {stage} at block 4", ended.error["message"], tight)


def test_nan_from_the_network(place, row, way):
    mad = place(way)
    ended = mad.run(failing={"stage": "predict", "at": 30, "raising": "nan"})
    assert (ended.status, ended.error["code"]) == (1, "model.output")
    assert "NaN" in ended.error["message"]
    assert "in block " in ended.error["message"]
    assert "blocks are kept" in ended.error["hint"]
    mad.check_goes_on()
    row("NaN from the network", ended.error["message"], mad)


def test_a_network_that_gets_too_little(place, row):
    """OpenVINO itself runs out: its tile of 712 pixels takes some 200 MB."""
    tight = place(LARGE_NETWORK)
    scarce = {"stage": "predict", "at": 0, "raising": "scarce"}
    tight.check_finished(tight.run("--tile-size", "712", failing=scarce))
    row("OpenVINO has no memory for a tile", "its quarters fit", tight)


@pytest.mark.parametrize(
    "said",
    [
        "Exception from src/core/src/runtime/allocator.cpp:79:\nstd::bad_alloc\n\n\n",
        "Check 'ptr' failed at src/plugins/intel_cpu/src/cpu_memory.cpp:257:\n"
        "Failed to allocate 1133262080 bytes of memory\n\n\n",
    ],
)
def test_openvino_errors_are_told_apart(monkeypatch, said):
    facts = find_model("geosr-lite", 2)
    path = WEIGHTS_DIR / facts.files["onnx"]
    network = OpenVinoNetwork(path, cut=None, precision="float32", threads=1)

    def fail(shape):
        raise RuntimeError(said)

    monkeypatch.setattr(network, "_compile", fail)
    x = np.zeros((1, 16, 16, 1), "float32")
    with pytest.raises(MemoryError, match="alloc"):
        network(x)
    said = "Exception from src/inference/src/cpp/core.cpp:117:\nThe shapes do not fit.\n"
    with pytest.raises(RuntimeError, match="do not fit"):
        network(x)
    monkeypatch.undo()
    assert network(x).shape == (1, 32, 32, 1)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("TIFFFillTile:No space for data buffer at scanline 4294967295", MemoryError),
        ("gdalrasterblock.cpp, 1234: cannot allocate 1073741824 bytes", MemoryError),
        ("TIFFFillTile:Read error at row 256; got 31828 bytes, expected 48740", InputFileError),
    ],
)
def test_gdal_errors_are_told_apart(monkeypatch, source, said, wanted):
    def fail(self, src, place):
        raise RasterioIOError(said)

    monkeypatch.setattr(RasterReader, "_pixels", fail)
    with (
        RasterReader(read_facts(str(source)), (1,), Window(0, 0, 500, 700)) as reader,
        pytest.raises(wanted, match=said.split(",")[0]),
    ):
        reader.read(Window(0, 0, 10, 10))


def test_tensorflow_errors_are_told_apart(monkeypatch):
    tf = pytest.importorskip("tensorflow", reason="needs geosr[tensorflow]")
    from geosr.runtimes.tensorflow import TensorFlowNetwork

    network = TensorFlowNetwork(SimpleNamespace(), device="cpu", precision="float32")
    for error, wanted in (
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"), MemoryError),
        (tf.errors.InvalidArgumentError(None, None, "Bad shape"), tf.errors.InvalidArgumentError),
    ):

        def fail(x, error=error):
            raise error

        monkeypatch.setattr(network, "_function", lambda shape, fail=fail: fail)
        with pytest.raises(wanted):
            network(np.zeros((1, 8, 8, 1), "float32"))
