# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks the resident worker for previews; what comes back is said by signals."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from qgis.PyQt.QtCore import QObject, Qt, QTimer, pyqtSignal

from ..preview_client import PreviewWorker
from ..protocol import ANSWERING
from ..translation import tr
from .preview_layer import discard, kept_copy, preview_folder

IDLE_MS = 10 * 60 * 1000
"""After so long without a request the worker is stopped: its networks take memory."""

Event = dict[str, Any]


@dataclass(frozen=True)
class PreviewRequest:
    """What is asked for.

    Attributes
    ----------
    path
        The raster, as geosr opens it.
    bounds
        West, south, east and north of the part, in the raster's CRS.
    indexes
        Its bands; empty: all.
    """

    path: str
    bounds: tuple[float, float, float, float]
    model: str
    factor: int
    indexes: tuple[int, ...] = ()

    def message(self) -> Event:
        """Return it in the worker's words; it takes the place of those before."""
        message: Event = {
            "do": "preview",
            "source": self.path,
            "bounds": list(self.bounds),
            "model": self.model,
            "upscale_factor": self.factor,
            "replaces": True,
        }
        return {**message, "indexes": list(self.indexes)} if self.indexes else message


class Previewer(QObject):
    """One worker and the one request that counts: the last one.

    Attributes
    ----------
    answered
        Signal: the answer to the last request; its ``path`` is a file of our own.
    failed
        Signal: a sentence and a hint.
    moved
        Signal: what is being done, and how far it is, from 0 to 1, or -1 if nobody knows.
    ended
        Signal: the last request has ended, whichever way.
    """

    answered = pyqtSignal(dict)
    failed = pyqtSignal(str, str)
    moved = pyqtSignal(str, float)
    ended = pyqtSignal()
    _event = pyqtSignal(object, int)

    def __init__(self) -> None:
        super().__init__()
        self._worker: PreviewWorker | None = None
        self._python = ""
        self._number: int | None = None
        self._serial = 0
        self._folder = preview_folder()
        self._event.connect(self._take, Qt.ConnectionType.QueuedConnection)
        self._idle = QTimer(self)
        self._idle.setSingleShot(True)
        self._idle.setInterval(IDLE_MS)
        self._idle.timeout.connect(self.close)

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited."""
        return self._number is not None

    @property
    def version(self) -> str:
        """The version of the worker's geosr; '' before it was ready."""
        ready = self._worker.ready if self._worker is not None else None
        return str(ready.get("version", "")) if ready else ""

    @property
    def is_running(self) -> bool:
        """Whether there is a worker process."""
        return self._worker is not None and self._worker.is_running

    def use(self, python: str) -> None:
        """Run the worker with another Python from now on."""
        if python != self._python:
            self.close()
            self._python = python

    def ask(self, request: PreviewRequest) -> None:
        """Ask for a preview; the one that was asked for before does not count any more."""
        self._idle.stop()
        if self._worker is None:
            self._worker = PreviewWorker(self._python)
        starts = not self._worker.is_running
        self._serial += 1
        serial = self._serial
        words = tr("Starting geosr…") if starts else tr("Waiting…")
        self.moved.emit(words, -1.0)
        self._number = self._worker.request(
            request.message(), lambda event: self._hear(event, serial)
        )

    def cancel(self) -> None:
        """Wait for no answer any more, and let the worker stop."""
        number, self._number = self._number, None
        if number is None:
            return
        self._serial += 1  # an answer under way does not count
        if self._worker is not None:
            self._worker.cancel(number)
        self._rest()

    def close(self) -> None:
        """End the worker, without waiting for it."""
        worker, self._worker = self._worker, None
        self._idle.stop()
        if self._number is not None:
            self._number = None
            self._serial += 1
            self.ended.emit()
        if worker is not None:
            threading.Thread(target=worker.close, name="geosr-preview-end", daemon=True).start()

    def _hear(self, event: Event, serial: int) -> None:
        """Take an event on the reader's thread."""
        if event["event"] == "preview" and serial == self._serial:
            try:  # the worker's own file goes with the worker
                event = {**event, "path": kept_copy(str(event["path"]), self._folder)}
            except OSError as error:
                message = tr("The preview cannot be kept: {error}").format(error=error.strerror)
                event = {"event": "error", "message": message, "hint": ""}
        with suppress(RuntimeError):  # QGIS has gone meanwhile
            self._event.emit(event, serial)

    def _take(self, event: Event, serial: int) -> None:
        """Take an event on the main thread."""
        if serial != self._serial:
            if event["event"] == "preview" and os.path.dirname(event["path"]) == self._folder:
                discard(event["path"])
            return
        kind = event["event"]
        if kind == "phase":
            self.moved.emit(_phase(str(event.get("message", ""))), -1.0)
        elif kind == "progress":
            self.moved.emit(tr("Upscaling"), event["done"] / max(event["total"], 1))
        elif kind in ANSWERING:
            self._number = None
            self._rest()
            if kind == "preview":
                self.answered.emit(event)
            elif kind == "error":
                self.failed.emit(str(event.get("message", "")), str(event.get("hint") or ""))

    def _rest(self) -> None:
        self._idle.start()
        self.ended.emit()


def _phase(message: str) -> str:
    """Return geosr's phase in the user's language."""
    words = {"Loading the model": tr("Loading the model"), "Upscaling": tr("Upscaling")}
    return words.get(message, message)
