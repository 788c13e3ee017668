"""What the output says besides its pixels, and that nothing is lost when writing fails."""

import os
import stat
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from sink_runs import holes, make_output, noise, store, whole, write

from geosr.core.errors import (
    CancelledError,
    OptionError,
    OutputBusyError,
    OutputError,
    OutputExistsError,
)
from geosr.core.geometry import GeoGrid, Window
from geosr.core.plan import BlockPlan
from geosr.io.facts import read_facts
from geosr.io.gtiff import GeoTiffSink
from geosr.io.metadata import output_metadata
from geosr.io.opening import open_raster
from geosr.io.output import Output, check_output
from geosr.io.profile import output_profile, resolve_nodata
from geosr.io.raster import RasterReader
from geosr.io.sinks import open_sink

FORMATS = pytest.mark.parametrize("kind", ["cog", "gtiff"])

CUSTOM_CRS = (
    'PROJCS["mine",GEOGCS["ball",DATUM["ball",SPHEROID["ball",6371000,0]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433]],PROJECTION["Sinusoidal"],'
    'PARAMETER["longitude_of_center",7.5],PARAMETER["false_easting",1234.5],'
    'PARAMETER["false_northing",0],UNIT["metre",1]]'
)


def make(path, *, bands=2, shape=(6, 8), dtype="uint16", change=lambda dst: None, **profile):
    """Write a small raster, let ``change`` add to it, and return its path as text."""
    height, width = shape
    profile = {"transform": rasterio.Affine(10, 0, 500, 0, -10, 900), **profile}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        open_raster(
            str(path),
            "w",
            driver="GTiff",
            width=width,
            height=height,
            count=bands,
            dtype=dtype,
            **profile,
        ) as dst,
    ):
        change(dst)
        dst.write(np.arange(bands * height * width).reshape(bands, height, width).astype(dtype))
    return str(path)


def enlarge(src_path, dst_path, *, kind="gtiff", factor=2, indexes=(), window=None, **keywords):
    """Repeat each pixel, through a sink; return the facts of both files."""
    facts = read_facts(src_path)
    indexes = facts.all_indexes(indexes)
    window = window or Window(0, 0, *facts.grid.shape)
    grid = facts.grid.crop(window).upscale(factor)
    dtype = keywords.pop("dtype", facts.dtype)
    nodata = resolve_nodata(facts, indexes, dtype=dtype, nodata=keywords.pop("nodata", None))
    profile = output_profile(
        facts,
        indexes,
        grid,
        dtype=dtype,
        nodata=nodata,
        format=kind,
        creation_options=keywords.pop("creation_options", {}),
    )
    metadata = output_metadata(facts.metadata, indexes, window, (facts.grid, grid))
    blocks = BlockPlan(window.shape, 512, 512, 0, factor)
    keywords = {"tags": {}, "identity": {"source": str(src_path)}, **keywords}
    output = Output(str(dst_path), profile, metadata, blocks=blocks, **keywords)
    with RasterReader(facts, indexes, window) as reader, open_sink(output) as sink:
        for block in blocks.blocks():
            values, valid = reader.read(block.core)
            if valid is not None:
                values = np.where(valid, values, nodata.fill)
                valid = valid.repeat(factor, 1).repeat(factor, 2)
            values = values.astype(dtype).repeat(factor, 1).repeat(factor, 2)
            sink.commit(block, sink.encode(block, values, valid), {})
    return facts, read_facts(dst_path)


def add_everything(dst):
    dst.descriptions = ("blue", "near infrared")
    dst.units = ("1", "W m-2")
    dst.scales, dst.offsets = (0.0001, 0.5), (-0.1, 3.0)
    dst.update_tags(AREA_OR_POINT="Area", TIFFTAG_SOFTWARE="camera", NOTE="ä = b")
    dst.update_tags(ns="MINE", key="value")
    dst.update_tags(1, wavelength="490", STATISTICS_MEAN="5")
    dst.update_tags(2, ns="SENSOR", gain="2")
    dst.update_tags(ns="xml:XMP", **{"<x:xmpmeta xmlns:x": '"adobe:ns:meta/"/>'})
    dst.update_tags(STATISTICS_MAXIMUM="9")


# What survives


