"""Bands that a network sees together: what a recipe says of them, and one gain for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from geosr.core.errors import OptionError

Range = tuple[float, float]


def check_bands(names: Sequence[Any], numbers: Mapping[str, Sequence[Any]]) -> None:
    """Check the names of bands, and the numbers that each source has for them in its files.

    Raises
    ------
    OptionError
        If they do not fit.

    >>> check_bands(["red", "nir"], {"scenes/*.tif": [3, 4]})
    """
    texts = all(isinstance(name, str) and name for name in names)
    if len(names) == 1 or not texts or len(set(names)) < len(names):
        raise OptionError(
            f"A recipe says bands = {list(names)}.",
            hint="Name two or more different bands that the network sees together, such as "
            '["red", "green", "blue", "nir"], or leave bands out: then it sees each by itself.',
        )
    for source, given in numbers.items():
        whole = all(isinstance(n, int) and n > 0 for n in given)
        if given and (len(given) != len(names) or not whole or len(set(given)) < len(given)):
            wanted = f"{', '.join(names)} together" if names else "each band by itself"
            raise OptionError(
                f"The recipe's source {source} says bands = {list(given)}, and the network sees "
                f"{wanted}.",
                hint="Give the number of each of these bands in the source's files, from 1, or "
                "leave bands out.",
            )


def common_gain(ranges: Iterable[Range]) -> list[Range]:
    """Return ranges that begin where these do, all as wide as the widest of them.

    A network that sees bands together follows a shift of each, but only one gain of all.

    >>> common_gain([(0.0, 1.0), (5.0, 9.0)])
    [(0.0, 4.0), (5.0, 9.0)]
    """
    pairs = list(ranges)
    widest = max(high - low for low, high in pairs)
    return [(low, low + widest) for low, _ in pairs]
