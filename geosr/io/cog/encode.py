"""A block's compressed tiles, of all resolutions that fit inside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from geosr.core.geometry import Window
from geosr.core.plan import Block
from geosr.io.cog.directory import (
    HEIGHT,
    MASK,
    NEW_SUBFILE_TYPE,
    PHOTOMETRIC,
    TILE_BYTE_COUNTS,
    TILE_OFFSETS,
    WIDTH,
    Image,
    Tag,
    Tags,
    header,
    read_directories,
)
from geosr.io.cog.layout import CogLayout, cog_layout, reduced
from geosr.io.cog.options import OURS
from geosr.io.cog.pyramid import halved
from geosr.io.encoded import EncodedBlock
from geosr.io.opening import GDAL_ERRORS, lacks_memory, open_raster, reason
from geosr.io.output import Output
from geosr.io.raster import equals_nodata

Values = NDArray[Any]
Valid = NDArray[np.bool_]

_TRANSPARENCY_MASK = 4  # of PHOTOMETRIC
_LITTLE = {"ENDIANNESS": "LITTLE"}


def layout_of(output: Output) -> CogLayout:
    """Return the layout of an output."""
    profile, options = output.profile, output.profile.creation_options
    planes = 1 if options["INTERLEAVE"] == "PIXEL" else profile.count
    return cog_layout(
        output.blocks,
        profile.grid.shape,
        (int(options["BLOCKYSIZE"]), int(options["BLOCKXSIZE"])),
        planes=planes,
        has_mask=profile.nodata.write_mask,
        overviews=options.get("OVERVIEWS", "AUTO") != "NONE",
    )


class BlockEncoder:
    """Makes the tiles of blocks; call it from any thread.

    GDAL compresses: it writes a GeoTIFF of the block into memory, whose tiles are those of the
    whole, and they are taken out of it.
    """

    def __init__(self, output: Output) -> None:
        self._profile = output.profile
        self._codec = TileCodec(output)
        self.layout = layout_of(output)

    def encode(self, block: Block, values: Values, valid: Valid | None) -> EncodedBlock:
        """Return a block's tiles: coarse resolutions first, each before its mask."""
        del block  # its tiles are the same wherever it lies
        whole = {(0, False): self._codec.encode(values)}
        if self.layout.has_mask:
            whole[0, True] = self._codec.encode_mask(values.shape[1:], valid)
        coarse = self.further(values, valid, 0, self.layout.in_block)
        order = self.layout.images(0, 1)
        return EncodedBlock(coarse.blobs + tuple(blob for image in order for blob in whole[image]))

    def further(self, values: Values, valid: Valid | None, base: int, until: int) -> EncodedBlock:
        """Return the tiles of the levels after ``base`` and before ``until``.

        ``values`` and ``valid`` are ``(bands, height, width)`` of level ``base``.
        """
        nodata = self._profile.nodata
        images: dict[tuple[int, bool], list[bytes]] = {}
        for level in range(base + 1, until):
            values, valid = halved(values, valid, fill=nodata.fill, nodata=nodata.value)
            images[level, False] = self._codec.encode(values)
            if self.layout.has_mask:
                images[level, True] = self._codec.encode_mask(values.shape[1:], valid)
        order = self.layout.images(base + 1, until)
        return EncodedBlock(tuple(blob for image in order for blob in images[image]))

    def places(self, window: Window, first: int, last: int) -> list[tuple[int, bool, int]]:
        """Return level, whether it is the mask, and number of each tile of these levels.

        ``window`` is one of the full resolution.
        """
        return [
            (level, is_mask, number)
            for level, is_mask in self.layout.images(first, last)
            for number in self._levels(is_mask)[level].numbers(reduced(window, level))
        ]

    def _levels(self, is_mask: bool) -> tuple[Any, ...]:
        return self.layout.mask_levels if is_mask else self.layout.levels


