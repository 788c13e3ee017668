"""The right to write an output, and its journal: what stays, what counts, who may."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geosr.core.errors import OutputBusyError, OutputError
from geosr.io import claim as claim_module
from geosr.io import locking
from geosr.io.claim import (
    Claim,
    blocks_of_output,
    journal_of,
    part_of,
    remove_own,
    sweep,
    sweep_finished,
)

ROOT = Path(__file__).parents[1]
RECORDS = [{"identity": {"source": "ä"}}, {"block": 0, "sizes": [1, 2]}, {"block": 1, "sizes": []}]


def begin(path, records=RECORDS):
    """Write a journal as a run would that is stopped then."""
    with Claim(path) as claim:
        claim.restart(records[0]["identity"])
        for record in records[1:]:
            claim.add(record)
    return journal_of(path)


def found(path):
    with Claim(path) as claim:
        return claim.records


def in_another_process(code, *args):
    """Start Python with ``code``; it says when it is ready, and waits for its standard input."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


HOLD = """
    import sys
    from geosr.io.claim import Claim
    with Claim(sys.argv[1]) as claim:
        claim.restart({"source": 1})
        claim.add({"block": 0})
        print("ready", flush=True)
        sys.stdin.read()
"""


# What lies where


def test_names_beside_the_output(tmp_path):
    out = tmp_path / "a.tif"
    assert part_of(out) == tmp_path / "a.tif.part"
    assert journal_of(str(out)) == tmp_path / "a.tif.part.journal"
    assert blocks_of_output(out) == tmp_path / "a.tif.part.blocks"


def test_of_a_link_the_file_behind_it_is_claimed(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "a.tif").symlink_to("far/real.tif")
    assert journal_of(tmp_path / "a.tif") == tmp_path / "far" / "real.tif.part.journal"
    with Claim(tmp_path / "a.tif"), pytest.raises(OutputBusyError):
        Claim(tmp_path / "far" / "real.tif").__enter__()


# The journal


def test_a_journal_is_read_by_the_next_owner(tmp_path):
    out = tmp_path / "a.tif"
    assert found(out) == []
    begin(out)
    assert found(out) == RECORDS
    assert found(out) == RECORDS  # reading changes nothing
    with Claim(out) as claim:
        claim.add({"block": 2})
        assert claim.records == [*RECORDS, {"block": 2}]
    assert found(out) == [*RECORDS, {"block": 2}]
    with Claim(out) as claim:
        claim.restart({"source": 2})
        assert claim.records == [{"identity": {"source": 2}}]
    assert found(out) == [{"identity": {"source": 2}}]
    with Claim(out) as claim:
        claim.remove()
        claim.remove()
        claim.release()
    assert os.listdir(tmp_path) == []


def test_a_journal_without_an_identity_is_none(tmp_path):
    begin(tmp_path / "a.tif")
    text = (tmp_path / "a.tif.part.journal").read_bytes()
    lines = text[256:].splitlines(keepends=True)
    (tmp_path / "a.tif.part.journal").write_bytes(text[:256] + b"".join(lines[1:]))
    assert found(tmp_path / "a.tif") == []


def test_odd_values_survive(tmp_path):
    odd = {"name": "a\udcff.tif", "nodata": math.nan, "most": math.inf, "text": "two\nlines ä"}
    (record,) = found_after(tmp_path / "a.tif", [{"identity": odd}])
    assert repr(record["identity"]) == repr(odd)


def found_after(path, records):
    begin(path, records)
    return found(path)


@given(st.integers(0, 400))
def test_a_journal_that_was_cut_counts_as_far_as_it_is_whole(tmp_path_factory, length):
    out = tmp_path_factory.mktemp("cut") / "a.tif"
    journal = begin(out)
    text = journal.read_bytes()
    journal.write_bytes(text[:length])
    ends = [256]
    for line in text[256:].splitlines(keepends=True):
        ends.append(ends[-1] + len(line))
    whole = sum(end <= length for end in ends[1:])
    assert found(out) == RECORDS[:whole]
    # The rest is gone for good: what is added now stands behind what counts.
    with Claim(out) as claim:
        if not claim.records:
            claim.restart(RECORDS[0]["identity"])
        claim.add({"block": 7})
    assert found(out) == [*RECORDS[: max(whole, 1)], {"block": 7}]


