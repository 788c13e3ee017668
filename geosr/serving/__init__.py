"""Previews on request, by a process that stays: ``geosr serve``.

In the order in which data flows: `worker` (requests and answers), `previews` (what is done),
`sources` (rasters that stay open), `view` (the part that is shown), `folder` (where it goes).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from geosr.core.answers import ready_event
from geosr.core.catalog import known_models
from geosr.core.events import EventSink
from geosr.core.facts import KERNEL_RADIUS
from geosr.core.version import __version__
from geosr.serving.folder import SessionFolder
from geosr.serving.worker import Worker

__all__ = ["SessionFolder", "request_lines", "serve"]

CLOSE_S = 10.0
"""How long the end waits for a tile at work."""

LONGEST_LINE = 1 << 20
"""Bytes of a request."""


def serve(
    lines: Iterable[bytes],
    emit: EventSink,
    folder: SessionFolder,
    *,
    max_mpx: float,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Answer requests until one asks to quit, or there are no more; cancel what is left then.

    Parameters
    ----------
    lines
        Requests of `geosr.core.requests`.
    emit
        Called with each event of `geosr.core.answers`, from two threads.
    folder
        Where previews go.
    max_mpx
        Source pixels that a preview may take, times bands, in millions.
    should_stop
        Asked between tiles.

    Returns
    -------
    bool
        Whether all work has ended. If not, something hangs, such as a disk.
    """
    models = [*(facts.name for facts in known_models()), *KERNEL_RADIUS]
    worker = Worker(emit, folder, max_mpx=max_mpx, should_stop=should_stop)
    emit(ready_event(version=__version__, models=models, max_mpx=max_mpx))
    worker.start()
    try:
        for line in lines:
            if not worker.take(line):
                break
    finally:
        ended = worker.close(CLOSE_S)
    return ended


def request_lines(fd: int) -> Iterator[bytes]:
    """Yield the lines of an open file, without their ends; of one that is too long, a part.

    A Python file object would hold a lock while it waits, and a process that a library forks
    meanwhile would wait for it without end.
    """
    rest = b""
    while piece := os.read(fd, 1 << 16):
        *lines, rest = (rest + piece).split(b"\n")
        rest = rest[:LONGEST_LINE]
        yield from lines
    if rest:
        yield rest
