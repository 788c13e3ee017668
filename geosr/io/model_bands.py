"""Which of a raster's bands a model takes, and how people are told."""

from __future__ import annotations

from collections.abc import Sequence

from geosr.core.bands import called_so, described_places
from geosr.core.errors import BandError
from geosr.core.facts import ModelFacts
from geosr.io.facts import RasterFacts


def check_band_count(model: ModelFacts, source: RasterFacts, indexes: Sequence[int]) -> None:
    """Check that a model takes as many bands as were chosen, alpha left out.

    Raises
    ------
    BandError
        If not; the hint says which bands to choose where the raster describes them.
    """
    count = len([n for n in indexes if n != source.alpha])
    if model.bands > 1 and count != model.bands:
        places = band_order(model, source)
        found = ",".join(str(_colours(source)[place]) for place in places)
        by_name = f"; as Sentinel-2 and Landsat 8 call them, --bidx {found}" if found else ""
        raise BandError(
            f"{model.name} takes {model.bands_in_words}, not {count}.",
            hint=f"Choose {model.bands} of the raster's {source.count} bands with --bidx, in this "
            f"order{by_name}.",
        )
    if count == 0:
        raise BandError(
            "Only the alpha band was chosen; there is nothing to make sharper.",
            hint="Choose other bands with --bidx.",
        )


def band_order(model: ModelFacts, source: RasterFacts) -> tuple[int, ...]:
    """Return where a model's bands are among the raster's, alpha left out, counted from 0.

    Empty: the raster's descriptions do not tell, or the model sees each band by itself.
    """
    texts = source.metadata.descriptions
    return described_places(model.band_names, [texts[n - 1] for n in _colours(source)])


def taken_bands(model: ModelFacts, source: RasterFacts, order: Sequence[int]) -> str:
    """Say which bands a model takes for those that its card names, unless they are called so."""
    numbers = _colours(source)
    taken = [numbers[place] for place in order or range(len(numbers))]
    texts = [source.metadata.descriptions[n - 1] or "" for n in taken]
    if not model.band_names or called_so(model.band_names, texts):
        return ""
    found = [f"{n} ({text})" if text else str(n) for n, text in zip(taken, texts, strict=True)]
    return model.taken(found, "--bidx")


def _colours(source: RasterFacts) -> list[int]:
    """Return the numbers of all bands but alpha."""
    return [n for n in range(1, source.count + 1) if n != source.alpha]
