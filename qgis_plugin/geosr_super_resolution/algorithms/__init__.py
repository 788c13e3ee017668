# SPDX-License-Identifier: GPL-2.0-or-later
"""The algorithms, in the order of the toolbox."""

from __future__ import annotations

from .adapt import AdaptModel
from .compare import CompareRasters
from .evaluate import EvaluateModel
from .listmodels import ListModels
from .train import TrainModel
from .upscale import UpscaleRaster

ALGORITHMS = (
    UpscaleRaster,
    CompareRasters,
    EvaluateModel,
    AdaptModel,
    TrainModel,
    ListModels,
)
"""Their names, and those of their parameters, never change: scripts and saved models hold them."""
