"""What went wrong, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from geosr.core.errors import CancelledError, GeosrError, NotEnoughMemoryError


@dataclass(frozen=True)
class Failure:
    """A file that could not be made.

    Attributes
    ----------
    source
        As it was named.
    output
        Where it was to go; None if nothing was found at ``source``.
    code, message, hint
        Why, as in a `GeosrError`; not the error itself, which would keep pixels in memory.
    """

    source: str
    output: str | None
    code: str
    message: str
    hint: str

    @classmethod
    def of(cls, source: str, output: str | None, error: BaseException) -> Self:
        """Return the failure that an error means."""
        said = in_words(error)
        return cls(source, output, said.code, said.message, said.hint)


def in_words(error: BaseException) -> GeosrError:
    """Return the error that says in a sentence what happened.

    >>> in_words(KeyError("x")).message
    "This is a bug in geosr: KeyError: 'x'"
    """
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
