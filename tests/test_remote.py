"""Rasters behind a network: read by windows, through failing connections, and known again."""

import logging
import os
import pickle
import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from remote_servers import Fault, RangeServer, S3Server

import geosr
from geosr.core.errors import InputFileError
from geosr.core.geometry import Window
from geosr.io.facts import read_facts
from geosr.io.identity import source_identity
from geosr.io.raster import RasterReader
from geosr.io.remote import Retries, fetching, is_remote, shown
from geosr.io.transfers import watched
from geosr.io.upload import upload

AT_ONCE = Retries((0, 0, 0))
FAULTS = (
    {"status": 503},
    {"after": -1},
    {"after": 0},
    {"after": 0, "reset": True},
    {"after": 5000},
    {"after": 5000, "reset": True},
)
TRANSFORM = rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)
SEED = np.random.default_rng(5)


def write(path, values, *, mask=None, tags=None, **profile):
    count, height, width = values.shape
    profile = {"driver": "GTiff", "transform": TRANSFORM, "crs": "EPSG:32633", **profile}
    with rasterio.open(
        path, "w", width=width, height=height, count=count, dtype=values.dtype, **profile
    ) as dst:
        dst.write(values)
        dst.update_tags(**(tags or {}))
        if mask is not None:
            dst.write_mask(mask)


def noise(bands, height, width):
    return SEED.integers(1, 60000, (bands, height, width)).astype("uint16")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Rasters of all the kinds that matter here."""
    folder = tmp_path_factory.mktemp("served")
    write(folder / "plain.tif", noise(2, 60, 70))
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64}
    # Blocks' places, tags and the mask's directory are further in than what is fetched at first.
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        values, tags = noise(2, 256, 320), {"LONG": "x" * 40_000}
        mask = SEED.random((256, 320)) > 0.1
        write(folder / "spread.tif", values, mask=mask, tags=tags, compress="deflate", **tiles)
    write(folder / "holes.tif", noise(1, 256, 320) % 9, nodata=7, tags=tags, **tiles)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        write(folder / "beside.tif", noise(2, 60, 70), mask=SEED.random((60, 70)) > 0.5)
    write(folder / "told.tif", noise(2, 60, 70) % 9)
    (folder / "told.tif.aux.xml").write_text(
        "<PAMDataset><PAMRasterBand band='1'><NoDataValue>7</NoDataValue></PAMRasterBand>"
        "<PAMRasterBand band='2'><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>"
    )
    write(folder / "scene-source.tif", noise(3, 1024, 1024))
    with rasterio.open(folder / "spread.tif") as src:
        options = {"REVERSIBLE": "YES", "QUALITY": "100", "BLOCKXSIZE": 64, "BLOCKYSIZE": 64}
        rasterio.shutil.copy(src, folder / "tiles.jp2", driver="JP2OpenJPEG", **options)
    with rasterio.open(folder / "scene-source.tif") as src:
        rasterio.shutil.copy(src, folder / "scene.tif", driver="COG", blocksize=128)
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with RangeServer(folder) as server:
        yield server


@pytest.fixture(scope="module")
def objects():
    with S3Server() as server:
        yield server


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, request):
    """No tries of GDAL's own, which wait; nothing of the user's; a server that is reached."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "GDAL_HTTP", "CPL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    if "server" in request.fixturenames:
        request.getfixturevalue("server").begin()
    if "objects" in request.fixturenames:
        for name, value in request.getfixturevalue("objects").environment.items():
            monkeypatch.setenv(name, value)


def facts_at(url, retries=AT_ONCE):
    return read_facts(url, retries=retries)


def known(facts):
    return replace(facts, path="", files=())


def whole(facts):
    return Window(0, 0, *facts.grid.shape)


def pixels(facts, window=None, retries=AT_ONCE):
    with RasterReader(facts, (), whole(facts), retries=retries) as reader:
        return reader.read(window or whole(facts))


def same(one, other):
    return np.array_equal(one[0], other[0]) and np.array_equal(
        np.ones(one[0].shape) if one[1] is None else one[1],
        np.ones(other[0].shape) if other[1] is None else other[1],
    )


