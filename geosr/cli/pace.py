"""How fast a run is, and how long it will still take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from geosr.core.events import Event, EventSink, progress_event

WINDOW_S = 30.0
"""What is looked back at. The mean since the start would lie where tiles differ."""

LEAST_S = 0.5
"""Less than this says nothing."""


class Paced:
    """Passes events on, progress with speed and time left as the last half minute shows them.

    The first progress of a phase is where counting begins: what an earlier run has done took
    this one no time. Call it from one thread at a time.
    """

    def __init__(self, sink: EventSink, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._sink, self._clock = sink, clock
        self._mpx: float | None = None
        self._seen: deque[tuple[float, int]] = deque()

    def __call__(self, event: Event) -> None:
        """Pass ``event`` on."""
        kind = event["event"]
        if kind == "start":
            self._mpx = event.get("output_mpx")  # not every run makes pixels
        if kind in ("start", "phase"):
            self._seen.clear()
        elif kind == "progress":
            event = self._with_pace(event["done"], event["total"])
        self._sink(event)

    def _with_pace(self, done: int, total: int) -> Event:
        now, seen = self._clock(), self._seen
        seen.append((now, done))
        while len(seen) > 2 and seen[1][0] <= now - WINDOW_S:  # one stays that is as old as that
            seen.popleft()
        since, before = seen[0]
        if now - since < LEAST_S or done <= before:
            return progress_event(done, total)
        rate = (done - before) / (now - since)
        return progress_event(
            done,
            total,
            mpx_per_s=None if self._mpx is None else round(rate * self._mpx / total, 3),
            eta_s=round((total - done) / rate, 1),
        )
