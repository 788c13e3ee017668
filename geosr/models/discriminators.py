"""Discriminators by name."""

from __future__ import annotations

import keras

from geosr.core.errors import OptionError
from geosr.models.unet_discriminator import build_unet_discriminator
from geosr.models.vgg_discriminator import build_vgg_discriminator

DISCRIMINATORS = ("unet", "vgg")


def build_discriminator(name: str, *, side: int, bands: int = 1, filters: int = 64) -> keras.Model:
    """Build a discriminator with random weights: pictures to logits.

    Parameters
    ----------
    name
        ``unet`` judges each pixel, ``vgg`` the whole picture.
    side
        Of the pictures, which are square; for ``unet`` a multiple of 8.
    filters
        Of the first convolution.

    Raises
    ------
    OptionError
        If there is no such discriminator, or ``side`` does not suit it.
    """
    if name == "vgg":
        return build_vgg_discriminator(side=side, bands=bands, filters=filters)
    if name != "unet":
        raise OptionError(
            f"There is no discriminator {name!r}.", hint=f"Use one of {', '.join(DISCRIMINATORS)}."
        )
    if side % 8:
        raise OptionError(
            f"The discriminator unet cannot judge pictures of {side} pixels a side.",
            hint="Choose a patch whose side, times the factor, is a multiple of 8.",
        )
    return build_unet_discriminator(bands=bands, filters=filters)
