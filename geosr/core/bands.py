"""Which of a raster's bands are red, green, blue and near infrared, by what it calls them."""

from __future__ import annotations

from typing import Dict, Optional, Sequence, Tuple

_CALLED: Dict[str, Tuple[str, ...]] = {
    "blue": ("b02", "b2"),
    "green": ("b03", "b3"),
    "red": ("b04", "b4"),
    "nir": ("b08", "b8", "b5"),  # Landsat 8 has it in its fifth band, Sentinel-2 in its eighth
}
"""By what cards call a band: what Sentinel-2 and Landsat 8 call it, the likelier first."""


def described_places(
    wanted: Sequence[str], descriptions: Sequence[Optional[str]]
) -> Tuple[int, ...]:
    """Return where the bands that are wanted are among those described, from 0.

    Of a description what is before a comma counts, so GDAL's "B4, central wavelength 665 nm" is
    B4. Empty: a band is not described, or two are described alike.

    >>> described_places(["red", "nir"], ["B02", "B03", "B04", "B08"])
    (2, 3)
    >>> described_places(["red", "nir"], ["Red", None])
    ()
    """
    names = [_plain(text) for text in descriptions]
    found = []
    for name in wanted:
        called = [known for known in (name, *_CALLED.get(name, ())) if known in names]
        if not called or names.count(called[0]) > 1:
            return ()
        found.append(names.index(called[0]))
    return tuple(found) if len(set(found)) == len(found) else ()


def called_so(wanted: Sequence[str], descriptions: Sequence[Optional[str]]) -> bool:
    """Return whether bands are described by the very words, in this order.

    ``B4`` is red to Landsat 8 and near infrared to Landsat 7: such names leave a doubt.

    >>> called_so(["red", "nir"], ["Red", "NIR"]), called_so(["red", "nir"], ["B4", "B5"])
    (True, False)
    """
    return [_plain(text) for text in descriptions] == list(wanted)


def _plain(description: Optional[str]) -> str:
    return (description or "").partition(",")[0].strip().lower()
