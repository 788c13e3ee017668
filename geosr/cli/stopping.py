"""Stop a run from outside: Ctrl-C, SIGTERM, or the end of standard input.

A stop comes in steps, so that files are put in order whatever the run is doing:

1. at once, `StopRequest` turns true: the engine looks at it between tiles;
2. a second later, the main thread is interrupted, in case it loads a model or waits;
3. after ten seconds, or at a second signal, the process ends.

Python runs signal handlers in the main thread and only between its own instructions, which can
be long away from inside a runtime. So the handlers do nothing: a thread learns of signals from
`signal.set_wakeup_fd`, and takes the steps.
"""

from __future__ import annotations

import _thread
import functools
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

ECHO_S = 0.5
"""Signals so soon after another are the same one again: a terminal and a parent both send it."""

STDIN_ENDED = 0  # no signal has this number
STOP_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if name in signal.Signals.__members__  # they differ between systems
)


class StopRequest:
    """Tells whether the run was asked to stop; call it from any thread."""

    def __init__(self) -> None:
        self.reason = ""

    def __call__(self) -> bool:
        """Return whether to stop."""
        return bool(self.reason)


@dataclass(frozen=True)
class StopSteps:
    """When the steps of a stop are taken, in seconds after it, and what comes at its end.

    ``before_exit`` removes what may be left; ``exit_process`` ends the process then and there.
    """

    interrupt_s: float = 1.0
    exit_s: float = 10.0
    before_exit: Callable[[], None] = lambda: None
    exit_process: Callable[[int], None] = os._exit


@contextmanager
def stop_requests(
    stop: StopRequest, *, with_stdin: bool = False, steps: StopSteps | None = None
) -> Iterator[None]:
    """Let signals, and with ``with_stdin`` the end of standard input, set ``stop``.

    Signals that are ignored, as under ``nohup``, stay ignored. Outside the main thread, where
    Python allows no handlers, signals keep their meaning.
    """
    watcher = _Watcher(stop, steps or StopSteps())
    thread = threading.Thread(target=watcher.watch, name="geosr-stop", daemon=True)
    thread.start()
    if with_stdin:
        threading.Thread(target=watcher.read_stdin, name="geosr-stdin", daemon=True).start()
    try:
        if threading.current_thread() is threading.main_thread():
            with watcher.signals():
                yield
        else:
            yield
    finally:
        watcher.end()
        if not stop():
            thread.join()


class _Watcher:
    """The thread that takes the steps."""

    def __init__(self, stop: StopRequest, steps: StopSteps) -> None:
        self._stop, self._steps = stop, steps
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)  # as set_wakeup_fd demands
        self._handled: tuple[int, ...] = ()
        self._interrupting = False
        self._ended = False

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Listen to the signals that stop a run, and put everything back at the end."""
        heard = [number for number in STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        _let_children_take_signals()
        before = {number: signal.signal(number, self.on_signal) for number in heard}
        wakeup = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        self._handled = tuple(heard)
        try:
            yield
        finally:
            self._ended = True
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)

    def end(self) -> None:
        """Let the thread go, unless a stop was asked for: then it waits for the last step.

        What remains after a stop, such as joining threads, may hang as well.
        """
        self._ended = True
        if not self._stop():
            self._sender.close()  # which ends the thread's wait

    def read_stdin(self) -> None:
        """Read standard input until it ends, as it does when the parent is killed."""
        with suppress(OSError):  # closed already: that is an end, too
            while os.read(0, 4096):  # sys.stdin would keep a lock that blocks Python's own end
                pass
        with suppress(OSError):  # the run is over
            self._sender.send(bytes([STDIN_ENDED]))

    def watch(self) -> None:
        """Wait for a stop, then take the steps."""
        with self._receiver, self._sender:
            first = self._next(None)
            if first is not None:
                self._take_steps(first)

    def _take_steps(self, first: int) -> None:
        self._stop.reason = _reason(first)
        begun = time.monotonic()
        interrupt_at, exit_at = begun + self._steps.interrupt_s, begun + self._steps.exit_s
        signals, deaf_until = int(first != STDIN_ENDED), begun + ECHO_S
        own = 0
        while True:
            now = time.monotonic()
            if now >= exit_at or signals > 1:
                self._exit()
                return
            if now >= interrupt_at:
                interrupt_at = exit_at
                deaf_until = now + ECHO_S
                own += self._interrupt()
                continue
            came = self._next(min(interrupt_at, exit_at) - now)
            if came is None or came == STDIN_ENDED:
                continue
            if own:  # however late it is heard: whatever works may hold Python's lock for long
                own -= 1
            elif time.monotonic() >= deaf_until:
                signals, deaf_until = signals + 1, time.monotonic() + ECHO_S

    def _next(self, timeout_s: float | None) -> int | None:
        """Return the next signal's number, or None once there is none in time."""
        self._receiver.settimeout(timeout_s)
        try:
            while came := self._receiver.recv(1):
                if came[0] == STDIN_ENDED or came[0] in self._handled:
                    return came[0]
        except TimeoutError:
            return None
        return None

    def _interrupt(self) -> bool:
        """Interrupt the main thread by a signal; return whether one was sent."""
        if self._ended or not self._handled:
            return False
        self._interrupting = True
        if sys.platform == "win32":
            _thread.interrupt_main(self._handled[0])
        else:  # this ends a wait for a lock as well
            signal.pthread_kill(threading.main_thread().ident or 0, self._handled[0])
        return True

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._interrupting and not self._ended:
            self._interrupting = False
            raise KeyboardInterrupt

    def _exit(self) -> None:
        try:
            self._steps.before_exit()
        finally:
            self._steps.exit_process(1)


@functools.cache  # it can't be undone
def _let_children_take_signals() -> None:
    """Have forked children take signals as usual: their handlers would tell of them here.

    Libraries fork: OpenVINO has a child count its users, and ends it with SIGTERM where the
    internet is out of reach.
    """
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=_take_signals_as_usual)


def _take_signals_as_usual() -> None:
    listening = [
        number
        for number in STOP_SIGNALS
        if getattr(signal.getsignal(number), "__func__", None) is _Watcher.on_signal
    ]
    if listening:
        signal.set_wakeup_fd(-1)
    for number in listening:
        usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, usual)


def _reason(came: int) -> str:
    if came == STDIN_ENDED:
        return "the end of standard input"
    return "Ctrl-C" if came == signal.SIGINT else signal.Signals(came).name
