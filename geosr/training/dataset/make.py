"""Make a patch set: plan the scenes, then cut, filter and store."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from geosr.core.errors import CancelledError, InputFileError
from geosr.core.events import EventSink, no_events, phase_event, progress_event
from geosr.core.geometry import GeoGrid, Window
from geosr.training.dataset.complaints import Complaints, Failed
from geosr.training.dataset.filters import Duplicates, sharpness
from geosr.training.dataset.index import INDEX, Index, Part, PatchEntry
from geosr.training.dataset.opening import AnySource, open_sources
from geosr.training.dataset.options import DatasetOptions
from geosr.training.dataset.pairs import PairSource
from geosr.training.dataset.place import check_place, new_folder
from geosr.training.dataset.scenes import group_scenes, split_scenes
from geosr.training.dataset.shards import ShardWriter, writing
from geosr.training.dataset.sources import Cut


@dataclass(frozen=True)
class DatasetJob:
    """What goes in, and where it goes.

    Attributes
    ----------
    paths
        Rasters.
    pairs
        Rasters of one place by two sensors, the coarser first.
    out_dir
        The folder to be made.
    overwrite
        Replace the patch set that is there.
    dry_run
        Write nothing.
    """

    paths: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    out_dir: str
    overwrite: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class DatasetReport:
    """What a patch set came to be.

    Attributes
    ----------
    output
        Its folder.
    index
        See `Index`.
    failed
        Sources that could not be read, or not to the end.
    """

    output: str
    index: Index
    failed: tuple[Failed, ...]


def make_dataset(
    job: DatasetJob,
    options: DatasetOptions,
    *,
    on_event: EventSink = no_events,
    should_stop: Callable[[], bool] = lambda: False,
) -> DatasetReport:
    """Cut rasters into patches, or pairs of rasters into pairs of patches, and store them.

    The folder appears under its name when all is written. A source that cannot be read is named
    and left out; what it gave before stays. The same job and options give the same bytes.

    Raises
    ------
    InputFileError, UnsupportedRasterError
        If no source is left, or no patch.
    OptionError
        If the options do not fit each other or the rasters.
    OutputError, OutputExistsError
        If the folder cannot be made.
    CancelledError
        If the run was stopped; nothing of it is left.
    """
    folder = Path(os.path.abspath(job.out_dir))
    check_place(folder, overwrite=job.overwrite)
    complaints = Complaints(on_event)
    on_event(phase_event("Looking at the rasters"))
    sources = open_sources(job.paths, job.pairs, options, complaints)
    scenes, parts = planned_scenes(sources, options)
    place = nullcontext(None) if job.dry_run else new_folder(folder, overwrite=job.overwrite)
    with place as part:
        making = _Making(options, complaints, ShardWriter(part), should_stop)
        on_event(phase_event("Cutting patches"))
        making.cut_all(sources, scenes, parts)
        index = making.finished()
        if part is not None:
            with writing(part / INDEX):
                (part / INDEX).write_text(index.to_json(), encoding="utf-8")
    return DatasetReport(job.out_dir, index, tuple(complaints.failed))


def planned_scenes(
    sources: Sequence[AnySource], options: DatasetOptions
) -> tuple[list[int], list[Part]]:
    """Return each source's scene, and the part that the scene is for.

    Raises
    ------
    OptionError
        If there is only one scene to split, or the pattern for their names is wrong.
    """
    paths: list[str] = []
    grids: list[GeoGrid | None] = []
    owners: list[int] = []
    for number, source in enumerate(sources):
        places = source.grids or (None,)
        paths += [source.facts.path] * len(places)
        grids += places
        owners += [number] * len(places)
    grouped = group_scenes(paths, grids, options.scene)
    scenes = [grouped[owners.index(number)] for number in range(len(sources))]
    sizes = [0] * (max(grouped) + 1)
    for source, scene in zip(sources, scenes, strict=True):
        sizes[scene] += len(source.windows)
    trained = split_scenes(sizes, options.split, options.seed)
    return scenes, ["train" if trained[scene] else "validation" for scene in scenes]


class _Making:
    """A patch set in the making."""

    def __init__(
        self,
        options: DatasetOptions,
        complaints: Complaints,
        writer: ShardWriter,
        should_stop: Callable[[], bool],
    ) -> None:
        self._options, self._complaints = options, complaints
        self._writer, self._should_stop = writer, should_stop
        self._duplicates = Duplicates(options.max_likeness)
        self._dropped: Counter[str] = Counter()
        self._index = Index(options.patch, 0, asdict(options))

    def cut_all(
        self, sources: Sequence[AnySource], scenes: Sequence[int], parts: Sequence[Part]
    ) -> None:
        """Cut the sources one after the other."""
        total = sum(len(source.windows) for source in sources)
        done = 0
        for source, scene, part in zip(sources, scenes, parts, strict=True):
            kept = len(self._index.patches)
            if isinstance(source, PairSource) or source.degradation:
                self._index.upscale_factor = source.upscale_factor
            with self._complaints.of(source.name):
                told = source.prepare()
                if told:
                    self._complaints.tell("info", told)
                self._index.sources.append(source.entry(scene, part))
                for place, window in enumerate(source.windows, 1):
                    if self._should_stop():
                        raise CancelledError("Stopped; nothing was written.")
                    self._take(source, window)
                    self._complaints.on_event(progress_event(done + place, total))
            source.close()
            done += len(source.windows)
            count = len(self._index.patches) - kept
            told = f"{source.name}: {count} of {len(source.windows)} patches, for {part}"
            self._complaints.tell("info", told)

    def _take(self, source: AnySource, window: Window) -> None:
        cut = source.cut(window)
        if isinstance(cut, str):
            self._dropped[cut] += 1
            return
        scale = np.array(source.scaling, np.float32)[:, :, None, None]
        scaled = (cut.high.astype(np.float32) - scale[:, 0]) / (scale[:, 1] - scale[:, 0])
        sharp = sharpness(scaled)
        if sharp < self._options.min_sharpness:
            self._dropped["blurred"] += 1
        elif not self._duplicates.is_new(scaled):
            self._dropped["duplicates"] += 1
        else:
            shard, item = self._writer.add(self._index.sources[-1].part, cut.high, cut.low)
            place = (window.row_off, window.col_off, window.height, window.width)
            number = len(self._index.sources) - 1
            self._index.patches.append(
                PatchEntry(
                    shard, item, number, place, round(sharp, 5), _digest(cut), cut.correlation
                )
            )

    def finished(self) -> Index:
        """Write what is left, and return the index.

        Raises
        ------
        InputFileError
            If no patch is left.
        """
        index = self._index
        index.dropped = dict(sorted(self._dropped.items()))
        if not index.patches:
            if self._complaints.first and not index.dropped:
                raise self._complaints.first
            counts = ", ".join(f"{count} {why}" for why, count in index.dropped.items())
            raise InputFileError(
                f"No patch is left: {counts}.",
                hint="Look at --min-sharpness, --max-likeness and, with pairs, --min-correlation.",
            )
        index.shards = self._writer.close()
        for part in ("train", "validation"):
            if index.count(part) == 0 and (part == "train" or self._options.split < 1):
                self._complaints.tell("warning", f"No patch is left for {part}.")
        return index


def _digest(cut: Cut) -> str:
    return sha256(np.ascontiguousarray(cut.high).tobytes()).hexdigest()[:16]
