"""Write the output beside its destination, and put it there when it is whole."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.drivers import raster_driver_extensions
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from geosr.core.errors import OptionError, OutputError, OutputExistsError
from geosr.core.geometry import Window
from geosr.io.integrity import first_lost_block
from geosr.io.metadata import RasterMetadata, write_metadata
from geosr.io.opening import open_raster, reason
from geosr.io.profile import OutputProfile

_SIDECARS = (".aux.xml", ".msk", ".ovr")
_SPARE = 64 << 10  # bytes; less free space than this is a full disk


def check_output(
    src_path: str,
    dst_path: str | os.PathLike[str],
    overwrite: bool = False,
    *,
    source_files: Iterable[str] = (),
) -> None:
    """Refuse a destination that cannot be written, or must not be.

    ``source_files`` are further files that the input is read from, such as those of a VRT.

    Raises
    ------
    OutputExistsError
        If it exists and ``overwrite`` was not asked for.
    OptionError
        If it is the input, or is named like another format than GeoTIFF.
    OutputError
        If it is a folder, or its folder is missing or may not be written to.
    """
    name = os.fspath(dst_path)
    path = Path(name)
    if name.startswith("/vsi") or "://" in name:
        raise OptionError(
            f"The output {name} is not on this machine.",
            hint="Write to a local file, and copy that.",
        )
    for source in (src_path, *source_files):
        if _same_file(source, name):
            raise OptionError(
                f"The output {name} is the input itself, or a file that it is read from.",
                hint="Name another output.",
            )
    _check_place(path)
    if path.exists() and not overwrite:
        raise OutputExistsError(f"The output {name} exists.", hint="Use --overwrite to replace it.")
    driver = raster_driver_extensions().get(path.suffix.lower().lstrip("."), "GTiff")
    if driver not in ("GTiff", "COG"):
        raise OptionError(
            f"The output {name} is named like a {driver} file, but it will be a GeoTIFF.",
            hint="End its name with .tif.",
        )


class RasterWriter:
    """Writes a GeoTIFF; an `engine.Writer` and a context manager, to be left in its own thread.

    The pixels go to a file beside the destination. Leaving the context puts it in place, if no
    error was raised; if one was, or Ctrl-C was pressed, the file goes and the old one stays.
    Metadata is written first: it then stands before the pixels in the file.

    Parameters
    ----------
    dst_path
        Name of the output.
    profile, metadata
        What to create.
    tags
        More tags of the default namespace.
    overwrite
        Replace the output if it is there by then.
    cache_bytes
        Size of GDAL's block cache while the context lasts, for readers as well.
    """

    def __init__(
        self,
        dst_path: str | os.PathLike[str],
        profile: OutputProfile,
        *,
        metadata: RasterMetadata,
        tags: Mapping[str, str] | None = None,
        overwrite: bool = False,
        cache_bytes: int = 256 << 20,
    ) -> None:
        self._name = os.fspath(dst_path)
        # Of a link the file that it points to is replaced, not the link.
        self._path = Path(os.path.realpath(self._name))
        self._part = self._path
        self._profile = profile
        self._metadata = metadata
        self._tags = dict(tags or {})
        self._overwrite = overwrite
        self._cache_bytes = cache_bytes
        self._stack = ExitStack()
        self._dst: Any = None

    def __enter__(self) -> Self:
        # An integer sets the size of GDAL's one cache; a mask band shall not be a second file.
        options = {"GDAL_CACHEMAX": self._cache_bytes, "GDAL_TIFF_INTERNAL_MASK": True}
        self._stack.enter_context(rasterio.Env(**options))
        with self._or_discard():
            self._part = _reserve(self._path)
            self._dst = open_raster(str(self._part), "w", **self._profile.to_rasterio())
            points = self._metadata.gcps if self._profile.has_gcps else ()
            write_metadata(self._dst, replace(self._metadata, gcps=points), self._tags)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._discard()
            return
        with self._or_discard():
            self._commit()
        self._stack.close()

    def write(
        self, window: Window, values: NDArray[np.generic], valid: NDArray[np.bool_] | None
    ) -> None:
        """Store ``values`` ``(bands, height, width)`` at ``window``; see `engine.Writer`.

        Raises
        ------
        OutputError
            If the disk is full, or fails.
        """
        place = RasterioWindow(window.col_off, window.row_off, window.width, window.height)
        # GDAL compresses and writes in threads of its own, and tells of a full disk late or never.
        if shutil.disk_usage(self._part.parent).free < _SPARE:
            raise self._full()
        try:
            self._dst.write(values, window=place)
            if self._profile.nodata.write_mask:
                # A GeoTIFF has one mask for all bands.
                whole = np.ones(window.shape, bool) if valid is None else valid.all(axis=0)
                self._dst.write_mask(whole, window=place)
        except (RasterioError, OSError) as error:
            raise self._failed(error) from error

    def _commit(self) -> None:
        """Close the file, make sure that it is whole and on the disk, and rename it."""
        self._dst.close()
        self._check_whole()
        if self._path.exists():
            if not self._overwrite:
                raise OutputExistsError(
                    f"The output {self._name} has appeared meanwhile.",
                    hint="Use --overwrite to replace it.",
                )
            shutil.copymode(self._path, self._part)
        _flush(self._part)
        os.replace(self._part, self._path)
        for sidecar in _SIDECARS:  # those of the old file would spoil the new one
            made, old = (path.with_name(path.name + sidecar) for path in (self._part, self._path))
            if made.exists():
                os.replace(made, old)  # with --co PROFILE=GeoTIFF tags are kept out of the file
            else:
                old.unlink(missing_ok=True)
        _flush(self._path.parent)

    def _check_whole(self) -> None:
        """Look for blocks that never reached the disk: closing a raster reports no errors."""
        try:
            with open_raster(str(self._part)) as written:
                sparse = self._profile.creation_options.get("SPARSE_OK", "NO").upper() != "NO"
                lost = first_lost_block(written, self._part.stat().st_size, sparse=sparse)
        except RasterioError as error:
            raise self._failed(error) from error
        if lost is not None:
            raise self._failed(OSError(f"block {lost} did not reach the disk"))

    @contextmanager
    def _or_discard(self) -> Iterator[None]:
        """On any error, Ctrl-C included, remove what was begun; name rasterio's errors."""
        try:
            yield
        except (OutputError, OutputExistsError):
            self._discard()
            raise
        except (RasterioError, OSError, ValueError) as error:
            failure = self._failed(error)  # looks at the disk before it is made free
            self._discard()
            raise failure from error
        except BaseException:
            self._discard()
            raise

    def _discard(self) -> None:
        try:
            with suppress(RasterioError, OSError):  # the error that led here is the one to show
                if self._dst is not None:
                    self._dst.close()
        finally:
            if self._part != self._path:
                for suffix in ("", *_SIDECARS):
                    self._part.with_name(self._part.name + suffix).unlink(missing_ok=True)
            self._stack.close()

    def _failed(self, error: BaseException) -> OutputError:
        with suppress(OSError):
            if shutil.disk_usage(self._path.parent).free < _SPARE:
                return self._full()
        return OutputError(
            f"The output {self._name} cannot be written: {reason(error)}.",
            hint="Look at the disk, its quota and the creation options; the input is unharmed.",
        )

    def _full(self) -> OutputError:
        size = self._profile.raw_bytes / 1e9
        return OutputError(
            f"The disk is full: {self._name} cannot be written.",
            hint=f"Make room, or write elsewhere; the pixels are {size:.2g} GB uncompressed.",
        )


def _reserve(path: Path) -> Path:
    """Create an empty file beside ``path``, under a name of this process's own."""
    for attempt in itertools.count():
        part = path.with_name(f"{path.name}.part-{os.getpid()}" + (f"-{attempt}" * bool(attempt)))
        with suppress(FileExistsError):  # by another thread, or by a process killed long ago
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return part
    raise OutputError(f"No name beside {path} is free.")  # pragma: no cover


def _flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _same_file(source: str, name: str) -> bool:
    with suppress(OSError, ValueError):
        return os.path.samefile(source, name)
    return False


def _check_place(path: Path) -> None:
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise OutputError(f"The output {path} is a folder.", hint="Name a file inside it.")
    if target.exists() and not target.is_file():
        raise OutputError(f"The output {path} is no regular file.", hint="Name another output.")
    folder = target.parent
    if not folder.is_dir():
        raise OutputError(f"There is no folder {folder}.", hint="Make it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"The folder {folder} may not be written to.",
            hint="Write elsewhere, or ask for permission.",
        )
