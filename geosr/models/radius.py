"""How far a network looks: counted from its graph, and measured by changing one pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from geosr.core.catalog import KERNEL_RADIUS
from geosr.core.errors import ModelFileError
from geosr.kernels import polyphase_weights
from geosr.models.contract import declared_radius
from geosr.models.layers import (
    Crop,
    ExpandedConv,
    HighPass,
    KeepMeans,
    MirrorPad,
    PixelShuffle,
    PixelUnshuffle,
    PolyphaseUpsample,
)
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
    layers.Add: _same,
    layers.Subtract: _same,
    layers.Multiply: _same,
    layers.LeakyReLU: _same,
    layers.ReLU: _same,
    layers.PReLU: _same,
    layers.Maximum: _same,
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
    factor = model.get_layer("high_resolution").upscale_factor
    needed: dict[int, Span] = {id(model.outputs[0]): Span(0, factor - 1)}
    for layer in reversed(model.layers):
        span = needed.get(id(layer.output))
        if span is None or isinstance(layer, layers.InputLayer):
            continue
        rule = _RULES.get(type(layer))
        if rule is None:
            raise ModelFileError(
                f"The layer {layer.name} ({type(layer).__name__}) is not known to be local.",
                hint="Build the network from convolutions and activations without biases.",
            )
        wanted = rule(layer, span)
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        for tensor in inputs:
            needed[id(tensor)] = wanted.union(needed.get(id(tensor), wanted))
    whole = needed[id(model.inputs[0])].whole()
    return max(-whole.low, whole.high)


def probed_radius(model: keras.Model, *, expected: int, draws: int = 4, seed: int = 0) -> int:
    """Measure the receptive radius: change one pixel, see how far the output changes.

    Parameters
    ----------
    expected
        The radius counted; the probe's image is large enough to show one 3 pixels larger.
    draws
        How many sets of random weights are tried beside the model's own, at several places
        each: trained or dead units can hide a part of the reach.
    """
    rng = np.random.default_rng(seed)
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    reach = 0
    for draw in range(draws + 1):
        if draw:
            weights = [rng.normal(0, 0.3, w.shape).astype(w.dtype) for w in model.get_weights()]
            twin.set_weights(weights)
        side = 2 * (expected + 4) + 1
        before = rng.normal(0, 1, (1, side, side, 1)).astype("float32")
        for row, col in ((side // 2, side // 2), (side // 2 - 1, side // 2 + 1)):
            after = before.copy()
            after[0, row, col, 0] += 50
            outputs = [ops.convert_to_numpy(twin(image)) for image in (before, after)]
            changed = outputs[0] != outputs[1]
            reach = max(reach, _farthest(changed[0, :, :, 0], row, col, side))
    return reach


def _farthest(changed: np.ndarray[Any, Any], row: int, col: int, side: int) -> int:
    factor = changed.shape[0] // side
    rows, cols = (places // factor for places in np.nonzero(changed))
    return int(max(np.abs(rows - row).max(), np.abs(cols - col).max())) if rows.size else 0


def checked_radius(model: keras.Model) -> int:
    """Return the receptive radius, if graph and probe agree on it.

    Raises
    ------
    ModelFileError
        If they do not: tiles of this network would show seams.
    """
    counted = graph_radius(model)
    measured = probed_radius(model, expected=counted)
    halo = declared_radius(model)
    if counted != measured or counted > halo:
        raise ModelFileError(
            f"{model.name} looks {measured} pixels far, its graph says {counted}, and it has a "
            f"halo of {halo}.",
            hint="A layer does not do what geosr.models.radius believes of it; mend the rule.",
        )
    return counted
