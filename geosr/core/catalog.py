"""Model facts: what every model is called, needs and promises."""

from __future__ import annotations

import difflib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Dict, Iterable, Optional, Tuple

from .composition import composed_models
from .errors import ModelFileError, OptionError, UnknownModelError

WEIGHTS_DIR = Path(__file__).resolve().parent.parent / "weights"
"""Where the shipped weights and their cards lie."""

KERNEL_RADIUS = {"nearest": 0, "bilinear": 1, "bicubic": 2, "lanczos": 3}
"""Receptive radius of each classical kernel, in source pixels."""

KERNEL_FACTORS = range(2, 9)
"""Upscale factors that the classical kernels take."""

DEFAULT_FAMILY = "geosr-lite"
"""The model that runs when none is named."""


@dataclass(frozen=True)
class ModelFacts:
    """What a model's card says.

    Attributes
    ----------
    name
        As typed after ``--model``.
    family
        Name without the factor; ``kernel`` models are the classical ones.
    upscale_factor
        Output pixels per source pixel, per side.
    radius
        Receptive radius in source pixels: the halo that makes tiles seam-free.
    bands
        1: each band by itself. More: exactly so many bands, seen together.
    base
        The classical kernel that the network corrects; None if it returns the whole picture.
    equivariant
        Scaling or shifting the input scales or shifts the output, so units do not matter.
    exact
        Local, so that tiles give the untiled result. If not, tiles are blended.
    consistency
        ``block-mean``: each block of output pixels averages to its source pixel.
    parameters
        Number of trained weights.
    bfloat16_error
        Largest difference from float32 seen on real scenes, per 10,000 of data range;
        None if not measured.
    int8_error
        The same of int8.
    files
        File names by format: ``keras``, ``onnx``, and ``int8`` with its weights ``int8_bin``.
    sha256
        Digest of each file, by format; of each step's, if there are several.
    tensors
        Names inside the ONNX graph: ``detail_input`` and ``detail_output``, the trained part.
    folder
        Where the files lie; empty: where the shipped weights do.
    steps
        Networks that run one after the other; such a model has no files of its own.
    kind
        ``picture``, or ``sigma``: a head that tells how far another network's picture may be off.
    of, multipliers
        Of a head: the network's name; by nominal coverage, what times sigma is the half-width of
        an interval. See `geosr.core.heads`.
    licence, sources, training, scores
        For the reader of the card.
    """

    name: str
    family: str
    upscale_factor: int
    radius: int
    bands: int = 1
    base: Optional[str] = "bicubic"
    equivariant: bool = True
    exact: bool = True
    consistency: str = "block-mean"
    parameters: int = 0
    bfloat16_error: Optional[float] = None
    int8_error: Optional[float] = None
    files: Dict[str, str] = field(default_factory=dict)
    sha256: Dict[str, str] = field(default_factory=dict)
    tensors: Dict[str, str] = field(default_factory=dict)
    folder: str = ""
    steps: Tuple[ModelFacts, ...] = ()
    kind: str = "picture"
    of: str = ""
    multipliers: Dict[str, float] = field(default_factory=dict)
    licence: str = ""
    summary: str = ""
    sources: Tuple[str, ...] = ()
    training: Dict[str, Any] = field(default_factory=dict)
    scores: Dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.upscale_factor < 1 or self.radius < 0 or self.bands < 1:
            raise ModelFileError(
                f"The card of {self.name} says factor {self.upscale_factor}, radius "
                f"{self.radius}, bands {self.bands}.",
                hint="All of them are whole numbers; factor and bands at least 1.",
            )
        if self.consistency not in ("block-mean", "none"):
            raise ModelFileError(
                f"The card of {self.name} asks for consistency {self.consistency!r}.",
                hint='It is "block-mean" or "none".',
            )

    @property
    def is_kernel(self) -> bool:
        """Whether this is a classical kernel, without weights."""
        return self.name.partition("-x")[0] in KERNEL_RADIUS and not self.files

    def to_card(self) -> str:
        """Return the card as JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_card(cls, text: str) -> ModelFacts:
        """Read a card's JSON; keys of later versions are passed over.

        >>> facts = kernel_facts("bicubic", 2)
        >>> ModelFacts.from_card(facts.to_card()) == facts
        True
        """
        try:
            card = json.loads(text)
            known = {name: card[name] for name in (f.name for f in fields(cls)) if name in card}
            steps = map(json.dumps, card.get("steps", ()))
            known["steps"] = tuple(map(cls.from_card, steps))
            facts = cls(**known)
        except (AttributeError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"A model card cannot be read: {error}.",
                hint="Install geosr again, or make the card anew with `geosr train`.",
            ) from error
        return replace(facts, sources=tuple(facts.sources))


def kernel_facts(kernel: str, upscale_factor: int) -> ModelFacts:
    """Return the facts of a classical kernel at a factor.

    >>> kernel_facts("lanczos", 4).radius
    3
    """
    return ModelFacts(
        name=f"{kernel}-x{upscale_factor}",
        family=kernel,
        upscale_factor=upscale_factor,
        radius=KERNEL_RADIUS[kernel],
        base=kernel,
        consistency="none",
        licence="Apache-2.0",
        summary=f"Classical {kernel} interpolation.",
    )


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
    shipped = _known(models)
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
    factors = sorted(facts.upscale_factor for facts in _known(models) if facts.family == name)
    return tuple(factors) if factors else (find_model(name, models=models).upscale_factor,)


def is_card_path(name: str) -> bool:
    """Return whether a model is named by the path of its card.

    >>> is_card_path("runs/mine-x2.json"), is_card_path("geosr-lite-x2")
    (True, False)
    """
    return name.lower().endswith(".json")


def _known(models: Optional[Iterable[ModelFacts]]) -> Tuple[ModelFacts, ...]:
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
