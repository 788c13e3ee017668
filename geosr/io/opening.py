"""Open rasters, and say in one sentence why one cannot be opened or read."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import rasterio
from rasterio._err import CPLE_BaseError  # rasterio lets some of GDAL's errors through as they are
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError

from geosr.core.errors import GeosrError, InputFileError
from geosr.io.remote import (
    Options,
    Retries,
    fetching,
    fetching_with,
    gdal_name,
    is_remote,
    shown,
)
from geosr.io.transfers import LostTransferError, Transfers, watched

Result = TypeVar("Result")

GDAL_ERRORS = (RasterioError, CPLE_BaseError, OSError)
"""What rasterio raises for a raster that is not there, or not whole."""

_OPENING = threading.Lock()  # warnings.catch_warnings is for one thread at a time
_NO_FILE = re.compile(r"^(/vsi|[A-Za-z][A-Za-z0-9_+]+:|<)")
_CLASS = re.compile(r"^CPLE_\w+(:| in )")
_ABSENT = re.compile(r"response code: 4(?:04|10)\b|does not exist|NoSuch(?:Key|Bucket)", re.I)
_FORBIDDEN = re.compile(
    r"response code: 40[13]\b|denied|forbidden|credentials|signature|not authorized"
    r"|authenticat|configuration option",
    re.IGNORECASE,
)
_NO_MEMORY = re.compile("out of memory|no space for|cannot allocate", re.IGNORECASE)
_DAMAGE = re.compile(r"Corrupt JPEG data: (?!\d+ extraneous)|Premature end of JPEG|Discarding")

_GDAL_LOGGER = "rasterio"  # its loggers _env and _err carry what GDAL warns of

GDAL_OPTIONS = {
    "GTIFF_IGNORE_READ_ERRORS": False,  # set by a user, it would turn damage into zeros
}


def open_raster(path: str, mode: str = "r", **options: Any) -> Any:
    """Open a raster with rasterio, without its warning that a raster lacks georeferencing.

    Raises
    ------
    rasterio.errors.RasterioError
        As rasterio does: callers know whether this is an input or an output.
    """
    with _OPENING, warnings.catch_warnings(), rasterio.Env(**GDAL_OPTIONS):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path, mode, **options)


def open_source(path: str) -> Any:
    """Open a raster for reading.

    Raises
    ------
    InputFileError
        If that is not possible; the sentence says why.
    """
    try:
        return open_raster(gdal_name(path))
    except GDAL_ERRORS as error:
        raise unreadable(path, error) from error


def use_source(
    path: str,
    use: Callable[[Any], Result],
    *,
    side_files: bool = True,
    retries: Retries | None = None,
) -> Result:
    """Open a raster for reading, and return what ``use`` makes of it.

    With a remote one this is done again until everything has arrived. Without ``side_files`` none
    is asked for there.

    Raises
    ------
    InputFileError
        If that is not possible; the sentence says why.
    """

    def attempt(transfers: Transfers | None = None) -> Result:
        with open_raster(gdal_name(path)) as src:
            result = use(src)
        if transfers:
            transfers.check()
        return result

    try:
        if not is_remote(path):
            return attempt()
        options = fetching(path, side_files=side_files)
        return persistently(attempt, options, retries or Retries())
    except GeosrError:
        raise
    except GDAL_ERRORS as error:
        raise unreadable(path, error) from error


def persistently(
    attempt: Callable[[Transfers], Result], options: Options, retries: Retries
) -> Result:
    """Return what ``attempt`` returns, calling it again as long as the network fails.

    Raises
    ------
    LostTransferError
        If it failed in every try.
    GDAL_ERRORS
        At once, if the server has said no.
    GeosrError
        At once, if ``attempt`` raises one.
    """
    begun, tries = time.monotonic(), 0
    for pause in (*retries.pauses, None):
        tries += 1
        with fetching_with(options), watched() as transfers:
            try:
                return attempt(transfers)
            except GeosrError:
                raise
            except GDAL_ERRORS as error:
                why, cause = reason(error), error
        if _ABSENT.search(why) or _FORBIDDEN.search(why):
            raise cause
        if pause is None or time.monotonic() - begun > retries.most_s:
            break
        retries.sleep(pause)
    raise LostTransferError(why, tries) from cause


def reason(error: BaseException) -> str:
    """Return the innermost message of an error, on one line and without a full stop."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = getattr(error, "errmsg", None) or str(error) or type(error).__name__
    return " ".join(str(text).split()).rstrip(".")


