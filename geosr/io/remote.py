"""Rasters behind a network: their names, and how GDAL is to fetch them.

Environment
-----------
All options and credentials of GDAL hold: ``GDAL_HTTP_…``, ``CPL_VSIL_CURL_…``, ``AWS_…``, ``GS_…``,
``AZURE_…``. For an S3 server of one's own it is enough to set ``AWS_ENDPOINT_URL``; GDAL's
``AWS_S3_ENDPOINT``, ``AWS_HTTPS`` and ``AWS_VIRTUAL_HOSTING`` go before it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import rasterio
from rasterio.env import get_gdal_config, getenv, hasenv, setenv
from rasterio.session import DummySession

Options = Mapping[str, str]
"""Configuration options of GDAL."""

_REMOTE = re.compile(
    r"(?:^|[+\":])(?:https?|ftp|s3|gs|gcs|az|abfss?|oss)://?"  # a pathlib.Path drops a slash
    r"|/vsi(?:curl|s3|gs|az|adls|oss|swift|webhdfs|hdfs)(?:_streaming)?[/?]",
    re.IGNORECASE,
)
_SQUEEZED = re.compile(r"^([A-Za-z][\w+]*[A-Za-z\d]):/(?!/)")
_ARCHIVE = re.compile(r"/vsi(?:zip|tar|gzip|7z|rar)/|^(?:zip|tar|gzip)\+")

_FETCHING = {
    # GDAL's own tries, for single requests. It doubles the pause each time.
    "GDAL_HTTP_MAX_RETRY": "2",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    # Without these a server that does not answer is waited for without end.
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_LOW_SPEED_TIME": "30",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
    # What was cached goes when a file is closed: halves of answers, and old versions of a file.
    # It is a list of beginnings of names.
    "CPL_VSIL_CURL_NON_CACHED": "/vsi",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",  # the directories of most rasters, in one request
    "GDAL_NUM_THREADS": "1",  # of errors in threads of its own the JPEG 2000 driver does not tell
}
# Side files that matter here: statistics and holes, masks, world files, rational polynomials.
# GDAL would ask for 50 names; it takes these for the only ones that can exist.
_SIDE_FILES = ".aux.xml,.msk,.tfw,.tifw,.j2w,.jp2w,.wld,.rpb,.rpc,_rpc.txt"
_CARRIED = (  # options that a thread may have set with rasterio.Env, and that others shall have
    *("AWS_", "AZURE_", "GS_", "GOOGLE_", "OSS_", "SWIFT_", "GDAL_HTTP", "GDAL_PROXY"),
    *("GDAL_DISABLE_READDIR", "CPL_VSIL_", "CPL_CURL_", "VSI_"),
)


@dataclass(frozen=True)
class Retries:
    """How often what did not arrive is fetched again.

    Attributes
    ----------
    pauses
        Seconds before each further try.
    most_s
        No further try begins so many seconds after the first.
    sleep
        Waits.
    """

    pauses: tuple[float, ...] = (0.5, 1.0, 2.0)
    most_s: float = 60.0
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)


def is_remote(path: str) -> bool:
    """Return whether a path, in rasterio's or GDAL's spelling, lies behind a network.

    >>> is_remote("s3://bucket/a.tif"), is_remote("/vsizip//vsicurl/https://example.com/a.zip")
    (True, True)
    >>> is_remote("/data/a.tif"), is_remote("/vsizip/a.zip"), is_remote("file:///data/a.tif")
    (False, False, False)
    """
    return _REMOTE.search(path) is not None


def gdal_name(path: str) -> str:
    """Return a path as rasterio is to be given it.

    fsspec has further names for two object stores. And with ``az://`` rasterio 1.4 asks for an
    account called None where only GDAL's other variables tell of one.

    >>> gdal_name("gcs://bucket/a.tif"), gdal_name("abfs://container/a.tif")
    ('gs://bucket/a.tif', '/vsiaz/container/a.tif')
    """
    if not is_remote(path):
        return path
    path = re.sub(r"^gcs://", "gs://", with_slashes(path))
    return re.sub(r"^(?:az|abfss?)://", "/vsiaz/", path)


def with_slashes(path: str) -> str:
    """Return an address with both its slashes, also if it was a `pathlib.Path`.

    >>> with_slashes("s3:/bucket/a.tif")
    's3://bucket/a.tif'
    """
    return _SQUEEZED.sub(r"\1://", path)


def shown(path: str) -> str:
    """Return a remote path without passwords and signatures; a local one as it is.

    >>> shown("https://me:secret@example.com/a.tif?X-Amz-Signature=1234")
    'https://example.com/a.tif'
    >>> shown("/vsicurl?max_retry=9&url=https%3A%2F%2Fexample.com%2Fa.tif")
    '/vsicurl/https://example.com/a.tif'
    """
    if not is_remote(path):
        return path
    path = re.sub(r"/vsicurl\?(?:.*?&)?url=([^&/]*)[^/]*", _plain_url, with_slashes(path))
    path = re.sub(r"//[^/@\s]*@", "//", path)
    if not re.search(r"(?:https?|ftp)://", path):
        return path  # an object's name may have a question mark
    rest = r"[^/\s'\"]*" if _ARCHIVE.search(path) else r"[^\s'\"]*"  # what an archive holds stays
    return re.sub(rf"\?{rest}", "", path)


def fetching(path: str, *, side_files: bool = True) -> dict[str, str]:
    """Return the options with which GDAL is to read a remote raster; see `fetching_with`.

    What the user has set stays, in the environment or in this thread's ``rasterio.Env``; the
    latter goes along, for other threads. Without ``side_files`` none is looked for.
    """
    options = {**_FETCHING, **_endpoint(), **_siblings(path, side_files)}
    options = {name: value for name, value in options.items() if get_gdal_config(name) is None}
    if hasenv():
        options |= {k: v for k, v in getenv().items() if k.upper().startswith(_CARRIED)}
    return options


@contextmanager
def fetching_with(options: Options) -> Iterator[None]:
    """Set GDAL's options for this thread, credentials too, which `rasterio.Env` does not take.

    GDAL keeps options by thread. Those of the network are taken down when a file is opened, but
    the members of a VRT are opened when they are read.
    """
    with rasterio.Env(session=DummySession()):
        setenv(**options)
        yield


def _plain_url(match: re.Match[str]) -> str:
    return f"/vsicurl/{unquote(match[1])}"


def _siblings(path: str, side_files: bool) -> dict[str, str]:
    # With a query side files have no names: GDAL would append .msk to a signature, and a server
    # that overlooks it sends the raster itself.
    if not side_files or "?" in path:
        return {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
    options = {"GDAL_DISABLE_READDIR_ON_OPEN": "YES"}  # ask for names, do not list the folder
    suffix = os.path.splitext(path)[1].lower()
    if suffix in (".tif", ".tiff", ".jp2") and not _ARCHIVE.search(path):
        options["CPL_VSIL_CURL_ALLOWED_EXTENSIONS"] = f"{suffix},{_SIDE_FILES}"
    return options


def _endpoint() -> dict[str, str]:
    """Return GDAL's options for the S3 server that boto and s3fs are told of."""
    url = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not url or get_gdal_config("AWS_S3_ENDPOINT") is not None:
        return {}
    parts = urlsplit(url)
    return {
        "AWS_S3_ENDPOINT": parts.netloc + parts.path.rstrip("/"),
        "AWS_HTTPS": "NO" if parts.scheme == "http" else "YES",
        "AWS_VIRTUAL_HOSTING": "FALSE",  # a server of one's own has no name for each bucket
    }
