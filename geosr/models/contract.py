"""The frame that every geosr network stands in: ``y = up(x) + g(h(x))``, block means kept.

`build_contract` wraps a trained part in the fixed steps; `trained_part` and `valid_part` cut
the whole model open again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from keras import layers

from geosr.core.errors import ModelFileError
from geosr.core.facts import KERNEL_RADIUS
from geosr.models.layers import (
    Crop,
    HighPass,
    KeepMeans,
    MirrorPad,
    PixelShuffle,
    PolyphaseUpsample,
)
from geosr.radiometry import BOX

PAD, DETAIL_IN, DETAIL_OUT = "mirror", "detail_in", "detail_out"
"""Names of the layers at which a model is cut open."""


def build_contract(
    detail: Callable[[Any], Any],
    *,
    name: str,
    upscale_factor: int,
    margin: int,
    kernel: str = "bicubic",
    bands: int = 1,
) -> keras.Model:
    """Build ``(batch, height, width, bands)`` to ``upscale_factor`` times the pixels, same units.

    ``detail`` is the trained part: it takes the high-pass image and returns phases of all bands,
    with ``margin`` source pixels less on each side. It must be bias-free with homogeneous
    activations, so that the whole scales with its input; all fixed steps work on each band by
    itself, so that a shift of one band shifts that band alone. The receptive radius is
    ``margin + 4``, or the kernel's if that is larger.
    """
    radius = max(margin + BOX // 2, KERNEL_RADIUS[kernel])
    inputs = keras.Input((None, None, bands), name="low_resolution")
    x = MirrorPad(radius, name=PAD)(inputs)
    base = Crop(radius - KERNEL_RADIUS[kernel], name="base_crop")(x)
    base = PolyphaseUpsample(upscale_factor, kernel, name="base")(base)
    high = HighPass(name=DETAIL_IN)(Crop(radius - margin - BOX // 2, name="high_crop")(x))
    y = layers.Add(name="sum")([base, detail(high)])
    y = KeepMeans(name="keep_means")([y, Crop(radius, name="source")(x)])
    outputs = PixelShuffle(upscale_factor, name="high_resolution")(y)
    return keras.Model(inputs, outputs, name=name)


def trained_part(model: keras.Model) -> keras.Model:
    """Return the trained part: high-pass ``(batch, h, w, bands)`` to phases, without padding.

    Raises
    ------
    ModelFileError
        If the model was not built by `build_contract`.
    """
    try:
        ends = model.get_layer(DETAIL_IN).output, model.get_layer(DETAIL_OUT).output
    except ValueError as error:
        raise ModelFileError(
            f"The model {model.name} lacks the layers {DETAIL_IN} and {DETAIL_OUT}.",
            hint="Only networks of the geosr contract can be cut open.",
        ) from error
    return keras.Model(*ends, name=f"{model.name}_detail")


def valid_part(model: keras.Model) -> keras.Model:
    """Return the model without its mirrored rim: it takes real pixels there instead."""
    return keras.Model(model.get_layer(PAD).output, model.output, name=f"{model.name}_valid")


def load_trained_part(path: Path) -> keras.Model:
    """Read a .keras file of the contract and return its trained part.

    Raises
    ------
    ModelFileError
        If it cannot be read, or is no network of the contract.
    """
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError) as error:
        raise ModelFileError(
            f"{path.name} cannot be read as a Keras model: {str(error).splitlines()[0]}",
            hint="It must be a .keras file without Lambda layers.",
        ) from error
    return trained_part(model)


def declared_radius(model: keras.Model) -> int:
    """Return the receptive radius that the model pads for, in source pixels."""
    radius: int = model.get_layer(PAD).radius
    return radius
