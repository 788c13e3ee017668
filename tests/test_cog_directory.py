"""Headers over ready-made tiles: tifffile and GDAL read them, and GDAL's own ones are read."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.io import MemoryFile

from geosr.io.cog.directory import (
    MASK,
    NEW_SUBFILE_TYPE,
    REDUCED,
    TILE_BYTE_COUNTS,
    TILE_OFFSETS,
    Image,
    Tag,
    header,
    read_directories,
)
from geosr.io.opening import open_raster

tifffile = pytest.importorskip("tifffile")

BIG = pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
# Number of the type, and how one of its values is packed; pairs for fractions.
TYPES = {
    1: "B", 2: "s", 3: "H", 4: "I", 5: "II", 6: "b", 7: "s", 8: "h", 9: "i", 10: "ii", 11: "f",
    12: "d", 16: "Q", 17: "q",
}  # fmt: skip
ONLY_BIG = (16, 17)


def image(shape=(24, 40), *, subfile=0, **more):
    """Return the tags of an uncompressed raster of bytes in tiles of 16 pixels."""
    tags = {256: Tag.long(shape[1]), 257: Tag.long(shape[0]), 258: Tag.short(8), 259: Tag.short(1)}
    tags |= {262: Tag.short(1), 277: Tag.short(1), 322: Tag.short(16), 323: Tag.short(16)}
    tags[NEW_SUBFILE_TYPE] = Tag.long(subfile)
    return tags | {int(code): tag for code, tag in more.items()}


def with_tiles(images, *, big, seed=0):
    """Return a whole file: headers, and tiles of noise behind them."""
    rng, tiles, found = np.random.default_rng(seed), [], []
    blank = [Image(tags, *empty(tags)) for tags in images]
    end = len(header(blank, big=big))
    for tags in images:
        offsets, counts = empty(tags)
        for number in range(len(offsets)):
            offsets[number], counts[number] = end, 256
            tiles.append(rng.integers(0, 255, 256, dtype="uint8").tobytes())
            end += 256
        found.append(Image(tags, offsets, counts))
    return header(found, big=big) + b"".join(tiles), found


def empty(tags):
    rows, cols = (-(-int(tags[code].numbers()[0]) // 16) for code in (257, 256))
    return np.zeros(rows * cols, np.uint64), np.zeros(rows * cols, np.uint64)


@st.composite
def values(draw, *, big):
    """Return a tag of any type and length, short or long enough to stand behind the directory."""
    kind = draw(st.sampled_from([k for k in TYPES if big or k not in ONLY_BIG]))
    count = draw(st.integers(1, 12))
    size = struct.calcsize(f"<{TYPES[kind]}")
    if kind == 2:  # text ends with a zero
        data = draw(st.binary(min_size=count, max_size=count)).replace(b"\0", b"a") + b"\0"
        return Tag(2, count + 1, data)
    if kind in (11, 12):
        numbers = draw(st.lists(st.floats(width=32), min_size=count, max_size=count))
        return Tag(kind, count, struct.pack(f"<{count}{TYPES[kind]}", *numbers))
    data = draw(st.binary(min_size=size * count, max_size=size * count))
    return Tag(kind, count, data)


@BIG
@given(st.data())
def test_tags_of_any_type_and_length_are_read_back(big, data):
    more = data.draw(st.dictionaries(st.integers(65_000, 65_100).map(str), values(big=big)))
    images = [image(**more), image((12, 20), subfile=REDUCED), image((6, 10), subfile=REDUCED)]
    file, made = with_tiles(images, big=big)
    again = read_directories(file)
    for wanted, found in zip(made, again, strict=True):
        places = (TILE_OFFSETS, TILE_BYTE_COUNTS)
        assert {code: found[code] for code in found if code not in places} == wanted.tags
        assert (found[TILE_OFFSETS].numbers() == wanted.offsets).all()
        assert (found[TILE_BYTE_COUNTS].numbers() == wanted.counts).all()
    with tifffile.TiffFile(io.BytesIO(file)) as tiff:
        assert tiff.is_bigtiff == big
        assert len(tiff.pages) == 3
        for page in tiff.pages:  # as TIFF 6.0 asks for in section 2
            assert page.offset % 2 == 0
            assert all(tag.valueoffset % 2 == 0 for tag in page.tags)
        assert all(list(tags) == sorted(tags) for tags in again)
        for code, tag in more.items():
            seen = tiff.pages[0].tags[int(code)]
            assert (int(seen.dtype), seen.count) == (tag.kind, tag.count)
            if tag.kind not in (2, 7):  # text and bytes come in many ways
                packed = seen.value if isinstance(seen.value, tuple) else (seen.value,)
                pairs = tag.count * len(TYPES[tag.kind])
                fmt = f"<{pairs}{TYPES[tag.kind][0]}"
                if isinstance(seen.value, bytes):
                    assert seen.value == tag.data
                else:
                    assert struct.pack(fmt, *packed) == tag.data


@BIG
@pytest.mark.parametrize("size", range(1, 21))
def test_values_around_the_room_of_an_entry(big, size):
    text = Tag(2, size, b"x" * (size - 1) + b"\0")
    shorts = Tag(3, size, np.arange(size, dtype="<u2").tobytes())
    file, _ = with_tiles([image(**{"65000": text, "65001": shorts, "65002": text})], big=big)
    (found,) = read_directories(file)
    assert (found[65000], found[65001], found[65002]) == (text, shorts, text)
    with tifffile.TiffFile(io.BytesIO(file)) as tiff:
        assert np.atleast_1d(tiff.pages[0].tags[65001].value).tolist() == list(range(size))


@BIG
def test_gdal_and_tifffile_read_the_same_pixels(big):
    images = [image((24, 40)), image((24, 40), subfile=MASK), image((12, 20), subfile=REDUCED),
              image((12, 20), subfile=MASK | REDUCED)]  # fmt: skip
    for code in (1, 3):
        images[code] = images[code] | {258: Tag.short(1), 262: Tag.short(4)}
    file, made = with_tiles(images, big=big)
    noise = np.frombuffer(file, "uint8")

    def pixels(number, shape):
        """Return an image put together by hand."""
        whole = np.zeros((-(-shape[0] // 16) * 16, -(-shape[1] // 16) * 16), "uint8")
        cols = whole.shape[1] // 16
        for tile, start in enumerate(made[number].offsets.astype(int)):
            row, col = divmod(tile, cols)
            part = noise[start : start + 256].reshape(16, 16)
            whole[row * 16 : row * 16 + 16, col * 16 : col * 16 + 16] = part
        return whole[: shape[0], : shape[1]]

    with MemoryFile(file) as memory:
        with open_raster(memory.name) as src:
            assert (src.shape, src.overviews(1)) == ((24, 40), [2])
            assert (src.read(1) == pixels(0, (24, 40))).all()
            assert src.mask_flag_enums[0] == [rasterio.enums.MaskFlags.per_dataset]
            assert "LAYOUT=IFDS_BEFORE_DATA" in src.get_tag_item("GDAL_STRUCTURAL_METADATA", "TIFF")
        with open_raster(memory.name, OVERVIEW_LEVEL=0) as src:
            assert (src.read(1) == pixels(2, (12, 20))).all()
    with tifffile.TiffFile(io.BytesIO(file)) as tiff:
        assert (tiff.pages[0].asarray() == pixels(0, (24, 40))).all()
        assert (tiff.pages[2].asarray() == pixels(2, (12, 20))).all()


@BIG
@given(st.lists(st.integers(0, 2**32 - 1), min_size=6, max_size=6))
def test_the_length_does_not_depend_on_where_tiles_lie(big, places):
    tags = image()
    blank = header([Image(tags, *empty(tags))] * 3, big=big)
    offsets = np.array(places, np.uint64) * (2**31 if big else 1)
    made = header([Image(tags, offsets, np.array(places, np.uint64))] * 3, big=big)
    assert len(made) == len(blank)
    for found in read_directories(made):
        assert (found[TILE_OFFSETS].numbers() == offsets).all()
        assert found[TILE_BYTE_COUNTS].numbers().tolist() == places


@BIG
def test_the_ghost_area_tells_its_own_size(big):
    """https://gdal.org/drivers/raster/cog.html#header-ghost-area."""
    file, _ = with_tiles([image()], big=big)
    ghost = file[16 if big else 8 :]
    first = ghost[:43]
    assert first.startswith(b"GDAL_STRUCTURAL_METADATA_SIZE=")
    assert first.endswith(b" bytes\n")
    size = int(first[30:36])
    assert ghost[43 : 43 + size].endswith(b"KNOWN_INCOMPATIBLE_EDITION=NO\n ")
    (start,) = struct.unpack_from("<Q" if big else "<I", file, 8 if big else 4)
    assert start - (16 if big else 8) - 43 - size in (0, 1)
    assert start % 2 == 0


@pytest.mark.parametrize("bigtiff", ["YES", "NO"])
@pytest.mark.parametrize("tiles", [1, 2, 40])
def test_gdals_own_directories_are_read(bigtiff, tiles):
    profile = {"width": 16 * tiles - 3, "height": 17, "count": 2, "dtype": "int16", "nodata": -7}
    options = {"TILED": "YES", "BLOCKXSIZE": 16, "BLOCKYSIZE": 16, "BIGTIFF": bigtiff}
    with MemoryFile() as memory:
        with open_raster(memory.name, "w", driver="GTiff", **profile, **options) as dst:
            dst.update_tags(NOTE="ä" * 99)
            dst.write(np.ones((2, 17, 16 * tiles - 3), "int16"))
            dst.build_overviews([2])
        data = memory.read()
        full, half = read_directories(data)
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            for page, tags in zip(tiff.pages, (full, half), strict=True):
                assert sorted(tags) == sorted(tag.code for tag in page.tags)
                for code in (TILE_OFFSETS, TILE_BYTE_COUNTS):
                    assert tags[code].numbers().tolist() == list(page.tags[code].value)
    assert full[42113].data == b"-7\0"
    assert "ä".encode() * 99 in full[42112].data
