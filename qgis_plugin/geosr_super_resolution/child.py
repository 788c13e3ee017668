# SPDX-License-Identifier: GPL-2.0-or-later
"""A child process that can be read without waiting, and that ends when it is told to.

Its lines are read by two threads, so that neither a silent child nor a talkative one blocks
anything. Its standard input is a pipe that nobody else holds: when QGIS goes, however it goes,
the pipe closes, and geosr ends itself.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess  # nosec B404
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO, Callable

LONGEST_LINE = 1 << 20
"""Bytes; what is longer comes in parts."""

LINGER_S = 2.0
"""How long something that the child has started may keep its output open after its end."""

POLITE_S, FIRM_S, KILL_S = 3.0, 5.0, 8.0
"""Seconds after its input was closed: when a child is asked to end, asked again, and killed.

At the second signal geosr removes what it has begun and ends at once.
"""

OUT, ERR = "out", "err"


class Child:
    """A running process.

    Parameters
    ----------
    command
        The program and its arguments.
    environ
        All of its environment variables.
    polite_s, firm_s, kill_s
        See the constants of these names.

    Raises
    ------
    OSError
        If it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        polite_s: float = POLITE_S,
        firm_s: float = FIRM_S,
        kill_s: float = KILL_S,
    ) -> None:
        self._process: subprocess.Popen[bytes] = subprocess.Popen(  # nosec B603
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environ),
            start_new_session=sys.platform != "win32",  # a group, to be ended as a whole
            creationflags=0x00000200 | hidden() if sys.platform == "win32" else 0,
        )
        self._lines: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._write_lock = threading.Lock()
        self._stopped_at: float | None = None
        self._steps = [(polite_s, self._terminate), (firm_s, self._terminate), (kill_s, self.kill)]
        self._readers = [
            threading.Thread(target=self._read, args=each, name="geosr-read", daemon=True)
            for each in ((OUT, self._process.stdout), (ERR, self._process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """Its process id, which is the id of its group as well."""
        return int(self._process.pid)

    @property
    def returncode(self) -> int | None:
        """What it ended with; None while it runs."""
        code: int | None = self._process.poll()
        return code

    @property
    def was_stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stopped_at is not None

    def next_line(self, timeout_s: float) -> tuple[str, bytes] | None:
        """Return the next line and where it comes from, or None if there is none in time."""
        with suppress(queue.Empty):
            return self._lines.get(timeout=timeout_s) if timeout_s > 0 else self._lines.get_nowait()
        return None

    def lines(self, is_cancelled: Callable[[], bool], poll_s: float) -> Iterator[tuple[str, bytes]]:
        """Yield its lines until its end, and stop it when that is asked for."""
        while True:
            if not self.was_stopped and is_cancelled():
                self.stop()
            self.go_on_stopping()
            found = self.next_line(poll_s)
            if found is not None:
                yield found
            elif self.returncode is not None:
                break
        self.drain()
        while (found := self.next_line(0)) is not None:
            yield found

    def write(self, line: str) -> None:
        """Write a line to its standard input.

        Raises
        ------
        OSError
            If it does not read any more.
        """
        rest = line.encode() + b"\n"
        with self._write_lock:
            stdin = self._process.stdin
            if stdin is None or stdin.closed:
                raise BrokenPipeError("The input is closed")
            while rest:
                written = os.write(stdin.fileno(), rest)
                rest = rest[written:]

    def stop(self) -> None:
        """Begin to end it: close its input. `go_on_stopping` does what is left to do."""
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._close_input()

    def go_on_stopping(self) -> None:
        """Take the next step if it was told to stop and still runs; call it now and then."""
        if self._stopped_at is None or self.returncode is not None:
            return
        waited = time.monotonic() - self._stopped_at
        while self._steps and waited >= self._steps[0][0]:
            self._steps.pop(0)[1]()

    def finish(self) -> None:
        """Wait for its end, which the caller has seen or asked for, and leave nothing behind."""
        while self.returncode is None:
            self.stop()
            self.go_on_stopping()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.05)
        self.drain()
        self._close_input()
        self.kill()

    def drain(self) -> None:
        """Let the readers come to the end of an ended child's output."""
        for again in (False, True):
            for reader in self._readers:
                reader.join(LINGER_S)
            if again or not any(reader.is_alive() for reader in self._readers):
                return
            self.kill()  # what it has started holds its output open

    def kill(self) -> None:
        """End it and all that it has started, now."""
        if sys.platform == "win32":
            if self.returncode is None:
                _kill_tree(self.pid)
        else:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def _terminate(self) -> None:
        if sys.platform == "win32":  # works where there is a console
            with suppress(OSError):
                self._process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGTERM)

    def _close_input(self) -> None:
        # Who waits to write holds the lock; such a child reads nothing, and no end either.
        if self._write_lock.acquire(timeout=0.2):
            try:
                if self._process.stdin is not None:
                    self._process.stdin.close()
            finally:
                self._write_lock.release()

    def _read(self, name: str, stream: IO[bytes]) -> None:
        with suppress(OSError, ValueError), stream:
            while line := stream.readline(LONGEST_LINE):
                self._lines.put((name, line))


def hidden() -> int:
    """Return the creation flags with which a child of Windows shows no window."""
    return 0x08000000 if sys.platform == "win32" else 0


def _kill_tree(pid: int) -> None:
    """End a process of Windows and its children."""
    taskkill = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(  # nosec B603
            [taskkill, "/T", "/F", "/PID", str(pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=10,
            creationflags=hidden(),
        )
