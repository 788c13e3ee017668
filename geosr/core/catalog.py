"""The models there are, and how they are found by name."""

from __future__ import annotations

import difflib
from dataclasses import replace
from pathlib import Path
from typing import Iterable, Optional, Tuple

from .composition import composed_models
from .errors import ModelFileError, OptionError, UnknownModelError
from .facts import KERNEL_FACTORS, KERNEL_RADIUS, ModelFacts, kernel_facts

WEIGHTS_DIR = Path(__file__).resolve().parent.parent / "weights"
"""Where the shipped weights and their cards lie."""

DEFAULT_FAMILY = "geosr-lite"
"""The model that runs when none is named."""


def shipped_models(weights_dir: Path = WEIGHTS_DIR) -> Tuple[ModelFacts, ...]:
    """Return the facts of all models that come with geosr, by name."""
    return tuple(facts for facts in shipped_cards(weights_dir) if facts.kind == "picture")


def shipped_cards(weights_dir: Path = WEIGHTS_DIR) -> Tuple[ModelFacts, ...]:
    """Return what all cards that come with geosr say, those of heads too, by name."""
    cards = sorted(weights_dir.glob("*.json"))
    return tuple(ModelFacts.from_card(card.read_text(encoding="utf-8")) for card in cards)


def find_model(
    name: str,
    upscale_factor: Optional[int] = None,
    *,
    models: Optional[Iterable[ModelFacts]] = None,
) -> ModelFacts:
    """Return the facts of a model by its name, by its family and a factor, or by its card.

    Without a factor, a family means x2. A card is the path of the .json file that ``geosr
    train`` leaves beside the weights.

    Raises
    ------
    UnknownModelError
        If no model has this name; the nearest names are the hint.
    OptionError
        If the model has no weights for this factor.

    >>> find_model("bicubic", 3).name
    'bicubic-x3'
    >>> find_model("bicubic-x4").upscale_factor
    4
    """
    if is_card_path(name):
        return _own_model(name, upscale_factor)
    shipped = known_models(models)
    family, _, suffix = name.rpartition("-x")
    if not (family and suffix.isdigit()):
        family, suffix = name, ""
    if suffix and upscale_factor is not None and int(suffix) != upscale_factor:
        raise OptionError(
            f"The model {name} makes {suffix} times the pixels, not {upscale_factor}.",
            hint=f"Leave --factor out, or name the model {family}.",
        )
    known = {facts.family for facts in shipped} | set(KERNEL_RADIUS)
    if family not in known:
        raise _unknown(name, known | {facts.name for facts in shipped})
    factor = int(suffix) if suffix else upscale_factor or 2
    if family in KERNEL_RADIUS:
        available = {n: kernel_facts(family, n) for n in KERNEL_FACTORS}
    else:
        available = {facts.upscale_factor: facts for facts in shipped if facts.family == family}
    if factor not in available:
        raise OptionError(
            f"{family} has no weights for factor {factor}.",
            hint=f"It has {', '.join(f'x{n}' for n in sorted(available))}.",
        )
    return available[factor]


def factors_of(name: str, *, models: Optional[Iterable[ModelFacts]] = None) -> Tuple[int, ...]:
    """Return the factors that a family, or the one that a named model, can make.

    >>> factors_of("bicubic")
    (2, 3, 4, 5, 6, 7, 8)
    >>> factors_of("bicubic-x4")
    (4,)
    """
    if name in KERNEL_RADIUS:
        return tuple(KERNEL_FACTORS)
    if is_card_path(name):
        return (find_model(name).upscale_factor,)
    factors = sorted(facts.upscale_factor for facts in known_models(models) if facts.family == name)
    return tuple(factors) if factors else (find_model(name, models=models).upscale_factor,)


def is_card_path(name: str) -> bool:
    """Return whether a model is named by the path of its card.

    >>> is_card_path("runs/mine-x2.json"), is_card_path("geosr-lite-x2")
    (True, False)
    """
    return name.lower().endswith(".json")


def known_models(models: Optional[Iterable[ModelFacts]] = None) -> Tuple[ModelFacts, ...]:
    """Return the shipped models, or ``models``, and what their families make in two steps."""
    known = shipped_models() if models is None else tuple(models)
    return (*known, *composed_models(known))


def read_card(path: str) -> ModelFacts:
    """Return what the card at a path says; its files lie beside it.

    Raises
    ------
    ModelFileError
        If it cannot be read.
    """
    try:
        card = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ModelFileError(
            f"The model card {path} cannot be read: {error.strerror}.",
            hint="`geosr train` leaves it beside the weights.",
        ) from error
    return replace(ModelFacts.from_card(card), folder=str(Path(path).resolve().parent))


def _own_model(path: str, upscale_factor: Optional[int]) -> ModelFacts:
    facts = read_card(path)
    if facts.kind != "picture":
        raise OptionError(
            f"{path} is a head of {facts.of}: it makes no picture.",
            hint=f"Use --model {facts.of} --uncertainty SIGMA.tif --uncertainty-model {path}.",
        )
    if upscale_factor not in (None, facts.upscale_factor):
        raise OptionError(
            f"The model {facts.name} makes {facts.upscale_factor} times the pixels, not "
            f"{upscale_factor}.",
            hint="Leave --factor out.",
        )
    return facts


def _unknown(name: str, known: Iterable[str]) -> UnknownModelError:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    meant = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(names)}."
    return UnknownModelError(
        f"There is no model {name!r}.",
        hint=f"{meant} `geosr models` lists them; a path to an .onnx or .keras file works too.",
    )
