"""Two rasters of one place without any truth: what one says of the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import BandError, CancelledError, UnsupportedRasterError
from geosr.core.events import EventSink, phase_event, progress_event, start_event
from geosr.core.geometry import Window
from geosr.core.version import __version__
from geosr.evaluation.differences import BandDifference, Sums
from geosr.evaluation.overlap import Overlap, lay
from geosr.evaluation.pictures import SIDE, Layer, ScenePictures, Stretch, plain, signed, uri
from geosr.evaluation.protocol import Protocol
from geosr.evaluation.samples import Sample, colours_of, enlarged, opened, read_pixels
from geosr.io.facts import RasterFacts
from geosr.metrics import radial_spectrum
from geosr.metrics.consistency import block_difference

Line = NDArray[np.float64]

PART = 1024
"""Side of what is read at once, in pixels of the finer raster."""

MOST_PARTS = 64
"""Parts that are compared; of a larger raster they are drawn by the seed."""

SCENES = 3
"""Parts that are shown."""

RINGS = 48
"""Frequencies of the finer spectrum, about; a whole number of them is the coarser one's."""


@dataclass(frozen=True)
class Comparison:
    """What came out.

    Attributes
    ----------
    first, second
        Facts of the two rasters.
    overlap
        What they have in common.
    bands
        How each band differs.
    frequencies, spectra
        Cycles per pixel of the finer raster, and the power of both there in decades.
    scenes
        What is shown.
    parts
        How many parts were compared, and how many there are.
    pixels
        Pixels of the first raster that were compared, of one band.
    """

    first: RasterFacts
    second: RasterFacts
    overlap: Overlap
    bands: tuple[BandDifference, ...]
    frequencies: Line
    spectra: dict[str, Line]
    scenes: tuple[ScenePictures, ...]
    parts: tuple[int, int]
    pixels: int


def compare(
    first_path: str,
    second_path: str,
    protocol: Protocol,
    *,
    on_event: EventSink,
    should_stop: Callable[[], bool] = lambda: False,
) -> Comparison:
    """Compare a raster with a finer one, or with one on the same grid.

    ``protocol`` tells bands, colours and seed. Rasters are read part by part.

    Raises
    ------
    InputFileError
        If one of them cannot be read.
    GridError
        If they do not lie on one footprint, the first with the larger pixels.
    BandError
        If they have different numbers of bands.
    CancelledError
        If it was stopped.
    """
    pair = _open(first_path, second_path, protocol)
    overlap = lay(pair.first, pair.second)
    parts = list(_parts(overlap))
    rng = np.random.default_rng(protocol.seed)
    chosen = [parts[place] for place in sorted(rng.permutation(len(parts))[:MOST_PARTS])]
    start = start_event(version=__version__, device="cpu", tiles=len(chosen), output_mpx=0.0)
    on_event({key: value for key, value in start.items() if key != "output_mpx"})
    on_event(phase_event("Comparing"))
    sums = Sums(len(pair.indexes))
    spectra: dict[str, list[Line]] = {"A": [], "B": []}
    lively: list[tuple[float, int]] = []
    for number, part in enumerate(chosen):
        if should_stop():
            raise CancelledError("Stopped; nothing was written.")
        on_event(progress_event(number, len(chosen)))
        sample = _load(pair, part)
        if sample.low_valid is not None and not sample.low_valid.any():
            continue
        sums.add(sample.low, sample.truth, part.factor, sample.low_valid)
        _add_spectra(sample, part.factor, spectra)
        lively.append((-float(sample.low[:, sample.low_valid].astype(np.float64).std()), number))
    if not lively:
        raise UnsupportedRasterError(
            f"{first_path} and {second_path} have no valid pixel in common.",
            hint="They are nodata where they overlap.",
        )
    on_event(progress_event(len(chosen), len(chosen)))
    shown = [chosen[number].middle(SIDE) for _, number in sorted(lively)[:SCENES]]
    frequencies, means = _decades(spectra)
    return Comparison(
        first=pair.first,
        second=pair.second,
        overlap=overlap,
        bands=sums.bands(),
        frequencies=frequencies,
        spectra=means,
        scenes=tuple(_pictured(_load(pair, part), part) for part in shown),
        parts=(len(lively), len(parts)),
        pixels=sums.count,
    )


