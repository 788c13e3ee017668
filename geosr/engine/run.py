"""All stages at once: reading, prediction, encoding and storing overlap, a few blocks at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from geosr.core.errors import NotEnoughMemoryError
from geosr.core.plan import Block, BlockPlan
from geosr.engine.blend import BlendedBlock, WideBlock, load_wide_block
from geosr.engine.infer import RunningBlock, Stop
from geosr.engine.overlap import BlendedPlan
from geosr.engine.parts import Predictor, Reader, Tally, Work, Writer
from geosr.engine.read import LoadedBlock, load_block, read_ahead

Encoded = TypeVar("Encoded")
Running = RunningBlock | BlendedBlock

PREDICTING = 2
"""Blocks whose tiles are at work: the next one's, while the first one's last are waited for."""

ENCODING = 1
"""Blocks that are predicted and not stored yet; what encodes a block may do so in threads."""


def run(  # noqa: PLR0913 - its three ends, the plan, the way, and what is asked meanwhile
    plan: BlockPlan,
    reader: Reader,
    predictor: Predictor,
    writer: Writer[Encoded],
    work: Work,
    *,
    done: Container[int] = frozenset(),
    on_tiles: Callable[[int], None] = lambda tiles: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tally:
    """Predict the blocks of a plan and store them in order; return what there is to tell.

    At most five blocks are in memory: two read ahead, two predicted, one encoded and stored.
    Blocks whose numbers are in ``done`` are left out. ``on_tiles`` is told the number of tiles
    predicted, in the calling thread.

    Raises
    ------
    CancelledError
        If ``should_stop`` said so; at most a few tiles later.
    PredictionError
        If the network returned NaN or infinity.
    NotEnoughMemoryError
        If a block does not fit into memory, or not even a small tile.
    """
    tally = Tally()
    stop = Stop(should_stop)
    with (
        ThreadPoolExecutor(1, "geosr-read") as readers,
        ThreadPoolExecutor(work.threads, "geosr-predict") as runners,
        ThreadPoolExecutor(ENCODING, "geosr-encode") as encoders,
        ThreadPoolExecutor(1, "geosr-store") as storers,
    ):
        running: deque[tuple[Block, Running]] = deque()
        stored: deque[Future[None]] = deque()

        def finish() -> None:
            block, predicted = running.popleft()
            with _fitting(block):
                told = _wait(predicted, tally, on_tiles)
            if len(stored) >= ENCODING:
                stored.popleft().result()
            encoded = encoders.submit(_encode, writer, block, predicted)
            stored.append(storers.submit(_store, writer, block, encoded, told))

        try:
            missing = (block for block in plan.blocks() if block.number not in done)
            for loaded in read_ahead(missing, _loading(plan, reader, predictor), readers):
                with _fitting(loaded.block):
                    begun = _begun(plan, loaded, predictor, work, runners, stop)
                running.append((loaded.block, begun))
                if len(running) >= PREDICTING:
                    finish()
            while running:
                finish()
            for last in stored:
                last.result()
            stop.check()
        except BaseException:  # Ctrl-C too: no thread may go on
            stop.now()
            for pool in (readers, runners, encoders, storers):
                pool.shutdown(wait=False, cancel_futures=True)
            raise
    return tally


def _loading(
    plan: BlockPlan, reader: Reader, predictor: Predictor
) -> Callable[[Block], LoadedBlock]:
    """Return what reads a block for this plan."""

    def load(block: Block) -> LoadedBlock:
        with _fitting(block):
            if isinstance(plan, BlendedPlan):
                return load_wide_block(block, reader, plan.reach)
            return load_block(block, reader, plan.halo, gaps=predictor.facts.takes_gaps)

    return load


def _begun(
    plan: BlockPlan,
    loaded: LoadedBlock,
    predictor: Predictor,
    work: Work,
    runners: Executor,
    stop: Stop,
) -> Running:
    """Return a block whose tiles are being predicted."""
    if isinstance(plan, BlendedPlan) and isinstance(loaded, WideBlock):
        return BlendedBlock(plan, loaded, predictor, work, runners, stop)
    return RunningBlock(plan, loaded, predictor, work, runners, stop)


def _wait(block: Running, tally: Tally, on_tiles: Callable[[int], None]) -> Tally:
    """Wait for a block's tiles; add what they tell to ``tally``, and return it."""
    told = Tally()
    for tile in block.futures:
        for future in tile:
            told.add(future.result())
        told.tiles += 1
        on_tiles(tally.tiles + told.tiles)
    tally.add(told)
    return told


def _encode(writer: Writer[Encoded], block: Block, predicted: Running) -> Encoded:
    with _fitting(block):
        _, values, valid = predicted.finished()
        return writer.encode(block, values, valid)


def _store(writer: Writer[Encoded], block: Block, encoded: Future[Encoded], told: Tally) -> None:
    with _fitting(block):
        writer.commit(block, encoded.result(), told.to_note())


@contextmanager
def _fitting(block: Block) -> Iterator[None]:
    """Say in a sentence which block does not fit into memory."""
    try:
        yield
    except NotEnoughMemoryError:
        raise
    except MemoryError as error:
        height, width = block.output.shape
        raise NotEnoughMemoryError(
            f"Memory does not suffice for block {block.number} of {height} x {width} output "
            "pixels.",
            hint="Close other programs, or take fewer bands at once with --bidx.",
        ) from error
