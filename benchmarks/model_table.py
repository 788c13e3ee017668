"""Print README's table of the shipped networks, from their cards.

    python benchmarks/model_table.py

The cards have their scores from ``benchmarks/quality.py DATA/eval --write-cards``. A test holds the
README against this.
"""

from __future__ import annotations

from typing import Any

from geosr.core.catalog import shipped_models
from geosr.core.facts import ModelFacts

GROUPS = {
    "rgb_area": "aerial, drone: luma",
    "ms_area": "satellite: bands",
    "rgb_mtf": "blurred, aerial, drone",
    "ms_mtf": "blurred, satellite",
}
"""Groups of a card's scores, and their columns."""


def table() -> list[str]:
    """Return the Markdown."""
    lines = [
        f"| name | weights | looks, px | {' | '.join(GROUPS.values())} | below bicubic |",
        "|---|---|---|" + "---|" * (len(GROUPS) + 1),
    ]
    return lines + [_row(facts) for facts in shipped_models() if facts.files]


def _row(facts: ModelFacts) -> str:
    scored: dict[str, dict[str, Any]] = {
        group: facts.scores[group] for group in GROUPS if group in facts.scores
    }
    gains = [
        f"{scored[group]['gain']:+.2f} (worst {scored[group]['worst']:+.2f})"
        if group in scored
        else "-"
        for group in GROUPS
    ]
    below = sum(found["below_bicubic"] for found in scored.values())
    count = sum(found["count"] for found in scored.values())
    return (
        f"| `{facts.name}` | {facts.parameters:,} | {facts.radius} | {' | '.join(gains)} | "
        f"{below} of {count} |"
    )


if __name__ == "__main__":
    print("\n".join(table()))
