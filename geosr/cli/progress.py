"""Where the events of a run go: JSON lines for programs, a bar for people."""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TextIO

from geosr.cli.bar import TextLines
from geosr.cli.pace import Paced
from geosr.core.errors import CancelledError
from geosr.core.events import Event, EventSink, ThrottledSink, format_event

Progress = Literal["bar", "json", "none"]


@contextmanager
def event_output(progress: Progress, *, quiet: bool = False) -> Iterator[EventSink]:
    """Yield what shows a run's events; a bar is cleared away at the end.

    With ``quiet``, people see errors only.
    """
    if progress == "json":
        with own_stdout() as stream:
            yield JsonLines(stream)
        return
    lines = TextLines(sys.stderr, bar=progress == "bar" and not quiet, quiet=quiet)
    try:
        yield lines
    finally:
        lines.clear()


def thinned(*sinks: EventSink) -> EventSink:
    """Return a sink that passes on to all ``sinks``: ten times a second, with speeds."""

    def each(event: Event) -> None:
        for sink in sinks:
            sink(event)

    return ThrottledSink(Paced(each))


@contextmanager
def own_stdout() -> Iterator[TextIO]:
    """Yield a stream onto standard output that nobody else can write to.

    From here to the end of the process, whatever others write there, C libraries and child
    processes included, goes to standard error. Where standard output is no file, as under a
    test runner, only the stream itself is yielded.
    """
    try:
        redirected = sys.stdout.fileno() == 1
    except (OSError, ValueError, AttributeError):  # a buffer, closed, or None
        redirected = False
    if not redirected:
        yield sys.stdout
        return
    sys.stdout.flush()
    events = os.dup(1)
    os.dup2(2, 1)
    # A file name that is no UTF-8 comes out as JSON's own escapes, and so survives.
    with open(events, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
        yield stream


def finite(value: Any) -> Any:
    """Return ``value`` with NaN and infinities as text: JSON has no numbers for them.

    >>> finite({"nodata": float("nan"), "sizes": (1, 2.5)})
    {'nodata': 'nan', 'sizes': [1, 2.5]}
    """
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


class JsonLines:
    """Writes each event as a line and flushes it; call it from any thread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._midline = False
        self._unread = False

    def __call__(self, event: Event) -> None:
        """Write ``event``.

        Raises
        ------
        CancelledError
            Once, if the reader is gone; later events are dropped.
        """
        with self._lock:
            if self._unread:
                return
            line = format_event(finite(event)) + "\n"
            if self._midline:  # an interruption cut the line before
                line = "\n" + line
            self._midline = True
            try:
                self._stream.write(line)
                self._stream.flush()
            except OSError as error:
                self._unread = True
                raise CancelledError(f"Nobody reads the events any more: {error}.") from error
            self._midline = False
