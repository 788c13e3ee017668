"""What goes wrong with single sources while the others go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from geosr.core.errors import BandError, CancelledError, GeosrError, OptionError, OutputError
from geosr.core.events import EventSink, log_event


@dataclass(frozen=True)
class Failed:
    """A source of which not all could be taken: its name, and why, as in a `GeosrError`."""

    source: str
    code: str
    message: str
    hint: str


@dataclass
class Complaints:
    """Collects failures and tells of them."""

    on_event: EventSink
    failed: list[Failed] = field(default_factory=list)
    first: GeosrError | None = None

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Keep what is wrong with one source; options and outputs are wrong for all."""
        try:
            yield
        except (CancelledError, OutputError):
            raise
        except GeosrError as error:
            if isinstance(error, OptionError) and not isinstance(error, BandError):
                raise
            self.first = self.first or error
            self.failed.append(Failed(name, error.code, error.message, error.hint))
            self.tell("warning", f"{name} is left out: {error.message}")

    def tell(self, level: str, message: str) -> None:
        """Say something."""
        self.on_event(log_event(level, message))
