"""Spectral normalisation: convolutions that cannot enlarge what they see by more than once."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("geosr")
class SpectralConv(layers.Layer):
    """A convolution whose kernel is divided by its largest singular value [1]_.

    The kernel counts as the matrix ``(size * size * in, out)``. Its singular vector is followed
    by one power iteration for each step of training, and stays as it is otherwise. There is no
    bias; zeros are put around.

    References
    ----------
    .. [1] Miyato et al. (2018), "Spectral normalization for generative adversarial networks",
       ICLR. https://arxiv.org/abs/1802.05957
    """

    def __init__(self, filters: int, size: int, stride: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.size = size
        self.stride = stride

    def build(self, shape: Any) -> None:
        """Make the kernel, and a first guess at its singular vector."""
        self.kernel = self.add_weight(
            shape=(self.size, self.size, shape[-1], self.filters),
            initializer="he_normal",
            name="kernel",
        )
        self.vector = self.add_weight(
            shape=(self.filters, 1), initializer="random_normal", trainable=False, name="vector"
        )

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Map ``(batch, h, w, in)`` to ``(batch, h / stride, w / stride, filters)``."""
        matrix = ops.reshape(ops.convert_to_tensor(self.kernel), (-1, self.filters))
        fixed = ops.stop_gradient(matrix)
        left = _unit(ops.matmul(fixed, ops.convert_to_tensor(self.vector)))
        right = _unit(ops.matmul(ops.transpose(fixed), left))
        if training:
            self.vector.assign(right)
        # Gradients flow through the kernel here, as in the paper; the vectors count as fixed.
        largest = ops.sum(left * ops.matmul(matrix, right))
        return ops.conv(x, self.kernel / largest, strides=self.stride, padding="same")

    def compute_output_shape(self, shape: Any) -> Any:
        """Divide height and width by the stride."""
        batch, *sides, _ = shape
        return (batch, *(None if n is None else -(-n // self.stride) for n in sides), self.filters)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        own = {"filters": self.filters, "size": self.size, "stride": self.stride}
        return {**super().get_config(), **own}


def _unit(vector: Any) -> Any:
    return vector / (ops.sqrt(ops.sum(ops.square(vector))) + 1e-12)
