"""Architectures by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from geosr.core.errors import ModelFileError, OptionError
from geosr.models.contract import DETAIL_OUT
from geosr.models.edsr import build_edsr, build_edsr_paper
from geosr.models.espcn import build_espcn, build_espcn_paper
from geosr.models.fsrcnn import build_fsrcnn, build_fsrcnn_paper
from geosr.models.geosr_lite import build_geosr_lite
from geosr.models.geosr_main import build_geosr
from geosr.models.layers import ExpandedConv
from geosr.models.parts import TAIL
from geosr.models.rcan import build_rcan
from geosr.models.rcan_local import build_rcan_local
from geosr.models.rrdb import build_rrdb, build_rrdb_paper
from geosr.models.srcnn import build_srcnn, build_srcnn_paper
from geosr.models.srresnet import build_srresnet, build_srresnet_paper

OWN: dict[str, Callable[..., keras.Model]] = {
    "geosr": build_geosr,
    "geosr-lite": build_geosr_lite,
}
"""Networks with a training form, whose trunk can serve several factors, and several bands."""


@dataclass(frozen=True)
class Architecture:
    """What a network is, besides its weights.

    Attributes
    ----------
    build
        Makes it for an ``upscale_factor``.
    bands
        Bands of its input and its output.
    value_range
        Values that its input must lie in; None for networks of the contract, which take any
        units. Those with a range are for research: never a default, and not for `geosr train`.
    exact
        Local, so that tiles can give the untiled result.
    """

    build: Callable[..., keras.Model]
    bands: int = 1
    value_range: tuple[float, float] | None = None
    exact: bool = True

    @property
    def is_contract(self) -> bool:
        """Whether it keeps the contract: any units, block means kept, exact tiles."""
        return self.value_range is None


_NINE_FIVE_FIVE: dict[str, Any] = {"kernels": (9, 5, 5)}
_LARGE: dict[str, Any] = {"filters": 256, "blocks": 32, "residual_scale": 0.1}
_SMALL: dict[str, Any] = {"filters": 32, "growth": 16, "blocks": 3}
_UNIT, _BYTE = (0.0, 1.0), (0.0, 255.0)

ARCHITECTURES: dict[str, Architecture] = {
    **{name: Architecture(builder) for name, builder in OWN.items()},
    "edsr": Architecture(build_edsr),
    "edsr-large": Architecture(partial(build_edsr, **_LARGE)),
    "espcn": Architecture(build_espcn),
    "esrgan": Architecture(build_rrdb),
    "fsrcnn": Architecture(build_fsrcnn),
    "rcan-local": Architecture(build_rcan_local),
    "rrdb": Architecture(build_rrdb),
    "rrdb-small": Architecture(partial(build_rrdb, **_SMALL)),
    "srcnn": Architecture(build_srcnn),
    "srcnn-955": Architecture(partial(build_srcnn, **_NINE_FIVE_FIVE)),
    "srgan": Architecture(build_srresnet),
    "srresnet": Architecture(build_srresnet),
    "edsr-paper": Architecture(build_edsr_paper, 3, _BYTE),
    "edsr-large-paper": Architecture(partial(build_edsr_paper, **_LARGE), 3, _BYTE),
    "espcn-paper": Architecture(build_espcn_paper, 1, _UNIT),
    "fsrcnn-paper": Architecture(build_fsrcnn_paper, 1, _UNIT),
    "rcan": Architecture(build_rcan, 3, _BYTE, exact=False),
    "rrdb-paper": Architecture(build_rrdb_paper, 3, _UNIT),
    "srcnn-paper": Architecture(build_srcnn_paper, 1, _UNIT),
    "srcnn-955-paper": Architecture(partial(build_srcnn_paper, **_NINE_FIVE_FIVE), 1, _UNIT),
    "srresnet-paper": Architecture(build_srresnet_paper, 3, _UNIT),
}
"""All networks by name; ``srgan`` and ``esrgan`` are the generators of those."""


def build(
    architecture: str,
    upscale_factor: int,
    *,
    expansion: int = 0,
    trunk: keras.Model | None = None,
    bands: int = 1,
) -> keras.Model:
    """Build a network with random weights, in its training form where it has one.

    ``trunk`` is a network of the same architecture and bands for another factor; all but the
    tail is shared with it. ``bands`` is 1, or how many the network sees together.

    Raises
    ------
    OptionError
        If there is no such architecture, or it has no such form.
    """
    if architecture in OWN:
        return OWN[architecture](
            upscale_factor=upscale_factor, expansion=expansion, trunk=trunk, bands=bands
        )
    if architecture not in ARCHITECTURES:
        raise OptionError(
            f"There is no architecture {architecture!r}.",
            hint=f"Use one of {', '.join(sorted(ARCHITECTURES))}.",
        )
    if bands > 1:
        raise OptionError(
            f"{architecture} takes each band by itself, not {bands} together.",
            hint=f"Leave bands out, or use one of {', '.join(sorted(OWN))}.",
        )
    if trunk is not None:
        raise OptionError(
            f"{architecture} shares nothing between factors.",
            hint=f"Give one factor, or use one of {', '.join(sorted(OWN))}.",
        )
    return ARCHITECTURES[architecture].build(upscale_factor=upscale_factor)


def finished(model: keras.Model, architecture: str) -> keras.Model:
    """Return the form that ships: the same function with plain convolutions."""
    if architecture not in OWN:
        return model
    factor = model.get_layer("high_resolution").upscale_factor
    plain = build(architecture, factor, bands=model.inputs[0].shape[-1])
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
    expanded layers have the same shapes; and a network of several bands starts as the trained
    network of one.

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
        names = (TAIL, DETAIL_OUT) if layer.name == TAIL else (layer.name,)
        weights = _first_weights(donor, names)
        if [np.shape(w) for w in weights] == [np.shape(w) for w in layer.get_weights()]:
            layer.set_weights(weights)
            copied += bool(weights)
    if not copied:
        raise ModelFileError(
            f"{path} has no layer in common with {model.name}.",
            hint="Name weights of the same architecture in the recipe's `initial`.",
        )


def hold_still(model: keras.Model, patterns: Iterable[str]) -> None:
    """Let training leave the layers alone whose names fit one of these patterns, such as ``conv*``.

    Raises
    ------
    OptionError
        If a pattern fits no layer that learns, or nothing is left to learn.
    """
    learning = [layer for layer in model.layers if layer.weights]
    names = ", ".join(layer.name for layer in learning)
    for pattern in patterns:
        fitting = [layer for layer in learning if fnmatchcase(layer.name, pattern)]
        if not fitting:
            raise OptionError(
                f"{model.name} has no layer {pattern} to hold still.",
                hint=f"Those that learn are {names}.",
            )
        for layer in fitting:
            layer.trainable = False
    if not model.trainable_variables:
        raise OptionError(
            f"All layers of {model.name} are held still: nothing is left to learn.",
            hint=f"Leave some out of `frozen`: {names}.",
        )


def _first_weights(model: keras.Model, names: tuple[str, ...]) -> list[Any]:
    """Return the weights of the first of these layers that the model has."""
    for name in names:
        try:
            found: list[Any] = model.get_layer(name).get_weights()
        except ValueError:
            continue
        return found
    return []
