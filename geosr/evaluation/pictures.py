"""Pictures for the report: which part of an image, in which colours, in how many bytes."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geosr.core.geometry import Window
from geosr.evaluation.samples import Sample
from geosr.io.picture import encode_picture

Array = NDArray[np.generic]
Floats = NDArray[np.float64]
Valid = NDArray[np.bool_]
Bytes = NDArray[np.uint8]

SIDE = 512
"""Side of what is shown of an image at most, in fine pixels."""

SMALL = 280
"""A picture smaller than this is enlarged by whole pixels: smoothing would hide the difference."""

BUDGET = 13 << 20
"""Bytes that all pictures of a report may take; as text they take a third more."""

_TRIES = ((SIDE, 92), (SIDE, 80), (SIDE, 65), (SIDE, 50), (320, 65), (192, 50))
_HEAT = ((0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191))
_SIGNED = ((33, 102, 172), (146, 197, 222), (247, 247, 247), (244, 165, 130), (178, 24, 43))


@dataclass(frozen=True)
class Layer:
    """One picture of a scene.

    Attributes
    ----------
    label
        What it shows.
    uri
        The picture itself, as a data address.
    pixelated
        Whether its pixels are to be seen as squares.
    caption
        What else there is to say.
    """

    label: str
    uri: str
    pixelated: bool = False
    caption: str = ""


@dataclass(frozen=True)
class ScenePictures:
    """What a report shows of a scene.

    Attributes
    ----------
    name
        Of the image.
    shape
        Height and width of what is shown, in fine pixels.
    layers
        All of one place, for the swipe.
    maps
        Of errors or differences.
    map_title
        What colours mean there.
    note
        Which part is shown.
    """

    name: str
    shape: tuple[int, int]
    layers: tuple[Layer, ...]
    maps: tuple[Layer, ...]
    map_title: str
    note: str = ""


class Stretch:
    """Turns values into the colours of a screen, the same way for all pictures of a scene.

    8 bits stay as they are; other values run from the 2nd to the 98th percentile of each band.
    """

    def __init__(self, image: Array, valid: Valid | None, colours: Sequence[int]) -> None:
        self._colours = list(colours)
        self.low, self.high = np.zeros(len(colours)), np.full(len(colours), 255.0)
        if image.dtype != np.uint8:
            shown = image[self._colours].astype(np.float64)
            seen = shown.reshape(len(colours), -1) if valid is None else shown[:, valid]
            self.low, self.high = np.percentile(seen, (2, 98), axis=1)

    def __call__(self, image: Array, valid: Valid | None = None) -> Bytes:
        """Return ``(1 or 3, h, w)``; holes are mid-grey."""
        shown = image[self._colours].astype(np.float64)
        span = np.maximum(self.high - self.low, 1e-12)[:, None, None]
        scaled = np.clip((shown - self.low[:, None, None]) / span, 0, 1) * 255
        picture = np.rint(np.nan_to_num(scaled)).astype(np.uint8)
        if valid is not None:
            picture[:, ~valid] = 128
        return picture


def shown_window(sample: Sample, factor: int, side: int) -> Window:
    """Return the liveliest part of an image: the one with the strongest edges and few holes."""
    side = side // factor * factor
    height, width = sample.truth.shape[1:]
    plane = sample.truth[list(sample.colours)].astype(np.float64).mean(axis=0)
    edges = np.abs(np.diff(plane, axis=0))[:, :-1] + np.abs(np.diff(plane, axis=1))[:-1]
    if sample.valid is not None:
        edges = np.where(sample.valid[:-1, :-1] & sample.valid[1:, 1:], edges, 0.0)
    edges = np.nan_to_num(edges)
    places = [
        Window(row, col, min(side, height), min(side, width))
        for row in _steps(height, side, factor)
        for col in _steps(width, side, factor)
    ]
    return max(places, key=lambda place: float(edges[place.slices].sum()))


def scene_pictures(
    name: str,
    sample: Sample,
    images: Mapping[str, Array],
    factor: int,
    *,
    captions: Mapping[str, str],
    budget: int,
) -> ScenePictures:
    """Return a scene's pictures, within ``budget`` bytes if that can be.

    ``images`` are what the methods made, ``(bands, h, w)``; ``captions`` go below their maps.
    First the pictures lose quality, then size.
    """
    stretch = Stretch(sample.truth, sample.valid, sample.colours)
    for side, quality in _TRIES:
        place = shown_window(sample, factor, side)
        layers = _layers(sample, images, factor, place, stretch, quality)
        maps, top = _error_maps(sample, images, place, captions, quality)
        if sum(len(layer.uri) for layer in (*layers, *maps)) <= budget * 4 / 3:
            break
    whole = place.shape == sample.truth.shape[1:]
    note = "" if whole else f"Shown: {place.width} x {place.height} pixels with strong edges."
    title = f"Absolute error, black 0 to yellow {plain(top)} and more"
    return ScenePictures(name, place.shape, tuple(layers), tuple(maps), title, note)


def _layers(
    sample: Sample,
    images: Mapping[str, Array],
    factor: int,
    place: Window,
    stretch: Stretch,
    quality: int,
) -> list[Layer]:
    valid = None if sample.valid is None else sample.valid[place.slices]
    coarse = tuple(slice(cut.start // factor, cut.stop // factor) for cut in place.slices)
    low_valid = None if sample.low_valid is None else sample.low_valid[coarse]
    low = Layer("input", uri(stretch(sample.low[:, *coarse], low_valid)), pixelated=True)
    shown = {**images, "truth": sample.truth}
    small = max(place.shape) < SMALL
    return [
        low,
        *(
            Layer(name, uri(stretch(image[:, *place.slices], valid), quality), small)
            for name, image in shown.items()
        ),
    ]


def _error_maps(
    sample: Sample,
    images: Mapping[str, Array],
    place: Window,
    captions: Mapping[str, str],
    quality: int,
) -> tuple[list[Layer], float]:
    """Return the maps of absolute errors, and the error that is yellow in all of them."""
    valid = None if sample.valid is None else sample.valid[place.slices]
    truth = sample.truth[:, *place.slices]
    errors = {
        method: error_of(truth, image[:, *place.slices], sample.colours, valid)
        for method, image in images.items()
    }
    top = float(np.quantile(next(iter(errors.values())), 0.995)) or 1.0
    maps = [
        Layer(method, uri(heat(error / top), min(quality, 80)), caption=captions[method])
        for method, error in errors.items()
    ]
    return maps, top


def plain(value: float) -> str:
    """Return a value in three digits, or as a whole number.

    >>> plain(1033.6), plain(0.01234)
    ('1034', '0.0123')
    """
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def error_of(truth: Array, image: Array, colours: Sequence[int], valid: Valid | None) -> Floats:
    """Return the mean absolute error of the bands shown, 0 in holes."""
    chosen = list(colours)
    error = np.abs(np.subtract(image[chosen], truth[chosen], dtype=np.float64)).mean(axis=0)
    return error if valid is None else np.where(valid, error, 0.0)


def heat(share: Floats) -> Bytes:
    """Return the colours of values from 0 to 1, black to yellow, ``(3, h, w)``."""
    return _painted(share, _HEAT)


def signed(share: Floats) -> Bytes:
    """Return the colours of values from -1 to 1, blue over white to red, ``(3, h, w)``."""
    return _painted((share + 1) / 2, _SIGNED)


def uri(picture: Bytes, quality: int | None = None) -> str:
    """Return a picture as a data address: WebP of this quality, or PNG."""
    kind = "PNG" if quality is None else "WEBP"
    data = (
        encode_picture(picture, "PNG")
        if quality is None
        else encode_picture(picture, "WEBP", quality=quality)
    )
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data).decode('ascii')}"


def _painted(share: Floats, colours: Sequence[tuple[int, int, int]]) -> Bytes:
    stops = np.linspace(0, 1, len(colours))
    channels = [np.interp(share, stops, values) for values in zip(*colours, strict=True)]
    picture: Bytes = np.rint(np.stack(channels)).astype(np.uint8)
    return picture


def _steps(length: int, side: int, factor: int) -> list[int]:
    last = max(length - side, 0) // factor * factor
    step = max(side // 2 // factor * factor, factor)
    return [*range(0, last, step), last]
