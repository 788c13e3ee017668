"""The resident worker: requests are taken in one thread and carried out in another."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from geosr.core.answers import answer_event, cancelled_event, refusal_event
from geosr.core.catalog import known_models
from geosr.core.errors import CancelledError, GeosrError, OptionError, in_words
from geosr.core.events import Event, EventSink, ThrottledSink
from geosr.core.facts import KERNEL_FACTORS, KERNEL_RADIUS, kernel_facts
from geosr.core.requests import (
    Cancel,
    Id,
    Info,
    Models,
    Ping,
    Preview,
    Quit,
    Request,
    Warm,
    message_id,
    parse_request,
    read_message,
)
from geosr.serving.folder import SessionFolder

_ZOOM_IN = "Zoom in, or close other programs."
_WHERE = "What geosr serve writes to standard error shows where it happened."

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Job:
    """A request that is not answered yet.

    Attributes
    ----------
    request
        What is asked for.
    begun
        Whether it is being carried out.
    unwanted
        Whether it is to stop.
    """

    request: Request
    begun: bool = False
    unwanted: bool = False


class Worker:
    """Answers requests; those that take time one after the other.

    Parameters
    ----------
    emit
        Called with each event, from two threads.
    folder
        Where previews go.
    max_mpx
        Source pixels that a preview may take, times bands, in millions.
    should_stop
        Asked between tiles.
    """

    def __init__(
        self,
        emit: EventSink,
        folder: SessionFolder,
        *,
        max_mpx: float,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._emit, self._tell = emit, ThrottledSink(emit)
        self._folder, self._max_mpx, self._should_stop = folder, max_mpx, should_stop
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()  # to be held by whoever looks at the jobs
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="geosr-previews", daemon=True)
        self._previews: Any = None

    def start(self) -> None:
        """Begin to carry out what is taken."""
        self._thread.start()

    def take(self, line: bytes | str) -> bool:
        """Take a request; return False if it is the last one.

        Raises
        ------
        CancelledError
            If nobody reads the events any more.
        """
        if not line.strip():
            return True
        found: Id | None = None
        try:
            message = read_message(line)
            found = message_id(message)
            request = parse_request(message)
        except OptionError as error:
            self._emit(refusal_event(found, error))
            return True
        if isinstance(request, Ping):
            self._emit(answer_event(request))
        elif isinstance(request, Models):
            self._emit(_models(request))
        elif isinstance(request, Cancel):
            self._cancel(lambda job: job.request.id == request.id)
        elif not isinstance(request, Quit):
            self._add(request)
        return not isinstance(request, Quit)

    def close(self, timeout_s: float) -> bool:
        """Cancel everything; return whether the work has ended in time."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._cancel(lambda job: True)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _add(self, request: Request) -> None:
        if isinstance(request, Preview) and request.replaces:
            self._cancel(lambda job: isinstance(job.request, Preview))
        with self._changed:
            used = {job.request.id for job in self._jobs if not job.unwanted}
            if request.id is None or request.id not in used:
                self._jobs.append(Job(request))
                self._changed.notify()
                return
        error = OptionError(
            f"A request with the id {request.id!r} is not answered yet.",
            hint="Give each request an id of its own.",
        )
        self._emit(refusal_event(None, error))  # with the id it would look like the other's answer

    def _cancel(self, matches: Callable[[Job], bool]) -> None:
        with self._changed:
            found = [job for job in self._jobs if matches(job)]
            for job in found:
                job.unwanted = True
            waiting = [job for job in found if not job.begun]
            for job in waiting:
                self._jobs.remove(job)
        for job in waiting:
            self._emit(cancelled_event(job.request.id))

    def _work(self) -> None:
        """Carry out jobs until the end."""
        try:
            self._service()  # its imports take as long as a preview
        except Exception:  # noqa: BLE001 - the first job will say so
            _log.debug("The worker cannot begin", exc_info=True)
        while (job := self._next()) is not None:
            try:
                self._answer(job)
            except Exception:  # noqa: BLE001 - the worker lives on
                _log.exception("The answer to request %r was lost", job.request.id)
        if self._previews is not None:
            self._previews.close()

    def _next(self) -> Job | None:
        with self._changed:
            while not (self._jobs or self._ended):
                self._changed.wait()
            if self._ended:
                return None
            self._jobs[0].begun = True
            return self._jobs[0]

    def _answer(self, job: Job) -> None:
        event, path = self._result(job)
        with self._changed:
            self._jobs.remove(job)
            unwanted = job.unwanted
        if unwanted:
            event = cancelled_event(job.request.id)
        if path is not None:
            if unwanted:
                os.unlink(path)
            else:
                self._folder.keep(path)
        try:
            self._emit(event)
        except CancelledError:
            _log.debug("Nobody reads the events")

    def _result(self, job: Job) -> tuple[Event, str | None]:
        """Return the answer to a job, and the file that it names."""
        request = job.request
        if self._should_stop():
            return cancelled_event(request.id), None
        try:
            service = self._service()
            if isinstance(request, Info):
                return service.info(request), None
            if isinstance(request, Warm):
                return service.warm(request), None
            made: tuple[Event, str | None] = service.preview(
                request,
                lambda event: self._tell({**event, "id": request.id}),
                lambda: job.unwanted or self._should_stop(),
            )
            return made
        except CancelledError:
            return cancelled_event(request.id), None
        except Exception as error:  # noqa: BLE001 - the worker lives on
            if not isinstance(error, GeosrError):
                _log.warning("Request %r failed", request.id, exc_info=True)
            return refusal_event(request.id, in_words(error, memory=_ZOOM_IN, where=_WHERE)), None

    def _service(self) -> Any:
        """Return what makes previews; it loads what reads rasters."""
        if self._previews is None:
            from geosr.serving.previews import Previews

            self._previews = Previews(self._folder, max_mpx=self._max_mpx)
        return self._previews


def _models(request: Models) -> Event:
    kernels = (kernel_facts(name, n) for name in KERNEL_RADIUS for n in KERNEL_FACTORS)
    return answer_event(request, models=[asdict(facts) for facts in (*known_models(), *kernels)])
