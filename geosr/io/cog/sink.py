"""The file as it grows: tiles appended, each block journaled, the header last."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio

from geosr.core.errors import CancelledError, GeosrError, InputChangedError, OutputError
from geosr.core.plan import Block
from geosr.io.changes import what_changed
from geosr.io.claim import Claim, part_of, sweep
from geosr.io.cog.encode import BlockEncoder, TileCodec, Valid, Values
from geosr.io.cog.index import TileIndex
from geosr.io.cog.template import Template, make_template
from geosr.io.cog.top import TopMaker
from geosr.io.encoded import EncodedBlock
from geosr.io.opening import open_raster
from geosr.io.output import (
    Output,
    check_absent,
    disk_full,
    is_full,
    put_in_place,
    write_errors,
)

Note = dict[str, float]

_MAGIC = 4  # bytes that tell a TIFF
_CLASSIC_BYTES = 1 << 32


class CogSink:
    """Writes a cloud-optimised GeoTIFF; an `engine.Writer` and a context manager.

    ``OUT.part`` begins with a hole as large as the header will be; until that is written, at the
    very end, the file is no TIFF, so nobody takes it for a result. A block is journaled once its
    tiles are on the disk. Overviews come before the full resolution, as the layout asks [1]_, in
    this sense: the first tile of each level lies behind that of the next coarser one. For that a
    few tiles are stored a second time at the end.

    Parameters
    ----------
    output
        What to write.

    Attributes
    ----------
    done
        Numbers of the blocks that an earlier run has stored.
    notes
        What there was to tell of them.
    news
        What the user should know of that run; empty if there is nothing.

    References
    ----------
    .. [1] https://docs.ogc.org/is/21-026/21-026.html
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._part = part_of(output.path)
        self._claim = Claim(output.path)
        self._encoder = BlockEncoder(output)
        self._codec = TileCodec(output)
        self._stack = ExitStack()
        self._template: Template | None = None
        self._index = TileIndex(self._encoder.layout)
        self._fd = -1
        self._start = self._end = 0
        self._stored = 0
        self.done: Collection[int] = range(0)
        self.notes: Sequence[Note] = ()
        self.news = ""

    def __enter__(self) -> Self:
        self._stack.enter_context(self._claim)
        # An integer sets the size of GDAL's one cache.
        self._stack.enter_context(rasterio.Env(GDAL_CACHEMAX=self._output.cache_bytes))
        try:
            with write_errors(self._output):
                check_absent(self._output)  # another run may have finished it just now
                self._template = make_template(self._output, self._codec)
                self._start = self._end = len(self._header())
                flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
                if not self._goes_on():
                    sweep(self._output.path, blocks=not self._output.resume)
                    self._claim.restart(self._output.identity)
                self._fd = os.open(self._part, flags, 0o666)
                # What came behind the last block that counts, a header perhaps, is cut off.
                os.ftruncate(self._fd, self._end)
                self._put(bytes(16), 0)
        except BaseException:
            self._close(keep=len(self._claim.records) > 1)  # what an earlier run has left
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            try:
                with write_errors(self._output):
                    self._finish()
            except BaseException as failure:
                self._give_up(failure)
                raise
            self._stack.close()
            return
        kept = self._give_up(error)
        if kept and isinstance(error, CancelledError):
            raise CancelledError(f"Stopped; {kept}") from error

    def encode(self, block: Block, values: Values, valid: Valid | None) -> EncodedBlock:
        """Return a block's tiles; see `engine.Writer`."""
        return self._encoder.encode(block, values, valid)

    def commit(self, block: Block, encoded: EncodedBlock, note: Note) -> None:
        """Append a block's tiles and journal it; see `engine.Writer`.

        Raises
        ------
        OutputError
            If the disk is full, or fails.
        """
        if block.number != self._stored:
            raise OutputError(f"Block {block.number} came in place of block {self._stored}.")
        sizes = [len(blob) for blob in encoded.blobs]
        with write_errors(self._output):
            if is_full(self._output):
                raise disk_full(self._output)
            self._put(b"".join(encoded.blobs), self._end)
            if self._output.resume:
                _flush(self._fd)
                self._claim.add(
                    {"block": block.number, "at": self._end, "sizes": sizes, "note": dict(note)}
                )
        self._end = self._take(block, sizes, self._end)
        self._stored += 1

    def _goes_on(self) -> bool:
        """Take over what an earlier run has journaled, if it is of this very run."""
        records = self._claim.records
        blocks = records[1:]
        if not blocks:
            return False  # there was no run, or it stored nothing
        changed = what_changed(records[0]["identity"], self._output.identity)
        if not self._output.resume:
            changed = "--no-resume was given; what an earlier run left is not used."
        elif not changed and not self._is_there(blocks):
            changed = f"{self._part} is not all there any more; the run starts anew."
        if changed:
            self.news = changed
            return False
        for record, block in zip(blocks, self._output.blocks.blocks(), strict=False):
            self._end = self._take(block, record["sizes"], record["at"])
        self._stored = len(blocks)
        self.done = range(self._stored)
        self.notes = [record["note"] for record in blocks]
        total = self._output.blocks.num_blocks
        self.news = f"Going on from block {self._stored} of {total}, where an earlier run stopped."
        return True

    def _is_there(self, blocks: Sequence[dict[str, Any]]) -> bool:
        """Return whether the journal's blocks follow one another, up to the file's end."""
        end = self._start
        for number, record in enumerate(blocks):
            if record.get("block") != number or record.get("at") != end:
                return False
            end += sum(record["sizes"])
        return self._part.is_file() and self._part.stat().st_size >= end

    def _take(self, block: Block, sizes: Sequence[int], start: int) -> int:
        """Note where a block's tiles lie; return where they end."""
        places = self._encoder.places(block.output, 0, self._encoder.layout.in_block)
        return self._index.put(places, sizes, start)

    def _finish(self) -> None:
        """Append what no block could make, write the header, and rename the file."""
        profile = self._output.profile
        check_absent(self._output)
        pixel_bytes = profile.count * np.dtype(profile.dtype).itemsize
        top = TopMaker(self._encoder, self._codec, self._made(), self._index, self._read)
        for places, blobs in top.pieces(pixel_bytes):
            self._append(places, blobs)
        firsts = list(self._index.first_tiles())
        offsets = [self._index.find(place)[0] for place in firsts]
        if offsets != sorted(offsets):
            self._append(firsts, tuple(self._read(*self._index.find(place)) for place in firsts))
        header = self._header()
        self._put(header[_MAGIC:], _MAGIC)
        _flush(self._fd)
        self._put(header[:_MAGIC], 0)  # only now it is a TIFF, and all of one
        os.fsync(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._check()
        sidecar = self._made().sidecar
        if sidecar:
            self._part.with_name(f"{self._part.name}.aux.xml").write_bytes(sidecar)
        put_in_place(self._part, self._output)
        sweep(self._output.path)
        self._claim.remove()

    def _append(self, places: Sequence[tuple[int, bool, int]], blobs: Sequence[bytes]) -> None:
        self._put(b"".join(blobs), self._end)
        self._end = self._index.put(places, [len(blob) for blob in blobs], self._end)

    def _check(self) -> None:
        """Open the file as its users will; what is wrong now is better told than found later."""
        profile = self._output.profile
        with open_raster(str(self._part)) as made:
            told = (made.shape, made.count, made.dtypes[0], len(made.overviews(1)))
        levels = len(self._encoder.layout.levels)
        wanted = (profile.grid.shape, profile.count, profile.dtype, levels - 1)
        if told != wanted:
            raise OutputError(f"The output opens as {told} in place of {wanted}.")

    def _header(self) -> bytes:
        return self._made().header(self._encoder.layout, self._index)

    def _made(self) -> Template:
        if self._template is None:
            raise OutputError("The output was not entered.")
        return self._template

    def _read(self, offset: int, count: int) -> bytes:
        os.lseek(self._fd, offset, os.SEEK_SET)
        data = b""
        while len(data) < count:
            more = os.read(self._fd, count - len(data))
            if not more:
                raise OutputError(f"{self._part} was cut off from outside.")
            data += more
        return data

    def _put(self, data: bytes, start: int) -> None:
        if not self._made().big and start + len(data) > _CLASSIC_BYTES:
            raise OutputError(
                "The output outgrows the 4 GB that a classic TIFF has room for.",
                hint="Use --co BIGTIFF=YES.",
            )
        os.lseek(self._fd, start, os.SEEK_SET)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def _give_up(self, error: BaseException) -> str:
        """Let the output go after an error; return what is kept of it, which its hint tells."""
        keep = self._output.resume and self._stored > 0
        keep = keep and not isinstance(error, InputChangedError)
        self._close(keep=keep)
        if not keep:
            return ""
        total = self._output.blocks.num_blocks
        kept = f"{self._stored} of {total} blocks are kept in {self._part}, and the same command "
        kept += "goes on."
        if isinstance(error, GeosrError):
            error.hint = f"{error.hint} {kept}".strip()
        return kept

    def _close(self, *, keep: bool) -> None:
        try:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
            if not keep:
                sweep(self._output.path)
                self._claim.remove()
        finally:
            self._stack.close()


def _flush(fd: int) -> None:
    """Wait until a file's data are on the disk."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        os.fsync(fd)
