"""Tables of a recipe, checked against the dataclasses that they become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from geosr.core.errors import OptionError
from geosr.training.terms import check_kind, check_names

_Part = TypeVar("_Part")

_KINDS: dict[str, Any] = {
    "name": "",
    "architecture": "",
    "glob": "",
    "upscale_factor": 0,
    "losses": {},
    "degrade": {},
}
"""Values of the kind that a key has, where its default does not tell."""

_MAY_BE_LISTS = ("upscale_factor", "patch", "degradation")


def read_part(kind: type[_Part], entry: Any, where: str) -> _Part:
    """Return the dataclass ``kind`` of a table inside a recipe; ``where`` names the table.

    Raises
    ------
    OptionError
        If it is no table, or as `check_table` says.
    """
    check_kind("it", entry, {}, where)
    check_table(entry, kind, where)
    return kind(**with_tuples(entry))


def with_tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with tuples for its lists."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}


def check_table(table: Mapping[str, Any], kind: Any, where: str) -> None:
    """Check the keys of a table, and the kinds of its values, against a dataclass.

    Raises
    ------
    OptionError
        If a key is unknown or missing, or a value is of another kind.
    """
    known = {f.name: f for f in fields(kind)}
    check_names(table, known, f"{where} has an unknown key")
    needed = [
        name
        for name, f in known.items()
        if f.default is MISSING and f.default_factory is MISSING and not table.get(name)
    ]
    if needed:
        raise OptionError(
            f"{where} lacks {', '.join(needed)}.",
            hint="Compare it with recipes/geosr-lite.toml.",
        )
    for key, value in table.items():
        default = _KINDS.get(key, known[key].default)
        if key in _MAY_BE_LISTS and isinstance(value, list | tuple):
            default = ()
        if default is not MISSING and default is not None:
            check_kind(key, value, default, where)
