"""What several residual networks are made of, by the contract and as their papers have it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from geosr.models.layers import Crop, PixelShuffle


@dataclass(frozen=True)
class Style:
    """How the convolutions of a network treat borders and constants.

    Attributes
    ----------
    padding
        ``valid``: each convolution gives fewer pixels than it gets, as the contract wants it.
        ``same``: zeros are put around, as papers have it.
    bias
        Whether constants are added; the contract forbids it.
    """

    padding: str
    bias: bool

    def conv(self, filters: int, size: int, name: str, **kwargs: Any) -> layers.Layer:
        """Return a convolution, with the initial weights of the published networks."""
        start = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        kwargs.setdefault("kernel_initializer", start)
        return layers.Conv2D(
            filters, size, padding=self.padding, use_bias=self.bias, name=name, **kwargs
        )

    def beside(self, x: Any, branch: Any, margin: int, name: str) -> Any:
        """Add ``x`` to a branch of it whose convolutions reach ``margin`` pixels far."""
        if self.padding == "valid":
            x = Crop(margin, name=f"{name}_crop")(x)
        return layers.Add(name=name)([x, branch])


CONTRACT = Style("valid", bias=False)
PAPER = Style("same", bias=True)


def enlarge(
    style: Style,
    x: Any,
    *,
    filters: int,
    upscale_factor: int,
    activation: Callable[..., layers.Layer] | None = None,
) -> Any:
    """Enlarge features by convolutions and pixel shuffles: 2 at a time where that goes.

    ``activation`` makes the layer that follows each shuffle.
    """
    for index, step in enumerate(steps_of(upscale_factor)):
        x = style.conv(filters * step**2, 3, f"up{index}")(x)
        x = PixelShuffle(step, name=f"up{index}_shuffle")(x)
        if activation:
            x = activation(name=f"up{index}_act")(x)
    return x


def steps_of(upscale_factor: int) -> tuple[int, ...]:
    """Return the factors of the shuffles: 4 is 2 times 2, 3 is itself."""
    steps = []
    while upscale_factor % 2 == 0:
        steps.append(2)
        upscale_factor //= 2
    return (*steps, upscale_factor) if upscale_factor > 1 else tuple(steps)


def fine_margin(upscale_factor: int, size: int) -> int:
    """Return how many fine pixels `enlarge` and a convolution of ``size`` after it take away.

    On each side, of what a CONTRACT network has; see `whole_margin`.
    """
    lost = 0
    for step in steps_of(upscale_factor):
        lost = (lost + 1) * step
    return lost + size // 2


def whole_margin(upscale_factor: int, size: int) -> int:
    """Return `fine_margin` in source pixels, rounded up."""
    return -(-fine_margin(upscale_factor, size) // upscale_factor)


def small_start() -> keras.initializers.Initializer:
    """Return how the last convolution begins: the network then begins as interpolation."""
    return keras.initializers.RandomNormal(stddev=1e-3)
