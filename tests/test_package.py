"""What is installed: light to import, complete in the wheel, able to run without TensorFlow."""

import re
import subprocess
import sys
import typing
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import numpy as np
import pytest
import rasterio

import geosr
from geosr.core.catalog import shipped_models
from geosr.core.options import UpscaleKeywords, UpscaleOptions

ROOT = Path(__file__).parents[1]
RUNTIMES = {"keras", "openvino", "tensorflow"}
HEAVY = RUNTIMES | {"dask", "numpy", "pyproj", "rasterio", "xarray"}
NOT_LIGHT = {"keras", "matplotlib", "onnx", "tensorflow", "tf2onnx"}

# The package from a folder, where what the light install lacks cannot be imported.
LIGHT = f"""
import importlib.abc, sys

class Lacking(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_LIGHT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Lacking())
sys.path.insert(0, sys.argv[1])
import geosr
assert geosr.__file__.startswith(sys.argv[1]), geosr.__file__
"""


def python(*arguments):
    """Run Python apart from this process and return its output."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def loaded_by(statement):
    report = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    return set(python("-c", f"{statement}\n{report}").splitlines()[-1].split())


def test_import_is_light():
    assert not loaded_by("import geosr") & HEAVY


def test_command_line_loads_no_runtime():
    assert not loaded_by("import geosr.cli.main, geosr.cli.upscale") & (HEAVY - {"numpy"})


def test_public_names_resolve():
    assert all(getattr(geosr, name) is not None for name in geosr.__all__)
    assert set(geosr.__all__) >= {
        "__version__",
        "plan_file",
        "upscale",
        "upscale_file",
        "upscale_files",
    }
    with pytest.raises(AttributeError, match="upscale_flie"):
        _ = geosr.upscale_flie


def test_keywords_are_the_options():
    assert typing.get_type_hints(UpscaleKeywords) == typing.get_type_hints(UpscaleOptions)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    python("-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_wheel_holds_the_package_and_nothing_else(wheel):
    assert {path.name for path in wheel.iterdir()} == {
        "geosr",
        f"geosr-{geosr.__version__}.dist-info",
    }
    installed = {path.relative_to(wheel) for path in (wheel / "geosr").rglob("*.py")}
    assert installed == {path.relative_to(ROOT) for path in (ROOT / "geosr").rglob("*.py")}
    assert (wheel / "geosr" / "py.typed").exists()


def test_wheel_holds_the_weights(wheel):
    models = shipped_models(wheel / "geosr" / "weights")
    assert models == shipped_models()
    assert {f"geosr-lite-x{factor}" for factor in (2, 3, 4)} <= {facts.name for facts in models}
    for facts in models:
        assert {"keras", "onnx"} <= set(facts.files)
        for name in facts.files.values():
            shipped = wheel / "geosr" / "weights" / name
            assert shipped.read_bytes() == (ROOT / "geosr" / "weights" / name).read_bytes()


def test_wheel_says_what_it_is(wheel):
    (about,) = wheel.glob("*.dist-info")
    metadata = HeaderParser().parsestr((about / "METADATA").read_text(encoding="utf-8"))
    assert metadata["Version"] == geosr.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Apache License" in (about / "licenses" / "LICENSE").read_text()
    plain = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert len(plain) == 7
    assert not [line for line in plain if line.startswith(tuple(NOT_LIGHT))]
    entry_points = (about / "entry_points.txt").read_text()
    assert "geosr = geosr.cli.main:main" in entry_points
    assert "[rasterio.rio_plugins]\nupscale = geosr.cli.upscale:upscale" in entry_points


@pytest.fixture
def scene(tmp_path):
    """Return the path of a small raster, and its pixels."""
    pixels = np.random.default_rng(0).integers(500, 4000, (2, 20, 30), dtype=np.uint16)
    path = tmp_path / "scene.tif"
    georeference = {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 6e6)}
    profile = {"driver": "GTiff", "count": 2, "height": 20, "width": 30, "dtype": "uint16"}
    with rasterio.open(path, "w", **profile, **georeference) as dst:
        dst.write(pixels)
    return path, pixels


def test_upscales_without_tensorflow(wheel, scene, tmp_path):
    path, pixels = scene
    run = "geosr.upscale_file(sys.argv[2], sys.argv[3], upscale_factor=2)"
    python("-I", "-c", LIGHT + run, wheel, path, tmp_path / "finer.tif")
    with rasterio.open(tmp_path / "finer.tif") as src:
        finer = src.read()
        assert src.transform == rasterio.Affine(5, 0, 5e5, 0, -5, 6e6)
    blocks = finer.reshape(2, 20, 2, 30, 2)
    np.testing.assert_array_equal(blocks.sum(axis=(2, 4), dtype=int), 4 * pixels.astype(int))
    assert (blocks.min(axis=(2, 4)) < blocks.max(axis=(2, 4))).mean() > 0.9  # no mere copy


def test_says_what_to_install_for_tensorflow(wheel, scene, tmp_path):
    run = """
from geosr.core.errors import MissingDependencyError
try:
    geosr.upscale_file(sys.argv[2], sys.argv[3], runtime="tensorflow")
except MissingDependencyError as error:
    print(error.hint)
"""
    said = python("-I", "-c", LIGHT + run, wheel, scene[0], tmp_path / "finer.tif")
    assert "geosr[tensorflow" in said
    assert not (tmp_path / "finer.tif").exists()


def test_entry_points_load():
    """What the wheel names is there: the command and the rio plugin."""
    run = "from geosr.cli.main import main; from geosr.cli.upscale import upscale; print(upscale)"
    assert "upscale" in python("-c", run)


def test_readme_names_what_is_there():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|benchmarks|sample_data|recipes)/[^`\s]*)`", readme)
    named += re.findall(r"\]\(([^)#:]+)\)", readme) + re.findall(r"recipes/\S+\.toml", readme)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []
    modules = re.search(r"\| in `geosr/` \|[^\n]*\n(.*?)\n\n", readme, re.DOTALL)
    assert modules
    listed = {name.rstrip("/") for name in re.findall(r"`([a-z_]+(?:\.py|/))`", modules.group(1))}
    here = {path.name for path in (ROOT / "geosr").iterdir()}
    assert listed == here - {"__init__.py", "__main__.py", "__pycache__", "py.typed", "weights"}


def test_readme_tells_the_scores_that_the_cards_have():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    run = "import runpy; runpy.run_path('benchmarks/model_table.py', run_name='__main__')"
    printed = python("-c", run).strip()
    assert len(printed.splitlines()) > 4
    assert printed in readme


def test_readme_shows_options_that_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", readme))
    commands = (
        *("adapt", "calibrate", "compare", "dataset", "evaluate"),
        *("info", "models", "serve", "train", "upscale"),
    )
    known = "".join(python("-m", "geosr", command, "--help") for command in commands)
    assert len(shown) > 15
    assert {option for option in shown if option not in known} <= {"--help", "--strict"}