# Names


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("https://example.com/a.tif", True),
        ("/vsicurl/https://example.com/a.tif", True),
        ("/vsicurl?max_retry=3&url=https%3A%2F%2Fexample.com%2Fa.tif", True),
        ("/vsis3/bucket/a.tif", True),
        ("gs://bucket/a.tif", True),
        ("abfs://container/a.tif", True),
        ("zip+https://example.com/a.zip!a.tif", True),
        ("s3:/bucket/a.tif", True),
        ("/vsizip//vsis3/bucket/a.zip/a.tif", True),
        ('NETCDF:"/vsicurl/https://example.com/a.nc":band', True),
        ("a.tif", False),
        ("/data/http/a.tif", False),
        ("/vsimem/a.tif", False),
        ("zip:///data/a.zip!a.tif", False),
        ("C:/data/a.tif", False),
    ],
)
def test_what_is_remote(path, remote):
    assert is_remote(path) is remote


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("https://a:b@example.com/a.tif", "https://example.com/a.tif"),
        ("https://example.com/a.tif?sig=a/b%2B", "https://example.com/a.tif"),
        (
            "/vsizip//vsicurl/https://example.com/a.zip?sig=1/in/a.tif",
            "/vsizip//vsicurl/https://example.com/a.zip/in/a.tif",
        ),
        ("s3://bucket/a?b.tif", "s3://bucket/a?b.tif"),
        ("what?.tif", "what?.tif"),
    ],
)
def test_what_is_shown_of_a_path(path, seen):
    assert shown(path) == seen


# Reading


@pytest.mark.parametrize("start", ["", "/vsicurl/"])
def test_a_window_of_a_scene_costs_its_share(server, folder, start):
    local = read_facts(folder / "scene.tif")
    facts = facts_at(f"{start}{server.address}/scene.tif")
    assert known(facts) == known(local)
    window = Window(300, 400, 100, 90)
    assert same(pixels(facts, window), pixels(local, window))
    assert server.log()[1] < 0.15 * (folder / "scene.tif").stat().st_size


def test_side_files_count_and_are_asked_for_once(server, folder):
    for name, mask in (("beside.tif", "dataset"), ("told.tif", "nodata")):
        local, facts = read_facts(folder / name), facts_at(f"{server.address}/{name}")
        assert known(facts) == known(local)
        assert facts.masks == (mask,) * 2
        assert same(pixels(facts), pixels(local))
    server.begin()
    facts = facts_at(f"{server.address}/plain.tif")
    assert len(server.log()[0]) < 40  # GDAL by itself asks for 50 names
    server.begin()
    assert pixels(facts)[1] is None
    assert {path for _, path, _ in server.log()[0]} == {"/plain.tif"}


def test_a_signed_address_has_no_side_files(server):
    # This server overlooks queries: /beside.tif?sig=1.msk would be the raster itself.
    facts = facts_at(f"{server.address}/beside.tif?sig=1")
    assert facts.masks == ("none",) * 2
    assert len(server.log()[0]) < 12


def test_members_of_a_mosaic_are_fetched_as_well(server, folder, tmp_path):
    path = tmp_path / "mosaic.vrt"
    with rasterio.open(folder / "spread.tif") as src:
        rasterio.shutil.copy(src, path, driver="VRT")
    text = path.read_text().replace(str(folder), f"/vsicurl/{server.address}")
    path.write_text(text.replace('relativeToVRT="1"', ""))
    facts = read_facts(path)
    assert any(map(is_remote, facts.files))
    server.begin(Fault(first=4, last=4, method="GET", after=100))
    assert same(pixels(facts), pixels(read_facts(folder / "spread.tif")))


def test_object_storage_needs_one_variable(objects, folder):
    upload(folder / "spread.tif", "s3://bucket/spread.tif")
    local = read_facts(folder / "spread.tif")
    for name in ("s3://bucket/spread.tif", "/vsis3/bucket/spread.tif"):
        facts = facts_at(name)
        assert known(facts) == known(local)
        assert same(pixels(facts), pixels(local))


