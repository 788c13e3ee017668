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

from geosr.core.catalog import WEIGHTS_DIR
from geosr.core.errors import ModelFileError, OptionError
from geosr.core.facts import KERNEL_RADIUS, ModelFacts
from geosr.core.options import UpscaleOptions
from geosr.kernels import interleave, to_phases, upsample
from geosr.radiometry import high_pass, keep_means

Array = NDArray[Any]

BFLOAT16_LIMIT = 1.0
"""``--precision auto`` takes bfloat16 up to this error, in DN of 10,000."""


_PLAIN = ("auto", "float32")
"""Precisions that a classical kernel takes."""


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

    Base and high-pass are made of each band by itself; ``g`` may see several bands together. Where
    one of these is NaN, and 4 pixels around, ``g`` sees no detail of it.

    The interpolated base stays in the working dtype; only detail, and it is small, goes
    through float32 or bfloat16.
    """

    facts: ModelFacts
    detail: Callable[[NDArray[np.float32]], NDArray[np.float32]]

    def predict(self, x: Array) -> Array:
        """Map ``(bands, h + 2 radius, w + 2 radius)`` to phases ``(bands, s*s, h, w)``."""
        kernel = self.facts.base or "bicubic"
        near = _trimmed(x, self.facts.radius - KERNEL_RADIUS[kernel])
        high = high_pass(x)
        if self.facts.takes_gaps:
            near, high = _without_gaps(near), _without_gaps(high)
        detail = np.require(self.detail(high), x.dtype, "W")
        return upsample(near, kernel, self.facts.upscale_factor, onto=detail)


@dataclass(frozen=True)
class SigmaPredictor:
    """A head: a network that tells from ``h(x)`` how far another one's picture may be off."""

    facts: ModelFacts
    detail: Callable[[NDArray[np.float32]], NDArray[np.float32]]

    def predict(self, x: Array) -> Array:
        """Map ``(bands, h + 2 radius, w + 2 radius)`` to phases ``(bands, s*s, h, w)``."""
        return np.require(self.detail(high_pass(x)), x.dtype, "W")


@dataclass(frozen=True)
class ComposedPredictor:
    """Two networks of the contract: the second enlarges what the first made.

    Each keeps its block means, as it was trained to.
    """

    facts: ModelFacts
    first: ContractPredictor
    second: ContractPredictor

    def predict(self, x: Array) -> Array:
        """Map ``(bands, h + 2 radius, w + 2 radius)`` to phases ``(bands, s*s, h, w)``."""
        s, halo = self.first.facts.upscale_factor, self.second.facts.radius
        rim = s * (self.facts.radius - self.first.facts.radius)
        between = _trimmed(interleave(_predicted(self.first, x)), rim - halo)
        bands, rows, cols = between.shape
        height, width = (rows - 2 * halo) // s, (cols - 2 * halo) // s
        t = self.second.facts.upscale_factor
        image = np.empty((bands, s * t * height, s * t * width), x.dtype)
        # In windows of the first network's size: at once, the second would take s*s its memory.
        for row in range(0, s * height, height):
            for col in range(0, s * width, width):
                window = between[:, row : row + height + 2 * halo, col : col + width + 2 * halo]
                place = image[:, t * row : t * (row + height), t * col : t * (col + width)]
                interleave(_predicted(self.second, window), out=place)
        return to_phases(image, s * t)


def _without_gaps(x: Array) -> Array:
    gaps = np.isnan(x)
    return np.where(gaps, x.dtype.type(0), x) if gaps.any() else x


def _predicted(network: ContractPredictor, x: Array) -> Array:
    phases = network.predict(x)
    if network.facts.consistency == "none":
        return phases
    return keep_means(phases, _trimmed(x, network.facts.radius))


