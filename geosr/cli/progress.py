"""Where the events of a run go: JSON lines for programs, a bar for people."""

from __future__ import annotations

import math
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TextIO

from geosr.core.errors import CancelledError
from geosr.core.events import Event, EventSink, ThrottledSink, format_event

Progress = Literal["bar", "json", "none"]


@contextmanager
def event_output(progress: Progress, *, quiet: bool = False) -> Iterator[EventSink]:
    """Yield the sink for a run's events; a bar is cleared away at the end.

    With ``quiet``, people see errors only.
    """
    if progress == "json":
        with own_stdout() as stream:
            yield ThrottledSink(JsonLines(stream))
        return
    lines = TextLines(sys.stderr, bar=progress == "bar" and not quiet, quiet=quiet)
    try:
        yield ThrottledSink(lines)
    finally:
        lines.clear()


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


class TextLines:
    """Tells people of events: a bar that is drawn over itself, and lines for warnings."""

    def __init__(
        self,
        stream: TextIO,
        *,
        bar: bool,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._bar, self._quiet, self._clock = stream, bar, quiet, clock
        self._lock = threading.Lock()
        self._label = ""
        self._mpx: float | None = None
        self._began: float | None = None
        self._drawn = ""

    def __call__(self, event: Event) -> None:
        """Show ``event``."""
        with self._lock:
            kind = event["event"]
            if kind == "start":
                self._mpx = event.get("output_mpx")  # not every run makes pixels
            elif kind == "phase":
                self._label, self._began = event["message"], self._clock()
                self._draw(f"{self._label} ...")
            elif kind == "progress":
                self._draw(self._progress(event["done"], event["total"]))
            elif kind == "log" and not self._quiet:
                prefix = "" if event["level"] == "info" else f"{event['level'].capitalize()}: "
                self._say(f"{prefix}{event['message']}")
            elif kind == "error":
                hint = f"\n{event['hint']}" if event["hint"] else ""
                self._say(f"Error: {event['message']}{hint}")

    def clear(self) -> None:
        """Take the bar away."""
        with self._lock:
            self._write("")

    def _progress(self, done: int, total: int) -> str:
        now = self._clock()
        if self._began is None:
            self._began = now
        elapsed, share = now - self._began, done / total if total else 1.0
        parts = [f"{share:4.0%}"]
        if self._mpx is not None:
            parts.append(f"{share * self._mpx:.1f} of {self._mpx:.1f} Mpx")
        else:
            parts.append(f"{done} of {total}")
        if elapsed > 0 and done:
            if self._mpx is not None:
                parts.append(f"{share * self._mpx / elapsed:.2f} Mpx/s")
            parts.append(f"{_clock_time(elapsed / share - elapsed)} left")
        label, text = self._label or "Working", "  ".join(parts)
        room = max(min(_columns() - len(label) - len(text) - 8, 40), 0)
        filled = round(share * room)
        bar = f"  [{'#' * filled}{'-' * (room - filled)}]" if room > 5 else ""
        return f"{label}{bar}  {text}"

    def _draw(self, line: str) -> None:
        if self._bar:
            self._write(line[: _columns() - 1])  # a full line would wrap, and not be erased

    def _say(self, line: str) -> None:
        drawn = self._drawn
        self._write("")
        self._put(f"{line}\n")
        self._write(drawn)

    def _write(self, line: str) -> None:
        """Replace what is drawn; spaces rather than escapes, which some terminals print."""
        if line != self._drawn:
            rest = " " * (len(self._drawn) - len(line))
            self._put(f"\r{line}{rest}" if line else f"\r{rest}\r")
            self._drawn = line

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            pass  # the terminal is gone: what happens next is told by the exit status


def _columns() -> int:
    return shutil.get_terminal_size().columns


def _clock_time(seconds: float) -> str:
    """Return a duration as on a clock.

    >>> _clock_time(3725.4)
    '1:02:05'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
