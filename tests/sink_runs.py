"""Small rasters written block by block through a sink, as the engine does it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geosr.core.geometry import GeoGrid, Window
from geosr.core.plan import BlockPlan
from geosr.io.facts import RasterFacts
from geosr.io.metadata import RasterMetadata
from geosr.io.output import Output
from geosr.io.profile import OutputNodata, output_profile
from geosr.io.sinks import open_sink

COLOURS = ("gray", *("undefined",) * 300)
GRID = (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0)
NOTE = {"tiles": 1}


def make_output(
    path,
    shape,
    *,
    bands=1,
    dtype="uint16",
    block=128,
    tile=128,
    nodata=None,
    mask=False,
    colours=None,
    options=(),
    **keywords,
):
    """Return an output in blocks of ``block`` pixels and tiles of ``tile``; None: by itself."""
    grid = GeoGrid(shape, GRID, None)
    is_float = np.dtype(dtype).kind == "f"
    fill = nodata if nodata is not None else (np.nan if is_float else 0.0)
    metadata = keywords.pop("metadata", None) or plain_metadata(bands, colours)
    facts = RasterFacts(
        path="a.tif",
        driver="GTiff",
        compression="",
        grid=grid,
        has_transform=True,
        dtypes=(dtype,) * bands,
        nodata=(nodata,) * bands,
        masks=("none",) * bands,
        alpha=None,
        palettes=(False,) * bands,
        block_shape=(128, 128),
        files=("a.tif",),
        metadata=metadata,
    )
    tiles = {} if tile is None else {"BLOCKXSIZE": str(tile), "BLOCKYSIZE": str(tile)}
    profile = output_profile(
        facts,
        (),
        grid,
        dtype=dtype,
        nodata=OutputNodata(nodata, fill, write_mask=mask),
        creation_options={**tiles, **dict(options)},
        format=keywords.pop("format", "cog"),
    )
    keywords = {"tags": {}, "identity": {"source": 1}, **keywords}
    return Output(
        path=str(path),
        profile=profile,
        metadata=metadata,
        blocks=BlockPlan(shape, block, block, 0, 1),
        **keywords,
    )


def plain_metadata(bands, colours=None):
    return RasterMetadata(
        descriptions=(None,) * bands,
        units=(None,) * bands,
        scales=(1.0,) * bands,
        offsets=(0.0,) * bands,
        colours=tuple(colours or COLOURS[:bands]),
        band_tags=({},) * bands,
    )


def as_gtiff(output, path):
    """Return the same output as a plain GeoTIFF."""
    options = dict(output.profile.creation_options)
    options.pop("OVERVIEWS", None)
    profile = replace(output.profile, format="gtiff", creation_options=options)
    return replace(output, path=str(path), profile=profile)


def noise(shape, dtype="uint16", seed=0):
    """Return ``shape`` values that fill the dtype's range, or are about 1 if it is a float."""
    rng, kind = np.random.default_rng(seed), np.dtype(dtype)
    if kind.kind == "f":
        return rng.normal(1, 1, shape).astype(kind)
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, shape, endpoint=True, dtype=kind)


def holes(shape, seed=1):
    """Return which of ``(height, width)`` are valid: a wedge at the upper left and specks not."""
    rows, cols = np.indices(shape)
    valid = rows / shape[0] + cols / shape[1] > 0.7
    return valid & (np.random.default_rng(seed).uniform(size=shape) > 0.02)


def filled(output, values, valid):
    """Return ``values`` with the output's fill where they are not valid."""
    if valid is None:
        return values
    return np.where(valid, values, np.asarray(output.profile.nodata.fill).astype(values.dtype))


def write(output, values, valid=None, *, before=lambda block: None):
    """Write the blocks that are not there yet; call ``before`` each of them. Return the sink."""
    with open_sink(output) as sink:
        for block in output.blocks.blocks():
            if block.number not in sink.done:
                before(block)
                store(sink, block, values, valid)
    return sink


def store(sink, block, values, valid=None):
    """Store one block."""
    place = block.output.slices
    good = None if valid is None else valid[:, *place]
    good = None if good is None or good.all() else good
    sink.commit(block, sink.encode(block, values[:, *place], good), NOTE)


def whole(output):
    """Return the window of all pixels."""
    return Window(0, 0, *output.profile.grid.shape)
