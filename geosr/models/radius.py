"""How far a network looks: counted from its graph, and checked by a probe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from geosr.core.errors import ModelFileError
from geosr.core.facts import KERNEL_RADIUS
from geosr.kernels import polyphase_weights
from geosr.models.attention import LocalShares
from geosr.models.contract import declared_radius
from geosr.models.layers import (
    BandsApart,
    BandsTogether,
    Crop,
    ExpandedConv,
    HighPass,
    KeepMeans,
    Magnitude,
    MirrorPad,
    PixelShuffle,
    PixelUnshuffle,
    PolyphaseUpsample,
)
from geosr.models.probe import probed_radius
from geosr.radiometry import BOX


@dataclass(frozen=True)
class Span:
    """Pixels ``low..high`` of one axis.

    ``factor`` 0: of the tensor itself. Else the tensor holds phases, and the numbers count the
    fine pixels in them, ``factor`` to each of the tensor's own.
    """

    low: int
    high: int
    factor: int = 0

    def whole(self) -> Span:
        """Return the tensor's own pixels that hold these."""
        if not self.factor:
            return self
        return Span(self.low // self.factor, self.high // self.factor)

    def grown(self, before: int, after: int) -> Span:
        """Return a span with more pixels of the tensor itself."""
        own = self.whole()
        return Span(own.low - before, own.high + after)

    def union(self, other: Span) -> Span:
        """Return the smallest span around both."""
        one, two = (self, other) if self.factor == other.factor else (self.whole(), other.whole())
        return Span(min(one.low, two.low), max(one.high, two.high), one.factor)


MEASURABLE = 100
"""Up to this radius a probe in float32 shows all of it."""

_Rule = Callable[[Any, Span], Span]


def _conv(layer: Any, span: Span) -> Span:
    size, dilation, stride = (
        {int(n) for n in values}
        for values in (layer.kernel_size, layer.dilation_rate, layer.strides)
    )
    if max(len(size), len(dilation)) > 1 or stride != {1}:
        raise ModelFileError(
            f"The layer {layer.name} is not square, or has a stride.",
            hint="Networks of the geosr contract keep the grid.",
        )
    reach = (size.pop() - 1) * dilation.pop()
    ahead = reach // 2 if layer.padding == "same" else 0
    return span.grown(ahead, reach - ahead)


def _transposed(layer: Any, span: Span) -> Span:
    """Follow a transposed convolution, which gives ``strides`` pixels for each that it gets."""
    own, (stride,), (size,) = span.whole(), set(layer.strides), set(layer.kernel_size)
    if layer.padding != "same" or set(layer.dilation_rate) != {1} or size < stride:
        raise ModelFileError(
            f"The transposed convolution {layer.name} does not give {stride} pixels for one.",
            hint='It needs padding="same", no dilation, and a kernel as large as its stride.',
        )
    ahead = (size - stride) // 2  # what "same" cuts off in front
    return Span(-(-(own.low + ahead - size + 1) // stride), (own.high + ahead) // stride)


def _pool(layer: Any, span: Span) -> Span:
    if set(layer.strides) != {1} or layer.padding != "valid":
        raise ModelFileError(
            f"The pooling layer {layer.name} has a stride, or pads.",
            hint="Networks of the geosr contract keep the grid.",
        )
    return span.grown(0, max(layer.pool_size) - 1)


def _repeated(layer: Any, span: Span) -> Span:
    (size,) = set(layer.size)
    if layer.interpolation != "nearest":
        raise ModelFileError(
            f"The layer {layer.name} interpolates by {layer.interpolation}.",
            hint="Repeat pixels, and let a convolution follow.",
        )
    own = span.whole()
    return Span(own.low // size, own.high // size)


def _polyphase(layer: Any, span: Span) -> Span:
    """Follow each phase to the taps that are not zero: a kernel leans to one side."""
    radius = KERNEL_RADIUS[layer.kernel]
    if not span.factor:
        return span.grown(0, 2 * radius)
    taps = [np.flatnonzero(row) for row in polyphase_weights(layer.kernel, span.factor)]
    fine = range(span.low, span.high + 1)
    lows = [index // span.factor + int(taps[index % span.factor].min()) for index in fine]
    highs = [index // span.factor + int(taps[index % span.factor].max()) for index in fine]
    return Span(min(lows), max(highs))


def _unshuffle(layer: Any, span: Span) -> Span:
    if span.factor:
        return Span(span.low, span.high)
    s = layer.upscale_factor
    return Span(span.low * s, span.high * s + s - 1)


def _same(_layer: Any, span: Span) -> Span:
    return span


def _channels(layer: Any, span: Span) -> Span:
    if layer.axis not in (-1, 3):
        raise ModelFileError(
            f"The layer {layer.name} works along axis {layer.axis}.",
            hint="Channels come last.",
        )
    return span


_RULES: dict[type, _Rule] = {
    MirrorPad: lambda layer, span: span.grown(layer.radius, -layer.radius),
    Crop: lambda layer, span: span.grown(-layer.margin, layer.margin),
    HighPass: lambda layer, span: span.grown(0, BOX - 1),
    PolyphaseUpsample: _polyphase,
    ExpandedConv: lambda layer, span: span.grown(0, 2),
    PixelShuffle: lambda layer, span: Span(span.low, span.high, layer.upscale_factor),
    PixelUnshuffle: _unshuffle,
    layers.Conv2D: _conv,
    KeepMeans: lambda layer, span: span.whole(),
    LocalShares: lambda layer, span: span.grown(0, layer.window - 1),
    layers.Conv2DTranspose: _transposed,
    layers.AveragePooling2D: _pool,
    layers.UpSampling2D: _repeated,
    layers.Concatenate: _channels,
    layers.Activation: _same,
    layers.BatchNormalization: _channels,  # of a trained network: fixed numbers
    layers.Rescaling: _same,
    layers.Add: _same,
    layers.Subtract: _same,
    layers.Multiply: _same,
    layers.LeakyReLU: _same,
    layers.ReLU: _same,
    layers.PReLU: _same,
    layers.Maximum: _same,
    Magnitude: _same,
    BandsApart: _same,
    BandsTogether: _same,
}
"""Which pixels of a layer's input a span of its output needs."""


def graph_radius(model: keras.Model) -> int:
    """Count the receptive radius from the graph, in source pixels.

    The output pixels of one source pixel are followed back to the input, layer by layer.

    Raises
    ------
    ModelFileError
        If a layer is not known to be local.
    """
    factor = factor_of(model)
    needed: dict[int, Span] = {id(model.outputs[0]): Span(0, factor - 1)}
    for layer in reversed(model.layers):
        span = needed.get(id(layer.output))
        if span is None or isinstance(layer, layers.InputLayer):
            continue
        rule = _RULES.get(type(layer))
        if rule is None:
            raise ModelFileError(
                f"The layer {layer.name} ({type(layer).__name__}) is not known to be local.",
                hint="What sees the whole picture has no radius; see geosr.models.rcan_local for "
                "attention over a window.",
            )
        wanted = rule(layer, span)
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        for tensor in inputs:
            needed[id(tensor)] = wanted.union(needed.get(id(tensor), wanted))
    whole = needed[id(model.inputs[0])].whole()
    return max(-whole.low, whole.high)


def factor_of(model: keras.Model) -> int:
    """Return how many output pixels per side a network makes of an input pixel."""
    side = 840  # larger than all radii, and a multiple of all factors
    shape = model.compute_output_shape((1, side, side, model.inputs[0].shape[-1]))
    return int(shape[1]) // side


def checked_radius(model: keras.Model) -> int:
    """Return the receptive radius, if graph and probe agree on it.

    Beyond `MEASURABLE` the probe only has to show nothing that the graph does not tell.

    Raises
    ------
    ModelFileError
        If they do not: tiles of this network would show seams.
    """
    counted = graph_radius(model)
    deep = counted > MEASURABLE
    measured = probed_radius(model, expected=counted, draws=0 if deep else 4)
    halo = declared_radius(model)
    if measured > counted or (measured < counted and not deep) or counted > halo:
        raise ModelFileError(
            f"{model.name} looks {measured} pixels far, its graph says {counted}, and it has a "
            f"halo of {halo}.",
            hint="A layer does not do what geosr.models.radius believes of it; mend the rule.",
        )
    return counted
