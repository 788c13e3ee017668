"""What did not arrive over the network, which GDAL tells only to those who debug it.

GDAL takes a directory, a mask or a side file that did not arrive as absent, with a warning or
without a word: the raster opens without its place, its holes or its tags. Where the places of its
blocks did not arrive, it even makes up pixels that are nodata. So its debug messages are listened
to, by way of rasterio's loggers. A program that calls ``logging.disable`` makes this deaf.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from rasterio._err import CPLE_BaseError  # rasterio lets some of GDAL's errors through as they are
from rasterio.errors import RasterioError

DEBUGGED = "VSICURL,S3,GS,AZURE,ADLS,OSS,SWIFT"
"""GDAL's option ``CPL_DEBUG`` has to name these, or to be ``ON``."""

_LOGGERS = ("rasterio._env", "rasterio._err")  # those of opening and of reading
_LISTENING = threading.Lock()

_ASKED = re.compile(r"Downloading (\S+ \(.*)\)")
_FAILED = re.compile(r"(?:DownloadRegion|GetFileSize)\((.*)\): response_code=\d+, .*?msg=(.*)")
_ANSWER = re.compile(r"(?:Got |GetFileSize\((.*)\)=\d+ +)response_code=(\d+)$")
_AGAIN = re.compile(r"Retrying again in")
_HOLE = re.compile(r"IO error during|TIFF directory|Failed to read directory|Cannot read offset")
_NOISE = re.compile(
    rf"{_AGAIN.pattern}|{_HOLE.pattern}|HTTP response code on |Request for \S+ failed with "
)


GDAL_ERRORS = (RasterioError, CPLE_BaseError, OSError)
"""What rasterio raises for a raster that is not there, or not whole."""


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
    """Listens to what GDAL tells of the network in one thread."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()
        self._lost: list[str] = []
        self._holes: list[str] = []  # parts of a raster's structure that GDAL went without
        self._asked = ""  # the last request: bytes and address
        self._fresh = False  # whether nothing was asked for since the last loss
        self._doubtful = ""  # a loss that GDAL has announced to make good

    @property
    def lost(self) -> bool:
        """Whether anything is missing: requests failed, side files' too, for good."""
        return bool(self._lost or self._doubtful or self._holes)

    @property
    def reason(self) -> str:
        """The last failure, as the server or the network gave it."""
        found = [*self._holes, *self._lost, *filter(None, [self._doubtful])]
        return found[-1] if found else "no answer"

    def check(self) -> None:
        """Raise `LostTransferError` if anything is missing."""
        if self.lost:
            raise LostTransferError(self.reason)

    def note_failure(self, reason: str) -> None:
        """Add a failure that shows otherwise."""
        self._holes.append(reason)

    def filter(self, record: logging.LogRecord) -> bool:
        """Take note of a record of this thread; drop it if it is all dealt with here."""
        if record.thread != self._thread:
            return True
        message = record.getMessage()
        self._note(message)
        return not _NOISE.search(message)

    def _note(self, message: str) -> None:
        asked, failed = _ASKED.search(message), _FAILED.search(message)
        answer = _ANSWER.search(message)
        if _AGAIN.search(message):
            self._doubtful = self._lost.pop() if self._fresh else ""
            self._fresh = False
        elif asked:
            self._settle(again=asked[1] == self._asked)
            self._asked, self._fresh = asked[1], False
        elif failed:
            self._lose(failed[1], failed[2])
        elif answer and _is_failure(int(answer[2]), whole=answer[1] is None):
            self._lose(answer[1] or "", f"the server answers {answer[2]}")
        elif answer and answer[1]:
            self._settle(again=False)
        elif _HOLE.search(message):
            self._holes.append(message.rstrip("."))

    def _lose(self, url: str, reason: str) -> None:
        self._settle(again=False)
        name = urlsplit(url).path.rpartition("/")[2]
        self._lost.append(f"{name}: {reason}" if name else reason)
        self._fresh = True

    def _settle(self, *, again: bool) -> None:
        if self._doubtful and not again:
            self._lost.append(self._doubtful)
        self._doubtful = ""


@contextmanager
def watched() -> Iterator[Transfers]:
    """Listen in this thread while the context lasts. Other threads may do so at the same time."""
    transfers = Transfers()
    with _LISTENING:
        for logger in map(logging.getLogger, _LOGGERS):
            if not any(isinstance(one, _Gate) for one in logger.filters):
                logger.addFilter(_Gate(logger))
                logger.setLevel(logging.DEBUG)
            logger.filters = [transfers, *logger.filters]  # a thread may go through the old list
    try:
        yield transfers
    finally:
        with _LISTENING:
            for logger in map(logging.getLogger, _LOGGERS):
                logger.filters = [one for one in logger.filters if one is not transfers]
                if not any(isinstance(one, Transfers) for one in logger.filters):
                    for gate in [one for one in logger.filters if isinstance(one, _Gate)]:
                        gate.open(logger)


class _Gate(logging.Filter):
    """Drops what a logger would not have passed on without those who listen."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._level = logger.level
        self._least = logger.getEffectiveLevel()

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= self._least

    def open(self, logger: logging.Logger) -> None:
        """Leave the logger as it was."""
        logger.setLevel(self._level)
        logger.filters = [one for one in logger.filters if one is not self]


def _is_failure(status: int, *, whole: bool) -> bool:
    """Tell failures from answers; a side file that is asked for may be absent or not for us."""
    if status in (408, 429) or status >= 500:
        return True
    return whole and status in (400, 403, 404, 410, 416)  # the raster was there a moment ago
