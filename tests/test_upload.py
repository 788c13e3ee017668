"""Finished outputs on their way into object storage."""

import os
import sys

import pytest
from remote_servers import S3Server

from geosr.core.errors import CancelledError, MissingDependencyError, OptionError, OutputError
from geosr.io import upload as uploading
from geosr.io.remote import Retries
from geosr.io.upload import delete, object_url, remote_exists, upload

AT_ONCE = Retries((0, 0))


@pytest.fixture(scope="module")
def objects():
    with S3Server() as server:
        yield server


@pytest.fixture
def bucket(objects, monkeypatch):
    """What is in the test's bucket, by name."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in objects.environment.items():
        monkeypatch.setenv(name, value)
    import s3fs

    files = s3fs.S3FileSystem(endpoint_url=objects.address, use_listings_cache=False)
    files.rm("bucket", recursive=True)
    files.mkdir("bucket")
    return lambda: {name: files.cat_file(name) for name in files.find("bucket")}


@pytest.fixture
def store(tmp_path):
    """A folder that is laid out as a Zarr store is."""
    for name in ("zarr.json", "0/zarr.json", "0/c/0/0", "0/c/0/1", "1/c/0/0"):
        file = tmp_path / "store.zarr" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    return tmp_path / "store.zarr"


class FailingFiles:
    """A filesystem whose first uploads fail, each in its own way."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.there = {}
        self.puts = []

    def put_file(self, source, name, callback):
        callback.set_size(os.path.getsize(source))
        self.put([source], [name])
        callback.relative_update(os.path.getsize(source))

    def put(self, sources, names):
        self.puts += names
        failure = self.failures.pop(0) if self.failures else None
        if isinstance(failure, Exception):
            raise failure
        for source, name in zip(sources, names, strict=True):
            self.there[name] = {"size": 0 if failure == "cut" else os.path.getsize(source)}

    def invalidate_cache(self):
        pass

    def info(self, name):
        return self.there[name]

    def find(self, name, detail):
        return self.there


@pytest.fixture
def failing(monkeypatch):
    def place(*failures):
        files = FailingFiles(*failures)
        made = uploading._Place(files, "b/out", "s3://b/out")
        monkeypatch.setattr(uploading, "_place", lambda url: made)
        return files

    return place


@pytest.fixture
def file(tmp_path):
    (tmp_path / "out.tif").write_bytes(b"pixels" * 100)
    return tmp_path / "out.tif"


# A file


def test_a_file_arrives_and_replaces_another(bucket, file):
    told = []
    assert not remote_exists("s3://bucket/a/out.tif")
    upload(file, "s3://bucket/a/out.tif", on_bytes=lambda *counts: told.append(counts))
    assert remote_exists("/vsis3/bucket/a/out.tif")
    assert bucket() == {"bucket/a/out.tif": b"pixels" * 100}
    assert told[-1] == (600, 600)
    file.write_bytes(b"others")
    upload(file, "s3://bucket/a/out.tif")
    assert bucket() == {"bucket/a/out.tif": b"others"}
    assert file.exists()
    delete("s3://bucket/a/out.tif")
    delete("s3://bucket/a/out.tif")
    assert bucket() == {}


def test_a_large_file_goes_in_parts_and_appears_whole(bucket, tmp_path, objects):
    path, seen = tmp_path / "large.tif", []
    with path.open("wb") as stream:
        stream.truncate(101 << 20)

    def stop_after_a_part(sent, total):
        if sent:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        upload(path, "s3://bucket/large.tif", on_bytes=stop_after_a_part)
    assert bucket() == {}
    import s3fs

    files = s3fs.S3FileSystem(endpoint_url=objects.address, use_listings_cache=False)
    assert not files.call_s3("list_multipart_uploads", Bucket="bucket").get("Uploads")
    upload(path, "s3://bucket/large.tif", on_bytes=lambda sent, total: seen.append(sent))
    assert len(seen) > 2
    assert seen == sorted(seen)
    assert seen[-1] == files.info("bucket/large.tif")["size"] == 101 << 20


