"""What geosr's own networks are made of: convolutions, an exchange between bands, a tail.

A network has a training form, one trunk for several factors, and a form for several bands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from geosr.models.contract import DETAIL_OUT, build_contract
from geosr.models.layers import BandsApart, BandsTogether, Crop, ExpandedConv

TAIL = "tail"
"""The last convolution of a network of several bands; of one, it is `DETAIL_OUT` itself."""


@dataclass(frozen=True)
class Parts:
    """Makes the layers of a network.

    Attributes
    ----------
    expansion
        More than 0: the training form, whose kernels are products of wider ones.
        `geosr.models.families.finished` turns it into the plain form.
    trunk
        A network of the same form for another factor, whose layers this one shares: only the
        tail is its own.
    bands
        1: the network sees each band by itself. More: it sees so many together. Each goes
        through the same convolutions as in the network of one band, and where the network has
        an `exchange`, a 1x1 convolution adds to its features what those of all bands tell. These
        begin at zero, so with a trained network's weights it begins as that network.
    """

    upscale_factor: int
    expansion: int = 0
    trunk: keras.Model | None = None
    bands: int = 1

    def conv(self, filters: int, name: str, *, gain: float = 1) -> Any:
        """Return a 3x3 convolution without bias that takes a pixel off each side.

        The training form begins as the identity and ``gain`` times a random convolution.
        """
        if self.trunk is not None:
            return self.trunk.get_layer(name)
        if self.expansion:
            return ExpandedConv(filters, self.expansion, gain=gain, name=name)
        return layers.Conv2D(filters, 3, padding="valid", use_bias=False, name=name)

    def exchange(self, x: Any, name: str) -> Any:
        """Let bands that are seen together tell each other what they see."""
        if self.bands == 1:
            return x
        if self.trunk is not None:
            mixing = self.trunk.get_layer(name)
        else:
            mixing = layers.Conv2D(
                x.shape[-1] * self.bands, 1, use_bias=False, kernel_initializer="zeros", name=name
            )
        told = mixing(BandsTogether(self.bands, name=f"{name}_together")(x))
        told = BandsApart(self.bands, name=f"{name}_apart")(told)
        return layers.Add(name=f"{name}_sum")([x, told])

    def build(self, name: str, body: Callable[[Any], Any], *, margin: int) -> keras.Model:
        """Build the network around ``body``, which takes ``margin`` pixels off each side.

        ``body`` gets the high-pass of each band as an image of its own and returns features.
        """

        def detail(x: Any) -> Any:
            if self.bands == 1:
                return self._tail(DETAIL_OUT)(body(x))
            apart = BandsApart(self.bands, name="bands_apart")(x)
            return BandsTogether(self.bands, name=DETAIL_OUT)(self._tail(TAIL)(body(apart)))

        s, several = self.upscale_factor, "" if self.bands == 1 else f"_b{self.bands}"
        return build_contract(
            detail,
            name=f"{name}{several}_x{s}",
            upscale_factor=s,
            margin=margin + 1,
            bands=self.bands,
        )

    def _tail(self, name: str) -> layers.Layer:
        """Return the convolution to phases: the network begins as interpolation."""
        return layers.Conv2D(
            self.upscale_factor**2,
            3,
            padding="valid",
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3),
            name=name,
        )


def chain(
    parts: Parts,
    name: str,
    widths: tuple[int, ...],
    *,
    exchanges: tuple[int, ...],
    gain: float = 1,
) -> keras.Model:
    """Build convolutions of these widths, with one skip around them, and a tail.

    Nothing but 3x3 convolutions and leaky ReLUs runs at a processor's full speed, so there is
    nothing else. The first and the last are alike. The receptive radius is ``len(widths) + 5``.
    Bands exchange what they see after the convolutions that ``exchanges`` counts from 0; all but
    the first begin with ``gain``.
    """

    def body(x: Any) -> Any:
        first = None
        for index, filters in enumerate(widths):
            x = parts.conv(filters, f"conv{index}", gain=gain if index else 1)(x)
            if index in exchanges:
                x = parts.exchange(x, f"exchange{index}")
            x = layers.LeakyReLU(0.1, name=f"act{index}")(x)
            first = x if first is None else first
        return layers.Add(name="skip")([x, Crop(len(widths) - 1, name="skip_crop")(first)])

    return parts.build(name, body, margin=len(widths))
