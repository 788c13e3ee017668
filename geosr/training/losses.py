"""What training makes small."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("geosr")
class Charbonnier(keras.losses.Loss):
    """The smooth absolute difference ``sqrt(d**2 + eps**2)`` [1]_.

    Squared below ``eps``, absolute above it: few large errors do not rule the whole batch.

    References
    ----------
    .. [1] Charbonnier et al. (1994), "Two deterministic half-quadratic regularization
       algorithms for computed imaging", ICIP.
    """

    def __init__(self, eps: float = 0.01, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.eps = eps

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each pixel."""
        return ops.sqrt(ops.square(y_true - y_pred) + self.eps**2) - self.eps

    def get_config(self) -> dict[str, Any]:
        """Return what the loss is made from."""
        return {**super().get_config(), "eps": self.eps}
