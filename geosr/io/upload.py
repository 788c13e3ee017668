"""Put finished outputs into object storage, where they appear only when they are whole.

Object stores know no renaming, but an object of theirs is there only when its last part has
arrived. So an output is made on this machine and sent in one go, in parts that are sent again if
one is lost. This goes through fsspec: s3fs, gcsfs and adlfs find their credentials in the
environment and in the files of their providers' tools, as GDAL does for reading.

Environment
-----------
``AWS_ENDPOINT_URL`` names an S3 server of one's own, for reading and for writing; if only GDAL's
``AWS_S3_ENDPOINT`` and ``AWS_HTTPS`` are set, they hold for writing, too. Google takes
``GOOGLE_APPLICATION_CREDENTIALS``; Azure ``AZURE_STORAGE_ACCOUNT`` with
``AZURE_STORAGE_ACCESS_KEY``, ``AZURE_STORAGE_SAS_TOKEN`` or ``AZURE_STORAGE_CONNECTION_STRING``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from rasterio.env import get_gdal_config

from geosr.core.errors import GeosrError, MissingDependencyError, OptionError, OutputError
from geosr.io.opening import reason
from geosr.io.remote import Retries, with_slashes

Result = TypeVar("Result")

_VSI = {"/vsis3/": "s3://", "/vsigs/": "gs://", "/vsiaz/": "az://"}
_STORES = {  # what fsspec calls them: the package that they need, and geosr's extra for it
    "s3": ("s3fs", "s3"),
    "gs": ("gcsfs", "gs"),
    "gcs": ("gcsfs", "gs"),
    "az": ("adlfs", "az"),
    "abfs": ("adlfs", "az"),
    "abfss": ("adlfs", "az"),
}
_ROOTS = (".zgroup", ".zarray", ".zmetadata", "zarr.json")  # they make a folder a Zarr store
_FINAL = (FileNotFoundError, PermissionError, NotADirectoryError, ImportError)
_RETRIES = Retries((1.0, 5.0))  # of the whole; the libraries try each part five times
_BATCH = 64  # files of a folder that are on their way at once


class _Place(NamedTuple):
    """An object store and a name in it, as fsspec has them."""

    files: Any
    name: str
    url: str


def object_url(path: str) -> str:
    """Return the address of an output in object storage, as fsspec spells it.

    >>> object_url("/vsis3/bucket/out.tif")
    's3://bucket/out.tif'

    Raises
    ------
    OptionError
        If nothing can be written there.
    """
    path = with_slashes(path)
    for start, scheme in _VSI.items():
        if path.startswith(start):
            path = scheme + path.removeprefix(start)
    scheme, _, name = path.partition("://")
    if scheme not in _STORES:
        raise OptionError(
            f"Nothing can be written to {path}: of remote places, only s3://, gs:// and az:// "
            "take files.",
            hint="Write to a local file, and copy that.",
        )
    bucket, _, key = name.partition("/")
    if not bucket or not key.strip("/"):
        raise OptionError(
            f"The output {path} is a whole bucket, or none.",
            hint=f"Name an object in it, such as {scheme}://BUCKET/out.tif.",
        )
    return path


def remote_exists(url: str) -> bool:
    """Return whether an object, or a folder of objects, is there.

    Raises
    ------
    OutputError
        If that cannot be found out.
    """
    place = _place(url)
    try:
        return bool(place.files.exists(place.name))
    except GeosrError:
        raise
    except Exception as error:  # four libraries, each with exceptions of its own
        raise OutputError(
            f"{place.url} cannot be reached: {reason(error)}.", hint=_hint(error)
        ) from error


def upload(
    src_path: str | os.PathLike[str],
    url: str,
    *,
    on_bytes: Callable[[int, int], None] = lambda sent, total: None,
    retries: Retries | None = None,
) -> None:
    """Send a file, or all files of a folder, to object storage; the local ones stay.

    A file appears when it is complete, and replaces an older one at once. Of a folder the file
    that makes it a Zarr store comes last: until then nobody takes it for one. An older store of
    this name is to be removed before, with `delete`.

    Parameters
    ----------
    on_bytes
        Called with the bytes sent and those of all files, perhaps from another thread. An error
        that it raises ends the upload.

    Raises
    ------
    OutputError
        If it fails; the sentence says where the local file is.
    """
    place, source = _place(url), Path(src_path)
    send = _send_folder if source.is_dir() else _send_file
    try:
        send(place, source, on_bytes, retries or _RETRIES)
    except GeosrError:
        raise
    except Exception as error:  # as above
        raise OutputError(
            f"{place.url} cannot be written: {reason(error)}. The finished output is {source}.",
            hint=f"{_hint(error)} Then run the same command again, or copy it there.",
        ) from error


def delete(url: str) -> None:
    """Remove an object, or a Zarr store; nothing happens if there is none.

    Raises
    ------
    OutputError
        If it is a folder of something else, or cannot be removed.
    """
    place = _place(url)
    try:
        if place.files.isfile(place.name):
            place.files.rm_file(place.name)
            return
        names = place.files.find(place.name)
        roots = [f"{place.name}/{root}" for root in _ROOTS if f"{place.name}/{root}" in names]
        if names and not roots:
            raise OutputError(
                f"{place.url} is a folder with other things than a Zarr store.",
                hint="Name another output, or remove it yourself.",
            )
        for name in roots:  # first of all: a store with holes must not be read
            place.files.rm_file(name)
        rest = [name for name in names if name not in roots]
        if rest:
            place.files.rm(rest)
    except GeosrError:
        raise
    except Exception as error:  # as above
        raise OutputError(
            f"{place.url} cannot be removed: {reason(error)}.", hint=_hint(error)
        ) from error


def _send_file(
    place: _Place, source: Path, on_bytes: Callable[[int, int], None], retries: Retries
) -> None:
    from fsspec.callbacks import Callback

    size = source.stat().st_size

    def send() -> None:
        told = Callback(hooks={"": lambda size, value, **kept: on_bytes(value, size)})
        place.files.put_file(str(source), place.name, callback=told)
        place.files.invalidate_cache()
        _check_size(place.name, place.files.info(place.name)["size"], size)

    _again(send, retries)


def _send_folder(
    place: _Place, source: Path, on_bytes: Callable[[int, int], None], retries: Retries
) -> None:
    files = sorted(file for file in source.rglob("*") if file.is_file())
    roots = [source / name for name in _ROOTS if source / name in files]
    others = [file for file in files if file not in roots]
    total, sent = sum(file.stat().st_size for file in files), 0
    batches = [others[at : at + _BATCH] for at in range(0, len(others), _BATCH)]
    for batch in (*batches, *([root] for root in roots)):
        names = [f"{place.name}/{file.relative_to(source).as_posix()}" for file in batch]
        _again(partial(place.files.put, [str(file) for file in batch], names), retries)
        sent += sum(file.stat().st_size for file in batch)
        on_bytes(sent, total)
    place.files.invalidate_cache()
    there = _again(partial(place.files.find, place.name, detail=True), retries)
    for file in files:
        name = f"{place.name}/{file.relative_to(source).as_posix()}"
        _check_size(name, there.get(name, {}).get("size"), file.stat().st_size)


def _check_size(name: str, there: int | None, here: int) -> None:
    if there != here:
        raise OSError(f"of the {here} bytes of {name} {there or 0} have arrived")


def _again(action: Callable[[], Result], retries: Retries) -> Result:
    """Do it again until it succeeds, or there is no sense in it."""
    for pause in retries.pauses:
        try:
            return action()
        except Exception as error:  # as above
            if isinstance(error, (GeosrError, *_FINAL)) or "Credential" in type(error).__name__:
                raise
            retries.sleep(pause)
    return action()


def _place(path: str) -> _Place:
    url = object_url(path)
    scheme = url.partition("://")[0]
    package, extra = _STORES[scheme]
    try:
        import fsspec

        # A cached one would keep the credentials that it began with.
        options = {"skip_instance_cache": True, **_options(extra)}
        files, name = fsspec.core.url_to_fs(url, **options)
    except ImportError as error:
        raise MissingDependencyError(
            f"Writing to {scheme}:// needs the package {package}.",
            hint=f'Install it: pip install "geosr[{extra}]"',
        ) from error
    return _Place(files, name.rstrip("/"), url)


def _options(store: str) -> dict[str, str]:
    """Return what is set for GDAL only, as fsspec's filesystems take it."""
    own = {
        "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        "az": ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_CONNECTION_STRING"),
    }
    if any(os.environ.get(name) for name in own.get(store, ())):
        return {}
    found: dict[str, str | None] = {}
    if store == "s3" and (host := get_gdal_config("AWS_S3_ENDPOINT")):
        secure = get_gdal_config("AWS_HTTPS", normalize=False) in (None, "YES", "ON", "TRUE", "1")
        found["endpoint_url"] = f"{'https' if secure else 'http'}://{host}"
    if store == "az":
        found["account_name"] = os.environ.get("AZURE_STORAGE_ACCOUNT")
        found["account_key"] = os.environ.get("AZURE_STORAGE_ACCESS_KEY")
    return {name: value for name, value in found.items() if value}


def _hint(error: BaseException) -> str:
    words = f"{type(error).__name__} {error}".lower()
    if isinstance(error, PermissionError) or "credential" in words or "denied" in words:
        return "Check the credentials, and what they allow."
    return "Check the address, the network and the credentials."
