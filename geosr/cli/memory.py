"""How the C library keeps memory that was given back, in a process of geosr's own."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

_M_ARENA_MAX = -8  # of <malloc.h>
_ARENAS = 2


def keep_few_arenas() -> None:
    """Let threads share two heaps: each one keeps its holes, a tenth of what a run takes.

    It is for programs, before they start threads; a library leaves such things alone. Elsewhere
    than with glibc nothing happens.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
