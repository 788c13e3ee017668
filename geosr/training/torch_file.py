"""Arrays out of a file that PyTorch saved, without PyTorch and without running what it holds.

Such a file is a row of pickles and then the numbers. A pickle can name any function to be called
on loading; this reader admits four names, and what they stand for here only notes shapes.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import ModelFileError

Array = NDArray[Any]

_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the format of PyTorch before 1.6


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: Any, offset: int, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


_ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
}


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which weights do not need")
        return _ADMITTED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _place, count, view = pid
        if kind != "storage" or view is not None or dtype not in ("<f4", "<i8"):
            raise pickle.UnpicklingError(f"it holds a {kind} of another kind")
        return _Storage(str(key), dtype, int(count))


def read_torch_file(path: Path) -> dict[str, Array]:
    """Return the arrays of a state dictionary by their names, in PyTorch's axis order.

    Raises
    ------
    ModelFileError
        If the file is missing or damaged, of another format, or names anything but arrays.
    """
    try:
        with path.open("rb") as file:
            if _load(file) != _MAGIC:
                raise ValueError("it is not of the format of PyTorch before 1.6")
            _load(file)  # the version of the protocol
            if not _load(file)["little_endian"]:
                raise ValueError("it is big-endian")
            tensors = _load(file)
            if not isinstance(tensors, dict):
                raise ValueError("it holds no dictionary")
            numbers = _numbers(file, tensors)
        return {name: _array(tensor, numbers) for name, tensor in tensors.items()}
    except (OSError, EOFError, pickle.UnpicklingError, ValueError, *_MALFORMED) as error:
        raise ModelFileError(
            f"{path} cannot be read as PyTorch weights: {error}.",
            hint="Install the package that brings it again.",
        ) from error


_MALFORMED = (AttributeError, IndexError, KeyError, TypeError, struct.error, UnicodeDecodeError)
"""What damaged bytes raise besides."""


def _load(file: BinaryIO) -> Any:
    return _Restricted(file).load()


def _numbers(file: BinaryIO, tensors: dict[str, _Tensor]) -> dict[str, Array]:
    declared = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    found: dict[str, Array] = {}
    for key in _load(file):
        storage = declared[key]
        (count,) = struct.unpack("<q", file.read(8))
        if count != storage.count:
            raise ValueError(f"it holds {count} numbers where {storage.count} belong")
        data = file.read(count * int(storage.dtype[-1]))
        found[key] = np.frombuffer(data, storage.dtype, count)
    return found


def _array(tensor: _Tensor, numbers: dict[str, Array]) -> Array:
    flat = numbers[tensor.storage.key]
    last = tensor.offset + sum(
        (n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True)
    )
    if min((tensor.offset, *tensor.strides)) < 0 or min(tensor.shape, default=1) < 1:
        raise ValueError("a shape in it makes no sense")
    if last >= flat.size:
        raise ValueError("an array in it reaches beyond its numbers")
    steps = tuple(step * flat.itemsize for step in tensor.strides)
    return np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, steps).copy()
