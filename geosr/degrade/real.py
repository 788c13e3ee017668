"""The blind pipeline: what happens to pictures on their way, drawn at random, twice over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import OptionError
from geosr.degrade.blur import Kernel, Profile, bell, convolved, low_pass
from geosr.degrade.resizing import Method, resized
from geosr.io.jpeg import through_jpeg

Array = NDArray[np.floating]
Range = tuple[float, float]


@dataclass(frozen=True)
class Round:
    """How one of the two rounds is drawn; ranges are uniform.

    Attributes
    ----------
    blur_odds
        How often there is any blur.
    sigma
        Of the blur, in pixels.
    resize_odds
        Of enlarging, of shrinking and of neither.
    resize
        From the smallest to the largest size, as a part of the one that is due.
    gaussian
        Standard deviation of the noise, in steps of 1/255 of the range.
    poisson
        Strength of the noise: 1 is that of 255 photons at the top of the range.
    """

    blur_odds: float
    sigma: Range
    resize_odds: tuple[float, float, float]
    resize: Range
    gaussian: Range
    poisson: Range


FIRST = Round(1.0, (0.2, 3.0), (0.2, 0.7, 0.1), (0.15, 1.5), (1.0, 30.0), (0.05, 3.0))
SECOND = Round(0.8, (0.2, 1.5), (0.3, 0.4, 0.3), (0.3, 1.2), (1.0, 25.0), (0.05, 2.5))

QUALITY = (30, 95)
"""Of JPEG, in both rounds."""

_SIDES = tuple(range(7, 22, 2))
_SHAPES: tuple[tuple[Profile, bool, float], ...] = (
    ("gaussian", True, 0.45),
    ("gaussian", False, 0.25),
    ("generalised", True, 0.12),
    ("generalised", False, 0.03),
    ("plateau", True, 0.12),
    ("plateau", False, 0.03),
)


def real(
    high: Array,
    upscale_factor: int,
    rng: np.random.Generator,
    *,
    data_range: Range = (0.0, 1.0),
) -> Array:
    """Degrade as pictures are on their way to users: the second-order pipeline of [1]_.

    Twice: blur (Gaussian, generalised or plateau, round or not, or the circular low pass), resize
    (area, bilinear or bicubic), Gaussian or Poisson noise, JPEG; the second time the low pass
    may come at the end, before JPEG or after it. Odds and ranges are those of the paper's own
    training. All bands go the same way; JPEG takes each as a grey picture, since a raster's bands
    need not be red, green and blue.

    Parameters
    ----------
    high
        ``(s*h, s*w)`` or ``(bands, s*h, s*w)``: one sample.
    rng
        The same state gives the same result.
    data_range
        The values of black and white; what lies outside is cut off.

    Raises
    ------
    OptionError
        If the range is empty.

    References
    ----------
    .. [1] Wang et al. (2021), "Real-ESRGAN: Training real-world blind super-resolution with pure
       synthetic data", ICCV Workshops. https://arxiv.org/abs/2107.10833
    """
    black, white = data_range
    if not black < white:
        raise OptionError(f"The range {black} to {white} is empty.", hint="Name the lower first.")
    height, width = high.shape[-2:]
    due = height // upscale_factor, width // upscale_factor
    x: Array = np.clip((high - black) / (white - black), 0, 1).astype(np.float64)
    x = _compressed(
        _noisy(_resized(_blurred(x, FIRST, rng), (height, width), FIRST, rng), FIRST, rng), rng
    )
    x = _noisy(_resized(_blurred(x, SECOND, rng), due, SECOND, rng), SECOND, rng)
    if rng.random() < 0.5:
        x = _compressed(_ringing(resized(x, due, _method(rng)), rng), rng)
    else:
        x = _ringing(resized(_compressed(x, rng), due, _method(rng)), rng)
    low: Array = (np.clip(x, 0, 1) * (white - black) + black).astype(high.dtype)
    return low


def _blurred(x: Array, this: Round, rng: np.random.Generator) -> Array:
    if rng.random() >= this.blur_odds:
        return x
    return convolved(x, _kernel(this, rng))


def _kernel(this: Round, rng: np.random.Generator) -> Kernel:
    side = int(rng.choice(_SIDES))
    if rng.random() < 0.1:
        lowest = np.pi / 3 if side < 13 else np.pi / 5
        return low_pass(side, rng.uniform(lowest, np.pi))
    profile, is_round, _ = _SHAPES[rng.choice(len(_SHAPES), p=[odds for *_, odds in _SHAPES])]
    sigma = rng.uniform(*this.sigma)
    other = sigma if is_round else rng.uniform(*this.sigma)
    angle = 0.0 if is_round else rng.uniform(-np.pi, np.pi)
    beta = rng.uniform(0.5, 4.0) if profile == "generalised" else rng.uniform(1.0, 2.0)
    return bell(side, (sigma, other), angle, profile=profile, beta=beta)


def _resized(x: Array, due: tuple[int, int], this: Round, rng: np.random.Generator) -> Array:
    """Resize to near the size that is due."""
    way = rng.choice(3, p=this.resize_odds)
    smallest, largest = this.resize
    part = (rng.uniform(1, largest), rng.uniform(smallest, 1), 1.0)[way]
    shape = max(round(due[0] * part), 1), max(round(due[1] * part), 1)
    return resized(x, shape, _method(rng))


def _method(rng: np.random.Generator) -> Method:
    return cast(Method, str(rng.choice(("area", "bilinear", "bicubic"))))


def _noisy(x: Array, this: Round, rng: np.random.Generator) -> Array:
    """Add Gaussian or Poisson noise; of several bands, sometimes the same to all."""
    shape = x.shape[-2:] if rng.random() < 0.4 else x.shape
    if rng.random() < 0.5:
        noise = rng.uniform(*this.gaussian) / 255 * rng.standard_normal(shape)
    else:
        clean = np.clip(x if shape == x.shape else x.reshape(-1, *shape).mean(axis=0), 0, 1)
        noise = rng.uniform(*this.poisson) * (rng.poisson(clean * 255) / 255 - clean)
    noisy: Array = np.clip(x + noise, 0, 1)
    return noisy


def _compressed(x: Array, rng: np.random.Generator) -> Array:
    quality = int(rng.integers(QUALITY[0], QUALITY[1] + 1))
    planes = np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8).reshape(-1, *x.shape[-2:])
    back = np.stack([through_jpeg(plane, quality) for plane in planes])
    return back.reshape(x.shape) / 255.0


def _ringing(x: Array, rng: np.random.Generator) -> Array:
    if rng.random() >= 0.8:
        return x
    return convolved(x, low_pass(int(rng.choice(_SIDES)), rng.uniform(np.pi / 3, np.pi)))
