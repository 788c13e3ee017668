"""Workers that are called once they are needed: mistakes surface before any is started."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from geosr.cluster.local import settle_for_processes
from geosr.cluster.workers import Workers, open_workers
from geosr.core.facts import ModelFacts
from geosr.core.options import UpscaleOptions
from geosr.predictors import Machinery


class Crew:
    """The workers that ``options`` ask for, for one run or many; a context manager.

    Attributes
    ----------
    wanted
        Whether there are to be any.
    """

    def __init__(
        self,
        options: UpscaleOptions,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        on_log: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._options, self._should_stop, self._on_log = options, should_stop, on_log
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._workers: Workers | None = None
        self.wanted = options.workers is not None or options.scheduler is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(exc_type, error, traceback)

    def workers(self) -> Workers:
        """Return the workers; the first time they are called.

        Raises
        ------
        GeosrError
            As `open_workers`.
        """
        with self._lock:
            if self._workers is None:
                opened = open_workers(
                    self._options, should_stop=self._should_stop, on_log=self._on_log
                )
                self._workers = self._stack.enter_context(opened)
            return self._workers

    def settled(self, facts: ModelFacts, options: UpscaleOptions) -> Machinery:
        """Decide what ``auto`` means where the work is done.

        Raises
        ------
        GeosrError
            If what was asked for is not there, or nobody is.
        """
        if self._options.scheduler is None:
            return settle_for_processes(facts, options)
        return self.workers().settle(facts, options)
