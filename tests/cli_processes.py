"""``geosr upscale`` in a process of its own, to be stopped or killed at a moment of its run."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from cli_scenes import ROOT

from geosr.core.events import parse_event


def start(*args):
    """Start ``geosr upscale`` with events in its own process."""
    return subprocess.Popen(
        [sys.executable, "-m", "geosr", "upscale", *args, "--progress", "json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stop_after(process, wanted, stop):
    """Call ``stop`` once ``wanted`` holds for an event; return all events, status and delay."""
    events, begun = [], None
    for line in process.stdout:
        events.append(parse_event(line))
        if begun is None and wanted(events[-1]):
            begun = time.monotonic()
            stop()
    status = process.wait(30)
    assert begun is not None, events
    return events, status, time.monotonic() - begun


def is_at(moment, event):
    """Tell whether an event is at a moment: a phase, or a share of the tiles."""
    if isinstance(moment, str):
        return event.get("message") == moment
    return event["event"] == "progress" and event["done"] >= moment * event["total"]
