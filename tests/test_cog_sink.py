"""A cloud-optimised GeoTIFF as it grows: what a stopped run leaves, and who goes on with it."""

from __future__ import annotations

import errno
import gc
import json
import os
import subprocess
import sys
import textwrap
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from cog_checks import check_valid
from sink_runs import NOTE, filled, holes, make_output, noise, store, write

from geosr.core.errors import (
    CancelledError,
    OutputBusyError,
    OutputError,
    OutputExistsError,
    PredictionError,
)
from geosr.io.changes import same, what_changed
from geosr.io.encoded import EncodedBlock
from geosr.io.opening import open_raster
from geosr.io.sinks import encoder_of, open_sink

# rasterio 1.4 multiplies with a sign that affine 3 will drop.
pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
]

ROOT = Path(__file__).parents[1]
SHAPE = (300, 400)  # 3 x 4 blocks
NUM_BLOCKS = 12


class Killed(BaseException):
    """Ends a run as nothing else would."""


@pytest.fixture
def output(tmp_path):
    """An output with holes, all of them at its upper left: its first tiles are left out."""
    return make_output(tmp_path / "out.tif", SHAPE, bands=2, nodata=0)


@pytest.fixture(scope="module")
def values():
    valid = holes(SHAPE)
    valid[:140, :270] = False
    return np.where(valid, np.maximum(noise((2, *SHAPE)), 1), 0).astype("uint16")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, values):
    """The bytes of a run that nothing happened to."""
    output = make_output(tmp_path_factory.mktemp("whole") / "out.tif", SHAPE, bands=2, nodata=0)
    write(output, values, values != 0)
    return Path(output.path).read_bytes()


def stop_at(output, values, number, error=Killed):
    """Stop a run before block ``number``, by ``error``; return what was raised."""

    def before(block):
        if block.number == number:
            raise error("stopped")

    with pytest.raises(BaseException) as caught:  # noqa: PT011
        write(output, values, values != 0, before=before)
    return caught.value


def go_on(output, values):
    return write(output, values, values != 0)


def beside(output):
    """Return the names of the files beside an output, without its own."""
    path = Path(output.path)
    return sorted(name[len(path.name) :] for name in os.listdir(path.parent) if name != path.name)


LEFT = [".part", ".part.journal"]


def journal(output):
    return Path(f"{output.path}.part.journal")


def part(output):
    return Path(f"{output.path}.part")


# Going on


@pytest.mark.parametrize("error", [Killed, KeyboardInterrupt, CancelledError, OSError])
def test_a_run_stopped_at_any_block_goes_on_to_the_same_bytes(output, values, undisturbed, error):
    for number in range(NUM_BLOCKS):
        stop_at(output, values, number, error)
        assert beside(output) == (LEFT if number else [])
        assert not Path(output.path).exists()
        sink = go_on(output, values)
        assert list(sink.done) == list(range(number))
        assert list(sink.notes) == [NOTE] * number
        assert bool(sink.news) == bool(number)
        assert Path(output.path).read_bytes() == undisturbed
        assert beside(output) == []
        Path(output.path).unlink()


def test_a_run_that_is_stopped_again_and_again(output, values, undisturbed):
    for number in range(1, NUM_BLOCKS):
        stop_at(output, values, number)
        assert part(output).stat().st_size < len(undisturbed)
    sink = go_on(output, values)
    assert len(sink.done) == NUM_BLOCKS - 1
    assert sink.news == "Going on from block 11 of 12, where an earlier run stopped."
    assert Path(output.path).read_bytes() == undisturbed


def test_an_unfinished_file_is_no_tiff(output, values):
    stop_at(output, values, 7)
    with pytest.raises(rasterio.errors.RasterioIOError):
        rasterio.open(part(output))


def test_what_a_stopped_run_says(output, values):
    said = f"7 of 12 blocks are kept in {part(output)}, and the same command goes on."
    stopped = stop_at(output, values, 7, CancelledError)
    assert stopped.message == f"Stopped; {said}"
    stopped = stop_at(output, values, 7, PredictionError)
    assert (stopped.message, stopped.hint) == ("stopped", said)
    nothing = make_output(Path(output.path).with_name("b.tif"), SHAPE, bands=2)
    stopped = stop_at(nothing, values, 0, CancelledError)
    assert (stopped.message, stopped.hint) == ("stopped", "")