@given(st.integers(256, 340), st.integers(1, 255))
def test_nothing_counts_from_a_line_with_a_wrong_checksum_on(tmp_path_factory, place, change):
    out = tmp_path_factory.mktemp("flipped") / "a.tif"
    journal = begin(out)
    text = bytearray(journal.read_bytes())
    place = min(place, len(text) - 1)
    text[place] ^= change
    journal.write_bytes(text)
    line = bytes(text[256:place]).count(b"\n")
    assert found(out) == RECORDS[:line]


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\0" * 5000,
        b"a shopping list\n" * 40,
        b"\xff" * 300,
        b"{}\n" * 200,
        b" " * 256 + b"\n",
    ],
)
def test_a_file_that_is_no_journal_is_overwritten(tmp_path, garbage):
    (tmp_path / "a.tif.part.journal").write_bytes(garbage)
    assert found(tmp_path / "a.tif") == []
    assert found_after(tmp_path / "a.tif", RECORDS) == RECORDS


def test_zeros_behind_the_last_line_do_not_count(tmp_path):
    """As some file systems leave them after a power failure."""
    journal = begin(tmp_path / "a.tif")
    with journal.open("ab") as file:
        file.write(b"\0" * 4096)
    assert found(tmp_path / "a.tif") == RECORDS


def test_each_line_has_a_checksum_and_the_first_is_the_owner(tmp_path):
    lines = begin(tmp_path / "a.tif").read_bytes()
    owner = json.loads(lines[:256])
    assert owner["pid"] == os.getpid()
    for line, record in zip(lines[256:].splitlines(), RECORDS, strict=True):
        crc, _, text = line.partition(b" ")
        assert (int(crc, 16), json.loads(text)) == (zlib.crc32(text), record)


# Who may


def test_a_second_run_of_this_process_is_refused(tmp_path):
    out = tmp_path / "a.tif"
    begin(out)
    with Claim(out):
        with pytest.raises(OutputBusyError, match=f"writing {out}: process {os.getpid()} on") as no:
            Claim(out).__enter__()
        assert no.value.hint
        assert no.value.code == "output.busy"
    assert found(out) == RECORDS


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path):
    out = tmp_path / "a.tif"
    process = in_another_process(HOLD, out)
    try:
        with pytest.raises(OutputBusyError, match=f"process {process.pid} on "):
            Claim(out).__enter__()
        assert journal_of(out).exists()
    finally:
        process.kill()
        process.communicate()
    assert found(out) == [{"identity": {"source": 1}}, {"block": 0}]


def test_the_claim_ends_though_a_child_lives_on(tmp_path):
    """Workers and GDAL's helpers are started by exec: they must not inherit the lock."""
    out = tmp_path / "a.tif"
    with Claim(out):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        assert found(out) == []
    finally:
        child.kill()
        child.wait()


def test_a_journal_that_its_owner_removes_just_then(tmp_path, monkeypatch):
    """Between opening the file and locking it: the lock is then on a file that is gone."""
    out, seen = tmp_path / "a.tif", []

    def lock(fd):
        seen.append(fd)
        if len(seen) == 1:
            journal_of(out).unlink()
        if len(seen) == 2:  # and another one has begun meanwhile
            journal_of(out).unlink()
            journal_of(out).write_bytes(b"")
        return locking.lock(fd)

    monkeypatch.setattr(claim_module, "lock", lock)
    with Claim(out) as claim:
        claim.restart({"source": 1})
        monkeypatch.undo()
        with pytest.raises(OutputBusyError):
            Claim(out).__enter__()
    assert len(seen) == 3
    assert found(out) == [{"identity": {"source": 1}}]


