"""How much a network computes: multiply-adds counted from its graph."""

from __future__ import annotations

from math import prod
from typing import Any

import keras
from keras import layers

from geosr.core.errors import ModelFileError
from geosr.models.layers import (
    BandsApart,
    BandsTogether,
    ExpandedConv,
    HighPass,
    PixelShuffle,
    PixelUnshuffle,
    PolyphaseUpsample,
)
from geosr.radiometry import BOX


def multiply_adds(model: keras.Model) -> float:
    """Count the multiply-adds of all convolutions for each output pixel, and all its bands.

    As in papers, additions of biases, activations and other work on single pixels do not count,
    nor does the rim that convolutions without padding need around a picture. The fixed filters of
    the contract count. What runs once for a whole picture, as gates after global pooling do,
    costs nothing for a pixel.

    Raises
    ------
    ModelFileError
        If a layer with weights is of an unknown kind.
    """
    density = {id(tensor): 1.0 for tensor in model.inputs}  # pixels for each source pixel
    total = 0.0
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        before = max(density[id(tensor)] for tensor in inputs)
        after = before * _enlargement(layer)
        density[id(layer.output)] = after
        total += _at_a_pixel(layer) * (before if _counts_inputs(layer) else after)
    return total / density[id(model.outputs[0])]


def _enlargement(layer: Any) -> float:
    """Return how many pixels a layer gives for each that it gets."""
    if isinstance(layer, layers.GlobalAveragePooling2D):
        return 0
    if isinstance(layer, PixelShuffle):
        return float(layer.upscale_factor**2)
    if isinstance(layer, BandsApart):  # an image of the batch for each band
        return float(layer.bands)
    if isinstance(layer, BandsTogether):
        return 1.0 / layer.bands
    if isinstance(layer, PixelUnshuffle):
        return 1.0 / float(layer.upscale_factor**2)
    if isinstance(layer, layers.UpSampling2D):
        return float(prod(layer.size))
    if isinstance(layer, layers.Conv2DTranspose):
        return float(prod(layer.strides))
    if isinstance(layer, layers.Conv2D | layers.AveragePooling2D):
        return 1.0 / float(prod(layer.strides))
    return 1


def _counts_inputs(layer: Any) -> bool:
    return isinstance(layer, layers.Conv2DTranspose)


def _at_a_pixel(layer: Any) -> int:
    """Return the multiply-adds for each pixel that a layer gives, or gets if it is transposed."""
    if isinstance(layer, layers.Conv2D | layers.Conv2DTranspose):
        return int(prod(layer.kernel.shape))
    if isinstance(layer, ExpandedConv):  # as one plain convolution
        return int(prod(layer.expand.shape[:3]) * layer.filters)
    if isinstance(layer, PolyphaseUpsample):
        return int(prod(layer.taps.shape)) * _bands(layer)
    if isinstance(layer, HighPass):
        return BOX**2 * _bands(layer)
    if layer.weights and not isinstance(layer, layers.PReLU | layers.BatchNormalization):
        raise ModelFileError(
            f"What the layer {layer.name} ({type(layer).__name__}) computes cannot be counted.",
            hint="Teach geosr.models.cost its kind.",
        )
    return 0


def _bands(layer: Any) -> int:
    """Return how many bands a fixed filter treats, each by itself."""
    return int(layer.input.shape[-1])
