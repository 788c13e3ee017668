"""Names that a recipe may use: its loss terms and their parameters, and the nearest of a typo."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from geosr.core.errors import OptionError

Terms = dict[str, dict[str, Any]]
"""Loss terms by name; each with its ``weight`` and its parameters."""

PARAMETERS: dict[str, dict[str, Any]] = {
    "charbonnier": {"eps": 0.01},
    "l1": {},
    "mse": {},
    "ssim": {"data_range": 1.0},
    "sam": {},
    "frequency": {},
    "perceptual": {
        "network": "efficientnet-lite0",
        "layers": (),
        "low": 0.0,
        "high": 1.0,
        "weights": "",
    },
    "adversarial": {"kind": "relativistic"},
}
"""The parameters of each loss term and what they are unless the recipe says otherwise."""

CHOICES: dict[str, tuple[str, ...]] = {
    "kind": ("bce", "relativistic", "hinge"),
    "network": ("efficientnet-lite0", "vgg19"),
}
"""The values that a parameter of words may have."""


def read_terms(table: Mapping[str, Any], where: str, *, eps: float = 0.01) -> Terms:
    """Return the loss terms of a recipe's ``[losses]`` with all their parameters.

    Each entry is a weight, or a table of ``weight`` and parameters. An empty table is one
    Charbonnier term, whose ``eps`` is the one given unless its entry has its own.

    Raises
    ------
    OptionError
        If a term, a parameter or a value is none.
    """
    terms: Terms = {}
    for name, entry in (table or {"charbonnier": 1.0}).items():
        check_names((name,), PARAMETERS, f"{where} has an unknown loss")
        given = dict(entry) if isinstance(entry, Mapping) else {"weight": entry}
        defaults = {"weight": 1.0, **PARAMETERS[name]}
        if name == "charbonnier":
            defaults["eps"] = eps
        check_names(given, defaults, f"{where} has an unknown parameter of the loss {name}")
        for key, value in given.items():
            _check(f"{name}.{key}", value, defaults[key], where)
        terms[name] = {**defaults, **given}
        layers = terms[name].get("layers")
        if layers is not None:
            terms[name]["layers"] = tuple(layers)
    if all(name == "adversarial" for name in terms):
        raise OptionError(
            f"{where} trains against a discriminator only.",
            hint="Add a loss that holds on to the truth, such as charbonnier.",
        )
    return terms


def _check(place: str, value: Any, default: Any, where: str) -> None:
    words = CHOICES.get(place.rpartition(".")[2])
    if words:
        check_names((value,), words, f"{where} has an unknown {place}")
    check_kind(place, value, default, where)
    if place.endswith((".weight", ".eps", ".data_range")) and not value > 0:
        raise OptionError(
            f"{where} says {place} = {value}.",
            hint="Give a number above 0, or leave the loss out.",
        )


def check_kind(name: str, value: Any, default: Any, where: str) -> None:
    """Raise `OptionError` unless a value is of the kind of another one.

    Whole numbers serve as numbers; lists and tuples as each other.
    """
    kinds: dict[type, tuple[tuple[type, ...], str]] = {
        bool: ((bool,), "true or false"),
        float: ((int, float), "a number"),
        int: ((int,), "a whole number"),
        str: ((str,), "a text in quotes"),
        tuple: ((list, tuple), "a list"),
        dict: ((dict,), "a table"),
    }
    wanted, words = kinds[type(default)]
    if not isinstance(value, wanted) or isinstance(value, bool) != isinstance(default, bool):
        raise OptionError(f"{where} says {name} = {value!r}.", hint=f"It is {words}.")


def check_names(names: Iterable[Any], known: Iterable[str], problem: str) -> None:
    """Raise `OptionError` for the first name that is unknown, and suggest the nearest.

    >>> check_names(["stepz"], ["steps", "seed"], "The recipe has an unknown key")
    Traceback (most recent call last):
    ...
    geosr.core.errors.OptionError: The recipe has an unknown key: stepz.
    Did you mean steps? Known: seed, steps.
    """
    known = sorted(known)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
            meant = f"Did you mean {near[0]}? " if near else ""
            raise OptionError(f"{problem}: {name}.", hint=f"{meant}Known: {', '.join(known)}.")