@FORMATS
def test_everything_that_the_file_says_survives(tmp_path, kind):
    path = make(tmp_path / "a.tif", change=add_everything, crs="EPSG:32633", nodata=3)
    before, after = enlarge(path, tmp_path / "b.tif", kind=kind, tags={"GEOSR_MODEL": "nearest-x2"})
    said = after.metadata
    assert said.descriptions == ("blue", "near infrared")
    assert said.units == ("1", "W m-2")
    assert (said.scales, said.offsets) == ((0.0001, 0.5), (-0.1, 3.0))
    assert said.band_tags == ({"": {"wavelength": "490"}}, {"SENSOR": {"gain": "2"}})
    assert said.tags[""] == {
        "AREA_OR_POINT": "Area",
        "TIFFTAG_SOFTWARE": "camera",
        "NOTE": "ä = b",
        "GEOSR_MODEL": "nearest-x2",
    }
    assert said.tags["MINE"] == {"key": "value"}
    assert said.tags["xml:XMP"] == {"xml:XMP": '<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'}
    assert after.grid == before.grid.upscale(2)
    assert after.nodata == (3.0, 3.0)
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "b.tif"]
    with rasterio.open(tmp_path / "b.tif") as dst, rasterio.open(path) as src:
        assert dst.bounds == src.bounds
        assert dst.overviews(1) == []
        assert (dst.read() == src.read().repeat(2, 1).repeat(2, 2)).all()


@FORMATS
def test_chosen_bands_take_their_words_along(tmp_path, kind):
    path = make(tmp_path / "a.tif", change=add_everything)
    _, after = enlarge(path, tmp_path / "b.tif", kind=kind, indexes=(2,))
    assert after.metadata.descriptions == ("near infrared",)
    assert after.metadata.scales == (0.5,)
    assert after.metadata.band_tags == ({"SENSOR": {"gain": "2"}},)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32633", "ESRI:54009", CUSTOM_CRS])
@FORMATS
def test_any_crs_survives(tmp_path, crs, kind):
    before, after = enlarge(make(tmp_path / "a.tif", crs=crs), tmp_path / "b.tif", kind=kind)
    assert after.grid.crs == before.grid.crs


@FORMATS
def test_no_crs_and_no_transform_are_invented(tmp_path, kind):
    path = make(tmp_path / "a.tif", transform=None)
    _, after = enlarge(path, tmp_path / "b.tif", kind=kind)
    assert (after.grid.crs, after.has_transform) == (None, False)
    _, after = enlarge(make(tmp_path / "c.tif"), tmp_path / "d.tif", kind=kind)
    assert (after.grid.crs, after.has_transform) == (None, True)


NUMBERS = st.floats(-1e7, 1e7, allow_nan=False).map(lambda x: round(x, 6))
STEPS = st.floats(1e-5, 5e3).flatmap(lambda x: st.sampled_from([x, -x]))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    steps=st.tuples(STEPS, STEPS),
    shears=st.one_of(st.just((0.0, 0.0)), st.tuples(STEPS, STEPS)),
    origin=st.tuples(NUMBERS, NUMBERS),
    factor=st.integers(2, 8),
    kind=st.sampled_from(["cog", "gtiff"]),
)
def test_transforms_survive_to_the_last_bit(tmp_path_factory, steps, shears, origin, factor, kind):
    (a, e), (b, d), (c, f) = steps, shears, origin
    folder = tmp_path_factory.mktemp("grid")
    path = make(folder / "a.tif", bands=1, transform=rasterio.Affine(a, b, c, d, e, f))
    before, after = enlarge(path, folder / "b.tif", kind=kind, factor=factor)
    assert before.grid.transform == (a, b, c, d, e, f)
    assert after.grid == before.grid.upscale(factor)


@pytest.mark.parametrize(
    "transform",
    [
        (100.01290322580645, 0, 570585.0, 0, -100.01273885350318, 5847615.0),
        (0.0014129479247175503, 0, 11.41071054972465, 0, -0.0014120542195153254, 0.0966673),
        (17.320508075688775, 4.999999999999999, 100.0, 9.999999999999998, -8.66, 200.0),
        (30.0, 0, 300000.1, 0, 30.0, 12.3),
    ],
)
@pytest.mark.parametrize("factor", [2, 3, 7])
@FORMATS
def test_pixels_that_are_points_stay_where_they_are(tmp_path, transform, factor, kind):
    path = make(
        tmp_path / "a.tif",
        transform=rasterio.Affine(*transform),
        change=lambda dst: dst.update_tags(AREA_OR_POINT="Point"),
    )
    before, after = enlarge(path, tmp_path / "b.tif", kind=kind, factor=factor)
    assert after.metadata.tags[""]["AREA_OR_POINT"] == "Point"
    assert after.grid == before.grid.upscale(factor)


