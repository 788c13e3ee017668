"""What every command does around its one call: show events, errors, logs; take stops."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import click

from geosr.cli.progress import JsonLines, Progress, TextLines, event_output
from geosr.cli.stopping import StopRequest, StopSteps, stop_requests
from geosr.core.errors import CancelledError, GeosrError, NotEnoughMemoryError
from geosr.core.events import EventSink, error_event, format_event

_log = logging.getLogger(__name__)


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
    stopped: str = "nothing was written",
    steps: StopSteps | None = None,
) -> Iterator[Session]:
    """Yield the session of a command that runs for a while.

    ``stopped`` ends the sentence that a stopped run leaves.
    """
    if progress is None:
        progress = "bar" if sys.stderr.isatty() else "none"
    stop, steps = StopRequest(), steps or StopSteps()
    with ExitStack() as stack:
        stack.callback(lambda: steps.before_exit() if stop() else None)
        emit = stack.enter_context(event_output(progress, quiet=verbosity < 0))
        stack.enter_context(shown_logs(verbosity))
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
    emit: EventSink, *, stop: StopRequest | None = None, stopped: str = ""
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
        asked = stop is not None and stop()
        shown = _stop_error(stop, stopped) if asked else _shown(error)
        try:
            emit(error_event(shown.code, shown.message, shown.hint))
        except CancelledError:
            _log.debug("Nobody reads the events")
        raise click.exceptions.Exit(shown.exit_status) from error


def _stop_error(stop: StopRequest | None, stopped: str) -> CancelledError:
    reason = stop.reason if stop else ""
    return CancelledError(f"Stopped by {reason}; {stopped}.")


def _shown(error: BaseException) -> GeosrError:
    """Return the error that says in a sentence what happened."""
    if isinstance(error, GeosrError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return CancelledError("Stopped.")
    if isinstance(error, MemoryError):
        return NotEnoughMemoryError(
            "There is not enough memory.", hint="Lower --tile-size or --workers."
        )
    where = "Run it again with -v -v to see where it happened."
    if isinstance(error, OSError) and error.strerror:
        file = f": {error.filename}" if error.filename else ""
        return GeosrError(f"The system says: {error.strerror}{file}.", hint=where)
    text = " ".join(str(error).split()) or "no message"
    return GeosrError(
        f"This is a bug in geosr: {type(error).__name__}: {text}",
        hint=f"{where} Please report it with what that prints.",
    )


@contextmanager
def shown_logs(verbosity: int) -> Iterator[None]:
    """Send log lines to standard error: warnings; with -v what is done; with -vv everything.

    Of other libraries' lines a level less is shown: what concerns the user is in our errors.
    Python's warnings are log lines here, so that they show no source code.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    ours = max(logging.WARNING - 10 * verbosity, logging.DEBUG)
    theirs = logging.CRITICAL if verbosity < 1 else ours + 10
    handler.addFilter(
        lambda record: record.levelno >= (ours if record.name.startswith("geosr") else theirs)
    )
    root, geosr = logging.getLogger(), logging.getLogger("geosr")
    level, root_level, handlers = geosr.level, root.level, root.handlers[:]
    root.handlers[:] = [handler]  # rio has put its own there, and would show each line again
    geosr.setLevel(ours)
    if verbosity > 0:
        root.setLevel(min(theirs, root.getEffectiveLevel()))
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = handlers
        geosr.setLevel(level)
        root.setLevel(root_level)


def _asks_for_json(args: list[str]) -> bool:
    pairs = pairwise(args)
    return "--json" in args or "--progress=json" in args or ("--progress", "json") in pairs
