"""What training makes small: differences between truth and output, in the units of the planes.

Each loss maps ``(batch, height, width, bands)`` of both to one number, and its gradient is
finite everywhere, also where both are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from keras import ops

from geosr.core.errors import OptionError

Loss = Callable[[Any, Any], Any]
"""Maps truth and output to one number."""


def l1(truth: Any, output: Any) -> Any:
    """Return the mean absolute difference."""
    return ops.mean(ops.abs(truth - output))


def mse(truth: Any, output: Any) -> Any:
    """Return the mean squared difference."""
    return ops.mean(ops.square(truth - output))


def charbonnier(truth: Any, output: Any, *, eps: float = 0.01) -> Any:
    """Return the mean of the smooth absolute difference ``sqrt(d**2 + eps**2) - eps`` [1]_.

    Squared below ``eps``, absolute above it: few large errors do not rule the whole batch.

    References
    ----------
    .. [1] Charbonnier et al. (1994), "Two deterministic half-quadratic regularization
       algorithms for computed imaging", ICIP.
    """
    return ops.mean(ops.sqrt(ops.square(truth - output) + eps**2) - eps)


def ssim(truth: Any, output: Any, *, data_range: float = 1.0) -> Any:
    """Return one minus the mean structural similarity [1]_, Gaussian windows of 11 x 11 pixels.

    The mean is over the windows that lie inside; the planes need 11 pixels a side.

    References
    ----------
    .. [1] Wang et al. (2004), "Image quality assessment: from error visibility to structural
       similarity", IEEE Transactions on Image Processing 13(4).
    """
    low, high = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    x, y = _planes(truth), _planes(output)
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x = _blurred(x * x) - mean_x * mean_x
    var_y = _blurred(y * y) - mean_y * mean_y
    shared = _blurred(x * y) - mean_x * mean_y
    above = (2 * mean_x * mean_y + low) * (2 * shared + high)
    below = (mean_x * mean_x + mean_y * mean_y + low) * (var_x + var_y + high)
    return 1 - ops.mean(above / below)


def _planes(x: Any) -> Any:
    """Return each band as a picture of its own: ``(batch * bands, height, width, 1)``."""
    height, width = ops.shape(x)[1:3]
    return ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (-1, height, width, 1))


def _blurred(x: Any) -> Any:
    offsets = np.arange(-5, 6)
    taps = np.exp(-0.5 * (offsets / 1.5) ** 2)
    taps = (taps / taps.sum()).astype("float32")
    x = ops.conv(x, ops.convert_to_tensor(taps.reshape(11, 1, 1, 1)), padding="valid")
    return ops.conv(x, ops.convert_to_tensor(taps.reshape(1, 11, 1, 1)), padding="valid")


def sam(truth: Any, output: Any) -> Any:
    """Return the mean angle between the spectra of truth and output, in radians [1]_.

    It is computed as ``2 atan2(|u - v|, |u + v|)`` of the unit spectra, which has no infinite
    slope where they agree, as the arc cosine has.

    Raises
    ------
    OptionError
        If there is one band: it has no spectrum.

    References
    ----------
    .. [1] Kruse et al. (1993), "The spectral image processing system (SIPS)", Remote Sensing of
       Environment 44.
    """
    if truth.shape[-1] == 1:
        raise OptionError(
            "The loss sam compares spectra, and the network has one band.",
            hint="Leave sam out of [losses], or train a network of several bands.",
        )
    u, v = (x / ops.sqrt(ops.sum(x * x, -1, keepdims=True) + 1e-12) for x in (truth, output))
    eps = 1e-5
    apart = ops.sqrt(ops.sum(ops.square(u - v), -1) + eps**2) - eps
    along = ops.sqrt(ops.sum(ops.square(u + v), -1) + eps**2)
    return ops.mean(2 * ops.arctan2(apart, along))


def frequency(truth: Any, output: Any) -> Any:
    """Return the mean absolute difference of the Fourier amplitudes, scaled as the pixels are.

    The transform of each band is divided by the square root of its pixels, so that noise of
    deviation 1 has amplitudes of about 1.
    """
    return ops.mean(ops.abs(_amplitudes(truth) - _amplitudes(output)))


def _amplitudes(x: Any) -> Any:
    x = ops.transpose(x, (0, 3, 1, 2))
    height, width = ops.shape(x)[2:]
    real, imaginary = ops.fft2((x, ops.zeros_like(x)))
    pixels = ops.cast(height * width, x.dtype)
    return ops.sqrt((real * real + imaginary * imaginary) / pixels + 1e-12)


_SIMPLE: dict[str, Callable[..., Any]] = {
    "charbonnier": charbonnier,
    "frequency": frequency,
    "l1": l1,
    "mse": mse,
    "sam": sam,
    "ssim": ssim,
}


def make_loss(name: str, parameters: dict[str, Any]) -> Loss:
    """Return a loss by its name in the recipe; ``parameters`` is one entry of `Recipe.terms`.

    Raises
    ------
    MissingDependencyError, ModelFileError
        If the network of the perceptual loss is not here, or damaged.
    """
    given = {key: value for key, value in parameters.items() if key != "weight"}
    if name == "perceptual":
        from geosr.training.perceptual import Perceptual

        return Perceptual(**given)
    return partial(_SIMPLE[name], **given)
