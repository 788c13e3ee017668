"""``geosr train``: from its options to the one call."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from cli_scenes import run

from geosr.core.events import parse_event

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
    ("named", "instead"),
    [("edsr-paper", "edsr"), ("srcnn-955-paper", "srcnn-955"), ("rcan", "rcan-local")],
)
def test_a_papers_form_is_not_for_recipes(fit, tmp_path, named, instead):
    (tmp_path / "paper.toml").write_text(RECIPE.replace("srcnn", named))
    result = run("train", "paper.toml", "--data", "images", "--out", "runs")
    assert result.exit_code == 2
    assert f"{named}: networks as their papers have them are for building and" in result.stderr
    assert f'architecture = "{instead}"' in result.stderr
    assert "benchmarks/papers.py" in result.stderr
    assert fit == []


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
