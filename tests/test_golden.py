"""One run of the sample scene, kept: what changes it was meant to, or is a mistake.

``python tests/test_golden.py`` makes the kept results anew, after a change that was meant to.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

import geosr
from geosr.core.errors import NotEnoughMemoryError

ROOT = Path(__file__).resolve().parents[1]
SCENE = ROOT / "sample_data" / "scene.tif"
KEPT = ROOT / "tests" / "golden" / "geosr-lite-x2.tif"
PART = Window(300, 120, 128, 128)
BICUBIC = "e6884cd4b75bb12e5a864de73940d87b628ebc131276f1f8f080f0652bc7ee4a"


def run(folder: Path, **options) -> Path:
    out = folder / "out.tif"
    geosr.upscale_file(SCENE, out, precision="float32", overwrite=True, **options)
    return out


def digest(path: Path) -> str:
    with rasterio.open(path) as src:
        return hashlib.sha256(src.read().tobytes()).hexdigest()


def test_bicubic_is_the_same_to_the_last_bit(tmp_path):
    assert digest(run(tmp_path, model="bicubic", upscale_factor=3)) == BICUBIC


@pytest.mark.parametrize("runtime", ["openvino", "tensorflow"])
def test_network_is_the_same(runtime, tmp_path):
    pytest.importorskip(runtime, reason=f"needs {runtime}")
    out = run(tmp_path, model="geosr-lite-x2", runtime=runtime)
    with rasterio.open(out) as src, rasterio.open(KEPT) as kept:
        assert src.tags()["GEOSR_MODEL"] == "geosr-lite-x2"
        difference = src.read(window=PART).astype(int) - kept.read()
    # Processors add up in different orders: a rounding may fall the other way.
    assert np.abs(difference).max() <= 1
    assert np.count_nonzero(difference) < 0.001 * difference.size


def test_tiles_that_do_not_fit_into_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("geosr.planning.free_memory", lambda: 64 << 20)
    with pytest.raises(NotEnoughMemoryError, match="Tiles of 1000 pixels need") as caught:
        geosr.upscale_file(SCENE, tmp_path / "out.tif", tile_size=1000, threads=2)
    fitting = int(caught.value.hint.split()[2].rstrip(","))
    assert 100 < fitting < 300
    geosr.upscale_file(SCENE, tmp_path / "out.tif", tile_size=fitting, threads=2)
    assert [path.name for path in tmp_path.iterdir()] == ["out.tif"]


def main(folder: Path) -> None:
    sys.stdout.write(digest(run(folder, model="bicubic", upscale_factor=3)) + "\n")
    with rasterio.open(run(folder, model="geosr-lite-x2", runtime="openvino")) as src:
        profile = {"driver": "GTiff", "count": src.count, "dtype": "uint16", "compress": "deflate"}
        place = {"transform": src.window_transform(PART), "crs": src.crs, "predictor": 2}
        part = src.read(window=PART)
    with rasterio.open(KEPT, "w", width=PART.width, height=PART.height, **profile, **place) as dst:
        dst.write(part)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
