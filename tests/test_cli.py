"""The command line by itself: options, errors, output. `test_cli_upscale.py` has real runs."""

from __future__ import annotations

import doctest
import importlib
import json
import logging
import math
import os
import subprocess
import sys
import tomllib
import types
import typing
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner

import geosr
from geosr.cli.main import geosr as cli
from geosr.core import catalog
from geosr.core.errors import BandError, InputFileError, UnknownModelError
from geosr.core.events import PROTOCOL, error_event, parse_event
from geosr.core.geometry import GeoGrid
from geosr.core.options import UpscaleKeywords, UpscaleOptions

HEAVY = ("openvino", "tensorflow", "keras", "jax", "torch")
ROOT = Path(geosr.__file__).parent.parent


class FakeApi(types.ModuleType):
    """Stands for `geosr.api`: keeps what it is called with; ``act`` decides what a run does."""

    def __init__(self):
        super().__init__("geosr.api")
        self.calls = []
        self.act = lambda on_event: None

    def upscale_file(self, src_path, dst_path, *, on_event, should_stop, **options):
        UpscaleOptions(**options)
        self.calls.append((src_path, dst_path, options))
        assert should_stop() is False
        self.act(on_event)
        grid = GeoGrid((10, 20), (5.0, 0.0, 0.0, 0.0, -5.0, 0.0))
        stats = {"seconds": 2.0, "consistency_error": math.nan}
        return types.SimpleNamespace(output=dst_path, grid=grid, stats=stats)

    def plan_file(self, src_path, dst_path=None, **options):
        self.calls.append((src_path, dst_path, options))
        return types.SimpleNamespace(
            lines=lambda: ("4 tiles", "1 GB of memory"), to_dict=lambda: {"tiles": 4}
        )

    def describe_raster(self, path):
        raise InputFileError(f"There is no file {path}.", hint="Look for it.")


@pytest.fixture
def api(monkeypatch):
    """Put a fake API in the place of the real one."""
    fake = FakeApi()
    monkeypatch.setitem(sys.modules, "geosr.api", fake)
    monkeypatch.setattr(geosr, "api", fake, raising=False)
    monkeypatch.setattr("geosr.cli.upscale.report_lines", lambda report: (report.output,))
    return fake


def run(*args):
    """Run ``geosr`` in this process."""
    return CliRunner().invoke(cli, list(args))


def options_of(api, *args):
    """Return the keywords that ``geosr upscale in.tif out.tif`` with ``args`` hands over."""
    result = run("upscale", "in.tif", "out.tif", *args)
    assert result.exit_code == 0, result.output
    assert api.calls[-1][:2] == ("in.tif", "out.tif")
    return api.calls[-1][2]


