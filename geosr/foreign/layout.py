"""Which arrays a network takes and gives, found by running it on small pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import BandError, ModelFileError, PredictionError
from geosr.foreign.opening import Float32, OpenedNetwork
from geosr.radiometry import mirror

SMALLEST = (32, 64, 128)
"""Sides of the first picture, in pixels; the next one is tried if a network cannot take it."""

STEPS = (1, 2, 4, 8, 16, 32)
"""Multiples that the sides of a picture may have to be."""


@dataclass(frozen=True)
class Form:
    """How a picture lies in a network's array.

    Attributes
    ----------
    channels_first
        ``(batch, bands, height, width)``; else ``(batch, height, width, bands)``.
    bands
        That it takes together.
    batch
        Pictures that it takes at once.
    side
        Height and width in pixels if they are fixed; else None.
    """

    channels_first: bool
    bands: int
    batch: int
    side: int | None

    def to_array(self, x: Float32) -> Float32:
        """Bring ``(bands, height, width)`` into the network's layout."""
        one = x[None] if self.channels_first else np.moveaxis(x, 0, -1)[None]
        return np.ascontiguousarray(one.repeat(self.batch, axis=0))

    def to_picture(self, array: Float32) -> Float32:
        """Undo `to_array`."""
        return array[0] if self.channels_first else np.moveaxis(array[0], -1, 0)