@dataclass(frozen=True)
class _Pair:
    """Two rasters, the numbers of their bands, and places of those that are shown."""

    first: RasterFacts
    second: RasterFacts
    indexes: tuple[int, ...]
    others: tuple[int, ...]
    colours: tuple[int, ...]


def _open(first_path: str, second_path: str, protocol: Protocol) -> _Pair:
    (first, indexes), (second, others) = (
        opened(Path(path), protocol) for path in (first_path, second_path)
    )
    if len(indexes) != len(others):
        raise BandError(
            f"{first_path} has {len(indexes)} bands and {second_path} {len(others)}.",
            hint="Choose those that both have with --bidx.",
        )
    return _Pair(first, second, indexes, others, colours_of(first, indexes, protocol))


def _parts(overlap: Overlap) -> Iterator[Overlap]:
    """Yield the parts of what two rasters have in common."""
    coarse, fine, s = overlap.coarse, overlap.fine, overlap.factor
    side = max(PART // s, 1)
    for row in range(0, coarse.height, side):
        for col in range(0, coarse.width, side):
            part = Window(row, col, min(side, coarse.height - row), min(side, coarse.width - col))
            yield Overlap(
                part.shift(coarse.row_off, coarse.col_off),
                part.scale(s).shift(fine.row_off, fine.col_off),
                s,
            )


def _load(pair: _Pair, part: Overlap) -> Sample:
    """Return a part: the first raster as the low resolution, the second as the truth."""
    low, low_seen = read_pixels(pair.first, pair.indexes, part.coarse)
    fine, fine_seen = read_pixels(pair.second, pair.others, part.fine)
    height, width, s = *part.coarse.shape, part.factor
    seen = np.ones((height, width), bool) if low_seen is None else low_seen
    if fine_seen is not None:
        seen = seen & fine_seen.reshape(height, s, width, s).all(axis=(1, 3))
    return Sample(fine, low, enlarged(seen, s), seen, pair.colours)


def _add_spectra(sample: Sample, factor: int, spectra: dict[str, list[Line]]) -> None:
    """Add both spectra, per area: the first one's ends where its pixels do."""
    band = sample.colours[0]
    rings = max(RINGS // factor, 6)
    _, coarse = radial_spectrum(sample.low[band], bins=rings, valid=sample.low_valid)
    _, fine = radial_spectrum(sample.truth[band], bins=rings * factor, valid=sample.valid)
    whole = np.full(rings * factor, np.nan)
    # A coarse pixel covers factor² fine ones, so its share of the same power is so much denser.
    whole[:rings] = coarse * factor**2
    spectra["A"].append(whole)
    spectra["B"].append(fine)


def _decades(spectra: dict[str, list[Line]]) -> tuple[Line, dict[str, Line]]:
    """Return frequencies, and the power of all parts together in decades of the first raster's."""
    sums = {name: np.nansum(lines, axis=0) for name, lines in spectra.items()}
    unit = float(sums["A"].sum()) or 1.0
    with np.errstate(divide="ignore"):
        lines = {name: np.log10(power / unit) for name, power in sums.items()}
    known = {name: np.where(np.isfinite(line), line, np.nan) for name, line in lines.items()}
    rings = len(known["B"])
    return (np.arange(rings) + 0.5) * 0.5 / rings, known


def _pictured(sample: Sample, part: Overlap) -> ScenePictures:
    factor, colours = part.factor, sample.colours
    stretch = Stretch(sample.low, sample.low_valid, colours)
    difference = block_difference(sample.low.astype(np.float64), sample.truth, factor)
    shown = difference[list(colours)].mean(axis=0)
    if sample.low_valid is not None:
        shown = np.where(sample.low_valid, shown, 0.0)
    top = float(np.quantile(np.abs(shown), 0.995)) or 1.0
    layers = (
        Layer("A", uri(stretch(sample.low, sample.low_valid)), pixelated=True),
        Layer("B", uri(stretch(sample.truth, sample.valid), 92)),
    )
    found = f"at most {plain(float(np.abs(shown).max()))}"
    maps = (Layer("B averaged, less A", uri(signed(shown / top)), pixelated=True, caption=found),)
    row, col = part.coarse.row_off, part.coarse.col_off
    return ScenePictures(
        f"Rows {row} to {row + part.coarse.height - 1}, columns {col} to "
        f"{col + part.coarse.width - 1} of A",
        part.fine.shape,
        layers,
        maps,
        f"B less A on A's grid, blue -{plain(top)} to red +{plain(top)}",
    )
