"""Models that are ready to run: facts and weights to a `geosr.engine.Predictor`."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.catalog import KERNEL_RADIUS, WEIGHTS_DIR, ModelFacts
from geosr.core.errors import ModelFileError, OptionError
from geosr.core.options import UpscaleOptions
from geosr.kernels import upsample
from geosr.radiometry import high_pass

Array = NDArray[Any]

BFLOAT16_LIMIT = 1.0
"""``--precision auto`` takes bfloat16 up to this error, in DN of 10,000."""


@dataclass(frozen=True)
class Machinery:
    """What a model runs on: settled, not ``auto`` any more."""

    runtime: str
    device: str
    precision: str
    threads: int


@dataclass(frozen=True)
class KernelPredictor:
    """A classical kernel."""

    facts: ModelFacts

    def predict(self, x: Array) -> Array:
        """Map ``(bands, h + 2 radius, w + 2 radius)`` to phases ``(bands, s*s, h, w)``."""
        return upsample(x, self.facts.family, self.facts.upscale_factor)


@dataclass(frozen=True)
class ContractPredictor:
    """A network of the geosr contract: ``up(x) + g(h(x))``, of which a runtime runs ``g``.

    The interpolated base stays in the working dtype; only detail, and it is small, goes
    through float32 or bfloat16.
    """

    facts: ModelFacts
    detail: Callable[[NDArray[np.float32]], NDArray[np.float32]]

    def predict(self, x: Array) -> Array:
        """Map ``(bands, h + 2 radius, w + 2 radius)`` to phases ``(bands, s*s, h, w)``."""
        kernel = self.facts.base or "bicubic"
        trim = self.facts.radius - KERNEL_RADIUS[kernel]
        inner = slice(trim, -trim or None)
        detail = np.require(self.detail(high_pass(x)), x.dtype, "W")
        return upsample(x[:, inner, inner], kernel, self.facts.upscale_factor, onto=detail)


def settle(facts: ModelFacts, options: UpscaleOptions, *, processors: int) -> Machinery:
    """Decide what ``auto`` means here.

    Raises
    ------
    DeviceError, MissingDependencyError
        If what was asked for is not there.
    OptionError
        If two options contradict each other.
    """
    threads = options.threads or processors
    if facts.is_kernel:
        if options.device == "gpu" or options.runtime != "auto" or options.precision == "bfloat16":
            raise OptionError(
                f"{facts.family} has no network: it runs on the processor, in the raster's "
                "own precision.",
                hint="Leave --device, --runtime and --precision out.",
            )
        return Machinery("numpy", "cpu", "float32", threads)
    runtime, device = _runtime_and_device(facts, options)
    return Machinery(runtime, device, _precision(facts, options, runtime), threads)


def _runtime_and_device(facts: ModelFacts, options: UpscaleOptions) -> tuple[str, str]:
    wants_gpu = options.device == "gpu" or (options.device == "auto" and _may_have_gpu())
    runtime = options.runtime
    if runtime == "auto":
        only_keras = "onnx" not in facts.files
        runtime = "tensorflow" if wants_gpu or only_keras else "openvino"
    if runtime == "openvino":
        from geosr.runtimes.openvino import require_cpu

        require_cpu(options.device)
        return runtime, "cpu"
    from geosr.runtimes.tensorflow import require_device

    return runtime, require_device(options.device)


def _may_have_gpu() -> bool:
    """Return whether it is worth the seconds that asking TensorFlow for a GPU takes."""
    driver = Path("/proc/driver/nvidia/version").exists()
    return driver and importlib.util.find_spec("tensorflow") is not None


def _precision(facts: ModelFacts, options: UpscaleOptions, runtime: str) -> str:
    if options.precision != "auto":
        return options.precision
    error = facts.bfloat16_error
    if runtime != "openvino" or error is None or error > BFLOAT16_LIMIT:
        return "float32"
    from geosr.runtimes.openvino import supports_bfloat16

    return "bfloat16" if supports_bfloat16() else "float32"


def load_predictor(
    facts: ModelFacts, machinery: Machinery, *, folder: Path | None = None
) -> KernelPredictor | ContractPredictor:
    """Load a model's weights and make it ready.

    Raises
    ------
    ModelFileError
        If the file is missing, or not the one that the card describes.
    """
    if facts.is_kernel:
        return KernelPredictor(facts)
    folder = folder or Path(facts.folder or WEIGHTS_DIR)
    if machinery.runtime == "openvino":
        return ContractPredictor(facts, _openvino_detail(facts, machinery, folder))
    return ContractPredictor(facts, _tensorflow_detail(facts, machinery, folder))


def _openvino_detail(
    facts: ModelFacts, machinery: Machinery, folder: Path
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    from geosr.runtimes.openvino import OpenVinoNetwork

    network = OpenVinoNetwork(
        verified_file(facts, "onnx", folder),
        cut=(facts.tensors["detail_in"], facts.tensors["detail_out"]),
        precision=machinery.precision,
        threads=machinery.threads,
    )
    return lambda high: network.borrow(high[:, None])


def _tensorflow_detail(
    facts: ModelFacts, machinery: Machinery, folder: Path
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    from geosr.runtimes.tensorflow import TensorFlowNetwork, load_tensorflow

    load_tensorflow()  # before Keras, for its clearer message
    from geosr.models.contract import load_trained_part

    model = load_trained_part(verified_file(facts, "keras", folder))
    network = TensorFlowNetwork(model, device=machinery.device, precision=machinery.precision)
    return lambda high: np.moveaxis(network(high[..., None]), -1, 1)


def verified_file(facts: ModelFacts, kind: str, folder: Path) -> Path:
    """Return the path of a model's file, once its digest is the card's.

    Raises
    ------
    ModelFileError
        If it is missing or was changed.
    """
    name = facts.files.get(kind)
    path = folder / (name or "")
    if name is None or not path.is_file():
        raise ModelFileError(
            f"The {kind} file of {facts.name} is missing.",
            hint="Install geosr again, or put it beside its card.",
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != facts.sha256.get(kind):
        raise ModelFileError(
            f"{path.name} is not the file that its card describes: its SHA-256 is {digest[:12]}…, "
            f"not {facts.sha256.get(kind, 'none')[:12]}….",
            hint="It was changed or damaged. Install geosr again, or train it anew.",
        )
    return path
