"""Rasters that stay open from one preview to the next, until they change."""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geosr.core.catalog import find_model
from geosr.core.errors import InputFileError
from geosr.core.geometry import Window
from geosr.core.options import UpscaleOptions
from geosr.core.plan import BlockPlan
from geosr.file_plan import FilePlan
from geosr.foreign import is_model_path
from geosr.io.raster import RasterReader
from geosr.loaded import LoadedModels
from geosr.planning import plan_run

KEPT = 8
"""Rasters, with the options of their previews, that stay open."""

CORE = 128
"""Side of what a tile adds to a preview, in source pixels; more where the halo is wide.

Tiles are of one size for all previews by a model: a network is compiled for each size anew, which
takes as long as a preview. Small tiles fit a view of any size well, and are soon cancelled.
"""

_STATISTICS = ".aux.xml"  # written by viewers while they show a raster; it may hold more

State = tuple[tuple[str, int, int, int], ...]


class OpenReader:
    """A `RasterReader` whose file stays open: all reading is done by one thread.

    An engine's threads come and go, and a raster is open in the thread that opened it.
    """

    def __init__(self, reader: RasterReader, thread: ThreadPoolExecutor) -> None:
        self._reader, self._thread = reader, thread
        self.shape, self.extent, self.dtype = reader.shape, reader.extent, reader.dtype
        self.count, self.alpha = reader.count, reader.alpha

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """Return values and which of them are valid; see `RasterReader.read`."""
        return self._thread.submit(self._reader.read, window).result()

    def close(self) -> None:
        """Close the file; it is opened again when it is read."""
        self._thread.submit(self._reader.close).result()


@dataclass(frozen=True)
class OpenSource:
    """A raster and what a run over all of it would do.

    Attributes
    ----------
    plan
        Of the whole raster, in tiles for previews.
    reader
        Of the whole raster.
    files
        State of the files behind both; empty if they are not all on this machine.
    around
        State of what lies around them: their folders, and the files of statistics.
    """

    plan: FilePlan
    reader: OpenReader
    files: State
    around: State

    def is_current(self) -> bool:
        """Return whether the files are all here, and as they were when they were opened.

        A file that is new beside the raster, such as one with its place or its mask, shows in
        the folder's own state.
        """
        return bool(self.files) and _is_still(self.files) and _is_still(self.around)

    def check_unchanged(self) -> None:
        """Refuse pixels of two states of a file.

        Raises
        ------
        InputFileError
            If it has changed since it was opened.
        """
        if self.files and not _is_still(self.files):
            raise InputFileError(
                f"{self.plan.source.path} was changed while it was read.",
                hint="Ask for the preview again.",
            )


class Sources:
    """Opens rasters and plans their runs; to be used from one thread.

    Parameters
    ----------
    models
        Those loaded already.
    """

    def __init__(self, models: LoadedModels) -> None:
        self._models = models
        self._kept: OrderedDict[tuple[str, str], OpenSource] = OrderedDict()
        self._thread = ThreadPoolExecutor(1, "geosr-source")

    @contextmanager
    def opened(self, path: str, options: UpscaleOptions) -> Iterator[OpenSource]:
        """Yield a raster: the one from before, if nothing has changed since.

        Raises
        ------
        GeosrError
            If it cannot be upscaled so.
        """
        key = path, repr(options)
        source = self._kept.pop(key, None)
        if source is not None and not source.is_current():
            source.reader.close()
            source = None
        source = source or self._new(path, options)
        try:
            yield source
        finally:
            if source.is_current():
                self._keep(key, source)
            else:
                source.reader.close()

    def close(self) -> None:
        """Close all rasters."""
        while self._kept:
            self._kept.popitem()[1].reader.close()
        self._thread.shutdown()

    def _new(self, path: str, options: UpscaleOptions) -> OpenSource:
        first = replace(options, tile_size=options.tile_size or _known_tile_size(options))
        plan = plan_run(path, first, processors=os.cpu_count() or 1, models=self._models)
        if options.tile_size is None:
            plan = replace(plan, blocks=_in_small_tiles(plan))
        names = _local_files(plan, options.model)
        around = sorted({os.path.dirname(os.path.abspath(name)) for name in names})
        around += [name for name in names if name.endswith(_STATISTICS)]
        files = _state(name for name in names if name not in around)
        reader = RasterReader(plan.source, plan.indexes, plan.window)
        return OpenSource(plan, OpenReader(reader, self._thread), files, _state(around))

    def _keep(self, key: tuple[str, str], source: OpenSource) -> None:
        self._kept[key] = source
        if sys.platform == "win32":  # where nobody could replace an open file
            source.reader.close()
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)[1].reader.close()


def tile_size(halo: int) -> int:
    """Return the side of a preview's tiles, halo included, in source pixels.

    >>> tile_size(10), tile_size(40)
    (148, 336)
    """
    return 2 * halo + CORE * min(max(-(-halo // 32), 1), 4)


def _known_tile_size(options: UpscaleOptions) -> int | None:
    """Return the tile size if it can be known beforehand: large tiles may not fit into memory."""
    if is_model_path(options.model) or options.resolution is not None:
        return None
    return tile_size(find_model(options.model, options.upscale_factor).radius)


def _in_small_tiles(plan: FilePlan) -> BlockPlan:
    """Return a plan's blocks in tiles for previews, unless their size changes the pixels."""
    fixed = plan.foreign is not None and plan.foreign.network.layout.form.side is not None
    if fixed or not plan.model.exact:
        return plan.blocks
    return replace(plan.blocks, tile_size=tile_size(plan.blocks.halo))


def _local_files(plan: FilePlan, model: str) -> list[str]:
    """Return all files that a preview depends on; none if some are not on this machine.

    What lies behind a VRT inside a VRT, GDAL does not tell.
    """
    files = list(plan.source.files)
    nested = sum(name.lower().endswith(".vrt") for name in files) > 1
    if nested or not all(map(os.path.isfile, files)):
        return []
    return [*files, model] if os.path.isfile(model) else files


def _state(names: Iterable[str]) -> State:
    """Return what changes when files do; nothing if one of them is gone."""
    found = []
    for name in names:
        try:
            state = os.stat(name)
        except OSError:
            return ()
        found.append((name, state.st_ino, state.st_size, state.st_mtime_ns))
    return tuple(found)


def _is_still(state: State) -> bool:
    return _state(name for name, *_ in state) == state