@FORMATS
def test_ground_control_points_are_scaled_and_shifted(tmp_path, kind):
    def add(dst):
        dst.gcps = (
            [GroundControlPoint(1.5, 2.5, 10.0, 50.0, 7.0), GroundControlPoint(6, 8, 11.0, 49.0)],
            rasterio.CRS.from_epsg(4326),
        )

    path = make(tmp_path / "a.tif", change=add, transform=None)
    _, after = enlarge(path, tmp_path / "b.tif", kind=kind, factor=3, window=Window(1, 2, 4, 5))
    points, crs = open_raster(str(tmp_path / "b.tif")).gcps
    assert [(p.row, p.col, p.x, p.y, p.z) for p in points] == [
        (1.5, 1.5, 10.0, 50.0, 7.0),
        (15.0, 18.0, 11.0, 49.0, 0.0),
    ]
    assert crs.to_epsg() == 4326
    assert not after.has_transform


@FORMATS
def test_rational_polynomials_keep_pixel_centres(tmp_path, kind):
    coefficients = [0.5, *[0.25] * 19]
    rpcs = RPC(
        height_off=10.0,
        height_scale=500.0,
        lat_off=45.0,
        lat_scale=0.25,
        long_off=7.0,
        long_scale=0.5,
        line_off=3.0,
        line_scale=4.0,
        samp_off=5.0,
        samp_scale=6.0,
        line_num_coeff=coefficients,
        line_den_coeff=coefficients,
        samp_num_coeff=coefficients,
        samp_den_coeff=coefficients,
        err_bias=1.5,
        err_rand=2.5,
    )
    path = make(tmp_path / "a.tif", transform=None, change=lambda dst: setattr(dst, "rpcs", rpcs))
    _, after = enlarge(path, tmp_path / "b.tif", kind=kind, factor=4, window=Window(1, 2, 4, 5))
    found = after.metadata.rpcs
    # The centre of source pixel 3, which is pixel 2 of the window, lies between output pixels
    # 9 and 10: at 9.5.
    assert (found.line_off, found.line_scale) == (9.5, 16.0)
    assert (found.samp_off, found.samp_scale) == (13.5, 24.0)
    assert (found.lat_off, found.height_scale, found.err_bias) == (45.0, 500.0, 1.5)
    assert found.line_num_coeff == coefficients


COLOURS = [
    ("gray",),
    ("red", "green", "blue"),
    ("red", "green", "blue", "alpha"),
    ("red", "green", "blue", "undefined"),
    ("blue", "green", "red", "alpha"),
    ("blue", "green", "red", "undefined"),
    ("gray", "alpha"),
    ("gray", "undefined", "undefined"),
    ("red", "green", "blue", "nir", "alpha"),
    ("green", "red", "nir"),
    ("alpha", "gray"),
]


@pytest.mark.parametrize("colours", COLOURS, ids="-".join)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@FORMATS
def test_colours_survive(tmp_path, colours, dtype, kind):
    path = make(
        tmp_path / "a.tif",
        bands=len(colours),
        dtype=dtype,
        change=lambda dst: setattr(dst, "colorinterp", [ColorInterp[c] for c in colours]),
    )
    before, after = enlarge(path, tmp_path / "b.tif", kind=kind)
    assert after.metadata.colours == before.metadata.colours == colours
    assert after.masks == before.masks


@FORMATS
def test_a_mask_band_comes_out_as_a_mask_band(tmp_path, kind):
    mask = np.ones((6, 8), bool)
    mask[1:3, 2] = False
    path = make(tmp_path / "a.tif", change=lambda dst: dst.write_mask(mask))
    _, after = enlarge(path, tmp_path / "b.tif", kind=kind, factor=3)
    assert after.masks == ("dataset", "dataset")
    with rasterio.open(tmp_path / "b.tif") as dst:
        assert ((dst.read_masks(1) != 0) == mask.repeat(3, 0).repeat(3, 1)).all()
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "b.tif"]


