"""Architectures by name."""

from __future__ import annotations

import keras
import numpy as np

from geosr.core.errors import ModelFileError, OptionError
from geosr.models.fsrcnn import build_fsrcnn
from geosr.models.geosr_lite import build_geosr_lite, collapse
from geosr.models.layers import ExpandedConv
from geosr.models.srcnn import build_srcnn


def build(architecture: str, upscale_factor: int, *, expansion: int = 0) -> keras.Model:
    """Build a network with random weights, in its training form where it has one."""
    if architecture == "geosr-lite":
        return build_geosr_lite(upscale_factor=upscale_factor, expansion=expansion)
    if architecture == "srcnn":
        return build_srcnn(upscale_factor=upscale_factor)
    if architecture == "fsrcnn":
        return build_fsrcnn(upscale_factor=upscale_factor)
    raise OptionError(
        f"There is no architecture {architecture!r}.", hint="Use geosr-lite, srcnn or fsrcnn."
    )


def finished(model: keras.Model) -> keras.Model:
    """Return the form that ships: the same function with plain convolutions."""
    expanded = any(isinstance(layer, ExpandedConv) for layer in model.layers)
    return collapse(model) if expanded else model


def start_from(model: keras.Model, path: str) -> None:
    """Copy the weights of a trained model, layer by layer, where names and shapes agree.

    So x3 and x4 can start from the trunk of x2: from its ``training_form.keras``, whose
    expanded layers have the same shapes.

    Raises
    ------
    ModelFileError
        If the file cannot be read, or nothing agrees.
    """
    try:
        donor = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError) as error:
        raise ModelFileError(
            f"The weights {path}, which the recipe starts from, cannot be read.",
            hint="Run the recipe that makes them first, from the same folder, or change `initial`.",
        ) from error
    copied = 0
    for layer in model.layers:
        try:
            weights = donor.get_layer(layer.name).get_weights()
        except ValueError:
            continue
        if [np.shape(w) for w in weights] == [np.shape(w) for w in layer.get_weights()]:
            layer.set_weights(weights)
            copied += bool(weights)
    if not copied:
        raise ModelFileError(
            f"{path} has no layer in common with {model.name}.",
            hint="Name weights of the same architecture in the recipe's `initial`.",
        )
