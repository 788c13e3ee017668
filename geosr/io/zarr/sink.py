"""The store as it grows: one file a block, each journaled once it is on the disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import CancelledError, GeosrError, InputChangedError
from geosr.core.plan import Block
from geosr.io.changes import what_changed
from geosr.io.claim import Claim, Record, part_of, sweep
from geosr.io.encoded import EncodedBlock
from geosr.io.output import Output, check_absent, write_errors
from geosr.io.zarr.place import put_store_in_place, recover
from geosr.io.zarr.store import ZarrEncoder, metadata_files

Note = dict[str, float]


class ZarrSink:
    """Writes a Zarr store; an `engine.Writer` and a context manager.

    ``OUT.part`` is a folder with the files of blocks. The metadata comes last: until then it is
    no Zarr store, so nobody takes it for a result. The store is a group with the array
    ``band_data`` (band, y, x) and its coordinates, and the array ``mask`` (1 = valid) where the
    source has a mask; ``xarray.open_zarr(OUT)`` reads it, and rioxarray its place on earth.

    GDAL 3.10.3, which rasterio's wheels hold, cannot read it: it knows neither shards nor the
    codec ``bytes``, without which there is no Zarr 3.

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

    Raises
    ------
    MissingDependencyError
        If the package zarr is not here.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._part = part_of(output.path)
        self._claim = Claim(output.path)
        self._encoder = ZarrEncoder(output)
        self._metadata = metadata_files(output)
        self._identity = {**output.identity, "version of zarr": _versions()}
        self._stack = ExitStack()
        self._stored = 0
        self.done: frozenset[int] = frozenset()
        self.notes: Sequence[Note] = ()
        self.news = ""

    def __enter__(self) -> Self:
        self._stack.enter_context(self._claim)
        try:
            with write_errors(self._output):
                recover(self._output)
                check_absent(self._output)
                if not self._goes_on():
                    # The files go before the journal does: none may stay that nothing tells of.
                    sweep(self._output.path, blocks=not self._output.resume)
                    self._claim.restart(self._identity)
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

    def encode(
        self, block: Block, values: NDArray[np.generic], valid: NDArray[np.bool_] | None
    ) -> EncodedBlock:
        """Return a block's files; see `engine.Writer`."""
        return self._encoder.encode(block, values, valid)

    def commit(self, block: Block, encoded: EncodedBlock, note: Note) -> None:
        """Store a block's files and journal it; see `engine.Writer`.

        Raises
        ------
        OutputError
            If the disk is full, or fails.
        """
        sizes = [len(blob) for blob in encoded.blobs]
        with write_errors(self._output):
            for path, blob in zip(self._paths(block), encoded.blobs, strict=True):
                if blob:
                    _write(path, blob)
            self._claim.add({"block": block.number, "sizes": sizes, "note": dict(note)})
        self._stored += 1

    def _goes_on(self) -> bool:
        """Take over what an earlier run has journaled, if it is of this very run."""
        records = self._claim.records
        if len(records) < 2:
            return False  # there was none, or it stored nothing
        if not self._output.resume:
            self.news = "--no-resume was given; what an earlier run left is not used."
            return False
        self.news = what_changed(records[0]["identity"], self._identity)
        if self.news:
            return False
        found = self._found({record["block"]: record for record in records[1:]})
        self._stored = len(found)
        self.done = frozenset(record["block"] for record, _ in found)
        self.notes = [record["note"] for record, _ in found]
        if not found:
            self.news = f"{self._part} is not there any more; the run starts anew."
            return False
        self._remove_others({path for _, paths in found for path in paths})
        total = self._output.blocks.num_blocks
        self.news = f"Going on: an earlier run has left {self._stored} of {total} blocks."
        return True

    def _found(self, records: dict[int, Record]) -> list[tuple[Record, list[Path]]]:
        """Return the journaled blocks whose files are there, and these files.

        Their bytes are not read: a file gets its name once they are on the disk.
        """
        found = []
        for block in self._output.blocks.blocks():
            record = records.get(block.number)
            if record is None:
                continue
            sized = zip(self._paths(block), record["sizes"], strict=True)
            stored = [(path, size) for path, size in sized if size]
            if all(path.is_file() and path.stat().st_size == size for path, size in stored):
                found.append((record, [path for path, _ in stored]))
        return found

    def _remove_others(self, kept: set[Path]) -> None:
        """Remove what no line of the journal speaks of: half a file, or metadata."""
        for folder, _, names in os.walk(self._part):
            for path in (Path(folder, name) for name in names):
                if path not in kept:
                    path.unlink()

    def _paths(self, block: Block) -> list[Path]:
        return [self._part / key for key in self._encoder.layout.keys(block)]

    def _finish(self) -> None:
        """Add the metadata, and give the store its name."""
        check_absent(self._output)
        for key, data in self._metadata.items():
            _write(self._part / key, data)
        put_store_in_place(self._output)
        sweep(self._output.path)
        self._claim.remove()

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
            if not keep:
                sweep(self._output.path)
                self._claim.remove()
        finally:
            self._stack.close()


def _write(path: Path, data: bytes) -> None:
    """Store a file; it has its name only once it is whole and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.half")
    try:
        with open(half, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(half, path)
    except OSError:
        half.unlink(missing_ok=True)
        raise


def _versions() -> list[str]:
    """Return what else decides the bytes: the versions of those who make them."""
    return [version(name) for name in ("zarr", "numcodecs")]
