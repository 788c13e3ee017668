# SPDX-License-Identifier: GPL-2.0-or-later
"""A recipe for a folder of rasters, for people who have none; nothing here knows QGIS."""

from __future__ import annotations

import glob
import os

_ENDINGS = (".tif", ".tiff", ".jp2", ".vrt", ".img", ".png", ".jpg", ".jpeg")
_ENOUGH = 4  # files of a kind, to keep some for validation
_EVERY = 8


def rasters_in(folder: str) -> dict[str, list[str]]:
    """Return the names of the rasters below a folder, by their endings."""
    found: dict[str, list[str]] = {}
    for _, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            ending = os.path.splitext(name)[1]
            if ending.lower() in _ENDINGS:
                alike = ending.lower() if os.name == "nt" else ending  # as a pattern finds them
                found.setdefault(alike, []).append(name)
    return found


def recipe_text(rasters: dict[str, list[str]], *, name: str, factor: int, steps: int) -> str:
    """Return a recipe, as TOML, that trains a fast network on all rasters of a folder.

    Of each kind of file one in eight is kept for validation, if there are four or more.
    """
    lines = [
        "# Written by the QGIS plugin; change it and choose it as the recipe to train otherwise.",
        f"name = {_quoted(name)}",
        'architecture = "geosr-lite"',
        f"upscale_factor = {factor}",
        f"steps = {steps}",
        f"validate_every = {max(1, min(250, steps // 4))}",
        'summary = "Trained in QGIS on rasters of the user\'s own."',
    ]
    for ending, names in sorted(rasters.items()):
        kept = [glob.escape(each) for each in names[::_EVERY]] if len(names) >= _ENOUGH else []
        lines += ["", "[[sources]]", "glob = {}".format(_quoted("**/*" + ending))]
        if kept:
            lines.append("validation = [{}]".format(", ".join(map(_quoted, kept))))
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Return a TOML string."""
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))