def lacks_memory(error: BaseException) -> bool:
    """Return whether GDAL failed for want of memory; libtiff says so in words only."""
    return _NO_MEMORY.search(reason(error)) is not None


@contextmanager
def damage_raises() -> Iterator[None]:
    """Raise what GDAL only logs while it decodes: JPEG and PackBits data that end too soon.

    Its own error would come with the next block, or never, and the pixels are made up.
    """
    catcher = _Catcher()
    logger = logging.getLogger(_GDAL_LOGGER)
    logger.addHandler(catcher)
    try:
        yield
    finally:
        logger.removeHandler(catcher)
    found = [message for message in catcher.messages if _DAMAGE.search(message)]
    if found:
        raise RasterioIOError(found[0])


@contextmanager
def messages_kept() -> Iterator[list[str]]:
    """Collect the warnings of GDAL, which rasterio logs, in place of showing them."""
    logger = logging.getLogger(_GDAL_LOGGER)
    catcher = _Catcher()
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        level, propagate = logger.level, logger.propagate
        logger.addHandler(catcher)
        logger.setLevel(logging.WARNING)
        logger.propagate = False
        try:
            yield catcher.messages
        finally:
            logger.removeHandler(catcher)
            logger.setLevel(level)
            logger.propagate = propagate


class _Catcher(logging.Handler):
    """Keeps the warnings of one thread, without GDAL's error class in front."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message if it is one of this thread."""
        if record.thread == self._thread:
            self.messages.append(_CLASS.sub("", record.getMessage()).rstrip("."))


def unreadable(path: str, error: BaseException) -> InputFileError:
    """Return the error that says in a sentence why a source cannot be opened."""
    if is_remote(path):
        return _unreachable(path, error)
    if _NO_FILE.match(path) and not os.path.exists(path):
        return InputFileError(
            f"{path} cannot be opened: {reason(error)}.",
            hint="Check the name; `rio info` on it says more.",
        )
    file = Path(path)
    if not file.exists():
        near = "" if file.parent.is_dir() else f" Its folder {file.parent} does not exist either."
        return InputFileError(f"There is no file {path}.{near}", hint="Check the path.")
    if file.is_dir():
        return InputFileError(f"{path} is a folder.", hint="Name the raster file inside it.")
    if not os.access(path, os.R_OK):
        return InputFileError(f"{path} may not be read.", hint="Ask for permission to read it.")
    return _unknown_format(file, error)


def _unreachable(path: str, error: BaseException) -> InputFileError:
    name = shown(path)
    if isinstance(error, LostTransferError):
        return InputFileError(
            f"{name} cannot be opened; it was tried {error.often}: {shown(str(error))}.",
            hint="The server or the way to it fails, or this is no raster that GDAL knows. Side "
            "files are not asked for with GDAL_DISABLE_READDIR_ON_OPEN=EMPTY_DIR in the "
            "environment.",
        )
    why = shown(reason(error))
    if _ABSENT.search(why):
        status = "" if "exist" in why else " (404)"
        return InputFileError(
            f"{name} does not exist on the server{status}: {why}.", hint="Check the address."
        )
    if _FORBIDDEN.search(why):
        return InputFileError(
            f"{name} may not be read: {why}.",
            hint="Check the credentials; a signed address runs out, and some servers answer so "
            "for what is not there. A public S3 bucket wants AWS_NO_SIGN_REQUEST=YES.",
        )
    return InputFileError(
        f"{name} cannot be opened: {why}.",
        hint="Check the address, and that GDAL can read it: `rio info` on it says more.",
    )


def _unknown_format(file: Path, error: BaseException) -> InputFileError:
    if file.stat().st_size == 0:
        return InputFileError(f"{file} is empty.", hint="Fetch or copy the file again.")
    with file.open("rb") as stream:
        head = stream.read(512).lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return InputFileError(
            f"{file} is a web page, not a raster.",
            hint="A download that needs a login often ends like this. Fetch the file again.",
        )
    if head.startswith((b"ii*\0", b"mm\0*", b"ii+\0", b"mm\0+")):
        return InputFileError(
            f"{file} is a TIFF whose directory is damaged: {reason(error)}.",
            hint="Fetch or copy the file again; its size shows whether the end is missing.",
        )
    return InputFileError(
        f"{file} is no raster that GDAL knows.",
        hint="`rio env --formats` lists the formats; a file in a zip is opened as /vsizip/PATH.",
    )
