"""Heads: small networks that tell how far another one's picture may be off."""

from __future__ import annotations

from pathlib import Path
from typing import Iterable, Optional, Tuple

from .catalog import WEIGHTS_DIR, read_card, shipped_cards
from .errors import ModelFileError, OptionError
from .facts import ModelFacts

LEVELS = ("0.80", "0.90", "0.95")
"""Nominal coverages of the intervals that a card has multipliers for."""

_MADE_BY = {
    "area": "if the raster's pixels are the means of the ground below them",
    "mtf": "if the sensor blurred them as well",
}


def made_by(degradation: str) -> str:
    """Say which rasters a calibration on a degradation is for.

    >>> made_by("mtf")
    'if the sensor blurred them as well'
    """
    return _MADE_BY.get(degradation, f"if they are as {degradation} makes them")


def shipped_heads(weights_dir: Path = WEIGHTS_DIR) -> Tuple[ModelFacts, ...]:
    """Return the facts of all heads that come with geosr, by name."""
    return tuple(facts for facts in shipped_cards(weights_dir) if facts.kind == "sigma")


def find_head(
    model: ModelFacts,
    card: Optional[str] = None,
    *,
    heads: Optional[Iterable[ModelFacts]] = None,
) -> ModelFacts:
    """Return the head of a model: a card's, the one beside the model's own card, or a shipped one.

    Beside ``mine.json`` it is looked for as ``mine-sigma.json``.

    Raises
    ------
    OptionError
        If there is none, or the card's belongs to another model.
    ModelFileError
        If a card cannot be read, or is of no head.
    """
    if card is not None:
        return _checked(read_card(card), model, card)
    if model.folder:
        beside = Path(model.folder) / f"{model.name}-sigma.json"
        if beside.is_file():
            return _checked(read_card(str(beside)), model, str(beside))
        raise _none(model, ())
    known = shipped_heads() if heads is None else tuple(heads)
    for head in known:
        if head.of == model.name:
            return _checked(head, model, head.name)
    raise _none(model, known)


def _checked(head: ModelFacts, model: ModelFacts, name: str) -> ModelFacts:
    if head.kind != "sigma":
        raise ModelFileError(
            f"{name} is the card of a model, not of an uncertainty head.",
            hint="Name the card that `geosr train` left for a recipe with the key `of`.",
        )
    made_for = head.training.get("of_sha256", {})
    weights = {made_for[kind] for kind in made_for if kind in model.sha256}
    changed = weights and not weights & set(model.sha256.values())
    if head.of != model.name or head.upscale_factor != model.upscale_factor or changed:
        raise OptionError(
            f"{name} tells how sure {head.of} is, not {model.name}"
            f"{' as it is now' if changed else ''}.",
            hint=f"Use --model {head.of}, or train a head for {model.name}.",
        )
    return head


def _none(model: ModelFacts, known: Iterable[ModelFacts]) -> OptionError:
    named = ", ".join(sorted(head.of for head in known))
    hints = [f"These have one: {named}."] if named else []
    if "keras" in model.files:
        own = f"{model.folder}/{model.name}.json" if model.folder else model.name
        hints.append(
            f'`geosr train` makes one by a recipe with of = "{own}", such as '
            "recipes/geosr-lite-x2-sigma.toml."
        )
    return OptionError(
        f"Nothing tells how sure {model.name} is: it has no uncertainty head.",
        hint=" ".join(hints) or "Use one of geosr's own networks, such as geosr-lite-x2.",
    )
