"""Keras layers of the network contract: fixed filters, bias-free convolutions, exact means.

All work in *phases*: channel ``(i*s + j)*c + band`` of ``(batch, height, width, s*s*c)`` holds the
output pixels of row ``i`` and column ``j`` of each source pixel's block, of one of ``c`` bands. The
fixed filters treat each band by itself. They use ``keras.ops`` only, so they run on TensorFlow,
JAX and PyTorch alike.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from geosr.core.facts import KERNEL_RADIUS
from geosr.kernels import polyphase_weights
from geosr.radiometry import BOX


def _resized(shape: Any, margin: int, bands: int | None) -> Any:
    """Return a shape with ``margin`` pixels less on each side, and other bands."""
    batch, height, width, _ = shape
    return (batch, *(None if n is None else n - 2 * margin for n in (height, width)), bands)


def _band_by_band(taps: Any, bands: int) -> Any:
    """Return the kernel ``(h, w, c, n*c)`` that filters each of ``c`` bands by ``(h, w, 1, n)``."""
    kernel = np.einsum("yxn,bc->yxbnc", taps[:, :, 0], np.eye(bands, dtype=taps.dtype))
    return ops.convert_to_tensor(kernel.reshape(*taps.shape[:2], bands, -1))


@keras.saving.register_keras_serializable("geosr")
class MirrorPad(layers.Layer):
    """Mirror ``radius`` rows and columns about the outermost pixels, on all four sides."""

    def __init__(self, radius: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.radius = radius

    def call(self, x: Any) -> Any:
        """Map ``(batch, h, w, c)`` to ``(batch, h + 2 radius, w + 2 radius, c)``."""
        sides = (self.radius, self.radius)
        return ops.pad(x, ((0, 0), sides, sides, (0, 0)), mode="reflect")

    def compute_output_shape(self, shape: Any) -> Any:
        """Add the mirrored pixels to height and width."""
        return _resized(shape, -self.radius, shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        return {**super().get_config(), "radius": self.radius}


@keras.saving.register_keras_serializable("geosr")
class Crop(layers.Layer):
    """Take ``margin`` pixels off all four sides."""

    def __init__(self, margin: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.margin = margin

    def call(self, x: Any) -> Any:
        """Map ``(batch, h, w, c)`` to ``(batch, h - 2 margin, w - 2 margin, c)``."""
        inner = slice(self.margin, -self.margin or None)
        return x[:, inner, inner, :]

    def compute_output_shape(self, shape: Any) -> Any:
        """Take the margin off height and width."""
        return _resized(shape, self.margin, shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable("geosr")
class HighPass(layers.Layer):
    """Take the mean over ``BOX x BOX`` pixels away: constants vanish, detail stays."""

    def call(self, x: Any) -> Any:
        """Map ``(batch, h, w, c)`` to ``(batch, h - 8, w - 8, c)``."""
        margin = BOX // 2
        taps = np.full((BOX, BOX, 1, 1), 1 / BOX**2, "float32")
        mean = ops.conv(x, _band_by_band(taps, x.shape[-1]), padding="valid")
        return x[:, margin:-margin, margin:-margin, :] - mean

    def compute_output_shape(self, shape: Any) -> Any:
        """Take the margin off height and width."""
        return _resized(shape, BOX // 2, shape[-1])


@keras.saving.register_keras_serializable("geosr")
class PolyphaseUpsample(layers.Layer):
    """Interpolate by a classical kernel; see `geosr.kernels.upsample`."""

    def __init__(self, upscale_factor: int, kernel: str = "bicubic", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.upscale_factor = upscale_factor
        self.kernel = kernel
        weights = polyphase_weights(kernel, upscale_factor)
        taps = np.einsum("iy,jx->yxij", weights, weights)
        self.taps = taps.reshape(*taps.shape[:2], 1, -1).astype("float32")

    def call(self, x: Any) -> Any:
        """Map ``(batch, h, w, c)`` to phases ``(batch, h - 2 radius, w - 2 radius, s*s*c)``."""
        return ops.conv(x, _band_by_band(self.taps, x.shape[-1]), padding="valid")

    def compute_output_shape(self, shape: Any) -> Any:
        """Take the margin off height and width."""
        return _resized(shape, KERNEL_RADIUS[self.kernel], self.upscale_factor**2 * shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        own = {"upscale_factor": self.upscale_factor, "kernel": self.kernel}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("geosr")
class KeepMeans(layers.Layer):
    """Shift the phases of each source pixel together, so that their mean is that pixel."""

    def call(self, inputs: Any) -> Any:
        """Take phases ``(batch, h, w, s*s*c)`` and source ``(batch, h, w, c)``; return phases."""
        phases, source = inputs
        bands = source.shape[-1]
        if bands == 1:
            return phases + (source - ops.mean(phases, axis=-1, keepdims=True))
        squares = phases.shape[-1] // bands
        means = [ops.mean(phases[..., n::bands], axis=-1, keepdims=True) for n in range(bands)]
        shift = source - ops.concatenate(means, axis=-1)
        return phases + ops.tile(shift, (1, 1, 1, squares))

    def compute_output_shape(self, shapes: Any) -> Any:
        """Return the shape of the phases."""
        return shapes[0]


@keras.saving.register_keras_serializable("geosr")
class Magnitude(layers.Layer):
    """Take the sign away: what is left scales with the input and is never negative."""

    def call(self, x: Any) -> Any:
        """Return the absolute values."""
        return ops.abs(x)

    def compute_output_shape(self, shape: Any) -> Any:
        """Return the input's shape."""
        return shape


