"""The pipeline itself: order, memory, failures in each of its threads, and stopping."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from in_memory import ArrayReader, ArrayWriter, Model, facts, kernel, scene, upscaled

from geosr.core.errors import CancelledError, NotEnoughMemoryError, PredictionError
from geosr.core.plan import BlockPlan
from geosr.engine import Work, run
from geosr.predictors import KernelPredictor
from geosr.quantise import Target

SHAPE = (60, 60)
PLAN = BlockPlan(SHAPE, block_size=10, tile_size=9, halo=2, upscale_factor=2)  # 36 blocks of 4
PATIENCE = 20  # seconds, on a busy machine; all of this takes milliseconds


class BrokenError(Exception):
    """What the ends below fail with."""


@dataclass
class Ends:
    """A reader, a model and a writer in one, which count their calls and fail when told to."""

    fail: str = ""
    after: int = 0
    pause: float = 0.0
    calls: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("read", "predict", "encode", "write"), 0)
    )

    def __post_init__(self):
        self.source = scene(SHAPE)
        self.pixels = ArrayReader(self.source)
        self.picture = ArrayWriter((1, 120, 120), "uint16")
        self.kernel = kernel("bicubic", 2)
        self.facts = self.kernel.facts
        self.threads: dict[str, set[str]] = {name: set() for name in self.calls}
        self.lock = threading.Lock()

    shape = property(lambda self: self.pixels.shape)
    extent = property(lambda self: self.pixels.extent)
    dtype = property(lambda self: self.pixels.dtype)
    count = property(lambda self: self.pixels.count)
    alpha = None

    def note(self, name):
        with self.lock:
            self.calls[name] += 1
            self.threads[name].add(threading.current_thread().name)
            turn = self.calls[name]
        if name == self.fail and turn > self.after:
            raise BrokenError(name)

    def read(self, window):
        self.note("read")
        return self.pixels.read(window)

    def predict(self, x):
        self.note("predict")
        time.sleep(self.pause)
        return self.kernel.predict(x)

    def encode(self, block, values, valid):
        self.note("encode")
        return values, valid

    def commit(self, block, encoded, note):
        self.note("write")
        self.picture.write(block.output, *encoded)


def go(ends, **callbacks):
    work = Work(Target("uint16", exact=False), consistency=False, threads=2)
    return run(PLAN, ends, ends, ends, work, **callbacks)


def threads_of_geosr():
    return [t.name for t in threading.enumerate() if t.name.startswith("geosr-")]


def test_each_stage_has_threads_of_its_own():
    ends, told = Ends(), []
    tally = go(ends, on_tiles=told.append)
    assert ends.calls == {"read": 36, "predict": 144, "encode": 36, "write": 36}
    assert told == list(range(1, 145))
    assert tally.tiles == 144
    assert (ends.picture.hits == 1).all()
    names = ends.threads
    assert names["read"] == {"geosr-read_0"}
    assert names["predict"] <= {"geosr-predict_0", "geosr-predict_1"}
    assert names["encode"] <= {"geosr-encode_0", "geosr-encode_1"}
    assert names["write"] == {"geosr-store_0"}
    assert not threads_of_geosr()


@pytest.mark.parametrize("after", [0, 1, 7])
@pytest.mark.parametrize("stage", ["read", "predict", "encode", "write"])
def test_an_error_in_any_thread_ends_all(stage, after):
    ends = Ends(fail=stage, after=after, pause=0.001)
    begun = time.monotonic()
    with pytest.raises(BrokenError, match=stage):
        go(ends)
    assert time.monotonic() - begun < PATIENCE
    assert not threads_of_geosr()
    # nobody went on for long: of 36 blocks, those already begun are all that is done
    assert ends.calls["read"] <= after + 6
    assert ends.calls["write"] <= after + 3
    assert ends.calls["predict"] <= 4 * (after + 6)


def test_an_error_in_the_caller_s_own_callback_ends_all():
    def refuse(done):
        if done > 5:
            raise BrokenError("callback")

    ends = Ends(pause=0.001)
    with pytest.raises(BrokenError, match="callback"):
        go(ends, on_tiles=refuse)
    assert not threads_of_geosr()
    assert ends.calls["predict"] < 30


def test_ctrl_c_ends_all():
    def interrupt(done):
        raise KeyboardInterrupt

    ends = Ends(pause=0.001)
    with pytest.raises(KeyboardInterrupt):
        go(ends, on_tiles=interrupt)
    assert not threads_of_geosr()
    assert ends.calls["predict"] < 30


@pytest.mark.parametrize("wanted", [0, 1, 30])
def test_stopping_takes_a_few_tiles(wanted):
    ends = Ends(pause=0.002)
    done = []
    with pytest.raises(CancelledError) as caught:
        go(ends, on_tiles=done.append, should_stop=lambda: ends.calls["predict"] >= wanted)
    assert "not written" in caught.value.message
    assert not threads_of_geosr()
    assert wanted <= ends.calls["predict"] <= wanted + 2  # those that run beside it
    assert ends.calls["write"] < 36


def test_stopping_while_the_last_block_is_written_counts():
    """What was asked before the end is obeyed: the caller must not believe it came too late."""
    ends = Ends()
    with pytest.raises(CancelledError):
        go(ends, should_stop=lambda: ends.calls["write"] >= 34)


def test_an_error_is_told_rather_than_the_stop_that_follows_it():
    ends = Ends(fail="predict", after=3)
    with pytest.raises(BrokenError):
        go(ends, should_stop=lambda: False)


@pytest.mark.parametrize("slow", ["read", "predict", "encode", "commit"])
def test_no_more_than_five_blocks_are_in_memory(slow):
    ends = Ends()
    most = {"ahead": 0}

    def watch(name, action):
        def watched(*args):
            if name == slow:
                time.sleep(0.005 if name != "predict" else 0.002)
            result = action(*args)
            most["ahead"] = max(most["ahead"], ends.calls["read"] - ends.calls["write"])
            return result

        return watched

    for name in ("read", "predict", "encode", "commit"):
        setattr(ends, name, watch(name, getattr(ends, name)))
    go(ends)
    # the write under way is counted as done, and the one after it is ready: 5 and that one
    assert most["ahead"] <= 6


@pytest.mark.parametrize("done", [{0}, {35}, {3, 4, 5, 20}, set(range(36)), set(range(30))])
def test_blocks_that_are_done_are_left_out(done):
    ends, told = Ends(), []
    tally = go(ends, done=done, on_tiles=told.append)
    missing = np.zeros((120, 120), int)
    for block in PLAN.blocks():
        missing[block.output.slices] = block.number not in done
    assert np.array_equal(ends.picture.hits, missing)
    assert tally.tiles == 4 * (36 - len(done)) == len(told)


@dataclass
class Cramped:
    """A kernel that has no memory for patches of more than ``most`` pixels a side."""

    most: int
    kernel: KernelPredictor = field(default_factory=lambda: kernel("bicubic", 2))
    seen: set[tuple[int, int]] = field(default_factory=set)

    facts = property(lambda self: self.kernel.facts)

    def predict(self, x):
        self.seen.add(x.shape[1:])
        if max(x.shape[1:]) > self.most:
            raise MemoryError
        return self.kernel.predict(x)


@pytest.mark.parametrize("core", [64, 63, 50])
@pytest.mark.parametrize("most", [40, 25, 21])
def test_a_tile_without_memory_is_halved_and_nothing_changes(core, most):
    source = scene((130, 90), bands=2)
    valid = np.ones(source.shape, bool)
    valid[:, 30:60, 5:33] = False
    expected = upscaled(source, kernel("bicubic", 2), valid=valid, core=core)
    cramped = Cramped(most)
    result = upscaled(source, cramped, valid=valid, core=core)
    assert max(max(shape) for shape in cramped.seen) > most  # it was refused at first
    assert np.array_equal(result.values, expected.values)
    assert result.tally.counts == expected.tally.counts


def test_no_memory_for_the_smallest_tile_is_said():
    with pytest.raises(NotEnoughMemoryError, match="tile of 8 x 8 pixels"):
        upscaled(scene((64, 64)), Cramped(10), core=64)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["uint16", "float32", "float64"])
@pytest.mark.parametrize("consistency", [False, True])
def test_a_network_that_returns_no_picture_is_refused(value, dtype, consistency):
    def broken(x):
        phases = np.repeat(x[:, None, 1:-1, 1:-1], 4, axis=1)
        if x.max() >= 9000:
            phases[0, 2, 1, 3] = value
        return phases

    source = np.full((1, 30, 40), 1000, dtype)
    source[0, 17, 25] = 9000
    model = Model(broken, facts(2, radius=1))
    with pytest.raises(PredictionError) as caught:
        upscaled(source, model, core=6, consistency=consistency, threads=1)
    assert "row 12, column 24" in caught.value.message
    assert "block " in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_nan_under_the_mask_is_nobody_s_business(dtype):
    def broken(x):
        phases = np.repeat(x[:, None, 1:-1, 1:-1], 4, axis=1)
        phases[:, :, 2, 2] = np.nan
        return phases

    source = scene((6, 6), dtype=dtype)
    valid = np.ones(source.shape, bool)
    valid[0, 2, 2] = False
    model = Model(broken, facts(2, radius=1))
    result = upscaled(source, model, valid=valid, core=6)
    expected = source.repeat(2, axis=1).repeat(2, axis=2)
    assert np.array_equal(result.values, expected)
    assert result.tally.consistency_error == 0


def test_huge_values_are_no_infinity():
    """Sums of float32 may overflow on the way; the picture is fine all the same."""
    source = np.full((1, 8, 8), 3e38, np.float32)
    source[0, 3, 3] = -3e38
    result = upscaled(source, KernelPredictor(kernel("nearest", 4).facts), consistency=False)
    assert np.array_equal(result.values, source.repeat(4, axis=1).repeat(4, axis=2))