def _trimmed(x: Array, margin: int) -> Array:
    inner = slice(margin, -margin or None)
    return x[:, inner, inner]


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
        if options.device == "gpu" or options.runtime != "auto" or options.precision not in _PLAIN:
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
        only_keras = "onnx" not in facts.sha256
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
    if options.precision == "int8":
        _require_int8(facts, runtime)
    if options.precision != "auto":
        return options.precision
    error = facts.bfloat16_error
    if runtime != "openvino" or error is None or error > BFLOAT16_LIMIT:
        return "float32"
    from geosr.runtimes.openvino import supports_bfloat16

    return "bfloat16" if supports_bfloat16() else "float32"


def _require_int8(facts: ModelFacts, runtime: str) -> None:
    if runtime != "openvino":
        raise OptionError(
            f"int8 runs with OpenVINO on the processor, not with {runtime}.",
            hint="Use --device cpu --runtime openvino, or another precision.",
        )
    if "int8" not in facts.files:
        raise OptionError(
            f"{facts.name} has no int8 weights.",
            hint="`geosr export --format openvino-int8` makes them for a network of one step that "
            "sees each band by itself; `geosr models` shows which have them.",
        )


def load_predictor(
    facts: ModelFacts, machinery: Machinery, *, folder: Path | None = None
) -> KernelPredictor | ContractPredictor | ComposedPredictor | SigmaPredictor:
    """Load a model's weights and make it ready.

    Raises
    ------
    ModelFileError
        If the file is missing, or not the one that the card describes.
    """
    if facts.is_kernel:
        return KernelPredictor(facts)
    if facts.steps:
        steps = (_network(step, machinery, folder) for step in facts.steps)
        return ComposedPredictor(facts, *steps)
    if facts.kind == "sigma":
        return SigmaPredictor(facts, _detail(facts, machinery, folder))
    return _network(facts, machinery, folder)


def _network(facts: ModelFacts, machinery: Machinery, folder: Path | None) -> ContractPredictor:
    return ContractPredictor(facts, _detail(facts, machinery, folder))


def _detail(
    facts: ModelFacts, machinery: Machinery, folder: Path | None
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    folder = folder or Path(facts.folder or WEIGHTS_DIR)
    if machinery.runtime == "openvino":
        return _openvino_detail(facts, machinery, folder)
    return _tensorflow_detail(facts, machinery, folder)


def _openvino_detail(
    facts: ModelFacts, machinery: Machinery, folder: Path
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    from geosr.runtimes.openvino import OpenVinoNetwork

    if machinery.precision == "int8":
        verified_file(facts, "int8_bin", folder)  # it is read beside the other
        path, cut = verified_file(facts, "int8", folder), None
    else:
        path = verified_file(facts, "onnx", folder)
        cut = facts.tensors["detail_in"], facts.tensors["detail_out"]
    network = OpenVinoNetwork(
        path,
        cut=cut,
        precision=machinery.precision,
        threads=machinery.threads,
    )
    if facts.bands > 1:
        return lambda high: _bands_first(network.borrow(high[None])[0], facts.bands)
    return lambda high: network.borrow(high[:, None])


def _tensorflow_detail(
    facts: ModelFacts, machinery: Machinery, folder: Path
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    from geosr.runtimes.tensorflow import TensorFlowNetwork, load_tensorflow

    load_tensorflow()  # before Keras, for its clearer message
    from geosr.models.contract import load_trained_part

    model = load_trained_part(verified_file(facts, "keras", folder))
    network = TensorFlowNetwork(model, device=machinery.device, precision=machinery.precision)
    if facts.bands > 1:
        return lambda high: _bands_first(
            np.moveaxis(network(np.moveaxis(high, 0, -1)[None])[0], -1, 0), facts.bands
        )
    return lambda high: np.moveaxis(network(high[..., None]), -1, 1)


def _bands_first(phases: NDArray[np.float32], bands: int) -> NDArray[np.float32]:
    """Return phases ``(s*s*bands, h, w)`` of bands seen together as ``(bands, s*s, h, w)``."""
    return phases.reshape(-1, bands, *phases.shape[1:]).swapaxes(0, 1)


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