def test_a_mask_does_not_disturb_threads_that_compress(tmp_path, capfd):
    """GDAL told of a bad tag on standard error: begun late, a mask freed what its threads read."""
    shape, values = (333, 411), noise((4, 333, 411), "float64")
    valid = np.broadcast_to(holes(shape), values.shape)
    output = make_output(
        tmp_path / "a.tif", shape, bands=4, dtype="float64", mask=True, format="gtiff",
        options={"COMPRESS": "DEFLATE"}, overwrite=True,
    )  # fmt: skip
    for _ in range(6):
        write(output, values, valid)
    assert capfd.readouterr().err == ""


@FORMATS
def test_a_hidden_alpha_band_leaves_a_mask(tmp_path, kind):
    def add(dst):
        dst.colorinterp = [ColorInterp.gray, ColorInterp.alpha]

    path = make(tmp_path / "a.tif", change=add)
    with rasterio.open(path, "r+") as dst:
        dst.write(np.eye(6, 8, dtype="uint16"), 2)
    _, after = enlarge(path, tmp_path / "b.tif", kind=kind, indexes=(1,))
    assert (after.alpha, after.masks) == (None, ("dataset",))
    with rasterio.open(tmp_path / "b.tif") as dst:
        assert ((dst.read_masks(1) != 0) == np.eye(6, 8).repeat(2, 0).repeat(2, 1)).all()


@FORMATS
def test_bands_with_nan_keep_them(tmp_path, kind):
    path = make(tmp_path / "a.tif", dtype="float32")
    with rasterio.open(path, "r+") as dst:
        values = dst.read()
        values[0, 2, 3] = np.inf
        dst.write(values)
    _, after = enlarge(path, tmp_path / "b.tif", kind=kind)
    with rasterio.open(tmp_path / "b.tif") as dst:
        written = dst.read()
        assert dst.nodata is None
    assert np.argwhere(np.isnan(written)).tolist() == [[0, r, c] for r in (4, 5) for c in (6, 7)]
    _, after = enlarge(path, tmp_path / "c.tif", kind=kind, dtype="uint8")
    assert after.masks == ("dataset", "dataset")


# Where the output may go


def test_destinations_that_are_refused(tmp_path):
    path = make(tmp_path / "a.tif")
    (tmp_path / "there.tif").write_bytes(b"old")
    (tmp_path / "link.tif").symlink_to(path)
    os.link(path, tmp_path / "hard.tif")
    check_output(path, tmp_path / "new.tif")
    check_output(path, tmp_path / "there.tif", True)
    with pytest.raises(OutputExistsError, match="exists") as caught:
        check_output(path, tmp_path / "there.tif")
    assert "--overwrite" in caught.value.hint
    for same in ("a.tif", "link.tif", "hard.tif"):
        with pytest.raises(OptionError, match="is the input itself"):
            check_output(path, tmp_path / same, True)
    with pytest.raises(OptionError, match="is the input itself"):
        check_output("a.vrt", tmp_path / "a.tif", True, source_files=["a.vrt", path])
    with pytest.raises(OutputError, match="is a folder"):
        check_output(path, tmp_path, True)
    with pytest.raises(OutputError, match="There is no folder"):
        check_output(path, tmp_path / "no" / "b.tif")
    with pytest.raises(OutputError, match="no regular file"):
        check_output(path, os.devnull, True)
    with pytest.raises(OptionError, match="named like a PNG"):
        check_output(path, tmp_path / "b.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path):
    (tmp_path / "mine").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="may not be written to"):
        check_output("a.tif", tmp_path / "mine" / "b.tif")


@FORMATS
def test_a_link_stays_one_and_modes_are_kept(tmp_path, kind):
    path = make(tmp_path / "a.tif")
    (tmp_path / "real.tif").write_bytes(b"old")
    (tmp_path / "real.tif").chmod(0o640)
    (tmp_path / "b.tif").symlink_to("real.tif")
    enlarge(path, tmp_path / "b.tif", kind=kind, overwrite=True)
    assert (tmp_path / "b.tif").is_symlink()
    assert stat.S_IMODE((tmp_path / "real.tif").stat().st_mode) == 0o640
    assert read_facts(tmp_path / "real.tif").count == 2
    enlarge(path, tmp_path / "new.tif", kind=kind)
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "new.tif").stat().st_mode) == 0o666 & ~umask


@FORMATS
def test_companions_of_the_old_output_go(tmp_path, kind):
    path = make(tmp_path / "a.tif")
    enlarge(path, tmp_path / "b.tif", kind=kind)
    for suffix in (".ovr", ".msk", ".aux.xml"):
        (tmp_path / f"b.tif{suffix}").write_bytes(b"old")
    enlarge(path, tmp_path / "b.tif", kind=kind, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "b.tif"]


