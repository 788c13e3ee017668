"""What a file says besides its tiles: the tags, as GDAL writes them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import rasterio

from geosr.io.cog.directory import (
    MASK,
    NEW_SUBFILE_TYPE,
    REDUCED,
    Image,
    Tag,
    header,
    read_directories,
)
from geosr.io.cog.encode import TileCodec, with_shape
from geosr.io.cog.index import TileIndex
from geosr.io.cog.layout import CogLayout
from geosr.io.metadata import write_metadata
from geosr.io.opening import open_raster
from geosr.io.output import Output

_OF_OVERVIEWS = (258, 259, 262, 277, 284, 317, 322, 323, 338, 339, 42113)
"""Tags that tell how pixels are stored, which overviews share with the full resolution."""

_CLASSIC_LIMIT = 2_000_000_000
"""Raw bytes from which on BigTIFF is taken: compression may fail to help, as GDAL has it."""


@dataclass(frozen=True)
class Template:
    """The tags of all images, and what GDAL keeps in a file beside.

    Attributes
    ----------
    tags, mask_tags
        Of the full resolution and of its mask.
    sidecar
        The contents of an ``.aux.xml`` file; empty if none is needed.
    big
        Whether the file is a BigTIFF.
    """

    tags: dict[int, Tag]
    mask_tags: dict[int, Tag]
    sidecar: bytes
    big: bool

    def tags_of(self, level: int, is_mask: bool, layout: CogLayout) -> dict[int, Tag]:
        """Return the tags of one image."""
        shape = layout.levels[level].shape
        if is_mask:
            tags = with_shape(self.mask_tags, shape)
            tags[NEW_SUBFILE_TYPE] = Tag.long(MASK | (REDUCED if level else 0))
            return tags
        if level == 0:
            return self.tags
        tags = {code: self.tags[code] for code in _OF_OVERVIEWS if code in self.tags}
        tags[NEW_SUBFILE_TYPE] = Tag.long(REDUCED)
        return with_shape(tags, shape)

    def header(self, layout: CogLayout, index: TileIndex) -> bytes:
        """Return all that stands before the tiles."""
        return header(list(self._images(layout, index)), big=self.big)

    def _images(self, layout: CogLayout, index: TileIndex) -> Iterator[Image]:
        for level in range(len(layout.levels)):
            for is_mask in (False, True) if layout.has_mask else (False,):
                yield Image(self.tags_of(level, is_mask, layout), *index.of(level, is_mask))


def make_template(output: Output, codec: TileCodec) -> Template:
    """Let GDAL write the output without any pixels, and take its tags over.

    Raises
    ------
    rasterio.errors.RasterioError, OSError
        If it cannot.
    """
    profile, metadata = output.profile, output.metadata
    asked = profile.creation_options["BIGTIFF"].upper()
    big = asked == "YES" or (asked != "NO" and profile.raw_bytes > _CLASSIC_LIMIT)
    keywords = profile.to_rasterio()
    keywords |= {"SPARSE_OK": "TRUE", "ENDIANNESS": "LITTLE", "BIGTIFF": "YES" if big else "NO"}
    with tempfile.TemporaryDirectory(prefix="geosr-") as folder, rasterio.Env():
        path = Path(folder) / "template.tif"
        with open_raster(str(path), "w", **keywords) as dst:
            points = metadata.gcps if profile.has_gcps else ()
            write_metadata(dst, replace(metadata, gcps=points), output.tags)
        tags = read_directories(path.read_bytes())[0]
        beside = path.with_name(f"{path.name}.aux.xml")
        sidecar = beside.read_bytes() if beside.exists() else b""
    mask_tags = {}
    if profile.nodata.write_mask:
        mask_tags = codec.mask_tags()
        mask_tags |= {code: tags[code] for code in (322, 323)}
    return Template(tags, mask_tags, sidecar, big)
