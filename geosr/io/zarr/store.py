"""Arrays in memory, where the package zarr makes the bytes: of blocks, and of the metadata."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geosr.core.plan import Block
from geosr.io.encoded import EncodedBlock
from geosr.io.output import Output
from geosr.io.zarr.attributes import (
    MAPPING,
    centres,
    data_attributes,
    mapping_attributes,
    stored_fill,
)
from geosr.io.zarr.layout import DATA, MASK, layout_of
from geosr.io.zarr.options import blosc_level, require_zarr

if TYPE_CHECKING:
    import zarr


class ZarrEncoder:
    """Makes the files of blocks; call it from any thread, on any machine.

    Chunks are compressed by Blosc, with their bits shuffled: on satellite imagery a quarter
    smaller than plain Zstandard and as fast. (The codec ``gzip`` would write the time of day.)

    Each thread has files of its own: a cluster may run a block again on a worker whose first
    attempt goes on, and one of them would take the other's chunk away.

    Raises
    ------
    MissingDependencyError
        If the package zarr is not here.
    """

    def __init__(self, output: Output) -> None:
        require_zarr()
        self.layout = layout_of(output)
        self._output = output
        self._own = threading.local()

    def encode(
        self, block: Block, values: NDArray[np.generic], valid: NDArray[np.bool_] | None
    ) -> EncodedBlock:
        """Return a block's files: its pixels and, if there is one, its mask.

        Chunks of nothing but holes are left out; a file without any chunk is empty.
        """
        files, arrays = self._scratch()
        rows, cols = block.output.slices
        arrays[0][:, rows, cols] = values
        for mask in arrays[1:]:
            whole = np.ones(values.shape[1:], bool) if valid is None else valid.all(axis=0)
            mask[rows, cols] = whole.astype(np.uint8)
        return EncodedBlock(tuple(map(files.take, self.layout.keys(block))))

    def _scratch(self) -> tuple[_Files, tuple[zarr.Array[Any], ...]]:
        """Return this thread's files in memory and the arrays that write them."""
        if not hasattr(self._own, "scratch"):
            files = _Files()
            self._own.scratch = (files, _create_rasters(files.group(), self._output))
        scratch: tuple[_Files, tuple[zarr.Array[Any], ...]] = self._own.scratch
        return scratch


def metadata_files(output: Output) -> dict[str, bytes]:
    """Return all files of a store but those of its blocks, by their paths inside it.

    The last of them, ``zarr.json``, repeats the others' metadata: one read opens the store.
    """
    require_zarr()
    import zarr
    from zarr.errors import ZarrUserWarning

    files = _Files()
    group = files.group()
    said = mapping_attributes(output)
    for raster in _create_rasters(group, output):
        raster.update_attributes(_attributes(raster.basename, output, placed=said is not None))
    count = output.profile.count
    axes = {"band": np.arange(1, count + 1, dtype=np.int64), **centres(output.profile)}
    for name, values in axes.items():
        group.create_array(
            name,
            data=values,
            chunks=values.shape,
            compressors=_compressors(output),
            dimension_names=(name,),
        )
    if said is not None:
        group.create_array(MAPPING, shape=(), dtype="int64", fill_value=0, attributes=said)
    with warnings.catch_warnings():
        # xarray reads it so by default; other readers look into each array.
        warnings.filterwarnings("ignore", "Consolidated metadata", ZarrUserWarning)
        zarr.consolidate_metadata(group.store, zarr_format=3)
    return files.take_all()


class _Files:
    """The files of a store in memory."""

    def __init__(self) -> None:
        self._buffers: dict[str, Any] = {}

    def group(self) -> zarr.Group:
        """Return a new store's root."""
        import zarr

        return zarr.create_group(zarr.storage.MemoryStore(self._buffers), zarr_format=3)

    def take(self, key: str) -> bytes:
        """Return a file's bytes and forget it; nothing if it is not there."""
        buffer = self._buffers.pop(key, None)
        data: bytes = b"" if buffer is None else buffer.to_bytes()
        return data

    def take_all(self) -> dict[str, bytes]:
        """Return the bytes of all files."""
        return {key: self.take(key) for key in sorted(self._buffers)}


def _create_rasters(group: zarr.Group, output: Output) -> tuple[zarr.Array[Any], ...]:
    """Create the array of pixels and that of the mask, if there is one."""
    layout, compressors = layout_of(output), _compressors(output)
    data = group.create_array(
        DATA,
        shape=layout.shape,
        dtype=output.profile.dtype,
        chunks=layout.chunk,
        shards=layout.shard,
        compressors=compressors,
        fill_value=stored_fill(output.profile),
        dimension_names=("band", "y", "x"),
        config={"write_empty_chunks": False},
    )
    if not layout.has_mask:
        return (data,)
    mask = group.create_array(
        MASK,
        shape=layout.shape[1:],
        dtype="uint8",
        chunks=layout.chunk[1:],
        shards=layout.shard[1:],
        compressors=compressors,
        fill_value=0,
        dimension_names=("y", "x"),
        config={"write_empty_chunks": False},
    )
    return (data, mask)


def _attributes(name: str, output: Output, *, placed: bool) -> dict[str, Any]:
    """Return the attributes of an array of pixels."""
    # As a coordinate it is found without decode_coords="all", too.
    place = {"grid_mapping": MAPPING, "coordinates": MAPPING} if placed else {}
    if name == MASK:
        return {"flag_values": [0, 1], "flag_meanings": "invalid valid", **place}
    return data_attributes(output) | place


def _compressors(output: Output) -> list[Any]:
    from zarr.codecs import BloscCodec

    found = blosc_level(output.profile.creation_options)
    if found is None:
        return []
    name, level = found
    return [BloscCodec(cname=name, clevel=level, shuffle="bitshuffle")]
