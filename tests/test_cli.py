"""The command line by itself: options, errors, output. `test_cli_upscale.py` has real runs."""

from __future__ import annotations

import json
import logging
import math
import sys
import types
import typing
import warnings
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import pytest
from cli_scenes import run

import geosr
from geosr.batch.failures import Failure
from geosr.batch.run import Outcome
from geosr.cli.upscale import report_lines
from geosr.core.errors import BandError, InputFileError, UnknownModelError
from geosr.core.events import batch_event, file_event, parse_event, phase_event, result_event
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
        return types.SimpleNamespace(output=dst_path, grid=grid, stats=stats, uncertainty=None)

    def upscale_files(self, sources, out_dir, *, assets, on_event, should_stop, **options):
        UpscaleOptions(**options)
        self.calls.append((sources, out_dir, assets, options))
        failed = ()
        for index, source in enumerate(sources, 1):
            on_event(file_event(source, f"{source}.out", index=index, total=len(sources)))
            if source == "bad.tif":
                error = InputFileError("It is empty.", hint="Mend it.")
                failed = (Failure.of(source, f"{source}.out", error),)
            else:
                self.act(on_event)
                on_event(result_event(f"{source}.out", width=1, height=1, stats={"seconds": 2.0}))
        done = len(sources) - len(failed)
        on_event(batch_event(done=done, skipped=0, failed=[asdict(one) for one in failed]))
        return Outcome(done=("made",) * done, skipped=(), failed=failed)

    def plan_file(self, src_path, dst_path=None, **options):
        self.calls.append((src_path, dst_path, options))
        return types.SimpleNamespace(
            lines=lambda: ("4 tiles", "1 GB of memory"), to_dict=lambda: {"tiles": 4}
        )


@pytest.fixture
def api(monkeypatch):
    """Put a fake API in the place of the real one."""
    fake = FakeApi()
    monkeypatch.setitem(sys.modules, "geosr.api", fake)
    monkeypatch.setattr(geosr, "api", fake, raising=False)
    monkeypatch.setattr("geosr.cli.upscale.report_lines", lambda report: (report.output,))
    return fake


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
        (["--threads", "3"], {"threads": 3}),
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
    "sources to nowhere": (["a.tif", "b.tif", "c.tif"], "--out-dir"),
    "nothing for a folder": (["--out-dir", "out"], "source"),
    "asset of a file": (["in.tif", "out.tif", "--asset", "red"], "--asset"),
    "calibrated run": (["in.tif", "out.tif", "--calibrate"], "--dry-run"),
    "calibrated workers": (
        ["in.tif", "out.tif", "--dry-run", "--calibrate", "--workers", "2"],
        "--calibrate",
    ),
    "standard input twice": (["@-", "--out-dir", "out", "--exit-with-stdin"], "standard input"),
    "log file in no folder": (["in.tif", "out.tif", "--log-file", "no/such/log"], "no/such/log"),
    "log file is a folder": (["in.tif", "out.tif", "--log-file", "/"], "log file"),
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


def test_any_number_of_sources_go_to_a_folder(api):
    result = run("upscale", "a.tif", "b*.tif", "--out-dir", "out", "--asset", "red", "-f", "3")
    assert result.exit_code == 0, result.output
    (sources, out_dir, assets, options) = api.calls[-1]
    assert (sources, out_dir, assets) == (("a.tif", "b*.tif"), "out", ("red",))
    assert UpscaleOptions(**options) == UpscaleOptions(upscale_factor=3)
    *files, last = result.stdout.splitlines()
    assert files == ["[1/2] a.tif.out  2.0 s", "[2/2] b*.tif.out  2.0 s"]
    assert last.startswith("2 done, 0 skipped, 0 failed in ")
    assert result.stderr == ""


def test_two_names_and_a_folder_are_two_sources(api):
    assert run("upscale", "a.tif", "b.tif", "--out-dir", "out").exit_code == 0
    assert api.calls[-1][0] == ("a.tif", "b.tif")