class Calls:
    """Lets the system refuse one call, of all that a run makes to change files."""

    NAMES = ("write", "fsync", "fdatasync", "ftruncate", "replace", "unlink")

    def __init__(self, monkeypatch, at):
        self._left, self.failed = at, ""
        for name in self.NAMES:
            monkeypatch.setattr(os, name, self._counted(name, getattr(os, name)))

    def _counted(self, name, function):
        def call(*args, **keywords):
            self._left -= 1
            if self._left == -1:
                self.failed = name
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return function(*args, **keywords)

        return call


def test_an_error_of_the_disk_at_any_moment(tmp_path, values):
    """Each call in turn fails once. The next run finds what it can use, and no half of anything."""
    values = values[:, 100:300, 200:400]  # four blocks
    output = make_output(tmp_path / "out.tif", (200, 200), bands=2, nodata=0)
    go_on(output, values)
    undisturbed = Path(output.path).read_bytes()
    failed, hints = [""], []
    while failed[-1] or len(failed) == 1:
        Path(output.path).unlink()
        with pytest.MonkeyPatch.context() as monkeypatch:
            calls = Calls(monkeypatch, len(failed) - 1)
            try:
                go_on(output, values)
            except OutputError as error:
                hints.append(error.hint)
        failed.append(calls.failed)
        if not Path(output.path).exists():
            go_on(output, values)
        assert Path(output.path).read_bytes() == undisturbed, failed
        go_on(replace(output, overwrite=True), values)
        assert os.listdir(tmp_path) == ["out.tif"], failed
    assert len(failed) > 25
    assert set(failed) == {*Calls.NAMES, ""}
    assert len(hints) > 20
    assert all(hints)