class TileCodec:
    """Compresses and decompresses tiles of an output; call it from any thread."""

    def __init__(self, output: Output) -> None:
        profile, options = output.profile, output.profile.creation_options
        kept = {name: options[name] for name in options if name != OURS}
        self._options = kept | {"SPARSE_OK": "TRUE", "BIGTIFF": "NO", **_LITTLE}
        self._nodata = profile.nodata.value
        colours = output.metadata.colours
        self._alpha = colours.index("alpha") if "alpha" in colours else None
        self._keywords = {
            "count": profile.count,
            "dtype": profile.dtype,
            "nodata": profile.nodata.value,
        }
        tile = {name: options[name] for name in ("TILED", "BLOCKXSIZE", "BLOCKYSIZE")}
        # A mask is always packed so: it has two values, and any reader of TIFF knows it.
        self._mask_options = {"COMPRESS": "DEFLATE", "ZLEVEL": "6", "NBITS": "1", **tile, **_LITTLE}
        self._mask_options |= {"SPARSE_OK": "TRUE", "BIGTIFF": "NO"}

    def encode(self, values: Values) -> list[bytes]:
        """Return the tiles of ``(bands, height, width)``, plane by plane, row by row."""
        return self._tiles(values, self._keywords, self._options)

    def encode_mask(self, shape: tuple[int, ...], valid: Valid | None) -> list[bytes]:
        """Return the tiles of a mask: one bit a pixel, 1 where all bands are valid."""
        whole: Values = np.ones(shape, np.uint8)
        if valid is not None:
            whole = np.asarray(valid.all(axis=0), np.uint8)
        return self._tiles(whole[None], {"count": 1, "dtype": "uint8"}, self._mask_options)

    def decode(self, shape: tuple[int, int], blobs: list[bytes], tags: Tags) -> Values:
        """Return ``(bands, height, width)`` of tiles that `encode` has made.

        ``tags`` are those of an image of this kind; its shape in them is not looked at.
        """
        sizes = np.array([len(blob) for blob in blobs], np.uint64)
        wanted = with_shape(tags, shape)
        length = len(header([Image(wanted, sizes, sizes)], big=False))
        offsets = length + np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.uint64)
        offsets[sizes == 0] = 0
        file = header([Image(wanted, offsets, sizes)], big=False) + b"".join(blobs)
        with MemoryFile(file) as memory, open_raster(memory.name) as src:
            values: Values = src.read()
            return values

    def valid(self, values: Values) -> Valid | None:
        """Return which pixels are valid by their values; None: all."""
        good = np.ones(values.shape, np.bool_)
        if values.dtype.kind == "f":
            good &= np.isfinite(values)
        if self._nodata is not None:
            good &= ~equals_nodata(values, self._nodata)
        if self._alpha is not None:
            good &= values[self._alpha] != 0
            good[self._alpha] = True
        return None if good.all() else good

    def mask_tags(self) -> dict[int, Tag]:
        """Return the tags that the mask's images have in common."""
        with MemoryFile() as memory:
            kind = {"driver": "GTiff", "count": 1, "dtype": "uint8", "height": 16, "width": 16}
            open_raster(memory.name, "w", **kind, **self._mask_options).close()
            tags = read_directories(memory.getbuffer())[0]
        tags[PHOTOMETRIC] = Tag.short(_TRANSPARENCY_MASK)
        tags[NEW_SUBFILE_TYPE] = Tag.long(MASK)
        return tags

    def _tiles(
        self, values: Values, keywords: Mapping[str, Any], options: Mapping[str, str]
    ) -> list[bytes]:
        """Return tiles plane by plane; a row of them at a time, so that GDAL keeps little."""
        height = int(options["BLOCKYSIZE"])
        rows = [
            _row_of_tiles(values[:, row : row + height], keywords, options)
            for row in range(0, values.shape[1], height)
        ]
        planes = len(values) if options.get("INTERLEAVE") == "BAND" else 1
        cols = len(rows[0]) // planes
        return [
            tile
            for plane in range(planes)
            for row in rows
            for tile in row[plane * cols : (plane + 1) * cols]
        ]


def _row_of_tiles(
    values: Values, keywords: Mapping[str, Any], options: Mapping[str, str]
) -> list[bytes]:
    """Let GDAL write a raster into memory, and return its tiles as they lie there."""
    shape = dict(zip(("height", "width"), values.shape[1:], strict=True))
    with MemoryFile() as memory:
        try:
            with open_raster(
                memory.name, "w", driver="GTiff", **keywords, **shape, **options
            ) as dst:
                dst.write(values)
        except GDAL_ERRORS as error:
            if lacks_memory(error):
                raise MemoryError(reason(error)) from error
            raise
        data = memory.getbuffer()
        tags = read_directories(data)[0]
        offsets, counts = tags[TILE_OFFSETS].numbers(), tags[TILE_BYTE_COUNTS].numbers()
        places = zip(map(int, offsets), map(int, counts), strict=True)
        return [bytes(data[offset : offset + count]) for offset, count in places]


def with_shape(tags: Tags, shape: tuple[int, int]) -> dict[int, Tag]:
    """Return an image's tags for another shape."""
    return {**tags, WIDTH: Tag.long(shape[1]), HEIGHT: Tag.long(shape[0])}
