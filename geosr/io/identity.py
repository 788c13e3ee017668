"""What tells one source from another, and from itself after a change."""

from __future__ import annotations

import os

from geosr.io.facts import RasterFacts


def source_identity(facts: RasterFacts) -> dict[str, object]:
    """Return plain values that change when a source does."""
    files = []
    for name in facts.files:
        if os.path.exists(name):
            state = os.stat(name)
            files.append([os.path.realpath(name), state.st_size, state.st_mtime_ns])
    return {"path": facts.path, "files": files}
