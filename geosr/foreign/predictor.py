"""A user's network as a `geosr.engine.Predictor`, and what geosr has to say about it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import NotEnoughMemoryError, OptionError
from geosr.core.facts import ModelFacts
from geosr.core.options import UpscaleOptions
from geosr.foreign.layout import Layout, PictureNetwork, find_layout
from geosr.foreign.opening import choose_machinery, open_networks
from geosr.foreign.probe import LARGEST_REACH, Findings, Probe
from geosr.kernels import to_phases
from geosr.predictors import Machinery

Array = NDArray[Any]

SCALES = (1.0, 255.0)
"""Values that the probe shows a network whose own range is not known."""


@dataclass(frozen=True)
class ForeignPredictor:
    """A network without a card.

    Attributes
    ----------
    facts
        What the probe found, as a card would say it.
    machinery
        What it runs on.
    network
        Pictures to pictures.
    stride
        Source pixels: tiles begin at multiples of it.
    model_range
        Raster values that the network sees as 0 and 1; None: it sees them as they are.
    findings
        The probe's result in words.
    notes
        What the user should know.
    """

    facts: ModelFacts
    machinery: Machinery
    network: PictureNetwork
    stride: int
    model_range: tuple[float, float] | None
    findings: str
    notes: tuple[str, ...]

    def predict(self, x: Array) -> Array:
        """Map ``(bands, h + 2 radius, w + 2 radius)`` to phases ``(bands, s*s, h, w)``.

        Values outside the model range go below 0 and above 1; nothing is clipped.

        Raises
        ------
        PredictionError
            If the network fails on this size.
        NotEnoughMemoryError
            If memory does not suffice.
        """
        low, high = self.model_range or (0.0, 1.0)
        inside = ((x - low) / (high - low)).astype(np.float32) if self.model_range else x
        together = self.facts.bands
        try:
            groups = [
                self.network.core(
                    inside[band : band + together].astype(np.float32), self.facts.radius
                )
                for band in range(0, len(x), together)
            ]
        except MemoryError as error:  # smaller tiles may not suit it: the user decides
            raise NotEnoughMemoryError(
                f"Memory does not suffice to run {self.facts.name} on {x.shape[1]} x {x.shape[2]} "
                "pixels.",
                hint="Try a smaller --tile-size, or --threads 1.",
            ) from error
        image = np.concatenate(groups).astype(x.dtype, copy=False)
        if self.model_range:
            image = image * x.dtype.type(high - low) + x.dtype.type(low)
        return to_phases(image, self.facts.upscale_factor)


def open_foreign(
    options: UpscaleOptions, *, bands: int, processors: int | None = None
) -> ForeignPredictor:
    """Open a user's network, and find out by probe what it is.

    Parameters
    ----------
    bands
        Of the raster, an alpha band not counted.
    processors
        What ``threads`` is if it is not given; None: this machine's.

    Raises
    ------
    GeosrError
        If the file is no network that maps a picture to a finer one, does not take so many
        bands, or contradicts another option.
    """
    path = Path(options.model)
    machinery = choose_machinery(path, options, processors=processors or os.cpu_count() or 1)
    for_probe = replace(machinery, device="cpu", precision="float32", threads=1)
    tried, network = open_networks(path, for_probe, machinery)
    layout = find_layout(tried, bands=bands)
    _check_factor(path.name, layout, options)
    scales = (1.0,) if options.model_range else SCALES
    findings = Probe(PictureNetwork(tried, layout), scales).findings()
    words = _in_words(layout, findings)
    return ForeignPredictor(
        _facts(path, layout, findings),
        machinery,
        PictureNetwork(network, layout),
        findings.stride,
        options.model_range,
        words,
        _notes(path.name, words, findings, options),
    )


def _check_factor(name: str, layout: Layout, options: UpscaleOptions) -> None:
    if options.upscale_factor not in (None, layout.factor):
        raise OptionError(
            f"{name} makes {layout.factor} times the pixels a side, not {options.upscale_factor}.",
            hint="Leave --factor out; a network makes the factor that it was built for.",
        )


def _facts(path: Path, layout: Layout, findings: Findings) -> ModelFacts:
    kind = path.suffix.lower()[1:]
    return ModelFacts(
        name=path.name,
        family=path.stem,
        upscale_factor=layout.factor,
        radius=findings.radius,
        bands=layout.form.bands,
        base=None,
        equivariant=findings.equivariant,
        exact=findings.exact,
        files={kind: path.name},
        sha256={kind: hashlib.sha256(path.read_bytes()).hexdigest()},
        summary="A network without a card.",
    )


def _in_words(layout: Layout, findings: Findings) -> str:
    form = layout.form
    bands = "each band by itself" if form.bands == 1 else f"{form.bands} bands together"
    order = "NCHW" if form.channels_first else "NHWC"
    size = f"{form.side} x {form.side} pixels only" if form.side else "any size"
    if layout.step > 1 and not form.side:
        size = f"sizes in steps of {layout.step}"
    if findings.exact:
        place = f", on a grid of {findings.stride} pixels" if findings.stride > 1 else ""
        local = f"radius {findings.radius} pixels{place}, exact"
    else:
        local = "no radius, inexact"
    units = "follows the raster's units" if findings.equivariant else "depends on the units"
    return f"x{layout.factor}, {bands}, {order}, {size}, {local}, {units}"


def _notes(name: str, words: str, findings: Findings, options: UpscaleOptions) -> tuple[str, ...]:
    notes = [f"{name} has no card; a probe found: {words}."]
    if not findings.exact:
        notes.append(
            f"{name} is inexact: its result depends on more than the {LARGEST_REACH} pixels "
            "around, or on a tile's size or place. Tiles are blended, and the result changes with "
            "their size."
        )
    if options.model_range is None and not findings.equivariant:
        notes.append(
            f"Raster values go into {name} as they are; if it expects 0 to 1, use --model-range "
            "LOW HIGH."
        )
    return tuple(notes)
