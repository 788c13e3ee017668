"""Where log lines go: to standard error as far as was asked for, and all to a file."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from geosr.cli.progress import finite
from geosr.core.errors import OptionError
from geosr.core.events import Event, format_event
from geosr.core.version import __version__


class LogFile(logging.FileHandler):
    """A file that events and log lines are appended to, each with its time.

    Several runs may share it: each line is written at once.

    Raises
    ------
    OptionError
        If it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        try:
            super().__init__(path, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise OptionError(
                f"The log file {path} cannot be opened: {error.strerror}.",
                hint="Name another with --log-file; its folder must be there.",
            ) from error
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self.addFilter(partial(_concerns, ours=logging.DEBUG, theirs=logging.INFO))
        from geosr.io.remote import shown  # loads GDAL: not for --help

        self._line("geosr.cli", f"geosr {__version__}: {' '.join(map(shown, sys.argv))}")

    def __call__(self, event: Event) -> None:
        """Write an event."""
        self._line("geosr.events", format_event(finite(event)))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop a line that cannot be written: a full disk is told of by the run itself."""

    def _line(self, name: str, text: str) -> None:
        record = {"name": name, "levelno": logging.INFO, "levelname": "INFO", "msg": text}
        self.handle(logging.makeLogRecord(record))


@contextmanager
def shown_logs(verbosity: int, file: LogFile | None = None) -> Iterator[None]:
    """Send log lines to standard error: warnings; with -v what is done; with -vv everything.

    ``file`` gets everything in any case. Of other libraries' lines a level less is shown: what
    concerns the user is in our errors. Python's warnings are log lines here, so that they show
    no source code.
    """
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    ours = max(logging.WARNING - 10 * verbosity, logging.DEBUG)
    theirs = logging.CRITICAL if verbosity < 1 else ours + 10
    shown.addFilter(partial(_concerns, ours=ours, theirs=theirs))
    root, geosr = logging.getLogger(), logging.getLogger("geosr")
    level, root_level, handlers = geosr.level, root.level, root.handlers[:]
    root.handlers[:] = [shown]  # rio has put its own there, and would show each line again
    if file is not None:
        root.addHandler(file)
    geosr.setLevel(ours if file is None else logging.DEBUG)
    if verbosity > 0 or file is not None:
        root.setLevel(min(theirs, logging.INFO if file else theirs, root.getEffectiveLevel()))
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = handlers
        geosr.setLevel(level)
        root.setLevel(root_level)
        if file is not None:
            file.close()


def _concerns(record: logging.LogRecord, *, ours: int, theirs: int) -> bool:
    return record.levelno >= (ours if record.name.startswith("geosr") else theirs)
