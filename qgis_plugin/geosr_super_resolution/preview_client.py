# SPDX-License-Identifier: GPL-2.0-or-later
"""Talk to ``geosr serve --stdio``, a process that stays and makes previews.

Requests go out and answers come in on threads of their own, so nothing here waits and all of it
may be called from the GUI thread. Callbacks run on a reader thread.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Callable

from .child import OUT, Child
from .failures import KILLED, LOWER_MEMORY
from .protocol import ANSWERING, Event, ProtocolProblem, check_protocol, parse_line
from .runner import LOG_LINES
from .scrub import clean_environment

POLL_S = 0.05
MOST_CRASHES = 3
"""So often in a row, without an answer between, it is started anew."""

Callback = Callable[[Event], None]


class PreviewWorker:
    """The worker, started by the first request, and anew after a crash.

    Parameters
    ----------
    python
        The interpreter of an environment that has geosr.
    on_log
        Called with each line that is no answer, on a reader thread.
    max_mpx
        Source pixels times bands that a preview may take, in millions; None: as geosr has it.
    environ
        QGIS's environment variables; None: those of this process.
    """

    def __init__(
        self,
        python: str,
        *,
        on_log: Callable[[str], None] | None = None,
        max_mpx: float | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        limits = [] if max_mpx is None else ["--max-mpx", f"{max_mpx:g}"]
        self._command = [python, "-m", "geosr", "serve", "--stdio", *limits]
        self._environ = clean_environment(os.environ if environ is None else environ, python=python)
        self._on_log = on_log
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._session: _Session | None = None
        self._crashes = 0

    @property
    def ready(self) -> Event | None:
        """What it said when it was ready: ``version``, ``models``, ``max_mpx``; None before."""
        session = self._session
        return session.ready if session is not None and session.lives else None

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        session = self._session
        return session is not None and session.lives

    def start(self) -> None:
        """Start it ahead of the first request, and forget crashes. An error comes with that."""
        self._crashes = 0
        self._living()

    def request(self, message: Mapping[str, Any], callback: Callback) -> int:
        """Ask for something and return the request's id.

        Parameters
        ----------
        message
            Such as ``{"do": "preview", "source": ..., "bounds": [...]}``; the id is added.
        callback
            Called with ``phase`` and ``progress`` events, and at last with exactly one of
            `protocol.ANSWERING`. After a crash that is an ``error`` with the code
            ``worker.crashed``. It must not raise. If nothing can be started, it is called
            before this returns.
        """
        number = next(self._numbers)
        session = self._living()
        if not session.ask({**message, "id": number}, callback):
            callback({**session.why, "id": number})
        return number

    def cancel(self, number: int) -> None:
        """Let a request be answered with ``cancelled``, unless its answer is under way."""
        session = self._session
        if session is not None:
            session.ask({"do": "cancel", "id": number}, None)

    def close(self, timeout_s: float = 3.0) -> None:
        """End it, within about two seconds after ``timeout_s``. Open requests are cancelled."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close(timeout_s)

    def _living(self) -> _Session:
        """Return a session that lives, or one that says why there is none."""
        with self._lock:
            session = self._session
            if session is not None and (session.lives or self._crashes >= MOST_CRASHES):
                return session
            self._session = _Session(self._command, self._environ, self._on_log, self._count)
            return self._session

    def _count(self, crashed: bool) -> None:
        self._crashes = self._crashes + 1 if crashed else 0


class _Session:
    """One process and what was asked of it."""

    def __init__(
        self,
        command: list[str],
        environ: Mapping[str, str],
        on_log: Callable[[str], None] | None,
        count: Callable[[bool], None],
    ) -> None:
        self._on_log, self._count = on_log, count
        self._lock = threading.Lock()
        self._open: dict[Any, Callback] = {}
        self._outgoing: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._closing = threading.Event()
        self.ready: Event | None = None
        self.why: Event = {}
        self.lives = True
        try:
            # The end of the input ends it, with its previews; one that hangs is told otherwise.
            self._child = Child(command, environ, polite_s=3.0, firm_s=3.5, kill_s=4.0)
        except (OSError, ValueError) as error:
            self.lives = False
            said = getattr(error, "strerror", None) or error
            self.why = _error(
                "worker.start",
                f"{command[0]} cannot be started: {said}.",
                "Choose another environment in the settings of GeoSR.",
            )
            count(True)
            return
        self._reader = threading.Thread(target=self._read, name="geosr-preview", daemon=True)
        self._reader.start()
        threading.Thread(target=self._write, name="geosr-preview-out", daemon=True).start()

    def ask(self, message: Mapping[str, Any], callback: Callback | None) -> bool:
        """Send a message; return False if nobody will read it."""
        with self._lock:
            if not self.lives or self._closing.is_set():
                return False
            if callback is not None:
                self._open[int(message["id"])] = callback
            self._outgoing.put(json.dumps(message))
        return True

    def close(self, timeout_s: float) -> None:
        """Ask it to end, wait, and end it."""
        self._closing.set()
        if not hasattr(self, "_reader"):
            return
        self._reader.join(timeout_s)
        if self._reader.is_alive():
            self._child.kill()
            self._reader.join(2.0)

    def _write(self) -> None:
        while (line := self._outgoing.get()) is not None:
            try:
                self._child.write(line)
            except (OSError, ValueError):  # the reader finds out why
                return

    def _read(self) -> None:
        problem: Event | None = None
        try:
            for name, line in self._child.lines(self._closing.is_set, POLL_S):
                event = parse_line(line) if name == OUT else None
                if event is None:
                    self._take_log(line)
                elif event["event"] == "ready":
                    check_protocol(event)
                    self.ready = event
                else:
                    self._answer(event)
        except ProtocolProblem as error:
            problem = _error("worker.protocol", error.message, error.hint)
        finally:
            self._child.finish()
            self._end(problem)

    def _take_log(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            self._log.append(text)
            if self._on_log is not None:
                self._on_log(text)

    def _answer(self, event: Event) -> None:
        number, last = event.get("id"), event["event"] in ANSWERING
        with self._lock:
            callback = self._open.pop(number, None) if last else self._open.get(number)
        if last and number is None:
            self._take_log(str(event.get("message", "")).encode())
        if callback is not None:
            if last:
                self._count(False)
            callback(event)

    def _end(self, problem: Event | None) -> None:
        """Answer what is still open."""
        wanted = self._closing.is_set()
        with self._lock:
            self.lives = False
            left, self._open = self._open, {}
            self.why = problem or self._crash()
        self._outgoing.put(None)
        if not wanted:
            self._count(True)
        for number, callback in left.items():
            callback({**({"event": "cancelled"} if wanted else self.why), "id": number})

    def _crash(self) -> Event:
        returncode = self._child.returncode
        if returncode in KILLED:
            message, hint = "The preview was killed: usually it was out of memory.", LOWER_MEMORY
        else:
            said = f": {self._log[-1]}" if self._log else "."
            message = f"The preview's process has ended (status {returncode}){said}"
            hint = "Try again; if it comes back, check the environment in the settings of GeoSR."
        return {**_error("worker.crashed", message, hint), "log": list(self._log)}


def _error(code: str, message: str, hint: str) -> Event:
    return {"event": "error", "code": code, "message": message, "hint": hint}
