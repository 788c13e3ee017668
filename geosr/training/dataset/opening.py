"""Open the rasters and pairs of a patch set, and refuse those that do not go together."""

from __future__ import annotations

from collections.abc import Sequence

from geosr.core.errors import BandError, InputFileError, OptionError, UnsupportedRasterError
from geosr.training.dataset.complaints import Complaints
from geosr.training.dataset.options import DatasetOptions
from geosr.training.dataset.pairs import PairSource
from geosr.training.dataset.sources import RasterSource, read_source

AnySource = RasterSource | PairSource


def open_sources(
    paths: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    options: DatasetOptions,
    complaints: Complaints,
) -> list[AnySource]:
    """Return what patches can be cut from; ``complaints`` has what cannot.

    Raises
    ------
    InputFileError, UnsupportedRasterError
        If nothing is left.
    BandError
        If the numbers of bands differ.
    OptionError
        If the pairs are of several factors, or patches do not lie on their pixels.
    """
    found: list[AnySource] = []
    for path in paths:
        with complaints.of(path):
            found.append(_raster(path, options))
    for low, high in pairs:
        with complaints.of(f"{low} and {high}"):
            found.append(_pair(low, high, options))
    _check_bands(found)
    _check_factors([source for source in found if isinstance(source, PairSource)])
    return _large_enough(found, options, complaints)


def _raster(path: str, options: DatasetOptions) -> RasterSource:
    facts, indexes = read_source(path, options.indexes)
    stride = options.stride or options.patch
    source = RasterSource(facts, indexes, side=options.patch, stride=stride)
    if options.degradation:
        source.degradation, source.seed = options.degradation, options.seed
        source.upscale_factor = options.upscale_factor or 0
    return source


def _pair(low: str, high: str, options: DatasetOptions) -> PairSource:
    coarse = read_source(low, options.indexes)
    whole = read_source(high, ())
    fine = whole if len(whole[1]) == 1 else read_source(high, options.indexes)
    side, stride = options.patch, options.stride or options.patch
    pair = PairSource(
        coarse, fine, side=side, stride=stride, min_correlation=options.min_correlation
    )
    factor, due = pair.upscale_factor, options.upscale_factor
    if due and factor != due:
        raise UnsupportedRasterError(
            f"{pair.name} are a pair of factor {factor}, not {due}.",
            hint="A patch set has one factor: name this one with --factor, or make two sets.",
        )
    if side % factor or stride % factor:
        raise OptionError(
            f"Patches of {side} pixels, {stride} apart, do not lie on the pixels of {low}.",
            hint=f"Use multiples of {factor} for --patch and --stride.",
        )
    return pair


def _check_bands(sources: Sequence[AnySource]) -> None:
    for source in sources:
        first = sources[0]
        if len(source.indexes) != len(first.indexes):
            raise BandError(
                f"{first.facts.path} has {_bands(first)} and {source.facts.path} has "
                f"{_bands(source)}.",
                hint="Pick the same bands of all with --bidx, or make one set of each kind.",
            )


def _check_factors(pairs: Sequence[PairSource]) -> None:
    for pair in pairs:
        first = pairs[0]
        if pair.upscale_factor != first.upscale_factor:
            raise OptionError(
                f"{first.name} are a pair of factor {first.upscale_factor}, {pair.name} of factor "
                f"{pair.upscale_factor}.",
                hint="A patch set has one factor: name it with --factor, or make two sets.",
            )


def _bands(source: AnySource) -> str:
    count = len(source.indexes)
    return f"{count} band{'s' * (count > 1)}"


def _large_enough(
    sources: list[AnySource], options: DatasetOptions, complaints: Complaints
) -> list[AnySource]:
    side = options.patch
    small = [source for source in sources if not source.windows]
    left = [source for source in sources if source.windows]
    for source in small:
        complaints.tell("warning", f"{source.name} has no room for a patch of {side} pixels.")
    if left:
        return left
    if complaints.first and not small:
        raise complaints.first
    raise InputFileError(
        f"No raster has room for a patch of {side} pixels." if small else "No raster was named.",
        hint="Use larger rasters, or a smaller --patch." if small else "Name rasters or folders.",
    )
