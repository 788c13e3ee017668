"""A worker in this process, for the tests of ``geosr serve``."""

from __future__ import annotations

import json
import os
import queue
from contextlib import contextmanager

import numpy as np
from affine import Affine

from geosr.core.requests import Preview
from geosr.io.opening import open_raster
from geosr.serving import SessionFolder
from geosr.serving.worker import Worker

TRANSFORM = Affine(10, 0, 500000, 0, -10, 5000000)
ANSWERS = ("preview", "cancelled", "error", "info", "warm", "ping", "models")


class Asked:
    """Hands requests to a worker and gives its answers."""

    def __init__(self, worker, events):
        self.worker, self._events, self.seen = worker, events, []

    def take(self, message):
        """Hand over a request, a message or a line."""
        if isinstance(message, dict):
            message = json.dumps(message)
        return self.worker.take(message if isinstance(message, str | bytes) else message.to_line())

    def event(self, *kinds):
        """Return the next event of these kinds."""
        while True:
            event = self._events.get(timeout=30)
            self.seen.append(event)
            if event["event"] in (kinds or ANSWERS):
                return event

    def ask(self, message):
        """Return the answer to a request."""
        self.take(message)
        return self.event()

    def preview(self, source, bounds, **options):
        """Return a preview's event; it must be no error."""
        event = self.ask(Preview(1, str(source), bounds, options=options))
        assert event["event"] == "preview", event
        return event

    def nothing_more(self):
        return self._events.empty()


@contextmanager
def working(parent, *, max_mpx=4.0, start=True, previews=None, **options):
    """Yield a worker's `Asked`; ``previews`` stands for what carries requests out."""
    events = queue.Queue()
    with SessionFolder(parent) as folder:
        worker = Worker(events.put, folder, max_mpx=max_mpx, **options)
        if previews is not None:
            worker._previews = previews
        if start:
            worker.start()
        try:
            yield Asked(worker, events)
        finally:
            if start:
                assert worker.close(30)


def write(path, values, **profile):
    """Write ``(bands, height, width)`` as a GeoTIFF of 10 m pixels."""
    count, height, width = values.shape
    profile = {"crs": "EPSG:32632", "transform": TRANSFORM, **profile}
    with open_raster(  # without a warning where there is no place
        path,
        "w",
        driver="GTiff",
        count=count,
        height=height,
        width=width,
        dtype=values.dtype.name,
        **profile,
    ) as dst:
        dst.write(values)
    return path


def noise(shape, dtype="uint16", *, seed=0):
    return np.random.default_rng(seed).uniform(100, 9000, shape).astype(dtype)


def bounds_of(row, col, height, width, *, transform=TRANSFORM, inside=0.25):
    """Return the bounds of a window of pixels, drawn a little inside of it."""
    west, north = transform @ (col + inside, row + inside)
    east, south = transform @ (col + width - inside, row + height - inside)
    return west, south, east, north


def replaced(path, values, **profile):
    """Put another raster in a file's place at once, of the same size and time."""
    state = path.stat()
    other = write(path.with_name("other.tif"), values, **profile)
    assert other.stat().st_size == state.st_size
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    os.replace(other, path)