def test_upscaling_gives_the_same_pixels_from_anywhere(server, objects, folder, tmp_path):
    upload(folder / "spread.tif", "s3://bucket/spread.tif")
    sources = (folder, f"/vsicurl/{server.address}", server.address, "s3://bucket")
    made = []
    for number, place in enumerate(sources):
        out = tmp_path / f"{number}.tif"
        geosr.upscale_file(f"{place}/spread.tif", out, model="bicubic", upscale_factor=2)
        with rasterio.open(out) as src:
            made.append((src.read(), src.read_masks(), src.transform, src.tags()))
    for one in made[1:]:
        assert np.array_equal(one[0], made[0][0])
        assert np.array_equal(one[1], made[0][1])
        assert one[2:] == made[0][2:]


def test_a_path_object_may_hold_an_address(server, folder):
    facts = read_facts(Path(f"{server.address}/plain.tif"))  # it has lost a slash
    assert known(facts) == known(read_facts(folder / "plain.tif"))
    server.begin(Fault(first=2, last=4, after=10))
    assert same(pixels(facts), pixels(read_facts(folder / "plain.tif")))


def test_an_address_with_odd_signs(server, folder):
    shutil.copy(folder / "plain.tif", folder / "with blank.tif")
    facts = facts_at(f"{server.address}/{quote('with blank.tif')}")
    assert known(facts) == known(read_facts(folder / "plain.tif"))


# Failing servers


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("name", ["spread.tif", "holes.tif"])
def test_facts_survive_any_lost_answer(server, folder, name, fault):
    url, local = f"{server.address}/{name}", known(read_facts(folder / name))
    facts_at(url)
    needed = [number for number, (_, path, _) in enumerate(server.log()[0]) if path == f"/{name}"]
    assert len(needed) > 4
    for number in needed:
        server.begin(Fault(first=number, last=number, **fault))
        assert known(facts_at(url)) == local


@pytest.mark.parametrize(
    ("name", "fault"),
    [(n, f) for n in ("spread.tif", "holes.tif") for f in FAULTS] + [("tiles.jp2", FAULTS[0])],
    ids=str,
)
def test_pixels_survive_any_lost_answer(server, folder, name, fault):
    local = pixels(read_facts(folder / name))
    facts = facts_at(f"{server.address}/{name}")
    server.begin()
    pixels(facts)
    needed = len(server.log()[0])
    assert needed > 4
    for number in range(needed):
        # Twice in a row: libcurl itself asks again when a connection was closed in between.
        server.begin(Fault(first=number, last=number + 1, **fault))
        assert same(pixels(facts), local)


@pytest.mark.parametrize("fault", [*FAULTS[:3], {"after": 10}], ids=str)
@pytest.mark.parametrize("name", ["beside.tif.msk", "told.tif.aux.xml"])
def test_a_side_file_that_is_lost_is_not_taken_for_absent(server, folder, name, fault):
    raster = name[: name.index(".tif") + 4]
    local = known(read_facts(folder / raster))
    for first in range(8):
        server.begin(Fault(first=first, last=first + 1, path=f"/{name}", **fault))
        assert known(facts_at(f"{server.address}/{raster}")) == local


def test_a_side_file_that_is_never_sent_is_named(server):
    server.begin(Fault(path="/beside.tif.msk", status=503))
    with pytest.raises(InputFileError, match=r"4 times: beside\.tif\.msk: HTTP response code: 503"):
        facts_at(f"{server.address}/beside.tif")


def test_a_window_comes_through_where_whole_ones_never_do(server, folder):
    local = read_facts(folder / "scene.tif")
    facts = facts_at(f"{server.address}/scene.tif")
    server.begin(Fault(after=4_000_000))  # no answer gets further
    assert same(pixels(facts), pixels(local))


