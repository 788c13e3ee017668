"""What each raster becomes, and whether it is there already."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from geosr.batch.sources import Source
from geosr.core.errors import (
    InputFileError,
    OptionError,
    OutputError,
    OutputExistsError,
)
from geosr.file_plan import FilePlan
from geosr.io.facts import read_facts
from geosr.io.remote import is_remote
from geosr.io.zarr.attributes import MAPPING
from geosr.io.zarr.layout import DATA
from geosr.outputs import tags_of

_SAID = {
    "GEOSR_MODEL": "model",
    "GEOSR_FACTOR": "factor",
    "GEOSR_PRECISION": "precision",
    "GEOSR_CONSISTENCY": "consistency",
}


@dataclass(frozen=True)
class Job:
    """A raster, and where its output goes."""

    source: Source
    output: str


def name_outputs(sources: Sequence[Source], out_dir: str, format: str) -> tuple[Job, ...]:  # noqa: A002
    """Return the jobs of a batch.

    Raises
    ------
    OptionError
        If two sources would have the same output.
    """
    jobs: dict[str, Job] = {}
    for source in sources:
        suffix = "zarr" if format == "zarr" else "tif"
        output = os.path.join(out_dir, f"{source.stem}.{suffix}")
        # Some file systems take capitals for small letters.
        other = jobs.setdefault(output.casefold(), Job(source, output))
        if other.source != source:
            raise OptionError(
                f"{other.source.path} and {source.path} would both become {output}.",
                hint="Upscale them into different folders.",
            )
    return tuple(jobs.values())


def make_folder(out_dir: str) -> None:
    """Make the folder of the outputs, if it is missing; object storage has none.

    Raises
    ------
    OutputError
        If that is not possible.
    """
    if is_remote(out_dir):
        return
    try:
        os.makedirs(out_dir, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {out_dir} cannot be made: {error.strerror}.",
            hint="Name another with --out-dir.",
        ) from error


@dataclass(frozen=True)
class Made:
    """What an existing output says of itself.

    Attributes
    ----------
    tags
        Of the default namespace.
    shape, count, dtype
        ``(height, width)`` in pixels, number of bands, and their dtype.
    corner
        ``x`` and ``y`` of the first pixel's outer corner; None if it has no place.
    """

    tags: Mapping[str, str]
    shape: tuple[int, int]
    count: int
    dtype: str
    corner: tuple[float, float] | None


def check_finished(plan: FilePlan, output: str) -> None:
    """Return if a run of this plan has made what is at ``output``.

    Raises
    ------
    OutputExistsError
        If it is something else; the sentence says what.
    """
    other = _difference(plan, output)
    if other:
        raise OutputExistsError(
            f"The output {output} exists, {other}.",
            hint="Use --overwrite to replace it, or another --out-dir.",
        )


def _difference(plan: FilePlan, output: str) -> str:
    """Return in words what an existing output is, if it is not what the plan makes."""
    try:
        made = _read_made(output)
    except InputFileError as error:
        return f"and cannot be read: {error.message.rstrip('.')}"
    if "GEOSR_MODEL" not in made.tags:
        return "and geosr has not made it"
    wanted = tags_of(plan, "")  # a newer geosr makes the same of the same model, as a rule
    if any(made.tags.get(name) != tag for name, tag in wanted.items()):
        return "and was made with {}, not with {}".format(*_in_words(made.tags, wanted))
    profile = plan.output
    if (made.shape, made.count, made.dtype) != (profile.grid.shape, profile.count, profile.dtype):
        bands = f"{made.count} band{'s' * (made.count > 1)}"
        return f"with {made.shape[1]} x {made.shape[0]} pixels and {bands} of {made.dtype}"
    if made.corner is not None and profile.has_transform:
        _, _, x, _, _, y = profile.grid.transform
        width, height = profile.grid.pixel_size
        if abs(made.corner[0] - x) > width / 2 or abs(made.corner[1] - y) > height / 2:
            return "and lies elsewhere"
    return ""


def _read_made(output: str) -> Made:
    if os.path.isdir(output):
        return _read_store(Path(output))  # which GDAL cannot do
    facts = read_facts(output)
    _, _, x, _, _, y = facts.grid.transform
    corner = (x, y) if facts.has_transform else None
    tags = facts.metadata.tags.get("", {})
    return Made(tags, facts.grid.shape, facts.count, facts.dtype, corner)


def _read_store(store: Path) -> Made:
    try:
        array = json.loads((store / DATA / "zarr.json").read_bytes())
        count, height, width = array["shape"]
        place = store / MAPPING / "zarr.json"
        corner = None
        if place.exists() and "GeoTransform" in (
            said := json.loads(place.read_bytes())["attributes"]
        ):
            numbers = [float(number) for number in said["GeoTransform"].split()]
            corner = (numbers[0], numbers[3])
        return Made(array["attributes"], (height, width), count, array["data_type"], corner)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise InputFileError(f"{store} is of no store that geosr has made.") from error


def _in_words(*tags: Mapping[str, str]) -> list[str]:
    """Return how several sets of tags differ, each in words."""
    names = [name for name in _SAID if len({each.get(name) for each in tags}) > 1]
    if not names:
        return ["other weights or another model range", "these"]
    return [
        ", ".join(f"{_SAID[name]} {each.get(name, 'unknown')}" for name in names) for each in tags
    ]
