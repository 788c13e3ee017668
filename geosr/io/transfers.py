"""What GDAL went without because it did not arrive over the network, and told only its log.

GDAL takes a directory or a mask of a raster that did not arrive as absent: the raster opens
without its place, its holes or its tags. Where the places of its blocks did not arrive, GDAL even
makes up pixels that are nodata. All this it tells as warnings, or as errors that come to nothing,
which rasterio logs. A program that calls ``logging.disable`` makes this module deaf.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_LOGGERS = ("rasterio._env", "rasterio._err")  # those of opening and of reading
_ONE_AT_A_TIME = threading.RLock()

_HOLE = re.compile(
    r"IO error during|Can not read TIFF directory|Failed to read directory|Cannot read offset/size"
)
_CLASS = re.compile(r"^CPLE_\w+(?::| in )|^GDAL signalled .*?msg=")
_FAILED = re.compile(r"HTTP response code on (\S+): (0|408|429|5\d\d)\b")
# These lead to one of the others, or to an error, or have been made good.
_ON_THE_WAY = re.compile(r"Retrying again in|Request for \S+ failed with|HTTP response code on")


class LostTransferError(OSError):
    """The network or the server failed, each time that it was tried; never shown to users."""

    def __init__(self, reason: str, tries: int = 1) -> None:
        super().__init__(reason)
        self.tries = tries

    @property
    def often(self) -> str:
        """How often it was tried, in words."""
        return "once" if self.tries == 1 else f"{self.tries} times"


class Transfers(logging.Filter):
    """Listens to what GDAL tells in one thread.

    Attributes
    ----------
    lost
        What GDAL went without, in its words.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lost: list[str] = []
        self._thread = threading.get_ident()
        self._levels: dict[str, tuple[int, int]] = {}  # of loggers before, their own and in effect

    def join(self, logger: logging.Logger) -> None:
        """Listen to a logger."""
        self._levels[logger.name] = logger.level, logger.getEffectiveLevel()
        logger.addFilter(self)
        logger.setLevel(min(logging.INFO, logger.getEffectiveLevel()))  # errors come as INFO

    def leave(self, logger: logging.Logger) -> None:
        """Listen no more, and leave the logger as it was."""
        logger.removeFilter(self)
        logger.setLevel(self._levels[logger.name][0])

    def check(self) -> None:
        """Raise `LostTransferError` if GDAL went without something."""
        if self.lost:
            raise LostTransferError(self.lost[0])

    def filter(self, record: logging.LogRecord) -> bool:
        """Take note of a record of this thread; let through what would have been logged anyway."""
        wanted = record.levelno >= self._levels[record.name][1]
        if record.thread != self._thread:
            return wanted
        message = record.getMessage()
        hole, failed = _HOLE.search(message), _FAILED.search(message)
        if hole:
            self.lost.append(f"not all of it arrived ({_words(message)})")
        elif failed:
            name = urlsplit(failed[1]).path.rpartition("/")[2]
            self.lost.append(f"{name}: HTTP response code: {failed[2]}")
        return wanted and not (hole or _ON_THE_WAY.search(message))


@contextmanager
def watched() -> Iterator[Transfers]:
    """Listen in this thread while the context lasts; one thread at a time may do so.

    GDAL fetches the same bytes for two threads once. rasterio opens rasters without letting go of
    Python's lock: waiting so for bytes of a thread that has something to tell Python would never
    end.
    """
    transfers = Transfers()
    with _ONE_AT_A_TIME:
        for logger in map(logging.getLogger, _LOGGERS):
            transfers.join(logger)
        try:
            yield transfers
        finally:
            for logger in map(logging.getLogger, _LOGGERS):
                transfers.leave(logger)


def _words(message: str) -> str:
    """Return what GDAL said without what rasterio has put around it."""
    return _CLASS.sub("", message).strip("'.")