def test_a_server_that_always_drops_ends_in_a_sentence(server):
    facts = facts_at(f"{server.address}/spread.tif")
    slept = []
    retries = Retries(sleep=slept.append)
    server.begin(Fault(method="GET", after=100))
    with pytest.raises(InputFileError) as caught:
        pixels(facts, Window(70, 30, 50, 60), retries)
    assert re.fullmatch(
        f"{server.address}/spread.tif cannot be read at rows 70 to 119, columns 30 to 89; it was "
        r"tried 5 times: .+\.",
        caught.value.message,
    )
    assert caught.value.code == "input.unreadable"
    assert "try again later" in caught.value.hint
    assert slept == [0.5, 1.0, 2.0]
    assert len(server.log()[0]) < 30


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault(status=503), "HTTP response code: 503"),
        (Fault(after=-1), "Empty reply from server"),
        (Fault(after=-1, reset=True), "Connection reset by peer"),
        (Fault(method="GET", after=0, reset=True), "not recognized as being in a supported file"),
    ],
)
def test_a_server_that_never_answers_well_ends_in_a_sentence(server, fault, why):
    slept = []
    server.begin(fault)
    with pytest.raises(InputFileError) as caught:
        facts_at(f"{server.address}/spread.tif?sig=secret", Retries(sleep=slept.append))
    assert caught.value.message.startswith(
        f"{server.address}/spread.tif cannot be opened; it was tried 4 times: "
    )
    assert why in caught.value.message
    assert "secret" not in str(caught.value)
    assert slept == [0.5, 1.0, 2.0]


def test_a_server_that_comes_back_is_forgiven(server, folder):
    server.begin(Fault(last=5, status=503))
    facts = facts_at(f"{server.address}/plain.tif")
    assert known(facts) == known(read_facts(folder / "plain.tif"))


@pytest.mark.parametrize("number", range(6))
def test_what_gdal_itself_fetched_again_is_not_lost(server, folder, monkeypatch, number):
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "2")
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    url = f"{server.address}/spread.tif"
    server.begin(Fault(first=number, last=number + 1, status=503))
    facts = facts_at(url, Retries(()))
    assert known(facts) == known(read_facts(folder / "spread.tif"))
    server.begin(Fault(first=number, last=number + 1, status=503))
    assert same(pixels(facts, retries=Retries(())), pixels(read_facts(folder / "spread.tif")))


def test_silence_ends(server, monkeypatch):
    monkeypatch.setenv("GDAL_HTTP_LOW_SPEED_TIME", "1")
    server.begin(Fault(silent=True))
    with pytest.raises(InputFileError, match="tried once: CURL error: Operation too slow"):
        facts_at(f"{server.address}/plain.tif", Retries(most_s=0.5))


@pytest.mark.parametrize(
    ("status", "words", "hint"),
    [(404, "does not exist on the server (404)", "address"), (403, "may not be read", "cred")],
)
def test_a_clear_no_is_taken_at_once(server, status, words, hint):
    server.begin(Fault(status=status))
    slept = []
    with pytest.raises(InputFileError) as caught:
        facts_at(f"{server.address}/plain.tif?sig=secret", Retries(sleep=slept.append))
    assert f"{server.address}/plain.tif {words}" in caught.value.message
    assert str(status) in caught.value.message
    assert "secret" not in str(caught.value)
    assert hint in caught.value.hint
    assert (slept, len(server.log()[0])) == ([], 2)


def test_object_storage_says_no_as_clearly(objects, monkeypatch):
    for name in ("bucket/none.tif", "no-bucket/none.tif"):
        with pytest.raises(InputFileError, match=f"s3://{name} does not exist on the server"):
            read_facts(f"s3://{name}")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(InputFileError, match="may not be read") as caught:
        read_facts("s3://bucket/none.tif")
    assert "AWS_NO_SIGN_REQUEST=YES" in caught.value.hint


def test_a_raster_that_is_replaced_meanwhile_is_noticed(server, folder):
    path, url = folder / "replaced.tif", f"{server.address}/replaced.tif"
    shutil.copy(folder / "spread.tif", path)
    facts = facts_at(url)
    with RasterReader(facts, (), whole(facts), retries=AT_ONCE) as reader:
        reader.read(Window(0, 0, 10, 10))
        shutil.copy(folder / "holes.tif", path)
        server.begin(Fault(last=2, status=503))
        with pytest.raises(InputFileError, match=r"replaced\.tif has changed on the server"):
            reader.read(Window(200, 200, 50, 50))


