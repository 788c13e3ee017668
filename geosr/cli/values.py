"""How the values of options are read."""

from __future__ import annotations

import math
import re

import click


def parse_indexes(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[int, ...]:
    """Read band numbers: ``-b 3 -b 1``, and rio's ``-b 3,1`` and ``-b 1..3``."""
    indexes: list[int] = []
    for item in ",".join(values).split(",") if values else ():
        found = re.fullmatch(r"\s*(\d*)\s*(\.\.)?\s*(\d*)\s*", item)
        first, dots, last = found.groups() if found else ("", None, "")
        if dots and last:
            numbers = range(int(first or 1), int(last) + 1)
        elif dots:
            raise click.BadParameter(f"{item!r} has no end; write the last band as well.")
        else:
            numbers = range(int(first), int(first) + 1) if first and not last else range(0)
        if not numbers:
            raise click.BadParameter(f"{item!r} is no band; use 3, or 1,2,3, or 1..3.")
        indexes += numbers
    return tuple(indexes)


def parse_creation_options(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Read ``NAME=VALUE`` pairs; names are upper case, as GDAL writes them."""
    pairs: dict[str, str] = {}
    for pair in values:
        name, equals, value = pair.partition("=")
        name = name.strip().upper()
        if not (name and equals):
            raise click.BadParameter(f"{pair!r} is not of the form NAME=VALUE.")
        if name in pairs:
            raise click.BadParameter(f"{name} is given twice.")
        pairs[name] = value
    return pairs


def parse_finite(
    _context: click.Context, _parameter: click.Parameter, values: tuple[float, ...] | None
) -> tuple[float, ...] | None:
    """Refuse NaN and infinity."""
    if values is not None and not all(map(math.isfinite, values)):
        raise click.BadParameter(f"{' '.join(map(str, values))}: these must be finite numbers.")
    return values
