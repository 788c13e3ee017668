"""Both ends of the progress protocol: one JSON object a line."""

from __future__ import annotations

import json
import time
from typing import Any, Callable, Dict, Optional, Sequence

PROTOCOL = 1
"""Version of the event lines; a reader of another version asks for an update."""

Event = Dict[str, Any]
EventSink = Callable[[Event], None]


def no_events(event: Event) -> None:
    """Take an event and do nothing."""


def start_event(*, version: str, device: str, tiles: int, output_mpx: float) -> Event:
    """Say that a run begins; ``output_mpx`` counts the output's pixels of all bands.

    >>> start_event(version="0.1.0", device="cpu", tiles=4, output_mpx=1.5)["protocol"]
    1
    """
    return {
        "event": "start",
        "protocol": PROTOCOL,
        "version": version,
        "device": device,
        "tiles": tiles,
        "output_mpx": output_mpx,
    }


def phase_event(message: str) -> Event:
    """Say what begins now.

    >>> phase_event("Loading the model")
    {'event': 'phase', 'message': 'Loading the model'}
    """
    return {"event": "phase", "message": message}


def progress_event(
    done: int, total: int, *, mpx_per_s: Optional[float] = None, eta_s: Optional[float] = None
) -> Event:
    """Say how many of the tiles are written; speed and seconds left only if they are known.

    ``mpx_per_s`` counts the output's pixels of all bands, as `start_event` does.

    >>> progress_event(1, 4)
    {'event': 'progress', 'done': 1, 'total': 4}
    >>> progress_event(2, 4, mpx_per_s=1.25, eta_s=6.0)
    {'event': 'progress', 'done': 2, 'total': 4, 'mpx_per_s': 1.25, 'eta_s': 6.0}
    """
    event: Event = {"event": "progress", "done": done, "total": total}
    if mpx_per_s is not None:
        event["mpx_per_s"] = mpx_per_s
    if eta_s is not None:
        event["eta_s"] = eta_s
    return event


def file_event(source: str, output: str, *, index: int, total: int) -> Event:
    """Say which file of a batch comes now, from 1; its own events follow, if it is not skipped.

    >>> file_event("scenes/a.tif", "out/a.tif", index=3, total=120)["index"]
    3
    """
    return {"event": "file", "source": source, "output": output, "index": index, "total": total}


def batch_event(*, done: int, skipped: int, failed: Sequence[Event]) -> Event:
    """Say how a batch ended; it is the last line.

    ``failed`` has ``source``, ``output``, ``code``, ``message`` and ``hint`` of each file that
    could not be made; the output is None where none was decided on.

    >>> batch_event(done=119, skipped=1, failed=[])
    {'event': 'batch', 'done': 119, 'skipped': 1, 'failed': []}
    """
    return {"event": "batch", "done": done, "skipped": skipped, "failed": list(failed)}


def log_event(level: str, message: str) -> Event:
    """Carry a log line; ``level`` is "info" or "warning".

    >>> log_event("warning", "No CRS.")["level"]
    'warning'
    """
    return {"event": "log", "level": level, "message": message}


def error_event(code: str, message: str, hint: str = "") -> Event:
    """Say why the run failed; it is the last line.

    >>> error_event("input.bands", "There is no band 9.", "Use 1 to 4.")["code"]
    'input.bands'
    """
    return {"event": "error", "code": code, "message": message, "hint": hint}


def result_event(output: str, *, width: int, height: int, stats: Event) -> Event:
    """Say that the output stands under its name; it is the last line, except in a batch.

    >>> result_event("out.tif", width=2, height=3, stats={})["output"]
    'out.tif'
    """
    return {"event": "result", "output": output, "width": width, "height": height, "stats": stats}


def format_event(event: Event) -> str:
    """Return the event as one line of JSON without its end.

    >>> format_event({"event": "phase", "message": "Über"})
    '{"event": "phase", "message": "Über"}'
    """
    return json.dumps(event, ensure_ascii=False)


def parse_event(line: str) -> Optional[Event]:
    """Return the event of a line, or None if the line holds none.

    >>> parse_event('{"event": "progress", "done": 1, "total": 2}')["done"]
    1
    >>> parse_event("Downloading...") is None
    True
    """
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


class ThrottledSink:
    """Pass events on, but at most ``per_second`` progress events; the last one always."""

    def __init__(
        self,
        sink: EventSink,
        *,
        per_second: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink = sink
        self._gap = 1.0 / per_second
        self._clock = clock
        self._last = -float("inf")

    def __call__(self, event: Event) -> None:
        """Pass ``event`` on, or drop it when it comes too soon."""
        if event["event"] == "progress" and event["done"] != event["total"]:
            now = self._clock()
            if now - self._last < self._gap:
                return
            self._last = now
        self._sink(event)
