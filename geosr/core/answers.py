"""What ``geosr serve --stdio`` answers: events, one JSON object a line.

Each carries the ``id`` of the request that it belongs to.

``ready``
    The first line, without an id: ``protocol``, ``version``, ``models`` (names), ``max_mpx``.
``preview``, ``info``, ``models``, ``warm``, ``ping``
    The answer to the request of that name.
``phase``, ``progress``
    How far a preview has come: `geosr.core.events` with an ``id``.
``cancelled``
    The answer to a request that was cancelled, replaced, or left at the end.
``error``
    The answer to a request that cannot be carried out: ``code``, ``message``, ``hint``. The
    ``id`` is null where the line had none.

Each preview has one answer: ``preview``, ``cancelled`` or ``error``. ``cancel`` has none of its
own, for the answer that it was to stop may cross it. `geosr.core.events.parse_event` reads the
lines; those of kinds that are not known are to be passed over.
"""

from __future__ import annotations

from typing import Any, Iterable, Optional

from .errors import GeosrError
from .events import Event
from .geometry import GeoGrid
from .requests import Id, Preview, Request

PROTOCOL = 1
"""Version of requests and answers; a client of another version asks for an update."""


def ready_event(*, version: str, models: Iterable[str], max_mpx: float) -> Event:
    """Say that requests are read from now on.

    >>> ready_event(version="0.1.0", models=["bicubic"], max_mpx=4.0)["protocol"]
    1
    """
    return {
        "event": "ready",
        "protocol": PROTOCOL,
        "version": version,
        "models": list(models),
        "max_mpx": max_mpx,
    }


def preview_event(
    request: Preview, grid: GeoGrid, where: Event, *, seconds: float, stats: Event, placed: bool
) -> Event:
    """Answer a preview; ``where`` holds its ``path``, or its ``bytes`` in base64.

    ``placed`` says whether the raster has a place on earth; if not, the transform is null.

    >>> grid = GeoGrid((2, 3), (5.0, 0.0, 0.0, 0.0, -5.0, 10.0))
    >>> asked = Preview(1, "a.tif", (0, 0, 15, 10))
    >>> preview_event(asked, grid, {"path": "b"}, seconds=0.1, stats={}, placed=True)["bounds"]
    [0.0, 0.0, 15.0, 10.0]
    """
    height, width = grid.shape
    return {
        "event": "preview",
        "id": request.id,
        **where,
        "width": width,
        "height": height,
        "transform": list(grid.transform) if placed else None,
        "crs": grid.crs,
        "bounds": list(grid.bounds) if placed else None,
        "seconds": seconds,
        "stats": stats,
    }


def answer_event(request: Request, **values: Any) -> Event:
    """Answer another request.

    >>> from .requests import Ping
    >>> answer_event(Ping(3))
    {'event': 'ping', 'id': 3}
    """
    return {"event": request.kind(), "id": request.id, **values}


def cancelled_event(id: Optional[Id]) -> Event:  # noqa: A002 - its name in JSON
    """Say that a request was stopped, or not begun.

    >>> cancelled_event(3)
    {'event': 'cancelled', 'id': 3}
    """
    return {"event": "cancelled", "id": id}


def refusal_event(id: Optional[Id], error: GeosrError) -> Event:  # noqa: A002
    """Say why a request cannot be carried out; the worker lives on.

    >>> refusal_event(3, GeosrError("No.", hint="Yes?"))["hint"]
    'Yes?'
    """
    return {
        "event": "error",
        "id": id,
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
    }