def test_a_write_that_ends_in_the_middle(output, values, undisturbed, monkeypatch):
    stop_at(output, values, 4)
    write_some = os.write

    def torn(fd, data):
        write_some(fd, data[: len(data) // 2])
        raise Killed

    with pytest.raises(Killed), open_sink(output) as sink:  # noqa: PT012
        monkeypatch.setattr(os, "write", torn)
        store(sink, list(output.blocks.blocks())[4], values, values != 0)
    monkeypatch.undo()
    assert len(go_on(output, values).done) == 4
    assert Path(output.path).read_bytes() == undisturbed


def test_short_writes_are_gone_on_with(output, values, undisturbed, monkeypatch):
    write_some = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write_some(fd, data[:1000]))
    go_on(output, values)
    assert Path(output.path).read_bytes() == undisturbed


def test_all_is_there_but_the_end(output, values, undisturbed, monkeypatch):
    """A header that a killed run has written already does not count."""

    def killed(*args):
        raise Killed

    monkeypatch.setattr("geosr.io.cog.sink.put_in_place", killed)
    with pytest.raises(Killed):
        go_on(output, values)
    monkeypatch.undo()
    assert part(output).read_bytes() == undisturbed
    with pytest.raises(Killed), open_sink(output):  # noqa: PT012
        assert part(output).read_bytes()[:16] == bytes(16)  # no TIFF any more
        raise Killed
    sink = go_on(output, values)
    assert len(sink.done) == NUM_BLOCKS
    assert Path(output.path).read_bytes() == undisturbed
    assert beside(output) == []


def test_a_full_disk_is_named_and_the_work_is_kept(output, values, undisturbed, monkeypatch):
    write_some, room = os.write, [250_000]

    def full(fd, data):
        room[0] -= len(data)
        if room[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_some(fd, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutputError, match="The disk is full") as caught:
        go_on(output, values)
    monkeypatch.undo()
    assert "Make room" in caught.value.hint
    assert "and the same command goes on" in caught.value.hint
    assert beside(output) == LEFT
    assert len(go_on(output, values).done) > 3
    assert Path(output.path).read_bytes() == undisturbed


def test_a_full_disk_at_the_very_end(output, values, undisturbed, monkeypatch):
    stop_at(output, values, NUM_BLOCKS - 1)
    sink = open_sink(output)
    sink.__enter__()
    store(sink, list(output.blocks.blocks())[-1], values, values != 0)
    monkeypatch.setattr(os, "write", raising(OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(OutputError, match="The disk is full") as caught:
        sink.__exit__(None, None, None)
    monkeypatch.undo()
    assert "12 of 12 blocks are kept" in caught.value.hint
    go_on(output, values)
    assert Path(output.path).read_bytes() == undisturbed


def raising(error):
    def call(*args, **keywords):
        raise error

    return call


@pytest.mark.parametrize("size", ["256k", "512k"])
def test_a_small_disk(tmp_path, values, undisturbed, size):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        output = make_output(disk / "out.tif", SHAPE, bands=2, nodata=0)
        with pytest.raises(OutputError, match="The disk is full"):
            go_on(output, values)
        assert beside(output) == LEFT
        room = ["mount", "-o", "remount,size=4m", str(disk)]
        subprocess.run(room, check=True)
        assert len(go_on(output, values).done) > 0
        assert Path(output.path).read_bytes() == undisturbed
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# Starting anew


def test_no_resume_starts_anew_and_leaves_nothing(output, values, undisturbed):
    alone = replace(output, resume=False)
    stop_at(alone, values, 7)
    assert beside(output) == []
    stop_at(output, values, 7)
    sink = go_on(alone, values)
    assert (list(sink.done), list(sink.notes)) == ([], [])
    assert sink.news == "--no-resume was given; what an earlier run left is not used."
    assert Path(output.path).read_bytes() == undisturbed
    assert beside(output) == []


def test_what_a_killed_run_without_resuming_leaves_is_not_used(output, values, undisturbed):
    alone = replace(output, resume=False)
    sink = open_sink(alone)
    sink.__enter__()
    for block in list(output.blocks.blocks())[:5]:
        store(sink, block, values, values != 0)
    kill(sink)
    assert beside(output) == LEFT
    again = go_on(output, values)
    assert (list(again.done), again.news) == ([], "")
    assert Path(output.path).read_bytes() == undisturbed


def kill(sink):
    """Leave all as it is when a process ends; only what the system takes back is given back."""
    os.close(sink._fd)
    sink._fd = -1
    sink._stack.close()
    gc.collect()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": 2}, "The source has changed since the earlier run; this one starts anew."),
        (
            {"source": 2, "model": "b"},
            "The source and the model have changed since the earlier run; this one starts anew.",
        ),
        (
            {"version of geosr": "1"},
            "The version of geosr has changed since the earlier run; this one starts anew.",
        ),
    ],
)
def test_another_run_starts_anew_and_says_why(output, values, undisturbed, change, said):
    stop_at(output, values, 5)
    before = part(output).read_bytes()
    other = replace(output, identity={**output.identity, **change})
    sink = go_on(other, values)
    assert (list(sink.done), sink.news) == ([], said)
    assert before  # which is gone
    assert Path(output.path).read_bytes() == undisturbed
    assert beside(output) == []


def test_a_part_that_is_shorter_than_its_journal_says(output, values, undisturbed):
    stop_at(output, values, 5)
    with part(output).open("r+b") as file:
        file.truncate(part(output).stat().st_size - 1)
    sink = go_on(output, values)
    assert list(sink.done) == []
    assert sink.news == f"{part(output)} is not all there any more; the run starts anew."
    assert Path(output.path).read_bytes() == undisturbed


@pytest.mark.parametrize("what", ["missing", "folder"])
def test_a_part_that_is_not_there(output, values, undisturbed, what):
    stop_at(output, values, 5)
    part(output).unlink()
    if what == "folder":  # as a Zarr store's is
        part(output).mkdir()
        (part(output) / "zarr.json").write_text("{}")
    assert "not all there" in go_on(output, values).news
    assert Path(output.path).read_bytes() == undisturbed


def test_a_part_without_a_journal_is_nothing(output, values, undisturbed):
    stop_at(output, values, 5)
    journal(output).unlink()
    sink = go_on(output, values)
    assert (list(sink.done), sink.news) == ([], "")
    assert Path(output.path).read_bytes() == undisturbed


def test_more_in_the_part_than_in_the_journal_is_cut_off(output, values, undisturbed):
    stop_at(output, values, 5)
    with part(output).open("ab") as file:
        file.write(b"half a block" * 99_999)
    assert len(go_on(output, values).done) == 5
    assert Path(output.path).read_bytes() == undisturbed


def test_a_journal_that_lost_its_end(output, values, undisturbed):
    """Lines that did not reach the disk: their blocks are made again."""
    stop_at(output, values, 8)
    text = journal(output).read_bytes()
    lines = text.split(b"\n")
    journal(output).write_bytes(b"\n".join(lines[:7]) + b"\n" + lines[7][:30])
    assert len(go_on(output, values).done) == 5
    assert Path(output.path).read_bytes() == undisturbed


def line_of(record):
    text = json.dumps(record).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


@pytest.mark.parametrize(
    "records",
    [
        [{"block": 1, "at": 0, "sizes": [], "note": NOTE}],
        [{"block": 0, "at": 1, "sizes": [], "note": NOTE}],
        [{"block": 0}],
        [{"part": "another format's"}],
        [{}],
    ],
)
def test_a_journal_that_speaks_of_something_else(output, values, undisturbed, records):
    stop_at(output, values, 3)
    lines = journal(output).read_bytes().splitlines(keepends=True)
    journal(output).write_bytes(b"".join(lines[:2]) + b"".join(map(line_of, records)))
    sink = go_on(output, values)
    assert list(sink.done) == []
    assert Path(output.path).read_bytes() == undisturbed


def test_nothing_is_lost_by_a_run_that_fails_before_it_begins(output, values, undisturbed):
    """Such as one whose folder for temporary files is full: it has not touched anything yet."""
    stop_at(output, values, 5)
    with pytest.MonkeyPatch.context() as monkeypatch:
        full = OSError(errno.ENOSPC, "No space left")
        monkeypatch.setattr("geosr.io.cog.sink.make_template", raising(full))
        with pytest.raises(OutputError):
            go_on(output, values)
    assert beside(output) == LEFT
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(os, "ftruncate", raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            go_on(output, values)
    assert len(go_on(output, values).done) == 5
    assert Path(output.path).read_bytes() == undisturbed


def test_an_error_before_the_first_block_leaves_nothing(output, values):
    for error in (Killed, KeyboardInterrupt, PredictionError):
        stop_at(output, values, 0, error)
        assert beside(output) == []
        assert not rasterio.env.hasenv()


def test_identities_are_compared_as_they_are_written():
    nan = float("nan")
    old = {"nodata": nan, "shape": [1, 2], "options": {"a": "1", "b": "2"}}
    new = {"nodata": nan, "shape": (1, 2), "options": {"b": "2", "a": "1"}}
    assert same(json.loads(json.dumps(old)), new)
    assert what_changed(old, new) == ""
    three = {"a": 1, "b": 1, "c": 1}
    said = what_changed({"a": 2, "b": 2, "d": 2}, three)
    assert said == "The a, the b, the c and the d have changed since the earlier run; this one starts anew."  # fmt: skip  # noqa: E501


# Beside others


def test_a_second_run_is_refused_and_disturbs_nothing(output, values, undisturbed):
    with open_sink(output) as sink:
        for block in output.blocks.blocks():
            store(sink, block, values, values != 0)
            if block.number == 5:
                for other in (output, replace(output, resume=False, overwrite=True)):
                    with pytest.raises(OutputBusyError, match=f"process {os.getpid()}"):
                        go_on(other, values)
    assert Path(output.path).read_bytes() == undisturbed
    assert beside(output) == []


DYING = """
    import os, sys
    sys.path.insert(0, "tests")
    import numpy as np
    from sink_runs import make_output, store
    from geosr.io.sinks import open_sink
    values = np.load(sys.argv[2])
    output = make_output(sys.argv[1], values.shape[1:], bands=2, nodata=0)
    with open_sink(output) as sink:
        for block in list(output.blocks.blocks())[:6]:
            store(sink, block, values, values != 0)
        print("ready", flush=True)
        sys.stdin.read()
"""


def test_another_process_is_refused_and_its_work_is_taken_over(
    tmp_path, output, values, undisturbed
):
    np.save(tmp_path / "values.npy", values)
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DYING), output.path, tmp_path / "values.npy"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(OutputBusyError, match=f"process {process.pid} on "):
            go_on(output, values)
    finally:
        process.kill()
        process.communicate()
    assert list(go_on(output, values).done) == list(range(6))
    assert Path(output.path).read_bytes() == undisturbed


def test_an_output_that_appears_meanwhile_is_not_replaced_and_the_work_is_kept(
    output, values, undisturbed
):
    def appear(block):
        Path(output.path).write_bytes(b"another's")

    with pytest.raises(OutputExistsError, match="appeared meanwhile") as caught:
        write(output, values, values != 0, before=appear)
    assert "--overwrite" in caught.value.hint
    assert "12 of 12 blocks are kept" in caught.value.hint
    assert Path(output.path).read_bytes() == b"another's"
    sink = go_on(replace(output, overwrite=True), values)
    assert len(sink.done) == NUM_BLOCKS
    assert Path(output.path).read_bytes() == undisturbed


def test_without_resuming_nothing_is_kept_beside_it(output, values):
    alone = replace(output, resume=False)

    def appear(block):
        Path(output.path).write_bytes(b"another's")

    with pytest.raises(OutputExistsError, match="appeared meanwhile") as caught:
        write(alone, values, values != 0, before=appear)
    assert caught.value.hint == "Use --overwrite to replace it."
    assert beside(output) == []


def test_the_old_output_stays_until_the_new_one_is_whole(output, values, undisturbed):
    Path(output.path).write_bytes(b"old")
    companions = [".aux.xml", ".msk", ".ovr"]
    for suffix in companions:
        Path(f"{output.path}{suffix}").write_bytes(b"old")
    over = replace(output, overwrite=True)
    stop_at(over, values, 5)
    assert Path(output.path).read_bytes() == b"old"
    assert beside(output) == sorted([*companions, *LEFT])
    assert len(go_on(over, values).done) == 5
    assert Path(output.path).read_bytes() == undisturbed
    assert beside(output) == []


def test_a_link_stays_one(tmp_path, output, values, undisturbed):
    far = tmp_path / "far"
    far.mkdir()
    Path(output.path).symlink_to(far / "real.tif")
    stop_at(output, values, 5)
    assert sorted(os.listdir(far)) == ["real.tif.part", "real.tif.part.journal"]
    assert len(go_on(output, values).done) == 5
    assert Path(output.path).is_symlink()
    assert (far / "real.tif").read_bytes() == undisturbed
    assert os.listdir(far) == ["real.tif"]


def test_a_folder_that_is_gone(tmp_path, values):
    output = make_output(tmp_path / "none" / "out.tif", SHAPE, bands=2, nodata=0)
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        go_on(output, values)
    assert not rasterio.env.hasenv()


UNPRIVILEGED = """
    import os, sys
    sys.path.insert(0, "tests")
    from sink_runs import make_output, noise, write
    from geosr.core.errors import OutputError
    output = make_output(sys.argv[1], (200, 200))
    os.setuid(65534)
    try:
        write(output, noise((1, 200, 200)))
    except OutputError as error:
        print(error.message, bool(error.hint))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_a_folder_that_may_not_be_written_to(tmp_path):
    (tmp_path / "mine").mkdir(mode=0o555)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(UNPRIVILEGED), tmp_path / "mine" / "out.tif"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "out.tif.part.journal cannot be written: Permission denied. True" in done.stdout
    assert os.listdir(tmp_path / "mine") == []


# Blocks from other machines


def test_blocks_that_were_encoded_elsewhere(output, values, undisturbed):
    encoder = encoder_of(output)
    with open_sink(output) as sink:
        for block in output.blocks.blocks():
            part_of_it = values[(slice(None), *block.output.slices)]
            data = encoder.encode(block, part_of_it, part_of_it != 0).to_bytes(NOTE)
            sink.commit(block, *EncodedBlock.from_bytes(data))
    assert Path(output.path).read_bytes() == undisturbed


@pytest.mark.parametrize("damage", [b"", b"geosr block 1\n", b"geosr block 1\n{}\n", b"x"])
def test_a_damaged_block_is_told(damage):
    data = EncodedBlock((b"abc", b"", b"d")).to_bytes(NOTE)
    assert EncodedBlock.from_bytes(data) == (EncodedBlock((b"abc", b"", b"d")), NOTE)
    for bad in (damage, data[:-1], data + b"x", data[:-1] + b"x", data[1:]):
        with pytest.raises(OutputError, match="damaged"):
            EncodedBlock.from_bytes(bad)


def test_what_is_left_out_at_the_start_does_not_spoil_the_order(output, values, undisturbed):
    """The first tiles of all levels are empty here: others stand for them."""
    go_on(output, values)
    check_valid(output.path)
    with open_raster(output.path) as src:
        assert (src.read() == filled(output, values, values != 0)).all()
