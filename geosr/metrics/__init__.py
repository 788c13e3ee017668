"""Scores of a picture against the truth, or against its source. All is numpy.

Every score takes the range of possible values where it needs one; none guesses it. Arrays are
``(bands, height, width)``, planes ``(height, width)``; ``valid`` is bool ``(height, width)``,
True = good pixel, and None means that all are.
"""

from geosr.metrics.consistency import consistency_error, consistency_rmse
from geosr.metrics.correctness import Correctness, correctness
from geosr.metrics.fidelity import LUMA, luma, psnr, ssim, uiqi
from geosr.metrics.intervals import Interval, bootstrap_mean
from geosr.metrics.sharpness import edge_sharpness
from geosr.metrics.spectral import ergas, sam
from geosr.metrics.spectrum import radial_spectrum

__all__ = [
    "LUMA",
    "Correctness",
    "Interval",
    "bootstrap_mean",
    "consistency_error",
    "consistency_rmse",
    "correctness",
    "edge_sharpness",
    "ergas",
    "luma",
    "psnr",
    "radial_spectrum",
    "sam",
    "ssim",
    "uiqi",
]
