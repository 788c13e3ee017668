"""One block in the calling thread, for schedulers that bring threads of their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

from geosr.core.plan import Block, BlockPlan
from geosr.engine.blend import BlendedBlock, load_wide_block
from geosr.engine.infer import RunningBlock, Stop
from geosr.engine.overlap import BlendedPlan
from geosr.engine.parts import Array, Predictor, Reader, Tally, Valid, Work
from geosr.engine.read import load_block

P = ParamSpec("P")
T = TypeVar("T")


def predict_block(
    plan: BlockPlan, block: Block, reader: Reader, predictor: Predictor, work: Work
) -> tuple[Array, Valid | None, Tally]:
    """Read and predict one block; return what `run` would store, and what there is to tell.

    ``block`` may be any window of the raster, none of the plan's own: the pixels are the same.

    Raises
    ------
    PredictionError
        If the network returned NaN or infinity.
    """
    stop = Stop(lambda: False)
    running: RunningBlock | BlendedBlock
    if isinstance(plan, BlendedPlan):
        wide = load_wide_block(block, reader, plan.reach)
        running = BlendedBlock(plan, wide, predictor, work, _Here(), stop)
    else:
        loaded = load_block(block, reader, plan.halo, gaps=predictor.facts.takes_gaps)
        running = RunningBlock(plan, loaded, predictor, work, _Here(), stop)
    tally = Tally()
    for tile in running.futures:
        for future in tile:
            tally.add(future.result())
        tally.tiles += 1
    _, values, valid = running.finished()
    return values, valid, tally


class _Here(Executor):
    """Calls a function at once, in the calling thread, and lets its errors through."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        done: Future[T] = Future()
        done.set_result(fn(*args, **kwargs))
        return done
