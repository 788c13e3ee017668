"""Watching a network and its discriminator: who is ahead, and whether anything is left to judge."""

from __future__ import annotations

from dataclasses import dataclass

from geosr.training.history import Row

_PACE = 0.9  # the share of the old in the running mean: about the last ten steps


@dataclass
class Balance:
    """How often the discriminator was right of late; 0.5 is a coin."""

    right: float = 0.5

    def note(self, right: float) -> None:
        """Take the share of one step in."""
        self.right = _PACE * self.right + (1 - _PACE) * right

    def pauses(self, above: float) -> bool:
        """Return whether the discriminator is so far ahead that it should wait."""
        return self.right > above


def signs_of_collapse(row: Row) -> list[str]:
    """Say in words what a row of the history shows to be going wrong."""
    found = []
    right, sharpness = row.terms.get("right", 0.5), row.terms.get("sharpness", 1.0)
    if right > 0.99:
        found.append(
            f"The discriminator was right about {right:.0%} of the samples since the last row: "
            "the network learns little from it. Lower gan.learning_rate or gan.filters."
        )
    if right < 0.3:
        found.append(
            f"The discriminator was right about {right:.0%} of the samples since the last row, "
            "worse than a coin. Raise gan.learning_rate."
        )
    if sharpness < 0.25:
        found.append(
            f"The output has {sharpness:.0%} of the truth's differences between neighbours: it "
            "collapses to blur. Lower the weight of the adversarial loss."
        )
    if sharpness > 2.5:
        found.append(
            f"The output has {sharpness:.1f} times the truth's differences between neighbours: it "
            "fills with noise. Lower the weight of the adversarial loss or learning_rate."
        )
    return found
