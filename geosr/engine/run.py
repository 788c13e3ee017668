"""All stages at once: reading, prediction and writing overlap, a few blocks at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from geosr.core.plan import BlockPlan
from geosr.engine.blend import BlendedBlock, load_wide_block
from geosr.engine.infer import RunningBlock, Stop
from geosr.engine.overlap import BlendedPlan
from geosr.engine.parts import Predictor, Reader, Tally, Work, Writer
from geosr.engine.read import load_block, read_ahead


def run(  # noqa: PLR0913 - its three ends, the plan, the way, and two callbacks
    plan: BlockPlan,
    reader: Reader,
    predictor: Predictor,
    writer: Writer,
    work: Work,
    *,
    on_tiles: Callable[[int], None] = lambda tiles: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tally:
    """Predict all blocks of a plan and write them in order; return what there is to tell.

    At most five blocks are in memory: one read ahead, two predicted, two written.
    ``on_tiles`` is told the number of tiles done, in the calling thread.

    Raises
    ------
    CancelledError
        If ``should_stop`` said so; at most a few tiles later.
    PredictionError
        If the network returned NaN or infinity.
    """
    tally = Tally()
    stop = Stop(should_stop)
    with (
        ThreadPoolExecutor(1, "geosr-read") as readers,
        ThreadPoolExecutor(work.workers, "geosr-predict") as runners,
        ThreadPoolExecutor(1, "geosr-write") as writers,
    ):
        running: deque[RunningBlock | BlendedBlock] = deque()
        written: deque[Future[None]] = deque()

        def finish() -> None:
            block = running.popleft()
            _wait(block, tally, on_tiles)
            if len(written) > 1:
                written.popleft().result()
            written.append(writers.submit(writer.write, *block.finished()))

        try:
            for block in _begun(plan, reader, predictor, work, (readers, runners), stop):
                running.append(block)
                if len(running) > 1:
                    finish()
            while running:
                finish()
            for last in written:
                last.result()
            stop.check()
        except BaseException:  # Ctrl-C too: no thread may go on
            stop.now()
            for pool in (readers, runners, writers):
                pool.shutdown(wait=False, cancel_futures=True)
            raise
    return tally


def _begun(
    plan: BlockPlan,
    reader: Reader,
    predictor: Predictor,
    work: Work,
    pools: tuple[ThreadPoolExecutor, ThreadPoolExecutor],
    stop: Stop,
) -> Iterator[RunningBlock | BlendedBlock]:
    """Yield the blocks as they are read, their tiles being predicted."""
    readers, runners = pools
    if isinstance(plan, BlendedPlan):
        load_wide = partial(load_wide_block, reader=reader, reach=plan.reach)
        for wide in read_ahead(plan, load_wide, readers):
            yield BlendedBlock(plan, wide, predictor, work, runners, stop)
        return
    load = partial(load_block, reader=reader, halo=plan.halo)
    for loaded in read_ahead(plan, load, readers):
        yield RunningBlock(plan, loaded, predictor, work, runners, stop)


def _wait(
    block: RunningBlock | BlendedBlock, tally: Tally, on_tiles: Callable[[int], None]
) -> None:
    for tile in block.futures:
        for future in tile:
            counts, error = future.result()
            tally.counts += counts
            tally.consistency_error = max(tally.consistency_error, error)
        tally.tiles += 1
        on_tiles(tally.tiles)
