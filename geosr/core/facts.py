"""Model facts: what a model's card says."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Dict, Iterable, Optional, Tuple

from .errors import ModelFileError

KERNEL_RADIUS = {"nearest": 0, "bilinear": 1, "bicubic": 2, "lanczos": 3}
"""Receptive radius of each classical kernel, in source pixels."""

KERNEL_FACTORS = range(2, 9)
"""Upscale factors that the classical kernels take."""


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
    band_names
        What these bands are, in their order; empty: any, or not known.
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
        Of a head: the network's name; by the degradation that it was calibrated on and the nominal
        coverage, what times sigma is the half-width of an interval. See `geosr.core.heads`.
    licence, sources, training, scores
        For the reader of the card.
    """

    name: str
    family: str
    upscale_factor: int
    radius: int
    bands: int = 1
    band_names: Tuple[str, ...] = ()
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
    multipliers: Dict[str, Dict[str, float]] = field(default_factory=dict)
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
        if self.band_names and len(self.band_names) != self.bands:
            raise ModelFileError(
                f"The card of {self.name} names {len(self.band_names)} bands and says bands "
                f"{self.bands}.",
                hint="Each band that is seen together with others has a name, or none has.",
            )
        if self.consistency not in ("block-mean", "none"):
            raise ModelFileError(
                f"The card of {self.name} asks for consistency {self.consistency!r}.",
                hint='It is "block-mean" or "none".',
            )

    @property
    def bands_in_words(self) -> str:
        """Which bands it takes, for messages.

        >>> kernel_facts("bicubic", 2).bands_in_words
        'each band by itself'
        """
        if self.bands == 1:
            return "each band by itself"
        names = f" ({', '.join(self.band_names)})" if self.band_names else ""
        return f"exactly {self.bands} bands{names}"

    def taken(self, bands: Iterable[str], choose: str) -> str:
        """Say which bands it takes for those that its card names, and how to ``choose`` others."""
        return (
            f"{self.name} sees {', '.join(self.band_names)} together, and takes bands "
            f"{', '.join(bands)} for these. If they are others, choose with {choose}, in this "
            "order."
        )

    @property
    def takes_gaps(self) -> bool:
        """Whether it takes NaN for pixels of a band that nothing is known of.

        Networks of the contract that see several bands together do: there is no detail there.
        """
        return self.bands > 1 and bool(self.tensors or self.steps)

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
            known["band_names"] = tuple(card.get("band_names", ()))
            if not all(isinstance(x, dict) for x in card.get("multipliers", {}).values()):
                raise ValueError("its multipliers do not say for which degradation they are")
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
