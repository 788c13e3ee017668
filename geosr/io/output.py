"""Where the output goes: what may be written, and how a whole file gets its final name."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rasterio.drivers import raster_driver_extensions
from rasterio.errors import RasterioError

from geosr.core.errors import OptionError, OutputError, OutputExistsError
from geosr.core.plan import BlockPlan
from geosr.io.claim import sweep_finished
from geosr.io.metadata import RasterMetadata
from geosr.io.opening import reason
from geosr.io.profile import OutputProfile
from geosr.io.remote import gdal_name, is_remote
from geosr.io.upload import object_url, remote_exists

SIDECARS = (".aux.xml", ".msk", ".ovr")
_SPARE = 64 << 10  # bytes; less free space than this is a full disk


@dataclass(frozen=True)
class Output:
    """All that a sink needs to know.

    Attributes
    ----------
    path
        Name of the output.
    profile, metadata, tags
        What to create; ``tags`` are more tags of the default namespace.
    blocks
        What will be written, in this order.
    identity
        What decides the bytes of the output, as plain values. A run that finds the journal of
        another with the same identity goes on with it.
    overwrite
        Replace the output if it is there.
    resume
        Go on with what an earlier run left, and leave what a later one can go on with.
    cache_bytes
        Size of GDAL's block cache meanwhile, for readers as well.
    """

    path: str
    profile: OutputProfile
    metadata: RasterMetadata
    tags: Mapping[str, str]
    blocks: BlockPlan
    identity: Mapping[str, Any]
    overwrite: bool = False
    resume: bool = True
    cache_bytes: int = 256 << 20


def check_output(
    src_path: str,
    dst_path: str | os.PathLike[str],
    overwrite: bool = False,
    *,
    source_files: Iterable[str] = (),
    format: str = "cog",  # noqa: A002 - the option's name
) -> None:
    """Refuse a destination that cannot be written, or must not be.

    ``source_files`` are further files that the input is read from, such as those of a VRT.

    Raises
    ------
    OutputExistsError
        If it exists and ``overwrite`` was not asked for.
    OptionError
        If it is the input, or is named like another format than ``format``.
    OutputError
        If it is a folder, or its folder is missing or may not be written to.
    """
    name = os.fspath(dst_path)
    path = Path(name)
    if is_remote(name):
        _check_name(name, format)
        url = object_url(name)
        if any(gdal_name(source) == gdal_name(url) for source in (src_path, *source_files)):
            raise _is_source(name)
        if remote_exists(url) and not overwrite:
            raise _exists(name)
        return
    for source in (src_path, *source_files):
        if _same_file(source, name):
            raise _is_source(name)
    _check_place(path, folder=format == "zarr")
    if path.exists() and not overwrite:
        sweep_finished(name)
        raise _exists(name)
    _check_name(name, format)


def put_in_place(part: Path, output: Output) -> None:
    """Give a whole file, which is on the disk already, its final name.

    Raises
    ------
    OutputExistsError
        If the output has appeared meanwhile and may not be replaced.
    OSError
        If the system refuses.
    """
    path = Path(os.path.realpath(output.path))
    replaces = path.exists()
    if replaces:
        check_absent(output)
        shutil.copymode(path, part)
    else:
        _put_sidecars(part, path)  # first, so that a file under its name has all that it needs
    os.replace(part, path)
    if replaces:
        _put_sidecars(part, path)
    flush(path.parent)


def _put_sidecars(part: Path, path: Path) -> None:
    for sidecar in SIDECARS:  # those of an old file would spoil the new one
        made, old = (name.with_name(name.name + sidecar) for name in (part, path))
        if made.exists():
            os.replace(made, old)  # what does not go into a TIFF, such as with PROFILE=GeoTIFF
        else:
            old.unlink(missing_ok=True)


def check_absent(output: Output) -> None:
    """Refuse an output that has appeared since the run began.

    Raises
    ------
    OutputExistsError
        If it is there and may not be replaced.
    """
    if os.path.exists(output.path) and not output.overwrite:
        raise OutputExistsError(
            f"The output {output.path} has appeared meanwhile.",
            hint="Use --overwrite to replace it.",
        )


@contextmanager
def write_errors(output: Output) -> Iterator[None]:
    """Turn what rasterio and the system raise into an `OutputError`, in a sentence."""
    try:
        yield
    except (OutputError, OutputExistsError):
        raise
    except (RasterioError, OSError, ValueError) as error:
        raise write_failure(output, error) from error


def write_failure(output: Output, error: BaseException) -> OutputError:
    """Return the error that says why the output cannot be written."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(output)
    with suppress(OSError):
        if is_full(output):
            return disk_full(output)
    return OutputError(
        f"The output {output.path} cannot be written: {_said(error)}.",
        hint="Look at the disk, its quota and the creation options; the input is unharmed.",
    )


