"""Channel attention that stays local and knows no units."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

_TINY = 1e-30  # only keeps 0 / 0 away: squares of detail are far above it


@keras.saving.register_keras_serializable("geosr")
class LocalShares(layers.Layer):
    """Each channel's mean over a window, in parts of the root mean square of all channels there.

    Scaling the input by a positive number changes nothing, so gates made from these numbers keep
    a network homogeneous, biases and all; and no pixel beyond the window matters, so tiles stay
    exact.
    """

    def __init__(self, window: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.window = window

    def call(self, x: Any) -> Any:
        """Map ``(batch, h, w, c)`` to the same with ``window - 1`` rows and columns less."""
        mean = ops.average_pool(x, self.window, strides=1, padding="valid")
        power = ops.mean(ops.square(x), axis=-1, keepdims=True)
        power = ops.average_pool(power, self.window, strides=1, padding="valid")
        return mean / ops.sqrt(power + _TINY)

    def compute_output_shape(self, shape: Any) -> Any:
        """Take the margin off height and width."""
        batch, *sides, channels = shape
        return (batch, *(None if n is None else n - self.window + 1 for n in sides), channels)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        return {**super().get_config(), "window": self.window}
