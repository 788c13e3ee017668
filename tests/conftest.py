"""What several test files share."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("here", deadline=None)  # other work may hold the processor
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real rasters beside the repository; tests skip without it."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder shared/data with real rasters is not here")
    return folder


@pytest.fixture(scope="session")
def random_networks(tmp_path_factory) -> dict[int, Any]:
    """Predictors of geosr-lite x2 and x3 with random weights, through OpenVINO in float32.

    Their detail is as strong as a trained network's, or stronger, so that it shows.
    """
    for needed in ("tensorflow", "keras", "onnx", "tf2onnx"):
        pytest.importorskip(needed, reason="making a network needs geosr[tensorflow]")
    from geosr.core.facts import ModelFacts
    from geosr.models.contract import declared_radius
    from geosr.models.families import build
    from geosr.predictors import Machinery, load_predictor
    from geosr.training.onnx import write_onnx
    from geosr.training.publish import write_card

    folder = tmp_path_factory.mktemp("networks")
    predictors = {}
    for factor in (2, 3):
        model = build("geosr-lite", factor)
        rng = np.random.default_rng(factor)
        model.set_weights(
            [rng.normal(0, np.prod(w.shape[:-1]) ** -0.5, w.shape) for w in model.get_weights()]
        )
        name = f"random-x{factor}"
        facts = ModelFacts(
            name,
            "random",
            factor,
            declared_radius(model),
            files={"onnx": f"{name}.onnx"},
            tensors={"detail_in": "detail_in", "detail_out": "detail_out"},
        )
        model.save(folder / f"{name}.keras")
        write_onnx(folder / f"{name}.keras", folder / f"{name}.onnx", card=facts.to_card())
        card = write_card(facts, folder).read_text(encoding="utf-8")
        machinery = Machinery("openvino", "cpu", "float32", 2)
        predictors[factor] = load_predictor(ModelFacts.from_card(card), machinery, folder=folder)
    return predictors


@pytest.fixture(scope="session", autouse=True)
def heard_signals() -> None:
    """Have child processes hear the signals that ``nohup`` or a shell's ``&`` made them ignore."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