# GDAL's options and messages


@pytest.mark.parametrize(
    ("message", "lost"),
    [
        (
            'a.tif: TIFFFetchNormalTag:IO error during reading of "X"; tag ignored.',
            "IO error during",
        ),
        ("TIFFFetchDirectory:/vsicurl/h/a.tif: Can not read TIFF directory count", "Can not read"),
        ("_TIFFPartialReadStripArray:Cannot read offset/size for strile around ~0", "Cannot read"),
        ("HTTP response code on http://h/a.tif.msk: 503", "a.tif.msk: HTTP response code: 503"),
        ("HTTP response code on http://h/a.tif.msk: 403", None),
        ("HTTP error code: 503 - http://h/a.tif. Retrying again in 0.5 secs", None),
        ("Request for 10-20 failed with response_code=503", None),
        ("TIFFReadDirectory:Unknown field with tag 65000", None),
    ],
)
def test_what_gdal_says_is_understood(message, lost, caplog):
    logger = logging.getLogger("rasterio._env")
    with watched() as transfers:
        logger.warning("CPLE_AppDefined in %s", message)
        loud = list(caplog.messages)
        args = ("Can not read TIFF directory count",)
        other = threading.Thread(target=logger.info, args=args)
        other.start()
        other.join()
    assert len(transfers.lost) == (lost is not None)
    assert (lost or "") in "".join(transfers.lost)
    assert bool(loud) == ("Unknown" in message)


def test_options_hold_in_other_threads(server, monkeypatch):
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "1")
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    facts = facts_at(f"{server.address}/spread.tif")
    # The header, with user's options of the thread that makes the reader.
    with rasterio.Env(GDAL_HTTP_USERAGENT="mine"):
        reader = RasterReader(facts, (), whole(facts), retries=Retries(()))
    server.begin(Fault(agent="mine", status=403), Fault(first=2, last=2, method="GET", status=503))
    with reader, ThreadPoolExecutor(1) as pool:
        pool.submit(reader.read, Window(0, 0, 10, 10)).result()
    asked = [span for method, _, span in server.log()[0] if method == "GET"]
    assert asked[2] == asked[3]  # GDAL's own second try


def test_azure_is_asked_by_gdal_itself(monkeypatch):
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    with pytest.raises(InputFileError, match=r"may not be read: .*AZURE_STORAGE_CONNECTION_STRING"):
        read_facts("az://container/a.tif")


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("GDAL_HTTP_CONNECTTIMEOUT", "77")
    assert "GDAL_HTTP_CONNECTTIMEOUT" not in fetching("s3://bucket/a.tif")
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="FALSE", GDAL_CACHEMAX=64 << 20):
        options = fetching("s3://bucket/a.tif")
    assert options["GDAL_DISABLE_READDIR_ON_OPEN"] == "FALSE"
    assert "GDAL_CACHEMAX" not in options
    assert rasterio.env.get_gdal_config("GDAL_HTTP_LOW_SPEED_TIME") is None


@pytest.mark.parametrize(
    ("url", "endpoint", "secure"),
    [
        ("https://minio.example.com:9000/", "minio.example.com:9000", "YES"),
        ("http://127.0.0.1:9000", "127.0.0.1:9000", "NO"),
    ],
)
def test_one_variable_names_an_s3_server(monkeypatch, url, endpoint, secure):
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    options = fetching("s3://bucket/a.tif")
    assert options["AWS_S3_ENDPOINT"] == endpoint
    assert options["AWS_HTTPS"] == secure
    monkeypatch.setenv("AWS_S3_ENDPOINT", "other.example.com")
    assert "AWS_HTTPS" not in fetching("s3://bucket/a.tif")


def test_a_pickled_reader_has_no_credentials(server):
    facts = facts_at(f"{server.address}/plain.tif")
    with rasterio.Env(GDAL_HTTP_BEARER="secret"):
        reader = RasterReader(facts, (), whole(facts))
    data = pickle.dumps(reader)
    assert b"secret" not in data
    with pickle.loads(data) as again:
        assert same(again.read(whole(facts)), pixels(facts))


