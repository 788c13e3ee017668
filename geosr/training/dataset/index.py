"""The index of a patch set: JSON that says where every patch is and where it comes from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from geosr.core.errors import InputFileError

INDEX = "index.json"
VERSION = 1

Part = Literal["train", "validation"]


@dataclass(frozen=True)
class SourceEntry:
    """A raster that patches come from, or a pair of them.

    Attributes
    ----------
    path
        As it was found; of a pair, the high resolution.
    dtype, bands, nodata, crs, transform
        Of the raster; ``bands`` are the numbers of those that were taken, and a
        ``nodata`` of NaN is text, because JSON has no such number.
    scaling
        For each stored band the values that stand for 0 and 1 in training.
    scene
        Number of the scene; sources of one scene are in the same part.
    low
        Of a pair: the path of the low resolution, and how the two were matched.
    """

    path: str
    dtype: str
    bands: tuple[int, ...]
    nodata: tuple[float | str | None, ...]
    crs: str | None
    transform: tuple[float, ...] | None
    scaling: tuple[tuple[float, float], ...]
    scene: int
    part: Part
    low: dict[str, Any] | None = None


@dataclass(frozen=True)
class ShardEntry:
    """A file of patches ``(patches, bands, height, width)``; with pairs, another of their low side.

    Attributes
    ----------
    offset
        Bytes before the first patch.
    """

    file: str
    part: Part
    dtype: str
    shape: tuple[int, ...]
    offset: int
    sha256: str
    low: dict[str, Any] | None = None


@dataclass(frozen=True)
class PatchEntry:
    """A patch.

    Attributes
    ----------
    shard, item
        Numbers, from 0: its file, and its place there.
    source
        Number of its source, from 0.
    window
        First row and column, height and width in the source, in pixels.
    sharpness
        See `geosr.training.dataset.filters.sharpness`.
    sha256
        Of its values as stored, the first 16 digits.
    correlation
        Of a cross-sensor pair, after matching.
    """

    shard: int
    item: int
    source: int
    window: tuple[int, int, int, int]
    sharpness: float
    sha256: str
    correlation: float | None = None


@dataclass
class Index:
    """A patch set.

    Attributes
    ----------
    patch
        Side of a patch, in high-resolution pixels.
    upscale_factor
        Of the low side, if it is stored; else 0: training degrades the patches as it draws them.
    settings
        What decided the set: all options of the command.
    dropped
        How many patches were left out, by reason.
    """

    patch: int
    upscale_factor: int
    settings: dict[str, Any]
    sources: list[SourceEntry] = field(default_factory=list)
    shards: list[ShardEntry] = field(default_factory=list)
    patches: list[PatchEntry] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)

    def count(self, part: Part) -> int:
        """Return how many patches a part has."""
        return sum(self.shards[patch.shard].part == part for patch in self.patches)

    def to_json(self) -> str:
        """Return the index as text, one source, shard and patch a line."""
        head = {
            "format": "geosr patches",
            "version": VERSION,
            "patch": self.patch,
            "upscale_factor": self.upscale_factor,
            "settings": self.settings,
            "dropped": self.dropped,
        }
        lines = [json.dumps(head, indent=1, ensure_ascii=False)[:-2]]
        for name, entries in (
            ("sources", self.sources),
            ("shards", self.shards),
            ("patches", self.patches),
        ):
            rows = ",\n".join(
                "  " + json.dumps(asdict(entry), ensure_ascii=False) for entry in entries
            )
            lines.append(f' "{name}": [\n{rows}\n ]')
        return ",\n".join(lines) + "\n}\n"


def read_index(folder: Path) -> Index:
    """Read the index of a patch set.

    Raises
    ------
    InputFileError
        If the folder is no patch set, or one of another version.
    """
    path = folder / INDEX
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if table.get("format") != "geosr patches":
            raise ValueError("it is something else")
        if table["version"] != VERSION:
            raise ValueError(f"it is of version {table['version']}, and this geosr reads {VERSION}")
        return Index(
            table["patch"],
            table["upscale_factor"],
            table["settings"],
            [SourceEntry(**_tuples(entry)) for entry in table["sources"]],
            [ShardEntry(**_tuples(entry)) for entry in table["shards"]],
            [PatchEntry(**_tuples(entry)) for entry in table["patches"]],
            table["dropped"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputFileError(
            f"{folder} is no patch set: its {INDEX} cannot be read: {why}.",
            hint="Make one with `geosr dataset`.",
        ) from error


def _tuples(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object's values with tuples for lists."""
    return {key: _tuple(value) for key, value in entry.items()}


def _tuple(value: Any) -> Any:
    return tuple(_tuple(item) for item in value) if isinstance(value, list) else value