def test_a_failed_file_is_listed_and_the_status_is_1(api):
    result = run("upscale", "a.tif", "bad.tif", "c.tif", "--out-dir", "out")
    assert result.exit_code == 1
    assert "2 done, 0 skipped, 1 failed" in result.stdout
    assert result.stderr == "Failed: bad.tif\n  It is empty.\n  Mend it.\n"
    quiet = run("upscale", "a.tif", "bad.tif", "--out-dir", "out", "-q")
    assert (quiet.exit_code, quiet.stdout) == (1, "")
    assert quiet.stderr == result.stderr


def test_a_batch_in_json_ends_with_how_it_went(api):
    args = ("upscale", "a.tif", "bad.tif", "--out-dir", "out", "--progress", "json")
    result = run(*args)
    assert result.exit_code == 1
    assert result.stderr == ""
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["event"] for event in events] == ["file", "result", "file", "batch"]
    assert events[-1]["failed"][0]["hint"] == "Mend it."


def log_lines(path):
    """Return the lines of a log without their times."""
    return [line[24:] for line in Path(path).read_text().splitlines()]


@pytest.mark.parametrize("args", [(), ("-q",), ("-v", "-v"), ("--progress", "json")])
def test_the_log_file_has_everything_whatever_is_shown(api, tmp_path, args):
    def act(on_event):
        on_event(phase_event("Upscaling"))
        logging.getLogger("geosr.engine").debug("a detail")
        logging.getLogger("rasterio._env").debug("a detail of theirs")
        warnings.warn("look out", stacklevel=1)
        raise KeyError("x")

    api.act = act
    log = tmp_path / "run.log"
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        for _ in range(2):
            assert run("upscale", "in.tif", "out.tif", "--log-file", log, *args).exit_code == 1
    lines = log_lines(log)
    half = len(lines) // 2
    assert lines[0].startswith(f"INFO geosr.cli: geosr {geosr.__version__}: ")
    assert 'INFO geosr.events: {"event": "phase", "message": "Upscaling"}' in lines
    assert "DEBUG geosr.engine: a detail" in lines
    assert not any("a detail of theirs" in line for line in lines)
    assert any("UserWarning: look out" in line for line in lines)
    text = log.read_text()
    assert text.count("Traceback (most recent call last)") == 2
    assert text.count("KeyError: 'x'\n") == 2
    assert parse_event(lines[-1].removeprefix("INFO geosr.events: "))["event"] == "error"
    assert lines[:half] == lines[half:]  # the second run was appended


def test_each_line_of_the_log_has_its_time(api, tmp_path):
    log = tmp_path / "run.log"
    assert run("upscale", "in.tif", "out.tif", "--log-file", log).exit_code == 0
    for line in log.read_text().splitlines():
        datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f")


def test_a_log_file_shows_nothing_more_on_the_terminal(api, tmp_path):
    def act(on_event):
        logging.getLogger("geosr.engine").debug("a detail")
        logging.getLogger("geosr.engine").info("what is done")

    api.act = act
    args = ("upscale", "in.tif", "out.tif", "--log-file", tmp_path / "run.log")
    assert run(*args).stderr == ""
    assert run(*args, "-v").stderr == "geosr.engine: what is done\n"


def test_the_summary_says_what_the_network_took_and_what_was_there():
    grid = GeoGrid((10, 20), (5.0, 0.0, 0.0, 0.0, -5.0, 0.0))
    stats = {
        "seconds": 12.34,
        "source_mpx_per_s": 0.5,
        "output_mpx_per_s": 2.0,
        "overhead": 1.0816,
        "consistency_error": None,
        "unresolved": 0,
        "resumed": 0.375,
        "model": "geosr-lite-x2",
        "runtime": "openvino",
        "device": "cpu",
        "precision": "float32",
        "pixel_size_before": None,
        "pixel_size": None,
    }
    report = types.SimpleNamespace(output="out.tif", grid=grid, stats=stats)
    lines = [line.strip() for line in report_lines(report)]
    assert "1.08 times the network alone" in lines
    assert "Resumed    38% of it was there from an earlier run" in lines
    report.stats |= {"overhead": None, "resumed": 0.0}
    assert not [line for line in report_lines(report) if "alone" in line or "Resumed" in line]


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
