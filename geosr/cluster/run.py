"""A plan carried out by workers: blocks handed out, their parts stored in order."""

from __future__ import annotations

import queue
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from geosr.cluster import worker
from geosr.cluster.errors import ClusterError, in_words
from geosr.cluster.job import Job, job_of
from geosr.cluster.parts import Parts
from geosr.cluster.workers import Workers
from geosr.core.errors import CancelledError, GeosrError, NotEnoughMemoryError, OutputError
from geosr.core.plan import Block
from geosr.engine import Tally
from geosr.file_plan import FilePlan
from geosr.io.encoded import EncodedBlock
from geosr.io.opening import reason
from geosr.io.output import Output, write_errors
from geosr.io.sinks import Sink

if TYPE_CHECKING:
    from distributed import Future

IN_FLIGHT = 3
"""Blocks handed out for each thread of the workers: one at work, and the next ones on the way."""

AHEAD = 6
"""Blocks for each thread that are handed out and not stored yet: so many parts lie on the disk."""

TRIES = 3
"""How often a block is made when its part cannot be read here."""

_POLL_S = 0.1
_COUNT_S = 5.0  # between two questions of how many workers there are
_END_S = 0.7  # for blocks at work to notice that the run has ended; they look between tiles


def run_on_cluster(
    plan: FilePlan,
    output: Output,
    sink: Sink[EncodedBlock],
    workers: Workers,
    *,
    on_tiles: Callable[[int], None] = lambda tiles: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[Tally, Tally]:
    """Have workers predict the blocks of a plan, and store them in order.

    Parts that an earlier run of the same kind has left are taken as they are.

    Parameters
    ----------
    sink
        Entered already; blocks that it has are left out.
    on_tiles
        Told the number of tiles whose blocks are stored, in the calling thread.

    Returns
    -------
    tuple of Tally
        What there is to tell of the parts that were there, and of those that were made.

    Raises
    ------
    CancelledError
        If ``should_stop`` said so.
    ClusterError
        If the workers or their scheduler are lost, or do not fit.
    GeosrError
        What a worker raised, as if it had been raised here.
    """
    parts = Parts.of(output, uuid.uuid4().hex)
    job = job_of(plan, output, parts, workers.options, workers.versions)
    with write_errors(output):
        parts.begin()
    try:
        workers.check_ready(job)
        return _Run(job, sink, workers, on_tiles, should_stop).to_the_end()
    finally:
        parts.end()


class _Run:
    """Blocks on their way: handed out in order, made in any, stored in order."""

    def __init__(
        self,
        job: Job,
        sink: Sink[EncodedBlock],
        workers: Workers,
        on_tiles: Callable[[int], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._job, self._sink, self._workers = job, sink, workers
        self._on_tiles, self._should_stop = on_tiles, should_stop
        self._found = job.parts.found()
        self._blocks = (b for b in job.plan.blocks.blocks() if b.number not in sink.done)
        self._waiting: deque[Block] = deque()
        self._ready: set[int] = set()
        self._tries: Counter[int] = Counter()
        self._futures: dict[int, Future[None]] = {}
        self._done: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._tallies = Tally(), Tally()
        self._threads, self._counted_at, self._seen_at = 1, -_COUNT_S, time.monotonic()
        name, client = f"geosr-job-{job.parts.run}", workers.client
        self._sent = client.submit(worker.receive, job, key=name, pure=False, priority=1)

    def to_the_end(self) -> tuple[Tally, Tally]:
        """Store all blocks; return what there is to tell of those found, and of those made."""
        try:
            while self._hand_out():
                self._store_next()
                self._hear()
        except BaseException:  # Ctrl-C too: nobody may go on
            self._give_up()
            raise
        return self._tallies

    def _hand_out(self) -> bool:
        """Hand out as many blocks as it takes to keep the workers busy; return whether any is left.

        Raises
        ------
        CancelledError
            If it is time to stop.
        """
        if self._should_stop():
            raise CancelledError("Stopped; the output was not written.")
        self._count_threads()
        in_flight, ahead = IN_FLIGHT * self._threads, AHEAD * self._threads
        while len(self._futures) < in_flight and len(self._waiting) < ahead:
            block = next(self._blocks, None)
            if block is None:
                break
            self._waiting.append(block)
            if block.number in self._found:
                self._ready.add(block.number)
            else:
                self._submit(block)
        return bool(self._waiting)

    def _submit(self, block: Block) -> None:
        number = block.number
        self._tries[number] += 1
        name = f"geosr-block-{self._job.parts.run}-{number}-{self._tries[number]}"
        try:
            future = self._workers.client.submit(
                worker.run_block, self._sent, block, key=name, pure=False, priority=-number
            )
        except (RuntimeError, OSError) as error:  # the client has closed meanwhile
            raise self._workers.gone() from error
        self._futures[number] = future
        future.add_done_callback(lambda _: self._done.put(number))

    def _count_threads(self) -> None:
        """Look now and then how many workers there are: clusters grow, shrink and vanish."""
        client, now = self._workers.client, time.monotonic()
        if client.status != "running":
            raise self._workers.gone()
        if now - self._counted_at < _COUNT_S:
            return
        try:
            threads = self._workers.threads
        except OSError as error:
            raise self._workers.gone() from error
        if threads:
            self._threads, self._seen_at = threads, now
        elif now - self._seen_at > self._workers.wait_s:
            raise self._workers.without_workers()
        self._counted_at = now

    def _hear(self) -> None:
        """Take note of a block that is made; wait for it if nothing can be stored meanwhile."""
        busy = not self._waiting or self._waiting[0].number in self._ready
        try:
            number = self._done.get(timeout=0 if busy else _POLL_S)
        except queue.Empty:
            return
        future = self._futures.pop(number)
        if future.status == "error":
            raise _error(number, future)
        if future.status == "cancelled":  # as happens to all of them when the scheduler is lost
            raise self._workers.gone()
        self._ready.add(number)

    def _store_next(self) -> None:
        """Store the next block, if it is made."""
        if not self._waiting or self._waiting[0].number not in self._ready:
            return
        block, parts = self._waiting[0], self._job.parts
        self._ready.remove(block.number)
        try:
            encoded, note = EncodedBlock.from_bytes(parts.read(block.number))
        except OSError as error:
            self._found.discard(block.number)
            if self._tries[block.number] >= TRIES:
                raise OutputError(
                    f"Block {block.number} was made {TRIES} times, and its part cannot be read "
                    f"in {parts.folder}: {reason(error)}.",
                    hint="The output must lie in a folder that all machines share.",
                ) from error
            self._submit(block)
            return
        self._waiting.popleft()
        self._sink.commit(block, encoded, note)
        parts.remove(block.number)
        self._tallies[block.number not in self._found].add(Tally.from_note(note))
        self._on_tiles(sum(tally.tiles for tally in self._tallies))

    def _give_up(self) -> None:
        """Let the workers see that the run has ended, and wait a little for those at work."""
        self._job.parts.end()
        until = time.monotonic() + _END_S
        with suppress(queue.Empty):
            while self._futures:
                number = self._done.get(timeout=max(until - time.monotonic(), 0))
                self._futures.pop(number)
        if self._futures and self._workers.client.status == "running":
            with suppress(OSError, RuntimeError):
                self._workers.client.cancel(list(self._futures.values()))


def _error(number: int, future: Future[None]) -> GeosrError:
    """Return the error that says why a block was not made."""
    from distributed.scheduler import KilledWorker

    error = future.exception()
    if isinstance(error, GeosrError):
        return error
    if isinstance(error, KilledWorker):
        return ClusterError(
            f"Block {number}: its worker died {error.allowed_failures + 1} times (out of memory?).",
            hint="Try --threads 1 or a smaller --tile-size, or give the workers more memory.",
        )
    if isinstance(error, MemoryError):
        return NotEnoughMemoryError(
            f"Memory does not suffice for block {number} on its worker.",
            hint="Try --threads 1 or a smaller --tile-size, or give the workers more memory.",
        )
    return ClusterError(
        f"Block {number} failed on its worker: {in_words(error)}.",
        hint="Run it again with -v -v, or without workers, to see where it happened.",
    )
