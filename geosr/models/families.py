"""Architectures by name."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from geosr.core.errors import ModelFileError, OptionError
from geosr.models.fsrcnn import build_fsrcnn
from geosr.models.geosr_lite import build_geosr_lite
from geosr.models.geosr_main import build_geosr
from geosr.models.layers import ExpandedConv
from geosr.models.srcnn import build_srcnn

PLAIN: dict[str, Callable[..., keras.Model]] = {
    "geosr": build_geosr,
    "geosr-lite": build_geosr_lite,
}
"""Networks with a training form, whose trunk can serve several factors."""

OTHERS: dict[str, Callable[..., keras.Model]] = {"srcnn": build_srcnn, "fsrcnn": build_fsrcnn}


def build(
    architecture: str,
    upscale_factor: int,
    *,
    expansion: int = 0,
    trunk: keras.Model | None = None,
) -> keras.Model:
    """Build a network with random weights, in its training form where it has one.

    ``trunk`` is a network of the same architecture for another factor; all but the tail is
    shared with it.
    """
    if architecture in PLAIN:
        return PLAIN[architecture](upscale_factor=upscale_factor, expansion=expansion, trunk=trunk)
    if architecture not in OTHERS:
        raise OptionError(
            f"There is no architecture {architecture!r}.",
            hint=f"Use one of {', '.join(sorted((*PLAIN, *OTHERS)))}.",
        )
    if trunk is not None:
        raise OptionError(
            f"{architecture} shares nothing between factors.",
            hint=f"Give one factor, or use one of {', '.join(sorted(PLAIN))}.",
        )
    return OTHERS[architecture](upscale_factor=upscale_factor)


def finished(model: keras.Model, architecture: str) -> keras.Model:
    """Return the form that ships: the same function with plain convolutions."""
    if architecture not in PLAIN:
        return model
    plain = build(architecture, model.get_layer("high_resolution").upscale_factor)
    for layer in plain.layers:
        if isinstance(layer, layers.Conv2D):
            source = model.get_layer(layer.name)
            if isinstance(source, ExpandedConv):
                layer.set_weights([ops.convert_to_numpy(source.collapsed_kernel())])
            else:
                layer.set_weights(source.get_weights())
    return plain


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
