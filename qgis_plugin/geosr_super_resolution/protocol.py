# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines that geosr writes, and which versions of them this plugin reads."""

from __future__ import annotations

import json
from typing import Any

OLDEST_PROTOCOL = 1
NEWEST_PROTOCOL = 1
"""The versions of the event lines that this plugin understands."""

OLDEST_GEOSR = "0.1.0"
"""The first geosr that speaks them."""

ANNOUNCING = ("start", "ready")
"""The events that carry the version of the protocol."""

CLOSING = ("result", "batch", "plan")
"""The events that a run leads to; an ``error`` ends one as well."""

ANSWERING = ("preview", "info", "models", "warm", "ping", "cancelled", "error")
"""The events that answer a request to ``geosr serve``, each request with one of them."""

Event = dict[str, Any]


class ProtocolProblem(Exception):
    """The environment's geosr speaks another version of the protocol."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}"


def parse_line(line: str | bytes) -> Event | None:
    """Return the event of a line, or None if it is something that a library printed.

    >>> parse_line(b'{"event": "progress", "done": 1, "total": 4}')["done"]
    1
    >>> parse_line("Downloading...") is None
    True
    """
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def check_protocol(event: Event) -> None:
    """Check the version of the protocol that an event, or what ``geosr info`` says, carries.

    Raises
    ------
    ProtocolProblem
        If this plugin does not read it.

    >>> check_protocol({"event": "start", "protocol": 1, "version": "0.1.0"})
    """
    spoken = event.get("protocol")
    number = spoken if isinstance(spoken, int) and not isinstance(spoken, bool) else -1
    if OLDEST_PROTOCOL <= number <= NEWEST_PROTOCOL:
        return
    version = event.get("version") or event.get("geosr") or "of an unknown version"
    if number > NEWEST_PROTOCOL:
        raise ProtocolProblem(
            f"The environment's geosr {version} is newer than this plugin can read.",
            "Update the plugin GeoSR Super-Resolution.",
        )
    raise ProtocolProblem(
        f"The environment's geosr {version} is too old for this plugin.",
        f"Update the environment to geosr {OLDEST_GEOSR} or later.",
    )
