"""How well the bands of a picture keep together: spectral angle and ERGAS."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Valid = NDArray[np.bool_]


def sam(truth: Array, estimate: Array, *, valid: Valid | None = None) -> float:
    """Return the mean spectral angle [1]_ in degrees between two images ``(bands, h, w)``.

    0 is best; a change of brightness does not count. Pixels that are zero in all bands have no
    direction and are left out. NaN if there is no pixel left, or only one band.

    References
    ----------
    .. [1] Kruse et al. (1993), "The spectral image processing system (SIPS)", Remote Sensing of
       Environment 44.
    """
    if len(truth) < 2:
        return float("nan")
    x, y = _pixels(truth, valid), _pixels(estimate, valid)
    lengths = np.linalg.norm(x, axis=0) * np.linalg.norm(y, axis=0)
    seen = lengths > 0
    if not seen.any():
        return float("nan")
    # Of the chord between unit vectors: the arc cosine of the product is blind to small angles.
    x = x[:, seen] / np.linalg.norm(x[:, seen], axis=0)
    y = y[:, seen] / np.linalg.norm(y[:, seen], axis=0)
    angle = 2 * np.arcsin(np.clip(np.linalg.norm(x - y, axis=0) / 2, 0, 1))
    return float(np.degrees(angle).mean())


def ergas(
    truth: Array, estimate: Array, *, upscale_factor: int, valid: Valid | None = None
) -> float:
    """Return the relative dimensionless global error in synthesis, ERGAS [1]_; 0 is best.

    ``100 / s * sqrt(mean over bands of (RMSE / mean)²)``, where s is the upscale factor. Bands
    whose mean is zero have no relative error and are left out. NaN if there is none left.

    References
    ----------
    .. [1] Wald (2000), "Quality of high resolution synthesised images: is there a simple
       criterion?", Fusion of Earth Data.
    """
    x, y = _pixels(truth, valid), _pixels(estimate, valid)
    if x.size == 0:
        return float("nan")
    means = x.mean(axis=1)
    squares = ((x - y) ** 2).mean(axis=1)
    seen = means != 0
    if not seen.any():
        return float("nan")
    return float(100 / upscale_factor * np.sqrt(np.mean(squares[seen] / means[seen] ** 2)))


def _pixels(image: Array, valid: Valid | None) -> NDArray[np.float64]:
    """Return the valid pixels as ``(bands, pixels)``."""
    values = image.astype(np.float64)
    return values.reshape(len(image), -1) if valid is None else values[:, valid]
