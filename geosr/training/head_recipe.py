"""The recipe of a head: which finished network it is for, and how it is trained."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geosr.core.catalog import find_model
from geosr.core.errors import InputFileError, OptionError
from geosr.core.facts import ModelFacts
from geosr.training.recipe import Recipe, Source, read_recipe
from geosr.training.terms import check_names

LIKELIHOODS = ("gaussian", "laplace")
"""What a recipe may take errors to be distributed like."""


@dataclass(frozen=True)
class HeadRecipe:
    """A run that makes a head.

    Attributes
    ----------
    of
        The finished network.
    recipe
        How the head is trained; its architecture and bands are those of the finished network.
    likelihood
        What errors are distributed like: ``gaussian``, or ``laplace``, which bears with few
        errors that are far larger than the others.
    """

    of: ModelFacts
    recipe: Recipe
    likelihood: str = "laplace"


def is_head_recipe(path: str | Path) -> bool:
    """Return whether a recipe names a network that it makes a head for."""
    try:
        return "of" in tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False  # read again by what says so


def read_head_recipe(path: str | Path, **changes: Any) -> HeadRecipe:
    """Read a recipe with the key ``of``; ``changes`` that are not None replace its values.

    ``of`` is a name from ``geosr models``, or the path of a card from where the command runs.

    Raises
    ------
    InputFileError
        If the file cannot be read.
    OptionError
        If it is no such recipe, or its network can have no head.
    """
    try:
        table: dict[str, Any] = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputFileError(
            f"The recipe {path} cannot be read: {error}.", hint="Compare it with those in recipes/."
        ) from error
    given = {key: value for key, value in changes.items() if value is not None}
    return head_recipe(table | given, f"The recipe {path}")


def head_recipe(table: Mapping[str, Any], where: str = "The recipe") -> HeadRecipe:
    """Return the recipe of plain values.

    Raises
    ------
    OptionError
        If a key is wrong, or the network can have no head.
    """
    plain = dict(table)
    of = find_model(str(plain.pop("of", "")))
    named = of.bands in (1, len(of.band_names))
    if of.is_kernel or of.base is None or not named or "keras" not in of.files:
        raise OptionError(
            f"{where} asks for a head of {of.name}, which can have none.",
            hint="Name a network of geosr's own with .keras weights, such as geosr-lite-x2.",
        )
    likelihood = plain.pop("likelihood", "laplace")
    check_names((likelihood,), LIKELIHOODS, f"{where} has an unknown likelihood")
    own = ("architecture", "upscale_factor", "bands", "expansion", "initial", "frozen")
    for key in (*own, "losses", "gan"):
        if key in plain:
            raise OptionError(
                f"{where} has both `of` and {key!r}.", hint=f"Leave {key} out: a head has its own."
            )
    # A recipe needs an architecture; it is the finished network that has one.
    plain |= {"architecture": "geosr-lite", "upscale_factor": of.upscale_factor}
    plain |= {"bands": list(of.band_names)} if of.bands > 1 else {}
    return HeadRecipe(of, Recipe.from_dict(plain, where), likelihood)


def read_sources(path: str | Path) -> tuple[Source, ...]:
    """Return the sources of any recipe, of a head or not.

    Raises
    ------
    InputFileError, OptionError
        If it cannot be read, or is no recipe.
    """
    if is_head_recipe(path):
        return read_head_recipe(path).recipe.sources
    return read_recipe(path).sources
