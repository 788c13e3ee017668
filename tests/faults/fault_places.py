"""Places where outputs are made, in some way, and what is looked at after a fault."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from fault_runs import Nursery
from rasterio.errors import RasterioError

NUM_BLOCKS = 6
"""Of at most 512 x 512 output pixels; a raster so small would else be one block."""


@dataclass(frozen=True)
class Way:
    """One way to store an output.

    Attributes
    ----------
    name
        As issue 3 names the sinks.
    output
        Name of the output.
    options
        What chooses it.
    side
        How many output pixels a block has at most, per side.
    """

    name: str
    output: str
    options: tuple[str, ...]
    side: int = 512


_COG = ("-m", "nearest", "--format", "cog", "--co", "BLOCKSIZE=128")
_HERE = ("-m", "nearest", "--threads", "1")
APPEND = Way("append", "out.tif", (*_COG, "--threads", "1"))
ZARR = Way("zarr", "out.zarr", (*_HERE, "--format", "zarr"))
NETWORK = Way("network", "out.tif", ("--precision", "float32", "--threads", "1"))
LARGE_NETWORK = replace(NETWORK, side=2048)
GTIFF = Way("gtiff", "out.tif", (*_HERE, "--format", "gtiff", "--co", "PROFILE=GeoTIFF"))


def parts(address):
    """Return the way of `APPEND` with the workers of a Dask scheduler."""
    return Way("parts", "out.tif", (*_COG, "--scheduler", address))


@dataclass(frozen=True)
class Undisturbed:
    """What a run makes to which nothing happens.

    Attributes
    ----------
    files
        All that it leaves in an empty folder: the bytes of files by their places.
    calls
        Names of the calls by which it changed files; see `injected.Calls`.
    """

    files: dict = field(repr=False)
    calls: list = field(repr=False)

    @property
    def moments(self):
        """All moments to kill it: before each call, and in the middle of each write."""
        torn = [(at, "tear") for at, name in enumerate(self.calls) if name == "write"]
        return [(at, "kill") for at in range(len(self.calls))] + torn


@dataclass(frozen=True)
class Place:
    """A folder of its own for one output.

    Attributes
    ----------
    source
        What is upscaled.
    folder
        Where the output goes, and nothing else.
    way
        How it is stored.
    wanted
        What an undisturbed run makes of the source.
    """

    nursery: Nursery
    source: Path
    folder: Path
    way: Way
    wanted: Undisturbed

    @property
    def output(self):
        """Path of the output."""
        return self.folder / self.way.output

    @property
    def part(self):
        """Path of what is not the output yet."""
        return self.folder / f"{self.way.output}.part"

    @property
    def left(self):
        """Names of what lies here and is not what an undisturbed run leaves."""
        wanted = {name.split(os.sep)[0] for name in self.wanted.files}
        return sorted(path.name for path in self.folder.iterdir() if path.name not in wanted)

    @property
    def is_identical(self):
        """Whether all is here that an undisturbed run leaves, to the byte."""
        found = files_in(self.folder)
        ours = {name for name in found if name.split(os.sep)[0] not in self.left}
        return {name: found[name] for name in ours} == self.wanted.files

    def start(self, *options, **faults):
        """Start the one command that makes the output."""
        command = ("upscale", self.source, self.output, *self.way.options, *options)
        return self.nursery.start(*command, blocks={"pixels": self.way.side}, **faults)

    def run(self, *options, **faults):
        """Run the one command that makes the output."""
        return self.start(*options, **faults).wait()

    def calls(self, at, do="kill", **more):
        """Return the fault that comes with a call."""
        return {"folder": str(self.folder), "at": at, "do": do, **more}

    def check_unfinished(self):
        """Check that nothing looks finished that is not; return whether the output is there."""
        assert not self.output.exists() or self.is_identical
        if self.part.is_dir():
            assert not (self.part / "zarr.json").exists() or self._part_is_whole
        elif self.part.exists():
            assert not opens(self.part) or self._part_is_whole
        return self.output.exists()

    @property
    def _part_is_whole(self):
        if not self.part.is_dir():
            return self.part.read_bytes() == self.wanted.files[self.way.output]
        found = files_in(self.part).items()
        return {os.path.join(self.way.output, name): data for name, data in found} == (
            self.wanted.files
        )

    def check_finished(self, ended, *, was_there=False):
        """Check that the run has made the output, or said that it is there, and left no more."""
        if was_there:
            assert (ended.status, ended.error["code"]) == (1, "output.exists")
        else:
            assert ended.status == 0, (ended, ended.events[-1:])
        assert self.left == []
        assert self.is_identical

    def check_goes_on(self, *options, **faults):
        """Run the command again, and check that it takes over what is there and finishes."""
        ended = self.run(*options, **faults)
        self.check_finished(ended)
        assert "earlier run" in ended.news
        assert 0 < ended.events[-1]["stats"]["resumed"] <= 1
        return ended


def make_scene(path, *, shape=(300, 560), bands=2, seed=1, **profile):
    """Write a raster of plateaus and noise with a hole in it."""
    rng = np.random.default_rng(seed)
    hills = rng.uniform(500, 9000, (bands, -(-shape[0] // 50), -(-shape[1] // 50)))
    values = hills.repeat(50, 1).repeat(50, 2)[:, : shape[0], : shape[1]]
    values += rng.normal(0, 40, values.shape)
    values = values.clip(1, 10000).astype("uint16")
    values[:, 100:180, 90:300] = 0
    profile = {
        "driver": "GTiff",
        "crs": "EPSG:32632",
        "transform": Affine(10, 0, 500000, 0, -10, 5000000),
        "nodata": 0,
        "width": shape[1],
        "height": shape[0],
        "count": bands,
        "dtype": "uint16",
        "tiled": True,
        "blockxsize": 128,
        "blockysize": 128,
        **profile,
    }
    with rasterio.open(path, "w", **profile) as dst:
        dst.write(values)
    return path


def files_in(folder):
    """Return the bytes of all files in a folder by their places."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def opens(path):
    """Return whether GDAL takes a file for a raster."""
    try:
        with rasterio.open(path):
            return True
    except RasterioError:
        return False


def checksums(path):
    """Return what ``gdalinfo -checksum`` tells of bands and overviews, or rasterio without it."""
    if shutil.which("gdalinfo"):
        command = ["gdalinfo", "-checksum", str(path)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [line.strip() for line in told.splitlines() if "hecksum" in line]
    with rasterio.open(path) as src:
        return [src.checksum(band) for band in src.indexes]