def test_the_options_are_the_keywords_of_upscale_file(api):
    keywords = options_of(api)
    assert set(keywords) == set(typing.get_type_hints(UpscaleKeywords))
    assert UpscaleOptions(**keywords) == UpscaleOptions()  # and so are their defaults


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["-m", "bicubic-x4"], {"model": "bicubic-x4"}),
        (["-f", "3"], {"upscale_factor": 3}),
        (["--resolution", "2.5m"], {"resolution": "2.5m"}),
        (["-b", "3", "-b", "1"], {"indexes": (3, 1)}),
        (["-b", "4,3,2"], {"indexes": (4, 3, 2)}),
        (["-b", "2..4", "--bidx", "1"], {"indexes": (2, 3, 4, 1)}),
        (["-b", "..3"], {"indexes": (1, 2, 3)}),
        (["--bounds", "-7.5", "-46", "-7", "-4e1"], {"bounds": (-7.5, -46.0, -7.0, -40.0)}),
        (
            ["--bounds", "1", "2", "3", "4", "--bounds-crs", "EPSG:4326"],
            {"bounds": (1.0, 2.0, 3.0, 4.0), "bounds_crs": "EPSG:4326"},
        ),
        (["--tile-size", "64"], {"tile_size": 64}),
        (["-t", "float32"], {"dtype": "float32"}),
        (["--nodata", "-9999"], {"nodata": -9999.0}),
        (
            ["--co", "compress=DEFLATE", "--co", "ZLEVEL=1", "--co", "X=a=b"],
            {"creation_options": {"COMPRESS": "DEFLATE", "ZLEVEL": "1", "X": "a=b"}},
        ),
        (["--overwrite"], {"overwrite": True}),
        (
            ["--device", "cpu", "--precision", "float32", "--runtime", "openvino"],
            {"device": "cpu", "precision": "float32", "runtime": "openvino"},
        ),
        (["--workers", "3"], {"workers": 3}),
        (["--no-consistency"], {"consistency": False}),
        (["--model-range", "-1", "10000"], {"model_range": (-1.0, 10000.0)}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_becomes_its_keyword_and_no_other(api, args, expected):
    keywords = options_of(api, *args)
    changed = UpscaleOptions(**{**options_of(api), **expected})
    assert UpscaleOptions(**keywords) == changed


def test_nodata_may_be_nan(api):
    assert math.isnan(options_of(api, "--nodata", "nan")["nodata"])


USAGE_ERRORS = {
    "no output": (["in.tif"], "OUTPUT"),
    "a third file": (["in.tif", "out.tif", "more.tif"], "more.tif"),
    "unknown option": (["in.tif", "out.tif", "--sharper"], "--sharper"),
    "complex dtype": (["in.tif", "out.tif", "-t", "complex64"], "complex64"),
    "device": (["in.tif", "out.tif", "--device", "tpu"], "tpu"),
    "three bounds": (["in.tif", "out.tif", "--bounds", "1", "2", "3"], "--bounds"),
    "bounds of words": (["in.tif", "out.tif", "--bounds", "a", "b", "c", "d"], "'a'"),
    "infinite bounds": (["in.tif", "out.tif", "--bounds", "0", "0", "inf", "1"], "finite"),
    "band of words": (["in.tif", "out.tif", "-b", "red"], "red"),
    "negative band": (["in.tif", "out.tif", "-b", "-1"], "-1"),
    "empty band": (["in.tif", "out.tif", "-b", "1,,2"], "''"),
    "backward bands": (["in.tif", "out.tif", "-b", "3..1"], "3..1"),
    "endless bands": (["in.tif", "out.tif", "-b", "2.."], "no end"),
    "creation option": (["in.tif", "out.tif", "--co", "DEFLATE"], "NAME=VALUE"),
    "creation option twice": (["in.tif", "out.tif", "--co", "a=1", "--co", "A=2"], "twice"),
    "nodata of words": (["in.tif", "out.tif", "--nodata", "black"], "black"),
    "both sizes": (["in.tif", "out.tif", "-f", "2", "--resolution", "5"], "--resolution"),
    "factor 1": (["in.tif", "out.tif", "-f", "1"], "factor"),
    "band twice": (["in.tif", "out.tif", "-b", "1", "-b", "1"], "twice"),
    "bounds crs alone": (["in.tif", "out.tif", "--bounds-crs", "EPSG:4326"], "bounds"),
    "no workers": (["in.tif", "out.tif", "--workers", "0"], "workers"),
    "empty range": (["in.tif", "out.tif", "--model-range", "5", "5"], "range"),
}


@pytest.mark.parametrize("name", USAGE_ERRORS)
def test_wrong_usage_ends_with_2_and_says_why(api, name):
    args, named = USAGE_ERRORS[name]
    result = run("upscale", *args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert named in result.stderr
    assert "Traceback" not in result.stderr
    assert api.calls == []


@pytest.mark.parametrize("name", USAGE_ERRORS)
@pytest.mark.parametrize("spelling", [("--progress", "json"), ("--progress=json",)])
def test_wrong_usage_is_an_event_for_programs(api, name, spelling):
    args, named = USAGE_ERRORS[name]
    result = run("upscale", *args, *spelling)
    assert result.exit_code == 2
    event = parse_event(result.stdout)  # of the one line
    assert event is not None
    assert (event["event"], event["code"]) == ("error", "usage")
    assert named in event["message"] + event["hint"]


@pytest.mark.parametrize(
    ("error", "status", "shown"),
    [
        (BandError("There is no band 9.", hint="Use 1 to 4."), 2, "There is no band 9.\nUse 1"),
        (UnknownModelError("There is no model 'x'.", hint="Or y?"), 2, "no model 'x'.\nOr y?"),
        (InputFileError("It cannot be read.", hint="Mend it."), 1, "It cannot be read.\nMend it."),
        (MemoryError(), 1, "not enough memory"),
        (OSError(28, "No space left on device", "out.tif"), 1, "No space left on device: out.tif"),
        (KeyError("x"), 1, "This is a bug in geosr: KeyError: 'x'\nRun it again with -v -v"),
        (ValueError("many\n  lines"), 1, "ValueError: many lines\n"),
        (KeyboardInterrupt(), 1, "Stopped."),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_is_a_sentence_a_hint_and_a_status(api, error, status, shown):
    def act(on_event):
        raise error

    api.act = act
    result = run("upscale", "in.tif", "out.tif")
    assert result.exit_code == status
    assert result.stderr.startswith("Error: ")
    assert shown in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    event = parse_event(run("upscale", "in.tif", "out.tif", "--progress", "json").stdout)
    assert event is not None
    assert event["event"] == "error"
    assert (
        f"{event['message']}\n{event['hint']}".rstrip() == result.stderr[len("Error: ") :].rstrip()
    )


def test_the_traceback_shows_when_asked_for(api):
    def act(on_event):
        raise KeyError("x")

    api.act = act
    assert "Traceback" not in run("upscale", "in.tif", "out.tif", "-v").stderr
    assert "Traceback" in run("upscale", "in.tif", "out.tif", "-v", "-v").stderr


def test_json_progress_ends_with_the_result(api):
    api.act = lambda on_event: on_event({"event": "phase", "message": "Upscaling"})
    result = run("upscale", "in.tif", "out.tif", "--progress", "json")
    assert result.exit_code == 0
    assert [
        json.loads(line, parse_constant=pytest.fail) for line in result.stdout.splitlines()
    ] == [
        {"event": "phase", "message": "Upscaling"},
        {
            "event": "result",
            "output": "out.tif",
            "width": 20,
            "height": 10,
            "stats": {"seconds": 2.0, "consistency_error": "nan"},
        },
    ]
    assert result.stderr == ""


def test_the_summary_goes_to_standard_output_unless_quiet(api):
    assert run("upscale", "in.tif", "out.tif").stdout == "out.tif\n"
    assert run("upscale", "in.tif", "out.tif", "--progress", "bar").stdout == "out.tif\n"
    assert run("upscale", "in.tif", "out.tif", "-q").output == ""


def test_a_dry_run_prints_the_plan(api):
    args = ("upscale", "in.tif", "out.tif", "--dry-run", "-m", "bicubic")
    assert run(*args).stdout == "4 tiles\n1 GB of memory\n"
    assert json.loads(run(*args, "--progress", "json").stdout) == {
        "event": "plan",
        "plan": {"tiles": 4},
    }
    assert [call[2]["model"] for call in api.calls] == ["bicubic"] * 2


def test_log_lines_follow_the_verbosity(api):
    def act(on_event):
        for name in ("geosr.io", "rasterio._env"):
            logging.getLogger(name).warning("warned by %s", name)
            logging.getLogger(name).info("informed by %s", name)
        warnings.warn("look out", stacklevel=1)

    warned_at = act.__code__.co_firstlineno + 4

    api.act = act
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        plain, verbose, quiet = (
            run("upscale", "in.tif", "out.tif", *args).stderr for args in ((), ("-v",), ("-q",))
        )
    assert plain == "geosr.io: warned by geosr.io\n"
    assert verbose.splitlines()[:4] == [
        "geosr.io: warned by geosr.io",
        "geosr.io: informed by geosr.io",
        "rasterio._env: warned by rasterio._env",
        f"py.warnings: {__file__}:{warned_at}: UserWarning: look out",
    ]
    assert quiet == ""


def test_logging_is_left_as_it_was(api):
    root, ours = logging.getLogger(), logging.getLogger("geosr")
    before = (root.handlers[:], root.level, ours.level, ours.handlers[:])
    run("upscale", "in.tif", "out.tif", "-vv")
    assert (root.handlers[:], root.level, ours.level, ours.handlers[:]) == before


def test_the_version():
    assert run("--version").stdout == f"geosr {geosr.__version__}\n"


def test_models_are_a_table_of_all_that_can_be_named(monkeypatch):
    facts = catalog.ModelFacts(
        name="fine-x2",
        family="fine",
        upscale_factor=2,
        radius=9,
        bands=3,
        parameters=12345,
        bfloat16_error=0.75,
        licence="CC0-1.0",
        scores={"gain_db": 1.234},
    )
    monkeypatch.setattr(catalog, "shipped_models", lambda: (facts,))
    lines = run("models").stdout.splitlines()
    assert lines[0].split() == [
        "name",
        "factor",
        "bands",
        "radius",
        "parameters",
        "gain",
        "bfloat16",
        "licence",
    ]
    assert lines[1].split() == [
        "fine-x2",
        "2",
        "3",
        "9",
        "12,345",
        "+1.23",
        "dB",
        "0.75",
        "CC0-1.0",
    ]
    assert [line.split()[0] for line in lines[2:]] == list(catalog.KERNEL_RADIUS)
    assert len({line.index("2-8") for line in lines[2:]}) == 1  # aligned
    listed = json.loads(run("models", "--json").stdout)
    assert catalog.ModelFacts.from_card(json.dumps(listed[0])) == facts
    for entry in listed[1:]:
        assert catalog.find_model(entry["name"], models=()).radius == entry["radius"]


def test_damaged_card_is_an_error_not_a_crash(monkeypatch):
    def damaged():
        return (catalog.ModelFacts.from_card("{"),)

    monkeypatch.setattr(catalog, "shipped_models", damaged)
    result = run("models", "--json")
    assert result.exit_code == 1
    assert parse_event(result.stdout)["code"] == "model.damaged"


def test_info_tells_versions_and_runtimes():
    facts = json.loads(run("info", "--json").stdout)
    assert facts["geosr"] == geosr.__version__
    assert facts["protocol"] == PROTOCOL
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["packages"]["numpy"] == importlib.import_module("numpy").__version__
    assert facts["gdal"] == importlib.import_module("rasterio").__gdal_version__
    assert facts["processors"] >= 1
    assert facts["problem"] is None
    for runtime in facts["runtimes"]:
        assert facts["packages"][runtime]
    text = run("info").stdout
    assert "packages.numpy" in text
    assert facts["gdal"] in text


def test_info_lists_no_runtime_that_is_not_installed(monkeypatch):
    def version(name):
        if name in ("openvino", "keras"):
            raise importlib.metadata.PackageNotFoundError
        return "1.0"

    monkeypatch.setattr("importlib.metadata.version", version)
    facts = json.loads(run("info", "--json").stdout)
    assert facts["runtimes"] == []
    assert facts["packages"]["openvino"] is None
    assert facts["packages"]["tensorflow"] == "1.0"


def test_info_of_a_missing_file_is_an_error(api):
    result = run("info", "nothing.tif")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: There is no file nothing.tif.\nLook for it.\n",
    )
    result = run("info", "nothing.tif", "--json")
    assert parse_event(result.stdout) == error_event(
        "input.unreadable", "There is no file nothing.tif.", "Look for it."
    )


@pytest.mark.parametrize(
    "args", [["--help"], ["--version"], ["info"], ["models"], ["upscale", "--help"]], ids=" ".join
)
def test_light_commands_load_no_runtime(args):
    program = (
        "import sys\n"
        "sys.argv = ['geosr', *sys.argv[1:]]\n"
        "from geosr.cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print('LOADED', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *args], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split("LOADED")[1].split())
    assert "geosr.cli.upscale" in loaded
    assert loaded.isdisjoint(HEAVY)
    if args != ["info"]:  # which asks GDAL for its version
        assert loaded.isdisjoint({"rasterio", "numpy", "xarray", "dask", "pyproj"})


def test_import_geosr_is_light():
    program = "import sys, geosr; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()).isdisjoint({*HEAVY, "numpy", "rasterio", "click", "xarray"})


@pytest.mark.parametrize("command", ["--help", "info", "models"])
def test_light_commands_answer_within_a_second_of_processor_time(command):
    begun = os.times()
    subprocess.run(
        [sys.executable, "-m", "geosr", command], cwd=ROOT, stdout=subprocess.DEVNULL, check=True
    )
    ended = os.times()
    used = ended.children_user + ended.children_system - begun.children_user - begun.children_system
    assert used < 1.0  # the wall would depend on what else the machine does


def test_what_pipes_to_head_is_no_error():
    command = [sys.executable, "-m", "geosr", "models", "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as listing:
        listing.stdout.close()
        assert listing.stderr.read() == b""
        assert listing.wait(30) == 1


@pytest.mark.parametrize("command", ["info", "models"])
def test_json_answers_come_on_the_real_standard_output(command):
    done = subprocess.run(
        [sys.executable, "-m", "geosr", command, "--json"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)
    assert done.stderr == b""


def test_rio_takes_upscale_as_a_plugin(tmp_path):
    """In the real rio, found by the entry point that the wheel will have."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert project["scripts"] == {"geosr": "geosr.cli.main:main"}
    plugins = project["entry-points"]["rasterio.rio_plugins"]
    wheel = tmp_path / "geosr_of_this_test-0.dist-info"
    wheel.mkdir()
    (wheel / "METADATA").write_text("Metadata-Version: 2.1\nName: geosr-of-this-test\nVersion: 0\n")
    lines = ["[rasterio.rio_plugins]", *(f"{name} = {place}" for name, place in plugins.items())]
    (wheel / "entry_points.txt").write_text("\n".join(lines))
    program = "from rasterio.rio.main import main_group; main_group(prog_name='rio')"

    def rio(*args):
        return subprocess.run(
            [sys.executable, "-c", program, *args],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
            capture_output=True,
            text=True,
            check=False,
        )

    shown = rio("upscale", "--help")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("Usage: rio upscale [OPTIONS] INPUT OUTPUT")
    wrong = rio("-v", "upscale", "in.tif", "out.tif", "-f", "1", "--progress", "json")
    assert wrong.returncode == 2
    assert parse_event(wrong.stdout)["code"] == "usage"


RECIPE = """
name = "tiny-x2"
architecture = "srcnn"
upscale_factor = 2
steps = 10
seed = 3
sources = [{glob = "*.tif"}]
"""


@pytest.fixture
def fit(monkeypatch, tmp_path):
    """Put a fake training run in the place of the real one; return what it is called with."""
    (tmp_path / "tiny.toml").write_text(RECIPE)
    module, calls = types.ModuleType("geosr.training.fit"), []

    def train(recipe, data_dir, out_dir, *, resume, on_event):
        calls.append((recipe, data_dir, out_dir, resume))
        on_event({"event": "log", "level": "info", "message": "step 10: better"})
        return Path(out_dir) / "tiny-x2.json"

    module.train = train
    monkeypatch.setitem(sys.modules, "geosr.training.fit", module)
    monkeypatch.chdir(tmp_path)
    return calls


def test_train_calls_the_training_run(fit):
    card = str(Path("runs") / "tiny-x2.json")
    result = run("train", "tiny.toml", "--data", "images", "--out", "runs", "--steps", "20")
    assert result.exit_code == 0, result.output
    recipe, *rest = fit[0]
    assert (recipe.name, recipe.steps, recipe.seed, rest) == (
        "tiny-x2",
        20,
        3,
        ["images", "runs", True],
    )
    assert (result.stdout, result.stderr) == (f"{card}\n", "step 10: better\n")
    args = ("--no-resume", "--seed", "0", "--progress", "json")
    result = run("train", "tiny.toml", "--data", "images", "--out", "runs", *args)
    recipe, *rest = fit[1]
    assert (recipe.steps, recipe.seed, rest[-1]) == (10, 0, False)
    assert [parse_event(line) for line in result.stdout.splitlines()] == [
        {"event": "log", "level": "info", "message": "step 10: better"},
        {"event": "result", "output": card},
    ]


@pytest.mark.parametrize(
    ("args", "status", "named"),
    [
        (("tiny.toml", "--out", "runs"), 2, "--data"),
        (("tiny.toml", "--data", "images"), 2, "--out"),
        (("nothing.toml", "--data", "images", "--out", "runs"), 1, "nothing.toml"),
        (("tiny.toml", "--data", "images", "--out", "runs", "--steps", "0"), 2, "step"),
        (("wrong.toml", "--data", "images", "--out", "runs"), 2, "architecture"),
    ],
)
def test_train_says_what_is_wrong(fit, tmp_path, args, status, named):
    (tmp_path / "wrong.toml").write_text(RECIPE.replace("srcnn", "unheard-of"))
    result = run("train", *args)
    assert result.exit_code == status
    assert named in result.stderr
    assert "Traceback" not in result.stderr
    assert fit == []


def test_train_without_keras_names_the_install_command(fit, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = run("train", "tiny.toml", "--data", "images", "--out", "runs")
    assert result.exit_code == 1
    assert 'pip install "geosr[tensorflow]"' in result.stderr
    assert fit == []


@pytest.mark.parametrize("module", ["models", "progress"])
def test_doctests(module):
    assert doctest.testmod(importlib.import_module(f"geosr.cli.{module}")).failed == 0
