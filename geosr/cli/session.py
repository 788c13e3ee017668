"""What every command does around its one call: show events, errors, logs; take stops."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import click

from geosr.cli.bar import TextLines
from geosr.cli.logs import LogFile, shown_logs
from geosr.cli.progress import JsonLines, Progress, event_output, thinned
from geosr.cli.stopping import StopRequest, StopSteps, stop_requests
from geosr.core.errors import CancelledError, OptionError, in_words
from geosr.core.events import EventSink, error_event, format_event, no_events

_log = logging.getLogger(__name__)

_STOPPED = "Stopped; "  # what follows it in a `CancelledError` is what the run leaves behind


@dataclass(frozen=True)
class Session:
    """Where a command's events go, what asks it to stop, and what people want to read."""

    emit: EventSink
    stop: StopRequest
    progress: Progress
    verbosity: int

    @property
    def tells_people(self) -> bool:
        """Whether a summary on standard output is wanted."""
        return self.progress != "json" and self.verbosity >= 0


class EventCommand(click.Command):
    """A command whose usage errors are events, too, when it is asked for JSON."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse ``args``; click shows what is wrong with them and ends with status 2."""
        wants_json = _asks_for_json(args)
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            if wants_json:
                hint = f"See `{error.ctx.command_path if error.ctx else info_name} --help`."
                click.echo(format_event(error_event("usage", error.format_message(), hint)))
            raise


@contextmanager
def command_session(
    progress: Progress | None,
    verbosity: int,
    *,
    with_stdin: bool = False,
    stopped: Callable[[], str] = lambda: "nothing was written",
    steps: StopSteps | None = None,
    log_path: str | None = None,
) -> Iterator[Session]:
    """Yield the session of a command that runs for a while.

    ``stopped`` ends the sentence that a stopped run leaves, if it leaves none itself;
    ``log_path`` is the file that everything is written to besides.
    """
    if progress is None:
        progress = "bar" if sys.stderr.isatty() else "none"
    stop, steps = StopRequest(), steps or StopSteps()
    with ExitStack() as stack:
        stack.callback(lambda: steps.before_exit() if stop() else None)
        shown = stack.enter_context(event_output(progress, quiet=verbosity < 0))
        with shown_errors(shown):
            log_file = None if log_path is None else LogFile(log_path)
        emit = thinned(log_file or no_events, shown)  # the last one raises if nobody reads
        stack.enter_context(shown_logs(verbosity, log_file))
        stack.enter_context(shown_errors(emit, stop=stop, stopped=stopped))
        stack.enter_context(stop_requests(stop, with_stdin=with_stdin, steps=steps))
        yield Session(emit, stop, progress, verbosity)


@contextmanager
def json_errors(as_json: bool) -> Iterator[None]:
    """Run a command that answers at once; with ``as_json`` an error is JSON, too."""
    emit: EventSink = JsonLines(sys.stdout) if as_json else TextLines(sys.stderr, bar=False)
    with shown_logs(0), shown_errors(emit):
        yield


@contextmanager
def shown_errors(
    emit: EventSink,
    *,
    stop: StopRequest | None = None,
    stopped: Callable[[], str] = lambda: "nothing was written",
) -> Iterator[None]:
    """Turn an error into one event and an exit status; the traceback goes to the debug log."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit):
        raise  # click's own way to end
    except (Exception, KeyboardInterrupt) as error:
        _log.debug("The error in full", exc_info=True)
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            raise  # `| head` had enough; click ends quietly
        # A stop shows as any error, but it does not make an option wrong.
        asked = stop is not None and stop() and not isinstance(error, OptionError)
        shown = _stop_error(stop, stopped, error) if asked else in_words(error)
        try:
            emit(error_event(shown.code, shown.message, shown.hint))
        except CancelledError:
            _log.debug("Nobody reads the events")
        raise click.exceptions.Exit(shown.exit_status) from error


def _stop_error(
    stop: StopRequest | None, stopped: Callable[[], str], error: BaseException
) -> CancelledError:
    """Return why the run ended, and what it says itself of what it leaves behind."""
    reason = f"Stopped by {stop.reason if stop else ''}"
    if isinstance(error, CancelledError) and error.message.startswith(_STOPPED):
        return CancelledError(f"{reason}; {error.message[len(_STOPPED) :]}", hint=error.hint)
    return CancelledError(f"{reason}; {stopped()}.")


def _asks_for_json(args: list[str]) -> bool:
    pairs = pairwise(args)
    return "--json" in args or "--progress=json" in args or ("--progress", "json") in pairs
