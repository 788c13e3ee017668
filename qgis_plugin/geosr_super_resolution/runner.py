# SPDX-License-Identifier: GPL-2.0-or-later
"""Run geosr as a child process: its events to a function, its failure as one sentence.

Nothing here knows QGIS. All functions wait for the child, so they belong off the GUI thread.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from .child import OUT, Child
from .failures import WorkerError, unexplained
from .protocol import (
    ANNOUNCING,
    CLOSING,
    Event,
    ProtocolProblem,
    check_protocol,
    parse_line,
)
from .scrub import clean_environment

__all__ = ["WorkerCancelled", "WorkerError", "clean_environment", "run_json", "run_worker"]

POLL_S = 0.05
"""How often a run is asked whether it is cancelled."""

LOG_LINES = 50
"""How many of its last lines a failed run tells."""

EventSink = Callable[[Event], None]
Asked = Callable[[], bool]


class WorkerCancelled(Exception):
    """A run was cancelled, has ended, and has left nothing."""


def run_worker(
    python: str,
    arguments: Sequence[str],
    *,
    on_event: EventSink,
    is_cancelled: Asked,
    on_log: Callable[[str], None] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Event:
    """Run a command of geosr until its end.

    Parameters
    ----------
    python
        The interpreter of an environment that has geosr.
    arguments
        The command and its arguments, such as ``["upscale", source, output]``.
    on_event
        Called with each event, in this thread.
    is_cancelled
        Asked about every 50 ms.
    on_log
        Called with each line that is no event, in this thread.
    environ
        QGIS's environment variables; None: those of this process.

    Returns
    -------
    dict
        The last event of `protocol.CLOSING`. A run that is cancelled after its output was
        complete returns as well.

    Raises
    ------
    WorkerError
        If it fails.
    WorkerCancelled
        If it was cancelled before it was done.
    """
    environ = os.environ if environ is None else environ
    command = _command(python, with_progress(arguments))
    run = _Run(on_event, on_log)
    with _Started(command, clean_environment(environ, python=python)) as child:
        for name, line in child.lines(is_cancelled, POLL_S):
            run.take(name, line)
    if run.closing is not None and child.returncode == 0:
        return run.closing
    if child.was_stopped:
        raise WorkerCancelled("Cancelled.")
    raise run.failure(child.returncode or 0)


def run_json(
    python: str,
    arguments: Sequence[str],
    *,
    timeout_s: float = 30.0,
    is_cancelled: Asked = lambda: False,
    environ: Mapping[str, str] | None = None,
) -> Any:
    """Run a command that answers with one JSON document, such as ``info --json``.

    Raises
    ------
    WorkerError
        If it fails, or takes longer than ``timeout_s``; its code is ``worker.slow`` then.
    WorkerCancelled
        If it was cancelled.
    """
    environ = os.environ if environ is None else environ
    run, written = _Run(lambda event: None, None), []
    until = time.monotonic() + timeout_s
    with _Started(_command(python, arguments), clean_environment(environ, python=python)) as child:
        for name, line in child.lines(lambda: is_cancelled() or time.monotonic() > until, POLL_S):
            run.take(name, line)
            if name == OUT:
                written.append(line.decode("utf-8", "replace"))
    if child.was_stopped:
        if is_cancelled():
            raise WorkerCancelled("Cancelled.")
        raise WorkerError(
            f"geosr did not answer within {timeout_s:.0f} seconds.",
            "Try again: the first start of a new environment is slow.",
            code="worker.slow",
            log=run.log,
        )
    if child.returncode != 0:
        raise run.failure(child.returncode or 0)
    found = _document("".join(written))
    if found is None:
        raise WorkerError("geosr gave no answer.", code="worker.silent", log=run.log)
    return found


def with_progress(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with those that make a command report, and end with its parent.

    >>> with_progress(["upscale", "a.tif", "b.tif"])[3:]
    ['--progress', 'json', '--exit-with-stdin']
    """
    wanted = ["--progress", "json", "--exit-with-stdin"]
    listed = list(arguments)
    end = listed.index("--") if "--" in listed else len(listed)
    return listed[:end] + wanted + listed[end:]


class _Started:
    """A child for the length of a ``with``: whatever happens inside, it ends."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._command, self._environ = command, environ

    def __enter__(self) -> Child:
        try:
            self._child = Child(self._command, self._environ)
        except (OSError, ValueError) as error:  # ValueError: a null character in a name
            raise WorkerError(
                f"{self._command[0]} cannot be started: {getattr(error, 'strerror', error)}.",
                "Choose another environment in the settings of GeoSR.",
                code="worker.start",
            ) from error
        return self._child

    def __exit__(self, *_: object) -> None:
        self._child.finish()


class _Run:
    """What is known of a run from its lines."""

    def __init__(self, on_event: EventSink, on_log: Callable[[str], None] | None) -> None:
        self._on_event, self._on_log = on_event, on_log
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.closing: Event | None = None
        self.error: Event | None = None

    def take(self, name: str, line: bytes) -> None:
        """Take a line; a wrong version of the protocol is raised."""
        event = parse_line(line) if name == OUT else None
        if event is None:
            self._take_log(line)
            return
        if event["event"] in ANNOUNCING:
            try:
                check_protocol(event)
            except ProtocolProblem as error:
                raise WorkerError(error.message, error.hint, code="worker.protocol") from error
        if event["event"] in CLOSING:
            self.closing = event
        elif event["event"] == "error":
            self.error = event
        self._on_event(event)

    def _take_log(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            self.log.append(text)
            if self._on_log is not None:
                self._on_log(text)

    def failure(self, returncode: int) -> WorkerError:
        """Return why a run has failed that was not cancelled."""
        if self.error is not None:
            message, hint, code = (
                str(self.error.get(key) or "") for key in ("message", "hint", "code")
            )
            return WorkerError(
                message or "geosr has failed.", hint, code=code or "failed", log=self.log
            )
        return unexplained(returncode, list(self.log))


def _document(text: str) -> Any:
    """Return the JSON document that stands in a text after other people's lines, or None."""
    decoder = json.JSONDecoder()
    start = 0
    for line in text.splitlines(keepends=True):
        if line[:1] in "{[":
            try:
                return decoder.raw_decode(text, start)[0]
            except ValueError:
                pass
        start += len(line)
    return None


def _command(python: str, arguments: Sequence[str]) -> list[str]:
    return [python, "-m", "geosr", *arguments]
