# SPDX-License-Identifier: GPL-2.0-or-later
"""What will be installed, in the user's language, before anything is."""

from __future__ import annotations

from html import escape

from qgis.PyQt.QtCore import QLocale

from ..creation_plan import EXTRAS
from ..environment import CreationPlan
from ..explain import without_secrets
from ..translation import tr


def plan_in_words(plan: CreationPlan) -> str:
    """Return size, time, place and source of an environment to be made, as HTML."""
    disk, download, minutes = EXTRAS[plan.extra]
    if plan.wheel_folder:
        size = tr("About {disk} GB on disk, nothing to download; {minutes} min or more.")
        source = plan.wheel_folder
    else:
        size = tr("About {disk} GB on disk, {download} GB to download; {minutes} min or more.")
        source = without_secrets(plan.index_url) or tr("the package index of pip")
    lines = [
        size.format(disk=_number(disk), download=_number(download), minutes=minutes),
        tr("Into {folder}, from {source}, with {tool}.").format(
            folder=plan.folder, source=source, tool="uv" if plan.uv else "pip"
        ),
        tr("QGIS itself is not changed. To get rid of it, delete the folder."),
    ]
    return "<b>{}</b><br>{}".format(escape(lines[0]), "<br>".join(map(escape, lines[1:])))


def _number(value: float) -> str:
    return str(QLocale().toString(value, "f", 1))
