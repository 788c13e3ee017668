"""Blur kernels of the blind pipeline: Gaussians and their kin, and the circular low pass."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Kernel = NDArray[np.float64]
Profile = Literal["gaussian", "generalised", "plateau"]


def bell(
    side: int,
    sigmas: tuple[float, float],
    angle: float = 0.0,
    *,
    profile: Profile = "gaussian",
    beta: float = 1.0,
) -> Kernel:
    """Return a bell-shaped kernel ``(side, side)`` that sums to 1; ``side`` is odd.

    With ``r2`` the squared distance from the middle in units of ``sigmas`` (in pixels, along an
    axis at ``angle`` to a row, in radians, and across it), it is ``exp(-r2 / 2)``,
    ``exp(-r2**beta / 2)`` (generalised) or ``1 / (1 + r2**beta)`` (plateau) [1]_.

    References
    ----------
    .. [1] Wang et al. (2021), "Real-ESRGAN: Training real-world blind super-resolution with pure
       synthetic data", ICCV Workshops, section 3.1. https://arxiv.org/abs/2107.10833
    """
    y, x = _offsets(side)
    along = (np.cos(angle) * x + np.sin(angle) * y) / sigmas[0]
    across = (-np.sin(angle) * x + np.cos(angle) * y) / sigmas[1]
    power = (along**2 + across**2) ** (1.0 if profile == "gaussian" else beta)
    kernel: Kernel = 1 / (1 + power) if profile == "plateau" else np.exp(-power / 2)
    return _normed(kernel)


def low_pass(side: int, cutoff: float) -> Kernel:
    """Return the circular low pass ``(side, side)``, cut to a square; it sums to 1.

    It leaves ringing beside edges, as sharpening does. ``cutoff`` is in radians a pixel, at most
    pi; uncut, the kernel is ``cutoff * J1(cutoff * r) / (2 pi r)`` [1]_.

    References
    ----------
    .. [1] Wang et al. (2021), as in `bell`, section 3.3.
    """
    radius = np.hypot(*_offsets(side))
    safe = np.where(radius > 0, radius, 1.0)
    ring = cutoff * bessel_j1(cutoff * safe) / (2 * np.pi * safe)
    kernel: Kernel = np.where(radius > 0, ring, cutoff**2 / (4 * np.pi))
    return _normed(kernel)


def bessel_j1(x: Kernel) -> Kernel:
    """Return the Bessel function of the first kind and order one.

    By its integral over a period, whose trapezoidal sum with 256 steps is exact to rounding as
    long as ``|x|`` is below 100.
    """
    angles = 2 * np.pi * np.arange(256) / 256
    return np.asarray(np.cos(angles - x[..., None] * np.sin(angles)).mean(axis=-1))


def convolved(x: Array, kernel: Kernel) -> Array:
    """Return ``(..., h, w)`` convolved by an odd kernel; beyond the edge it is mirrored."""
    reach = kernel.shape[0] // 2
    padding = [(0, 0)] * (x.ndim - 2) + [(reach, reach)] * 2
    padded = np.pad(x, padding, mode="symmetric")
    shape = padded.shape[-2:]
    spectrum = np.fft.rfft2(padded) * np.fft.rfft2(kernel, shape)
    whole = np.fft.irfft2(spectrum, shape)
    inner: Array = whole[..., 2 * reach :, 2 * reach :].astype(x.dtype)
    return inner


def _normed(kernel: Kernel) -> Kernel:
    return np.asarray(kernel / kernel.sum())


def _offsets(side: int) -> tuple[Kernel, Kernel]:
    """Return rows and columns counted from the middle."""
    places = np.arange(side) - side // 2
    y, x = np.meshgrid(places.astype(np.float64), places.astype(np.float64), indexing="ij")
    return y, x