@pytest.mark.skipif(sys.platform == "win32", reason="locks are others there")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_written_to(tmp_path, monkeypatch, number):
    def refuse(fd, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locking.fcntl, "flock", refuse)
    monkeypatch.setattr(claim_module, "unlock", lambda fd: None)
    assert found_after(tmp_path / "a.tif", RECORDS) == RECORDS


def test_a_journal_that_cannot_be_written_is_told_in_a_sentence(tmp_path):
    with pytest.raises(OutputError, match="journal cannot be written: No such file") as caught:
        Claim(tmp_path / "none" / "a.tif").__enter__()
    assert caught.value.hint
    (tmp_path / "b.tif.part.journal").mkdir()
    with pytest.raises(OutputError, match=r"part\.journal cannot be written: Is a directory"):
        Claim(tmp_path / "b.tif").__enter__()


def test_a_full_disk_before_the_first_line_is_told_in_a_sentence(tmp_path, monkeypatch):
    out = tmp_path / "a.tif"
    begin(out)

    def refuse(fd, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(claim_module.os, "write", refuse)
    with pytest.raises(OutputError, match="No space left"):
        Claim(out).__enter__()
    monkeypatch.undo()
    assert found(out) == RECORDS


def test_writing_in_pieces(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(claim_module.os, "write", lambda fd, data: write(fd, data[:7]))
    assert found_after(tmp_path / "a.tif", RECORDS) == RECORDS


# What is removed


def leave(out, *, blocks=True):
    """Lay around an output all that a run may leave."""
    part_of(out).write_bytes(b"pixels")
    part_of(out).with_name("a.tif.part.aux.xml").write_bytes(b"<PAMDataset/>")
    if blocks:
        blocks_of_output(out).mkdir()
        (blocks_of_output(out) / "1").write_bytes(b"a block")


def test_sweeping(tmp_path):
    out = tmp_path / "a.tif"
    out.write_bytes(b"the output")
    sweep(out)
    leave(out)
    begin(out)
    sweep(out, blocks=False)
    left = ["a.tif", "a.tif.part.blocks", "a.tif.part.journal"]
    assert sorted(os.listdir(tmp_path)) == left
    sweep(out)
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "a.tif.part.journal"]
    part_of(out).mkdir()  # of a Zarr store
    (part_of(out) / "c").write_bytes(b"a chunk")
    sweep(out)
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "a.tif.part.journal"]


def test_sweeping_goes_no_further_than_a_link(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").write_bytes(b"kept")
    part_of(tmp_path / "a.tif").symlink_to(tmp_path / "mine")
    sweep(tmp_path / "a.tif")
    assert os.listdir(tmp_path) == ["mine"]
    assert os.listdir(tmp_path / "mine") == ["a"]


def test_the_last_resort_removes_what_this_process_has_begun(tmp_path):
    out = tmp_path / "a.tif"
    remove_own(out)  # nothing there
    with Claim(out) as claim:
        claim.restart({"source": 1})
        leave(out)
        remove_own(out)
        assert os.listdir(tmp_path) == []


def test_the_last_resort_leaves_what_is_anothers(tmp_path):
    out = tmp_path / "a.tif"
    leave(out)
    remove_own(out)  # nobody's
    assert part_of(out).exists()
    process = in_another_process(HOLD, out)
    try:
        remove_own(out)
        assert part_of(out).exists()
        assert journal_of(out).exists()
    finally:
        process.kill()
        process.communicate()


def test_a_journal_left_beside_a_finished_output_goes(tmp_path):
    out = tmp_path / "a.tif"
    out.write_bytes(b"the output")
    sweep_finished(out)
    begin(out)
    sweep_finished(out)
    assert os.listdir(tmp_path) == ["a.tif"]
    begin(out)
    part_of(out).write_bytes(b"what replaces it with --overwrite")
    sweep_finished(out)
    assert found(out) == RECORDS
    assert part_of(out).exists()
    part_of(out).unlink()
    with Claim(out):
        sweep_finished(out)
        assert journal_of(out).exists()