def test_tags_that_gdal_keeps_beside_the_file_go_along(tmp_path):
    path = make(tmp_path / "a.tif", change=lambda dst: dst.update_tags(NOTE="kept"))
    options = {"PROFILE": "GeoTIFF"}  # of a cloud-optimised one: see test_cog_file.py
    _, after = enlarge(path, tmp_path / "b.tif", creation_options=options)
    assert after.metadata.tags[""]["NOTE"] == "kept"
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "b.tif", "b.tif.aux.xml"]


# When a plain GeoTIFF fails; of the others see test_cog_sink.py


def start(tmp_path, *, overwrite=True, shape=(6, 8), **options):
    """Return a writer onto an old output, and a block to write."""
    facts = read_facts(make(tmp_path / "a.tif"))
    (tmp_path / "b.tif").write_bytes(b"old")
    grid = GeoGrid(shape, facts.grid.transform)
    nodata = resolve_nodata(facts, (1, 2), dtype="uint16")
    profile = output_profile(
        facts, (1, 2), grid, dtype="uint16", nodata=nodata, creation_options=options
    )
    whole = Window(0, 0, *facts.grid.shape)
    metadata = output_metadata(facts.metadata, (1, 2), whole, (facts.grid, grid))
    blocks, path = BlockPlan(shape, 512, 512, 0, 1), str(tmp_path / "b.tif")
    writer = GeoTiffSink(Output(path, profile, metadata, {}, blocks, {"source": 1}, overwrite))
    return writer, np.random.default_rng(0).integers(0, 60000, (2, *shape)).astype("uint16")


@pytest.mark.parametrize("error", [KeyboardInterrupt, CancelledError, ValueError, MemoryError])
def test_a_failed_run_leaves_the_old_output_and_nothing_else(tmp_path, error):
    writer, values = start(tmp_path)

    def run():
        with writer:
            writer.write(Window(0, 0, 6, 8), values, None)
            assert (tmp_path / "b.tif.part").exists()
            raise error("stopped")

    with pytest.raises(error):
        run()
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "b.tif"]
    assert (tmp_path / "b.tif").read_bytes() == b"old"


def test_a_second_writer_is_refused(tmp_path):
    writer, values = start(tmp_path)
    other, _ = start(tmp_path)
    with writer:
        with pytest.raises(OutputBusyError, match=f"process {os.getpid()} on "):
            other.__enter__()
        writer.write(Window(0, 0, 6, 8), values, None)
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "b.tif"]
    with rasterio.open(tmp_path / "b.tif") as dst:
        assert (dst.read() == values).all()


def test_an_output_that_appears_meanwhile_is_not_replaced(tmp_path):
    writer, values = start(tmp_path, overwrite=False)
    (tmp_path / "b.tif").unlink()

    def run():
        with writer:
            writer.write(Window(0, 0, 6, 8), values, None)
            (tmp_path / "b.tif").write_bytes(b"another's")

    with pytest.raises(OutputExistsError, match="appeared meanwhile"):
        run()
    assert (tmp_path / "b.tif").read_bytes() == b"another's"
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "b.tif"]


def test_what_gdal_has_written_is_not_taken_for_an_earlier_runs_work(tmp_path):
    """A run that was stopped; a plain GeoTIFF begun in its place, and killed; the first again."""
    values = noise((1, 300, 300))
    output = make_output(tmp_path / "a.tif", (300, 300), options={"COMPRESS": "NONE"})
    first = next(output.blocks.blocks())
    with pytest.raises(KeyboardInterrupt), open_sink(output) as sink:  # noqa: PT012
        store(sink, first, values)
        raise KeyboardInterrupt
    plain = GeoTiffSink(replace(output, profile=replace(output.profile, format="gtiff")))
    plain.__enter__()
    plain.write(whole(output), values[:, ::-1], None)
    plain._dst.close()  # all of it is on the disk: more than the journal spoke of
    plain._stack.close()  # as the end of the process would
    again = write(output, values)
    assert list(again.done) == []
    with open_raster(str(tmp_path / "a.tif")) as dst:
        assert (dst.read() == values).all()


