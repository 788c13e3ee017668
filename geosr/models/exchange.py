"""Bands that one network treats alike, and what they tell each other.

Apart, each band is an image of the batch, so all share the weights of a network of single bands;
together, their features lie side by side in the channels, where a 1x1 convolution mixes them.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("geosr")
class BandsApart(layers.Layer):
    """Make each band an image of its own: ``(n, h, w, k*bands)`` to ``(n*bands, h, w, k)``."""

    def __init__(self, bands: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bands = bands

    def call(self, x: Any) -> Any:
        """Move the bands, the last of the channels' two orders, to the batch."""
        _, height, width, channels = ops.shape(x)
        each = channels // self.bands
        x = ops.reshape(x, (-1, height, width, each, self.bands))
        return ops.reshape(ops.transpose(x, (0, 4, 1, 2, 3)), (-1, height, width, each))

    def compute_output_shape(self, shape: Any) -> Any:
        """Multiply the batch, divide the channels."""
        batch = None if shape[0] is None else shape[0] * self.bands
        return (batch, *shape[1:3], shape[3] // self.bands)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        return {**super().get_config(), "bands": self.bands}


@keras.saving.register_keras_serializable("geosr")
class BandsTogether(layers.Layer):
    """Undo `BandsApart`: ``(n*bands, h, w, k)`` to ``(n, h, w, k*bands)``."""

    def __init__(self, bands: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bands = bands

    def call(self, x: Any) -> Any:
        """Move the bands to the end of the channels."""
        _, height, width, each = ops.shape(x)
        x = ops.reshape(x, (-1, self.bands, height, width, each))
        x = ops.transpose(x, (0, 2, 3, 4, 1))
        return ops.reshape(x, (-1, height, width, each * self.bands))

    def compute_output_shape(self, shape: Any) -> Any:
        """Divide the batch, multiply the channels."""
        batch = None if shape[0] is None else shape[0] // self.bands
        return (batch, *shape[1:3], shape[3] * self.bands)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        return {**super().get_config(), "bands": self.bands}


def exchanged(x: Any, mixing: layers.Layer, *, bands: int, name: str) -> Any:
    """Add to the features of each band what ``mixing`` makes of those of all.

    ``x`` is apart, ``mixing`` a convolution of them together; see `mixing_layer`.
    """
    told = mixing(BandsTogether(bands, name=f"{name}_together")(x))
    return layers.Add(name=f"{name}_sum")([x, BandsApart(bands, name=f"{name}_apart")(told)])


def mixing_layer(filters: int, *, bands: int, name: str) -> layers.Layer:
    """Return a convolution that tells nothing yet: the bands begin as if each were alone."""
    return layers.Conv2D(filters * bands, 1, use_bias=False, kernel_initializer="zeros", name=name)
