# SPDX-License-Identifier: GPL-2.0-or-later
"""Work off the main thread, with its outcome on it."""

from __future__ import annotations

import threading
from typing import Any, Callable

from qgis.PyQt.QtCore import QObject, Qt, pyqtSignal

_RUNNING: set[Background] = set()
"""What has not ended: Python must not lose a QObject that a thread is about to signal with."""


class Background(QObject):
    """Runs a function in a thread of its own.

    Parameters
    ----------
    work
        What is done; it touches no widget and no layer.
    on_done
        Called in the main thread with what ``work`` returned.
    on_failed
        Called in the main thread with the exception that ``work`` raised.
    """

    _done = pyqtSignal(object)
    _failed = pyqtSignal(object)

    def __init__(
        self,
        work: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        super().__init__()
        self._work, self._on_done, self._on_failed = work, on_done, on_failed
        self._wanted = True
        self._done.connect(self._take, Qt.ConnectionType.QueuedConnection)
        self._failed.connect(self._take_failure, Qt.ConnectionType.QueuedConnection)
        _RUNNING.add(self)
        threading.Thread(target=self._run, name="geosr-background", daemon=True).start()

    def forget(self) -> None:
        """Call nothing any more: whoever waited has gone."""
        self._wanted = False

    def _run(self) -> None:
        try:
            outcome = self._work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the main thread says it
            self._failed.emit(error)
        else:
            self._done.emit(outcome)

    def _take(self, outcome: Any) -> None:
        _RUNNING.discard(self)
        if self._wanted:
            self._on_done(outcome)

    def _take_failure(self, error: Exception) -> None:
        _RUNNING.discard(self)
        if self._wanted:
            self._on_failed(error)
