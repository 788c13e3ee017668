# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a run of geosr has failed, in a sentence."""

from __future__ import annotations

import signal
from collections.abc import Sequence

LOWER_MEMORY = "Lower the tile size or the number of workers, or close other programs."

KILLED = (-9, 137, 0xC0000017)
"""SIGKILL, as a shell says it, and what Windows says when there is no memory."""


class WorkerError(Exception):
    """A run has failed.

    Attributes
    ----------
    message, hint
        What happened and what to change, a sentence each; the hint may be empty.
    code
        The kind of mistake: one of geosr's own, such as ``input.bands``, or ``worker.start``,
        ``worker.missing``, ``worker.killed``, ``worker.crashed``, ``worker.protocol``,
        ``worker.silent``.
    log
        The last lines of what it wrote besides.
    """

    def __init__(
        self, message: str, hint: str = "", *, code: str = "failed", log: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.message, self.hint, self.code, self.log = message, hint, code, tuple(log)

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


def unexplained(returncode: int, log: Sequence[str]) -> WorkerError:
    """Return what a child's end means that has said nothing."""
    last = log[-1] if log else ""
    if returncode in KILLED:
        return WorkerError(
            "geosr was killed: usually it was out of memory.",
            LOWER_MEMORY,
            code="worker.killed",
            log=log,
        )
    if last.endswith(("No module named geosr", "No module named 'geosr'")):
        return WorkerError(
            "geosr is not installed in this environment.",
            "Set up another one in the settings of GeoSR.",
            code="worker.missing",
            log=log,
        )
    if returncode == 0:
        return WorkerError(
            "geosr ended without a result.", "See the log.", code="worker.silent", log=log
        )
    said = f": {last}" if last else "."
    return WorkerError(
        f"geosr crashed ({_end_in_words(returncode)}){said}",
        "See the log; the environment may be damaged: check it in the settings of GeoSR.",
        code="worker.crashed",
        log=log,
    )


def _end_in_words(returncode: int) -> str:
    """Return a status as text.

    >>> _end_in_words(-11), _end_in_words(3), _end_in_words(0xC0000005)
    ('SIGSEGV', 'status 3', 'status 0xC0000005')
    """
    if returncode < 0:
        try:
            return signal.Signals(-returncode).name
        except ValueError:
            return f"signal {-returncode}"
    return f"status 0x{returncode:X}" if returncode > 255 else f"status {returncode}"