@dataclass(frozen=True)
class Layout:
    """What a network takes, and where its output lies.

    Attributes
    ----------
    form
        See `Form`.
    factor
        Output pixels per source pixel and side.
    trim
        Output pixels that are missing on each side; negative: there are more.
    least, step
        Pictures of side ``least`` and more go, in multiples of ``step``.
    """

    form: Form
    factor: int
    trim: int
    least: int
    step: int

    @property
    def margin(self) -> int:
        """Source pixels of the rim that have no output."""
        return max(-(-self.trim // self.factor), 0)

    def legal_side(self, side: int) -> int:
        """Return the smallest side, from ``side`` on, that the network takes.

        Raises
        ------
        PredictionError
            If it takes none so large.
        """
        if self.form.side is None:
            return max(-(-side // self.step) * self.step, self.least)
        if side > self.form.side:
            raise PredictionError(
                f"The network takes {self.form.side} pixels a side, not {side}.",
                hint="Use smaller tiles.",
            )
        return self.form.side


@dataclass(frozen=True)
class PictureNetwork:
    """A network as a function of pictures ``(bands, height, width)``, float32."""

    network: OpenedNetwork
    layout: Layout

    def core(self, x: Float32, halo: int) -> Float32:
        """Return the output of all pixels that have ``halo`` pixels around them.

        Parameters
        ----------
        x
            ``(bands, height, width)``, of any size: it is lengthened to what the network takes.
        halo
            At least `Layout.margin`.

        Raises
        ------
        PredictionError
            If the network fails.
        """
        _, height, width = x.shape
        after = (self.layout.legal_side(height) - height, self.layout.legal_side(width) - width)
        array = self.layout.form.to_array(_lengthened(x, after))
        try:
            output = self.network.call(array)
        except self.network.failures as error:
            raise PredictionError(
                f"{self.network.name} failed on a tile of {height} x {width} pixels: "
                f"{last_line(error)}",
                hint="Try another --tile-size.",
            ) from error
        s = self.layout.factor
        start = halo * s - self.layout.trim
        rows, cols = (slice(start, start + (n - 2 * halo) * s) for n in (height, width))
        return self.layout.form.to_picture(output)[:, rows, cols]


def find_layout(network: OpenedNetwork, *, bands: int) -> Layout:
    """Find out which pictures a network takes, by its declared shape and by running it.

    Parameters
    ----------
    bands
        Of the raster, tried where the network does not declare a number.

    Raises
    ------
    BandError
        If it takes another number of bands, and not one.
    ModelFileError
        If it does not map a picture to one of a whole multiple of its size.
    """
    problems: list[ModelFileError] = []
    for form in _forms(network, bands):
        if form.bands not in (1, bands):
            raise BandError(
                f"{network.name} takes exactly {form.bands} bands, not {bands}.",
                hint=f"Choose {form.bands} of the raster's bands with --bidx.",
            )
        try:
            return _fixed(network, form, form.side) if form.side else _free(network, form)
        except ModelFileError as error:
            problems.append(error)
    raise problems[0]


def _forms(network: OpenedNetwork, bands: int) -> list[Form]:
    """Return the forms that the declared shape allows, the likelier first."""
    shape = network.input_shape
    forms = []
    if len(shape) == 4:
        for channels_first in (True, False):
            band_axis, rows = (1, 2) if channels_first else (3, 1)
            height, width = shape[rows : rows + 2]
            declared = shape[band_axis]
            if height == width and (height is None or height >= 8):
                counts = (declared,) if declared else dict.fromkeys((1, max(bands, 1)))
                forms += [Form(channels_first, n, shape[0] or 1, height) for n in counts]
    if not forms:
        raise ModelFileError(
            f"{network.name} takes arrays of {_shape_text(shape)}, no square pictures.",
            hint="geosr runs networks of (batch, bands, height, width) or (batch, height, width, "
            "bands), with height and width free or equal.",
        )
    return forms


def _fixed(network: OpenedNetwork, form: Form, side: int) -> Layout:
    """Return the layout of a network that takes one size only."""
    output = _output_side(network, form, side)
    factor = round(output / side)
    missing = factor * side - output
    if abs(missing) > factor * side // 4:
        raise _not_whole(network, output / side)
    return Layout(form, _finer(network, factor), missing // 2, side, side)


def _free(network: OpenedNetwork, form: Form) -> Layout:
    """Return the layout of a network that takes many sizes."""
    side, output = _first_output(network, form)
    more = _output_side(network, form, 2 * side) - output
    if more <= 0 or more % side:
        raise _not_whole(network, more / side)
    factor = _finer(network, more // side)
    step = next((n for n in STEPS if _grows(network, form, side, n, output + factor * n)), side)
    return Layout(form, factor, (factor * side - output) // 2, side, step)


def _first_output(network: OpenedNetwork, form: Form) -> tuple[int, int]:
    """Return the smallest side that the network takes, and its output's."""
    for side in SMALLEST:
        try:
            return side, _output_side(network, form, side)
        except ModelFileError:
            if side == SMALLEST[-1]:
                raise
    raise AssertionError  # the loop returns or raises


def _grows(network: OpenedNetwork, form: Form, side: int, step: int, expected: int) -> bool:
    try:
        return _output_side(network, form, side + step) == expected
    except ModelFileError:
        return False


def _output_side(network: OpenedNetwork, form: Form, side: int) -> int:
    """Run the network on a picture of a side; return the side of what it gives."""
    x = np.random.default_rng(side).random((form.bands, side, side), np.float32)
    array = form.to_array(x)
    try:
        output = network.call(array)
    except network.failures as error:
        raise ModelFileError(
            f"{network.name} cannot be run on an array of {_shape_text(array.shape)}: "
            f"{last_line(error)}",
            hint="geosr runs networks of (batch, bands, height, width) or (batch, height, width, "
            "bands).",
        ) from error
    if output.ndim == 4 and len(output) == form.batch:
        count, height, width = form.to_picture(output).shape
        if count == form.bands and height == width:
            return int(height)
    raise ModelFileError(
        f"{network.name} turns an array of {_shape_text(array.shape)} into one of "
        f"{_shape_text(output.shape)}: that is no picture of the same bands.",
        hint="A network for super-resolution returns as many bands as it takes.",
    )


def _finer(network: OpenedNetwork, factor: int) -> int:
    if factor < 2:
        raise ModelFileError(
            f"{network.name} returns as many pixels as it takes.",
            hint="A network for super-resolution returns at least twice as many a side.",
        )
    return factor


def _not_whole(network: OpenedNetwork, ratio: float) -> ModelFileError:
    return ModelFileError(
        f"{network.name} makes {ratio:g} times the pixels a side.",
        hint="geosr needs a whole factor of 2 or more.",
    )


def _lengthened(x: Float32, after: tuple[int, int]) -> Float32:
    long: NDArray[np.generic] = mirror(x, (0, 0), after)
    return long.astype(np.float32, copy=False)


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return " x ".join("?" if n is None else str(n) for n in shape) or "unknown shape"


def last_line(error: Exception) -> str:
    """Return what a runtime's error says in the end, without its stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
