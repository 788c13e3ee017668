"""Faults inside a run, brought in by replacing what it calls; only `nursery` uses this.

Nothing here is in the package: a forked child changes its own copy of Python's modules.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import random
import resource
import signal
import struct
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial, wraps
from pathlib import Path


def inject(faults):
    """Bring in faults, by name; their parameters are those of the functions below."""
    for name, parameters in faults.items():
        FAULTS[name](**parameters)


class Calls:
    """Counts what a run does to the files in a folder, and does something at one of these calls.

    Counted are the functions of `os` that change files, and each opening of a file for writing.

    Parameters
    ----------
    folder
        Where files count.
    at
        Number of the call before which something is done, from 0; None: never.
    do
        ``kill``; ``tear``: the same, after half of a write; ``pause``; the name of a signal;
        ``stdin``: the end of standard input; ``full``: this call and all later ones fail, as on
        a full disk; ``protect``: from now on nothing in the folder can be renamed or removed.
    told
        File that gets the name of each call, one a line.
    waits
        How long the call takes then, in seconds: the run is to hear of a signal meanwhile.
    """

    CHANGING = ("write", "pwrite", "fsync", "fdatasync", "ftruncate", "truncate", "replace")
    CHANGING += ("rename", "unlink", "remove", "rmdir", "mkdir", "link", "symlink")
    _GROWING = ("open", "write", "pwrite", "mkdir", "ftruncate")

    def __init__(self, folder, at=None, do="kill", told=None, waits=0.3):
        self._folder, self._at, self._do = os.path.realpath(folder), at, do
        self._waits = waits
        self._told = told
        self._lock = threading.RLock()
        self._count = 0
        for name in self.CHANGING:
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        sys.addaudithook(self._audit)

    def _wrapped(self, name, function):
        @wraps(function)
        def call(first, *args, **kwargs):
            if self._concerns(first, kwargs.get("dir_fd")):
                self._before(name, partial(function, first, *args))
            return function(first, *args, **kwargs)

        return call

    def _audit(self, event, args):
        if event == "open":
            path, _, flags = args
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and isinstance(path, str) and self._concerns(path):
                self._before("open", None)

    def _concerns(self, what, folder=None):
        try:
            if isinstance(what, int):
                what = os.readlink(f"/proc/self/fd/{what}")
            elif folder is not None:
                what = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fspath(what))
        except OSError:
            return False
        path = os.path.abspath(os.fspath(what))
        return path == self._folder or path.startswith(self._folder + os.sep)

    def _before(self, name, call):
        with self._lock:
            number = self._count
            self._count += 1
            if self._told:
                with open(self._told, "a", encoding="utf-8") as file:
                    file.write(f"{name}\n")
            if number == self._at:
                self._act(name, call)
            full = self._do == "full" and self._at is not None and number >= self._at
            if full and name in self._GROWING:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _act(self, name, call):
        if self._do == "tear" and name in ("write", "pwrite"):
            function, fd, data, *rest = call.func, *call.args
            function(fd, bytes(data)[: len(data) // 2], *rest)
        if self._do in ("kill", "tear"):
            os.kill(os.getpid(), signal.SIGKILL)
        elif self._do == "pause":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self._do == "stdin":
            _end_stdin()
        elif self._do == "protect":
            os.chmod(self._folder, 0o500)
        elif self._do.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, self._do))
        if self._do not in ("pause", "full"):
            time.sleep(self._waits)


def blocks(pixels):
    """Have the plan cut blocks of at most so many output pixels a side, down to 512."""
    from geosr import planning

    whole = planning.block_side

    def block_side(factor, *, bytes_per_output_pixel):
        limit = pixels * pixels * bytes_per_output_pixel
        return whole(factor, bytes_per_output_pixel=bytes_per_output_pixel, limit=limit)

    planning.block_side = block_side


def failing(stage, at, times=1, raising="memory"):
    """Have some calls of a stage fail: number ``at``, from 0, and those after it.

    ``stage`` is ``read``, ``predict``, ``encode`` or ``commit``. ``raising`` is ``memory``;
    ``scarce``: it gets 40 MB and no more; for ``predict`` also ``nan``: it returns a picture with
    a NaN in it.
    """
    lock, calls = threading.Lock(), [0]

    def changed(function):
        @wraps(function)
        def call(*args, **kwargs):
            with lock:
                number = calls[0]
                calls[0] += 1
            fails = at <= number < at + times
            if fails and raising == "memory":
                raise MemoryError
            if fails and raising == "scarce":
                function(args[0], args[1][:, :64, :64])  # loads what it needs besides
                with _little_memory(40 << 20):
                    function(*args, **kwargs)
                raise AssertionError("40 MB were enough")
            result = function(*args, **kwargs)
            if fails and raising == "nan":
                result[0, 0, result.shape[2] // 2, 0] = float("nan")
            return result

        return call

    for owner, name in _stages()[stage]:
        setattr(owner, name, changed(getattr(owner, name)))


@contextmanager
def _little_memory(more):
    """Let the process have so many more bytes of addresses, and no more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def source(path, at, do, size=None, other=None):
    """Change the source before read number ``at``, from 0.

    ``do`` is ``truncate`` to ``size`` bytes, ``rewrite`` it in place with the file ``other``, or
    ``replace`` it by ``other`` in one step, as `mv` does.
    """
    from geosr.io.raster import RasterReader

    read, calls = RasterReader.read, [0]

    def changed(self, window):
        number = calls[0]
        calls[0] += 1
        if number == at:
            if do == "truncate":
                os.truncate(path, size)
            elif do == "rewrite":
                Path(path).write_bytes(Path(other).read_bytes())
            else:
                os.replace(other, path)
        return read(self, window)

    RasterReader.read = changed


