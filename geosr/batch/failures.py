"""What went wrong, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from geosr.core.errors import in_words


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
