"""Models made of two others: the second enlarges what the first made."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Iterable, Tuple

from .facts import ModelFacts

COMPOSED_OF = {8: (4, 2)}
"""Factors that a family makes by two of its networks, one after the other."""


def composed_models(models: Iterable[ModelFacts]) -> Tuple[ModelFacts, ...]:
    """Return what the families among ``models`` make by two networks; see `COMPOSED_OF`.

    Both must be exact, and see the same bands, so that the two together are and do.
    """
    fit = [facts for facts in models if facts.exact and facts.kind == "picture"]
    found = {(facts.family, facts.upscale_factor): facts for facts in fit}
    composed = []
    for family, factor in product(sorted({family for family, _ in found}), COMPOSED_OF):
        steps = [found[family, n] for n in COMPOSED_OF[factor] if (family, n) in found]
        alike = len({(facts.bands, facts.band_names, facts.consistency) for facts in steps}) == 1
        if len(steps) == 2 and alike and (family, factor) not in found:
            composed.append(_composed(*steps))
    return tuple(composed)


def _composed(first: ModelFacts, second: ModelFacts) -> ModelFacts:
    """Return the facts of a network, and another of its family on what it makes."""
    factor, steps = first.upscale_factor * second.upscale_factor, (first, second)
    kinds = [kind for kind in ("keras", "onnx") if kind in first.sha256 and kind in second.sha256]
    return replace(
        first,
        name=f"{first.family}-x{factor}",
        upscale_factor=factor,
        radius=first.radius - (-second.radius // first.upscale_factor),  # rounded up
        base=None,
        equivariant=first.equivariant and second.equivariant,
        parameters=first.parameters + second.parameters,
        bfloat16_error=None,
        int8_error=None,
        files={},
        sha256={kind: " ".join(step.sha256[kind] for step in steps) for kind in kinds},
        tensors={},
        steps=steps,
        licence=" and ".join(dict.fromkeys(step.licence for step in steps)),
        summary=f"{first.name}, and {second.name} on what it makes.",
        sources=tuple(dict.fromkeys(first.sources + second.sources)),
        training={},
        scores={},
    )