def clock(seed, hours, looks=1):
    """Have the wall clock jump, forwards and backwards by up to so many hours.

    ``looks`` is how often it is looked at between two jumps.
    """
    rng, state = random.Random(seed), {"looks": 0, "shift": 0.0}
    now_ns = time.time_ns

    def time_ns():
        if state["looks"] % looks == 0:
            state["shift"] = rng.uniform(-hours, hours)
        state["looks"] += 1
        return now_ns() + int(state["shift"] * 3.6e12)

    new = {id(time.time): lambda: time_ns() / 1e9, id(time.time_ns): time_ns}
    for module in list(sys.modules.values()):  # some have taken it over under a name of their own
        for name, value in list(vars(module).items()):
            if id(value) in new:
                setattr(module, name, new[id(value)])


def file_size(limit):
    """Let no file grow beyond so many bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the call fails then
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def unprivileged():
    """Give up root's right to write where permissions forbid it; see capabilities(7).

    Another user could not read Python's own files, where these are root's.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("=Ii", 0x20080522, 0)  # the version with 64 capabilities; this process
    sets = ctypes.create_string_buffer(24)
    for call, new in (("capget", None), ("capset", 0b110)):
        if new is not None:  # effective, permitted and inheritable, the lower 32 first
            words = [word & ~new for word in struct.unpack("=6I", sets.raw)[:3]]
            struct.pack_into("=3I", sets, 0, *words)
        if getattr(libc, call)(header, sets):
            raise OSError(ctypes.get_errno(), f"{call} failed")


def _stages():
    from geosr import predictors
    from geosr.io.cog.encode import BlockEncoder
    from geosr.io.cog.sink import CogSink
    from geosr.io.raster import RasterReader
    from geosr.io.zarr.sink import ZarrSink
    from geosr.io.zarr.store import ZarrEncoder

    kernel, network = predictors.KernelPredictor, predictors.ContractPredictor
    return {
        "read": [(RasterReader, "read")],
        "predict": [(kernel, "predict"), (network, "predict")],
        "encode": [(BlockEncoder, "encode"), (ZarrEncoder, "encode")],
        "commit": [(CogSink, "commit"), (ZarrSink, "commit")],
    }


def _end_stdin():
    """Close the other end of standard input, which `nursery` has kept for this."""
    os.close(json.loads(os.environ["NURSERY_STDIN"]))


FAULTS = {
    "calls": Calls,
    "blocks": blocks,
    "failing": failing,
    "source": source,
    "clock": clock,
    "file_size": file_size,
    "unprivileged": unprivileged,
}
