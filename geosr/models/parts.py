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
from geosr.models.exchange import BandsApart, BandsTogether, exchanged, mixing_layer
from geosr.models.layers import ExpandedConv

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

    def conv(self, filters: int, name: str, *, identity: bool = True, gain: float = 1) -> Any:
        """Return a 3x3 convolution without bias that takes a pixel off each side.

        It begins ``gain`` times as strong as one that keeps the variance. In the training form
        it adds its input where ``identity`` says so.
        """
        if self.trunk is not None:
            return self.trunk.get_layer(name)
        if self.expansion:
            return ExpandedConv(filters, self.expansion, identity=identity, gain=gain, name=name)
        start = keras.initializers.VarianceScaling(gain**2, "fan_in", "uniform")
        return layers.Conv2D(
            filters, 3, padding="valid", use_bias=False, kernel_initializer=start, name=name
        )

    def exchange(self, x: Any, name: str) -> Any:
        """Let bands that are seen together tell each other what they see."""
        if self.bands == 1:
            return x
        if self.trunk is not None:
            mixing = self.trunk.get_layer(name)
        else:
            mixing = mixing_layer(x.shape[-1], bands=self.bands, name=name)
        return exchanged(x, mixing, bands=self.bands, name=name)

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