@keras.saving.register_keras_serializable("geosr")
class PixelShuffle(layers.Layer):
    """Put phases in place: ``(batch, h, w, s*s*c)`` to ``(batch, s*h, s*w, c)``."""

    def __init__(self, upscale_factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.upscale_factor = upscale_factor

    def call(self, x: Any) -> Any:
        """Interleave the phases."""
        s = self.upscale_factor
        _, height, width, channels = ops.shape(x)
        x = ops.reshape(x, (-1, height, width, s, channels // s))
        x = ops.transpose(x, (0, 1, 3, 2, 4))
        return ops.reshape(x, (-1, height * s, width * s, channels // s**2))

    def compute_output_shape(self, shape: Any) -> Any:
        """Multiply height and width."""
        batch, height, width, channels = shape
        s = self.upscale_factor
        return (batch, *(None if n is None else n * s for n in (height, width)), channels // s**2)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        return {**super().get_config(), "upscale_factor": self.upscale_factor}


@keras.saving.register_keras_serializable("geosr")
class PixelUnshuffle(layers.Layer):
    """Undo `PixelShuffle`: ``(batch, s*h, s*w, c)`` to phases ``(batch, h, w, s*s*c)``."""

    def __init__(self, upscale_factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.upscale_factor = upscale_factor

    def call(self, x: Any) -> Any:
        """Take the phases apart."""
        s = self.upscale_factor
        _, height, width, channels = ops.shape(x)
        x = ops.reshape(x, (-1, height // s, s, width // s, s * channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4))
        return ops.reshape(x, (-1, height // s, width // s, s * s * channels))

    def compute_output_shape(self, shape: Any) -> Any:
        """Divide height and width."""
        batch, height, width, channels = shape
        s = self.upscale_factor
        return (batch, *(None if n is None else n // s for n in (height, width)), s * s * channels)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        return {**super().get_config(), "upscale_factor": self.upscale_factor}


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


@keras.saving.register_keras_serializable("geosr")
class ExpandedConv(layers.Layer):
    """A 3x3 convolution trained as a product of two wider ones plus the identity [1]_.

    Only its weights are wide: they are multiplied into one 3x3 kernel before the pixels are
    touched, so training costs no more per pixel than the plain convolution that
    `collapsed_kernel` gives afterwards.

    Parameters
    ----------
    filters
        Features of the output.
    expansion
        Features between the two.
    gain
        How strong the product is at the start; 1 keeps the variance.

    References
    ----------
    .. [1] Bhardwaj et al. (2022), "Collapsible linear blocks for super-efficient super
       resolution", MLSys. https://arxiv.org/abs/2103.09404
    """

    def __init__(
        self,
        filters: int,
        expansion: int = 128,
        *,
        gain: float = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.expansion = expansion
        self.gain = gain

    def build(self, shape: Any) -> None:
        """Make the weights of the two factors."""
        bands = shape[-1]
        start = keras.initializers.GlorotNormal()
        self.expand = self.add_weight(
            shape=(3, 3, bands, self.expansion), initializer=start, name="expand", autocast=False
        )
        # Glorot's variance, times the square of the gain.
        start = keras.initializers.VarianceScaling(self.gain**2, "fan_avg", "truncated_normal")
        self.project = self.add_weight(
            shape=(self.expansion, self.filters), initializer=start, name="project", autocast=False
        )
        middle = np.zeros((3, 3, bands, self.filters), "float32")
        middle[1, 1, range(min(bands, self.filters)), range(min(bands, self.filters))] = 1
        self._identity = middle

    def collapsed_kernel(self) -> Any:
        """Return the plain ``(3, 3, in, out)`` kernel that this layer amounts to."""
        return ops.matmul(self.expand, self.project) + ops.convert_to_tensor(self._identity)

    def call(self, x: Any) -> Any:
        """Map ``(batch, h, w, in)`` to ``(batch, h - 2, w - 2, filters)``."""
        kernel = ops.cast(self.collapsed_kernel(), x.dtype)  # multiplied in float32
        return ops.conv(x, kernel, padding="valid")

    def compute_output_shape(self, shape: Any) -> Any:
        """Take the margin off height and width."""
        return _resized(shape, 1, self.filters)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made from."""
        own = {name: getattr(self, name) for name in ("filters", "expansion", "gain")}
        return {**super().get_config(), **own}