def test_credentials_and_addresses_may_change_in_between(bucket, file, objects, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_S3_ENDPOINT", objects.address.removeprefix("http://"))
    monkeypatch.setenv("AWS_HTTPS", "NO")
    with pytest.raises(OutputError, match=r"Unable to locate credentials.*is .*out\.tif\.") as lost:
        upload(file, "s3://bucket/out.tif")
    assert "credentials" in lost.value.hint
    with pytest.raises(OutputError, match="cannot be reached: Unable to locate credentials"):
        remote_exists("s3://bucket/out.tif")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    upload(file, "s3://bucket/out.tif")
    assert len(bucket()) == 1


def test_a_missing_bucket_is_named_and_not_tried_twice(bucket, file):
    slept = []
    with pytest.raises(OutputError, match="bucket does not exist") as caught:
        upload(file, "s3://no-bucket/out.tif", retries=Retries(sleep=slept.append))
    assert f"The finished output is {file}." in caught.value.message
    assert slept == []
    assert file.exists()


@pytest.mark.parametrize("failure", [OSError("reset"), RuntimeError("a library's own"), "cut"])
def test_a_lost_upload_is_tried_again(failing, file, failure):
    files = failing(failure, failure)
    upload(file, "s3://b/out", retries=AT_ONCE)
    assert files.puts == ["b/out"] * 3
    files = failing(failure, failure, failure)
    with pytest.raises(
        OutputError, match=r"s3://b/out cannot be written: (reset|a lib|of the 600)"
    ):
        upload(file, "s3://b/out", retries=AT_ONCE)
    assert len(files.puts) == 3


# A folder


def test_a_store_arrives_and_its_root_last(bucket, store, failing):
    told = []
    upload(store, "s3://bucket/a/store.zarr", on_bytes=lambda *counts: told.append(counts))
    names = {f"bucket/a/store.zarr/{name}" for name in ("zarr.json", "0/zarr.json", "0/c/0/0")}
    assert names < set(bucket())
    assert bucket()["bucket/a/store.zarr/0/c/0/1"] == b"0/c/0/1"
    assert len(bucket()) == 5
    assert told[-1][0] == told[-1][1] == sum(map(len, bucket().values()))
    assert remote_exists("s3://bucket/a/store.zarr")
    files = failing()
    upload(store, "s3://b/out")
    assert files.puts[-1] == "b/out/zarr.json"


def test_a_store_without_all_its_files_fails(failing, store):
    failing("cut")
    with pytest.raises(OutputError, match="of the 7 bytes of b/out/0/c/0/0 0 have arrived"):
        upload(store, "s3://b/out", retries=AT_ONCE)


def test_only_a_store_is_removed(bucket, store, file):
    upload(store, "s3://bucket/a/store.zarr")
    upload(file, "s3://bucket/a/store.zarr.tif")
    with pytest.raises(OutputError, match="a folder with other things than a Zarr store"):
        delete("s3://bucket/a")
    assert len(bucket()) == 6
    delete("s3://bucket/a/store.zarr")
    assert set(bucket()) == {"bucket/a/store.zarr.tif"}


# Where


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("s3://bucket/out.tif", "s3://bucket/out.tif"),
        ("s3:/bucket/out.tif", "s3://bucket/out.tif"),
        ("/vsis3/bucket/out.tif", "s3://bucket/out.tif"),
        ("/vsigs/bucket/out.tif", "gs://bucket/out.tif"),
        ("/vsiaz/container/out.tif", "az://container/out.tif"),
        ("gcs://bucket/out.zarr", "gcs://bucket/out.zarr"),
        ("abfs://container/out.zarr", "abfs://container/out.zarr"),
    ],
)
def test_where_can_be_written(path, url):
    assert object_url(path) == url


@pytest.mark.parametrize(
    "path",
    ["https://example.com/out.tif", "/vsicurl/https://example.com/out.tif", "/vsimem/out.tif"],
)
def test_where_cannot_be_written(path):
    with pytest.raises(OptionError, match="Nothing can be written to"):
        object_url(path)


@pytest.mark.parametrize("path", ["s3://bucket", "s3://bucket/", "s3:///out.tif"])
def test_a_bucket_is_no_output(path):
    with pytest.raises(OptionError, match="whole bucket"):
        delete(path)


@pytest.mark.parametrize(
    ("url", "package", "extra"), [("gs://b/a", "gcsfs", "gs"), ("az://b/a", "adlfs", "az")]
)
def test_a_missing_package_is_named(monkeypatch, file, url, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=f"needs the package {package}") as caught:
        upload(file, url)
    assert caught.value.hint == f'Install it: pip install "geosr[{extra}]"'
