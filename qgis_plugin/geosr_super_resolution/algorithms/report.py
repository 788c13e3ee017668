# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's events on their way to Processing's log and progress bar."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingFeedback


class RunReport:
    """Shows events as they come, and keeps the last.

    Attributes
    ----------
    result
        The event that closed the run; empty before.
    version
        Of the geosr that runs.
    """

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self._feedback = feedback
        self._file, self._files = 1, 1
        self.result: dict[str, Any] = {}
        self.version = ""

    @property
    def stats(self) -> dict[str, Any]:
        """What the run measured."""
        return self.result.get("stats") or {}

    def take(self, event: dict[str, Any]) -> None:
        """Show an event; unknown ones pass."""
        kind = event.get("event")
        if kind == "progress" and event.get("total"):
            share = float(event["done"]) / float(event["total"])
            self._feedback.setProgress(100.0 * (self._file - 1 + share) / self._files)
        elif kind == "phase":
            self._feedback.setProgressText(str(event.get("message", "")))
        elif kind == "file":
            self._file, self._files = int(event.get("index", 1)), int(event.get("total", 1))
        elif kind == "start":
            self.version = str(event.get("version", ""))
        elif kind == "log":
            message = str(event.get("message", ""))
            if event.get("level") == "warning":
                self._feedback.pushWarning(message)
            else:
                self._feedback.pushInfo(message)
