"""A run's events for people: a bar on the terminal, and lines for what they should know."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import PurePath
from typing import TextIO

from geosr.core.events import Event


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
        self._place = self._name = self._stage = ""
        self._mpx: float | None = None
        self._began: float | None = None
        self._drawn = ""

    def __call__(self, event: Event) -> None:
        """Show ``event``."""
        with self._lock:
            kind = event["event"]
            if kind == "file":
                self._place = f"[{event['index']}/{event['total']}]"
                self._name = _short(event["output"])
                self._began = None
            elif kind == "start":
                self._mpx = event.get("output_mpx")  # not every run makes pixels
                self._began = self._clock()
            elif kind == "phase":
                self._stage = event["message"]
                self._draw(f"{self._label(4)} ...")
            elif kind == "progress":
                self._draw(self._progress(event))
            elif kind in ("result", "batch", "plan"):
                self._write("")  # a summary follows
                for failure in event.get("plan", event).get("failed", ()):
                    self._say(f"Failed: {failure['source']}\n{_indented(failure)}")
            elif kind == "log" and not self._quiet:
                prefix = "" if event["level"] == "info" else f"{event['level'].capitalize()}: "
                self._say(f"{prefix}{event['message']}")
            elif kind == "error":
                hint = f"\n{event['hint']}" if event["hint"] else ""
                self._write("")
                self._say(f"Error: {event['message']}{hint}")

    def clear(self) -> None:
        """Take the bar away."""
        with self._lock:
            self._write("")

    def _progress(self, event: Event) -> str:
        done, total = event["done"], event["total"]
        if self._began is None:
            self._began = self._clock()
        share = done / total if total else 1.0
        parts = [f"{share:4.0%}"]
        if self._mpx is not None:
            parts.append(f"{share * self._mpx:.1f} of {self._mpx:.1f} Mpx")
        else:
            parts.append(f"{done} of {total}")
        if "mpx_per_s" in event:
            parts.append(f"{event['mpx_per_s']:.2f} Mpx/s")
        if done == total:
            parts.append(f"{_clock_time(self._clock() - self._began)} elapsed")
        elif "eta_s" in event:
            parts.append(f"{_clock_time(event['eta_s'])} left")
        text = "  ".join(parts)
        label = self._label(len(text) + 2)
        room = max(min(_columns() - len(label) - len(text) - 8, 40), 0)
        filled = round(share * room)
        bar = f"  [{'#' * filled}{'-' * (room - filled)}]" if room > 5 else ""
        return f"{label}{bar}  {text}".lstrip()

    def _label(self, beside: int) -> str:
        """Return what is going on, in as many words as fit: numbers matter more."""
        stage = self._stage or "Working"
        words = ((self._place, self._name, stage), (self._place, stage), (self._place,))
        labels = [" ".join(filter(None, some)) for some in words]
        fitting = (label for label in labels if len(label) + beside < _columns())
        return next(fitting, "")

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


def _short(path: str) -> str:
    """Return a file's name, cut so that it leaves room for numbers.

    >>> _short("sharper/S2A_MSIL2A_20240806T102021_B04.tif")
    'S2A_MSIL2A...021_B04.tif'
    """
    name = PurePath(path).name
    return name if len(name) <= 24 else f"{name[:10]}...{name[-11:]}"


def _indented(failure: Event) -> str:
    text = f"{failure['message']}\n{failure['hint']}".rstrip()
    return "\n".join(f"  {line}" for line in text.splitlines())


def _clock_time(seconds: float) -> str:
    """Return a duration as on a clock.

    >>> _clock_time(3725.4)
    '1:02:05'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
