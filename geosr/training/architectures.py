"""The networks that a recipe can name; no framework is loaded to know them."""

from __future__ import annotations

from geosr.core.errors import OptionError

ARCHITECTURES = (
    "geosr",
    "geosr-lite",
    "edsr",
    "edsr-large",
    "espcn",
    "esrgan",
    "fsrcnn",
    "rcan-local",
    "rrdb",
    "rrdb-small",
    "srcnn",
    "srcnn-955",
    "srgan",
    "srresnet",
)
"""Those of geosr's contract."""

AS_PUBLISHED = {
    "edsr-large-paper": "edsr-large",
    "edsr-paper": "edsr",
    "espcn-paper": "espcn",
    "fsrcnn-paper": "fsrcnn",
    "rcan": "rcan-local",
    "rrdb-paper": "rrdb",
    "srcnn-955-paper": "srcnn-955",
    "srcnn-paper": "srcnn",
    "srresnet-paper": "srresnet",
}
"""The papers' own forms, and the network of the contract that comes nearest."""


def refuse_as_published(architecture: str) -> None:
    """Raise `OptionError` for a paper's own form, which is no network of the contract."""
    if architecture not in AS_PUBLISHED:
        return
    raise OptionError(
        f"A recipe names the architecture {architecture}: networks as their papers have them are "
        "for building and running, and recipes train networks of geosr's contract.",
        hint=f'Use architecture = "{AS_PUBLISHED[architecture]}"; to train {architecture} itself, '
        "write your own loop around `geosr.models.families.build`, as benchmarks/papers.py does.",
    )