def _said(error: BaseException) -> str:
    """Return what the system says without its number and the names of our own files."""
    system = isinstance(error, OSError) and error.strerror
    return str(system or reason(error))


def is_full(output: Output) -> bool:
    """Return whether the output's disk has no room left."""
    return shutil.disk_usage(Path(os.path.realpath(output.path)).parent).free < _SPARE


def disk_full(output: Output) -> OutputError:
    """Return the error that says that the disk is full."""
    size = output.profile.raw_bytes / 1e9
    return OutputError(
        f"The disk is full: {output.path} cannot be written.",
        hint=f"Make room, or write elsewhere; the pixels are {size:.2g} GB uncompressed.",
    )


def flush(path: Path) -> None:
    """Wait until a file is on the disk; of a folder its names, where the system can tell."""
    if path.is_dir():
        with suppress(OSError):  # Windows opens no folder, and some file systems flush none
            _flush(path, os.O_RDONLY)
    else:
        _flush(path, os.O_RDWR)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_source(name: str) -> OptionError:
    return OptionError(
        f"The output {name} is the input itself, or a file that it is read from.",
        hint="Name another output.",
    )


def _exists(name: str) -> OutputExistsError:
    return OutputExistsError(f"The output {name} exists.", hint="Use --overwrite to replace it.")


def _check_name(name: str, format: str) -> None:  # noqa: A002
    suffix = Path(name).suffix.lower().lstrip(".")
    if format == "zarr":
        if suffix in raster_driver_extensions():
            raise OptionError(
                f"The output {name} is named like a {raster_driver_extensions()[suffix]} file, but "
                "it will be a Zarr store.",
                hint="End its name with .zarr.",
            )
        return
    driver = "Zarr" if suffix == "zarr" else raster_driver_extensions().get(suffix, "GTiff")
    if driver not in ("GTiff", "COG"):
        more = " or use --format zarr" if driver == "Zarr" else ""
        raise OptionError(
            f"The output {name} is named like a {driver} file, but it will be a GeoTIFF.",
            hint=f"End its name with .tif{more}.",
        )


def _same_file(source: str, name: str) -> bool:
    with suppress(OSError, ValueError):
        return os.path.samefile(source, name)
    return False


def _check_place(path: Path, *, folder: bool) -> None:
    target = Path(os.path.realpath(path))
    if target.is_dir() and not folder:
        raise OutputError(f"The output {path} is a folder.", hint="Name a file inside it.")
    if folder and target.exists() and not (target / "zarr.json").is_file():
        raise OutputError(f"The output {path} is no Zarr store.", hint="Name another output.")
    if not folder and target.exists() and not target.is_file():
        raise OutputError(f"The output {path} is no regular file.", hint="Name another output.")
    parent = target.parent
    if not parent.is_dir():
        raise OutputError(f"There is no folder {parent}.", hint="Make it first.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(
            f"The folder {parent} may not be written to.",
            hint="Write elsewhere, or ask for permission.",
        )
