# SPDX-License-Identifier: GPL-2.0-or-later
"""What the usual failures of an installation mean, and what to do about each."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HINTS = (
    (
        r"407|proxy ?error|cannot connect to proxy|proxy authentication",
        "Set the proxy of your network, as http://host:port, with name:password@ before the host "
        "if it asks for them.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|UnknownIssuer|SSLError",
        "Your network inspects encrypted connections: give its CA bundle, a .pem file.",
    ),
    (
        r"No space left|not enough space|Errno 28",
        "Make room on the disk, or choose another folder.",
    ),
    (
        r"ensurepip|python3-venv",
        "Install Python's module venv; on Debian and Ubuntu: sudo apt install python3-venv",
    ),
    (
        r"Name or service not known|Temporary failure in name resolution|getaddrinfo|"
        r"NewConnectionError|timed out|Connection refused|dns error|tcp connect",
        "The package index cannot be reached: check the network, the proxy and the index address, "
        "or install from a wheel folder.",
    ),
    (
        r"401|403|Forbidden|Unauthorized",
        "The package index refuses: check its address, and the name and password in it.",
    ),
    (
        r"No matching distribution|no version(s)? of|not found in the package registry|"
        r"No solution found|Could not find a version",
        "The package source lacks what is named above for this Python and system: give the "
        "address of an index that has it, or a wheel folder made for this Python.",
    ),
    (
        r"Permission denied|Access is denied|Errno 13|WinError 5|WinError 1260|blocked by group",
        "Choose a folder that you may write to and run programs from.",
    ),
)


def hint_for(lines: Sequence[str]) -> str:
    """Return what to do about a failed installation.

    >>> hint_for(["ERROR: No matching distribution found for geosr"])[:25]
    'The package source lacks '
    """
    text = "\n".join(lines)
    for pattern, hint in _HINTS:
        if re.search(pattern, text, re.IGNORECASE):
            return hint
    return "See the log above; installing by hand shows the same."


def without_secrets(text: str) -> str:
    """Return a text without the names and passwords in its addresses.

    >>> without_secrets("http://ada" + ":pass@proxy:3128")
    'http://***@proxy:3128'
    """
    return re.sub(r"(?<=://)[^/@\s\"']+@", "***@", text)
