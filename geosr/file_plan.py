"""What a run will do, as a value: for the run itself, and for people who ask first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from geosr.core.facts import ModelFacts
from geosr.core.geometry import Window
from geosr.core.plan import BlockPlan
from geosr.engine import Work
from geosr.foreign import ForeignPredictor
from geosr.io.facts import RasterFacts
from geosr.io.profile import OutputProfile
from geosr.predictors import Machinery

BLOCKS_READ = 5
"""Sources of blocks in memory at once: two read ahead, two predicted, one encoded."""

BLOCKS_MADE = 3
"""Outputs of blocks in memory at once: two predicted, one encoded."""

BASE_BYTES = 250 << 20
"""What Python, GDAL and a runtime take before the first pixel."""

NETWORK_BYTES = 700
"""What a worker's network takes for each pixel of its tile; measured with geosr-lite."""


@dataclass(frozen=True)
class TimeEstimate:
    """How long a run will take.

    Attributes
    ----------
    seconds
        From beginning to end.
    measured
        What it was concluded from, for people.
    """

    seconds: float
    measured: str


@dataclass(frozen=True)
class FilePlan:
    """What a run will do.

    Attributes
    ----------
    source, indexes, window
        The raster, its bands, and the part of it that is upscaled.
    model, machinery
        What predicts, and what it runs on.
    output
        The file to be made.
    blocks
        Windows to read, predict and write.
    work
        How pixels are treated.
    foreign
        A network without a card, already opened for its probe; else None.
    notes
        What the user should know.
    time
        How long it will take; None if nothing was measured: see `geosr.calibration`.
    uncertainty
        The plan of the second output, which tells how sure the first is; None: there is none.
    """

    source: RasterFacts
    indexes: tuple[int, ...]
    window: Window
    model: ModelFacts
    machinery: Machinery
    output: OutputProfile
    blocks: BlockPlan
    work: Work
    foreign: ForeignPredictor | None
    notes: tuple[str, ...]
    time: TimeEstimate | None = None
    uncertainty: FilePlan | None = None

    @property
    def ram_bytes(self) -> int:
        """Estimate of the peak of resident memory."""
        itemsize = np.dtype(self.output.dtype).itemsize
        first = next(self.blocks.blocks()).output  # no other block is larger
        pixels = first.height * first.width * self.output.count
        kept = itemsize if self.model.exact and not self.work.resampler else 4
        read = int(pixels / self.model.upscale_factor**2) * (itemsize + 6)  # and floats, and flags
        tile = self.blocks.tile_size**2
        tiles = tile * (NETWORK_BYTES if not self.model.is_kernel else 0)
        phases = tile * 16 * self.model.upscale_factor**2 * self.model.bands
        many = self.blocks.num_blocks
        blocks = min(BLOCKS_READ, many) * read + min(BLOCKS_MADE, many) * pixels * kept
        return BASE_BYTES + blocks + self.machinery.threads * (tiles + phases)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        grid, placed = self.output.grid, self.source.has_transform
        return {
            "source": self.source.path,
            "source_shape": list(self.window.shape),
            "bands": list(self.indexes),
            "model": self.model.name,
            "factor": self.model.upscale_factor,
            "radius": self.model.radius,
            "runtime": self.machinery.runtime,
            "device": self.machinery.device,
            "precision": self.machinery.precision,
            "threads": self.machinery.threads,
            "width": self.output.grid.shape[1],
            "height": self.output.grid.shape[0],
            "transform": list(grid.transform) if placed else None,
            "bounds": list(grid.bounds) if placed else None,
            "pixel_size": list(grid.pixel_size) if placed else None,
            "dtype": self.output.dtype,
            "nodata": self.output.nodata.value,
            "creation_options": dict(self.output.creation_options),
            "blocks": self.blocks.num_blocks,
            "tiles": self.blocks.num_tiles,
            "tile_size": self.blocks.tile_size,
            "ram_bytes": self.ram_bytes,
            "disk_bytes": self.output.raw_bytes,
            "seconds": round(self.time.seconds, 3) if self.time else None,
            "notes": list(self.notes),
            "uncertainty": self.uncertainty.to_dict() if self.uncertainty else None,
        }

    def lines(self) -> tuple[str, ...]:
        """Return the plan for people."""
        height, width = self.output.grid.shape
        machinery = self.machinery
        rows = [
            ("Source", f"{self.window.width} x {self.window.height}, {len(self.indexes)} bands"),
            ("Model", f"{self.model.name}, {machinery.runtime}, {machinery.precision}"),
            ("Output", f"{width} x {height}, {self.output.dtype}"),
            *self._place(),
            (
                "Work",
                f"{self.blocks.num_blocks} blocks, {self.blocks.num_tiles} tiles of "
                f"{self.blocks.tile_size} pixels, {machinery.threads} threads",
            ),
            ("Memory", f"about {megabytes(self.ram_bytes)}"),
            ("Disk", f"at most {megabytes(self.output.raw_bytes)}, less what compression saves"),
        ]
        if self.time:
            took = f"about {duration(self.time.seconds)}, measured with {self.time.measured}"
            rows.append(("Time", took))
        lines = (*(f"{name:<11}{value}" for name, value in rows), *self.notes)
        if self.uncertainty is None:
            return lines
        return (*lines, "", "Then how sure it is:", *self.uncertainty.lines())

    def _place(self) -> list[tuple[str, str]]:
        """Return where the output lies, for `lines`."""
        if not self.source.has_transform:
            return [("Transform", "none, as in the source")]
        grid, before = self.output.grid, self.source.grid.pixel_size
        after = grid.pixel_size
        return [
            ("Pixel size", f"{before[0]:g} x {before[1]:g} to {after[0]:g} x {after[1]:g}"),
            ("Transform", " ".join(f"{value!r}" for value in grid.transform)),
            ("Bounds", " ".join(f"{value!r}" for value in grid.bounds)),
        ]


def megabytes(size: int) -> str:
    """Return a size in bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def duration(seconds: float) -> str:
    """Return a length of time for people.

    >>> duration(160), duration(3 * 3600 + 61), duration(0.2)
    ('2 min 40 s', '3 h 01 min', '1 s')
    """
    whole = max(round(seconds), 1)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"
