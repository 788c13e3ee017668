"""How much memory a part of a run takes, where the system tells."""

from __future__ import annotations

from pathlib import Path
from typing import Self

_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


class MemoryPeak:
    """Measures by how much resident memory grows, at its peak, between entering and leaving.

    On Linux only: the kernel's high-water mark is reset first.
    """

    def __init__(self) -> None:
        self.grown_bytes: int | None = None
        self._before: int | None = None

    def __enter__(self) -> Self:
        try:
            _RESET.write_text("5", encoding="ascii")  # resets the high-water mark: man 5 proc
        except OSError:
            return self
        self._before = _field("VmRSS")
        return self

    def __exit__(self, *exc_info: object) -> None:
        peak = _field("VmHWM")
        if peak is not None and self._before is not None:
            self.grown_bytes = max(peak - self._before, 0)


def _field(name: str) -> int | None:
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(found[0]) * 1024 if found else None
