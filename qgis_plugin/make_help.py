# SPDX-License-Identifier: GPL-2.0-or-later
"""Write the help page of the algorithms from the algorithms themselves; needs QGIS's Python.

Usage: /usr/bin/python3 qgis_plugin/make_help.py [--check]

With --check nothing is written, and the status is 1 if the page is not up to date.
"""

from __future__ import annotations

import os
import sys
from html import escape
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
FOLDER = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(FOLDER, "geosr_super_resolution", "help", "index.html")
STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:46em;margin:2em auto;padding:0 1em;color:#222}"
    "h2{border-top:1px solid #ccc;padding-top:1em}h3{margin-bottom:0}code{background:#eee}"
    "p{margin:.5em 0}"
)


def page() -> str:
    """Return the page, with the models that come with the plugin."""
    from geosr_super_resolution import models
    from geosr_super_resolution.algorithms import ALGORITHMS

    made = [kind() for kind in ALGORITHMS]
    for algorithm in made:
        algorithm.initAlgorithm()
    links = "".join(_link(each) for each in made)
    parts = [_part(each) for each in made]
    licences = sorted({each["licence"] for each in models.known_models("")})
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>GeoSR in QGIS</title>'
        "<style>{}</style></head><body>\n<h1>GeoSR in QGIS</h1>\n<p>Makes rasters sharper without "
        "moving them. The algorithms are in the Processing toolbox under GeoSR; they run in a "
        "Python environment of their own, which Settings &gt; Options &gt; GeoSR sets up.</p>\n"
        "<ul>{}</ul>\n{}\n<p>Licences of the models: {}.</p>\n</body></html>\n"
    ).format(STYLE, links, "\n".join(parts), escape(", ".join(licences)))


def _link(algorithm: Any) -> str:
    title, about = escape(algorithm.displayName()), escape(algorithm.shortDescription())
    return f'<li><a href="#{algorithm.name()}">{title}</a>: {about}</li>'


def _part(algorithm: Any) -> str:
    name, title = algorithm.name(), escape(algorithm.displayName())
    rows = [
        f"<p><b>{escape(each.description())}</b> (<code>{each.name()}</code>)</p>"
        for each in algorithm.outputDefinitions()
    ]
    head = f'<h2 id="{name}">{title}</h2>\n<p><code>geosr:{name}</code></p>'
    return "\n".join([head, algorithm.shortHelpString(), "<h3>Results</h3>", *rows])


def main() -> int:
    """Write or check the page."""
    from qgis.core import QgsApplication

    application = QgsApplication([], False)
    application.initQgis()
    sys.path.insert(0, FOLDER)
    from geosr_super_resolution import settings

    settings.models_cache = lambda: ""  # this machine's own list is not everybody's
    text = page()
    application.exitQgis()
    if "--check" in sys.argv:
        with open(PAGE, encoding="utf-8") as stream:
            return int(stream.read() != text)
    os.makedirs(os.path.dirname(PAGE), exist_ok=True)
    with open(PAGE, "w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