def test_what_is_dealt_with_is_not_logged(server, caplog):
    caplog.set_level(logging.WARNING)
    caplog.set_level(logging.WARNING, "rasterio._env")
    server.begin(*(Fault(first=n, last=n, after=50) for n in (3, 9)), Fault(last=1, status=503))
    facts = facts_at(f"{server.address}/spread.tif")
    server.begin(Fault(first=5, last=6, status=503))
    pixels(facts)
    assert caplog.records == []
    assert logging.getLogger("rasterio._env").level == logging.WARNING
    assert logging.getLogger("rasterio._env").filters == []


def test_threads_hear_their_own_losses_only(server, folder):
    local = pixels(read_facts(folder / "spread.tif"))
    names = ("spread.tif", "scene.tif")
    wanted = [pixels(read_facts(folder / name)) for name in names]
    urls = [f"{server.address}/{name}" for name in names]
    found = [facts_at(url) for url in urls]
    server.begin(*(Fault(first=n, last=n, path="/spread.tif", after=50) for n in range(2, 60, 5)))
    start, slept = threading.Barrier(4), ([], [])

    def read(number):
        start.wait()
        retries = Retries((0,) * 9, sleep=slept[number % 2].append)
        return [pixels(found[number % 2], retries=retries) for _ in range(3)]

    with ThreadPoolExecutor(4) as pool:
        for number, results in enumerate(pool.map(read, range(4))):
            assert all(same(result, wanted[number % 2]) for result in results)
    assert same(wanted[0], local)
    assert slept[1] == []


# Identity


def test_a_local_source_is_known_again(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy" / "beside.tif"
    before = source_identity(read_facts(path))
    assert source_identity(read_facts(path)) == before
    for changed in (path, path.with_name("beside.tif.msk")):
        times = changed.stat()
        os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
        after = source_identity(read_facts(path))
        assert after != before
        before = after


def test_what_a_mosaic_of_mosaics_is_read_from_counts(folder, tmp_path):
    shutil.copy(folder / "plain.tif", tmp_path)
    last = tmp_path / "plain.tif"
    for name in "ab":
        with rasterio.open(last) as src:
            rasterio.shutil.copy(src, tmp_path / f"{name}.vrt", driver="VRT")
        last = tmp_path / f"{name}.vrt"
    before = source_identity(read_facts(last))
    times = (tmp_path / "plain.tif").stat()
    os.utime(tmp_path / "plain.tif", ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    assert source_identity(read_facts(last)) != before


def test_a_file_in_an_archive_is_known_by_the_archive(folder, tmp_path):
    shutil.make_archive(str(tmp_path / "a"), "zip", folder, "plain.tif")
    facts = read_facts(f"/vsizip/{tmp_path}/a.zip/plain.tif")
    before = source_identity(facts)
    os.utime(tmp_path / "a.zip", ns=(1, 1))
    assert source_identity(facts) != before


@pytest.mark.parametrize("etag", [True, False])
def test_a_remote_source_is_known_again(server, folder, etag):
    path, url = folder / "changing.tif", f"{server.address}/changing.tif"
    shutil.copy(folder / "plain.tif", path)
    server.begin(etag=etag)
    before = source_identity(facts_at(f"{url}?sig=1"))
    assert source_identity(facts_at(f"{url}?sig=2")) == before
    assert "sig" not in str(before)
    with rasterio.open(path) as src:
        values = src.read()
    write(path, values[:, ::-1])  # not compressed: all blocks stay where they are
    assert source_identity(facts_at(url)) != before


def test_an_object_is_known_again(objects, folder, tmp_path):
    upload(folder / "plain.tif", "s3://bucket/changing.tif")
    before = source_identity(read_facts("s3://bucket/changing.tif"))
    assert source_identity(read_facts("s3://bucket/changing.tif")) == before
    write(tmp_path / "new.tif", noise(2, 60, 70))
    upload(tmp_path / "new.tif", "s3://bucket/changing.tif")
    assert source_identity(read_facts("s3://bucket/changing.tif")) != before