def test_a_folder_that_is_gone(tmp_path):
    writer, _ = start(tmp_path)
    for name in ("a.tif", "b.tif"):
        (tmp_path / name).unlink()
    tmp_path.rmdir()
    with pytest.raises(OutputError, match="cannot be written"):
        writer.__enter__()
    assert not rasterio.env.hasenv()


LIMITED = """
    import resource, signal, sys
    from pathlib import Path
    sys.path.insert(0, "tests")
    from test_output import start
    from geosr.core.errors import OutputError
    from geosr.core.geometry import Window
    folder = Path(sys.argv[1])
    writer, values = start(folder, shape=(512, 512), COMPRESS=sys.argv[2])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing beyond the limit is an error
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    try:
        with writer:
            writer.write(Window(0, 0, 512, 512), values, None)
    except OutputError as error:
        print(error.message)
    print(sorted(path.name for path in folder.iterdir()), (folder / "b.tif").read_bytes())
"""


@pytest.mark.parametrize("compress", ["ZSTD", "DEFLATE", "NONE"])
def test_a_file_that_does_not_get_through_to_the_disk(tmp_path, compress):
    """GDAL compresses in threads and closes without a word: nothing raises by itself."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED), str(tmp_path), compress],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    first, last = done.stdout.splitlines()
    assert "b.tif cannot be written: " in first
    assert last == "['a.tif', 'b.tif'] b'old'"


def write_rows(writer, values):
    """Return the number of blocks that were written when the error came."""
    written = 0
    with pytest.raises(OutputError, match="The disk is full"), writer:  # noqa: PT012
        for row in range(0, values.shape[1], 512):
            writer.write(Window(row, 0, 512, 512), values[:, row : row + 512], None)
            written += 1
    return written


@pytest.mark.parametrize("blocks", [1, 12])
def test_a_full_disk_is_named_and_soon(tmp_path, blocks):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        writer, values = start(disk, shape=(512 * blocks, 512))
        written = write_rows(writer, values)
        assert written < max(blocks, 2)  # not only when it is closed
        assert sorted(os.listdir(disk)) == ["a.tif", "b.tif"]
        assert (disk / "b.tif").read_bytes() == b"old"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# The odd files


@FORMATS
@pytest.mark.parametrize("factor", [2, 3])
def test_odd_files_keep_place_and_words(data_dir, tmp_path, factor, kind):
    odd = ["orthority__ngi_3324c_2015_1004_05_0182_RGB.tif", "rasterio__goes.tif",
           "rasterio__RGBA.uint16.tif", "rasterio__rotated.tif", "rio-cogeo__image_geos.tif",
           "rio-tiler__cog_dateline.tif", "rio-tiler__cog_rgb_mask.tif", "rioxarray__2d_test.tif",
           "rio-tiler__cog_scale.tif", "rio-tiler__inverted_lat.tif", "rasterio__float_nan.tif",
           "enmap-box__enmap_potsdam_tile_128_0.tif", "geotrellis__byte-tile.tiff"]  # fmt: skip
    for name in odd:
        before, after = enlarge(
            data_dir / "odd" / name, tmp_path / "b.tif", kind=kind, factor=factor, overwrite=True
        )
        assert after.grid == before.grid.upscale(factor), name
        assert after.grid.bounds == before.grid.bounds, name
        assert after.metadata == before.metadata, name
        assert (after.masks, after.alpha) == (before.masks, before.alpha), name
        assert repr(after.nodata) == repr(before.nodata), name  # NaN is not itself


@FORMATS
def test_odd_files_placed_by_points_and_polynomials(data_dir, tmp_path, kind):
    odd = data_dir / "odd"
    before, after = enlarge(odd / "rio-tiler__cog_gcps.tif", tmp_path / "g.tif", kind=kind)
    assert len(after.metadata.gcps) == 210
    for old, new in zip(before.metadata.gcps, after.metadata.gcps, strict=True):
        assert (new.row, new.col) == (2 * old.row, 2 * old.col)
        assert (new.x, new.y, new.z) == (old.x, old.y, old.z)
    assert after.metadata.gcp_crs == before.metadata.gcp_crs
    before, after = enlarge(odd / "rioxarray__test_rpcs.tif", tmp_path / "r.tif", kind=kind)
    old, new = before.metadata.rpcs, after.metadata.rpcs
    assert new.line_off == 2 * old.line_off + 0.5
    assert new.samp_scale == 2 * old.samp_scale
    assert new.line_num_coeff == pytest.approx(old.line_num_coeff, rel=1e-14)
