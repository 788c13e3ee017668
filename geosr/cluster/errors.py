"""What goes wrong only where several processes share the work."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from geosr.core.errors import GeosrError

P = ParamSpec("P")
T = TypeVar("T")


class ClusterError(GeosrError, RuntimeError):
    """The processes that share the work are not there, or do not fit."""

    code = "cluster"


def in_words(error: BaseException | None) -> str:
    """Return an error that is not geosr's own as a part of a sentence."""
    text = " ".join(str(error).split()).rstrip(".")
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def bare_errors(function: Callable[P, T]) -> Callable[P, T]:
    """Have a function raise geosr's errors without the errors behind them: GDAL's do not pickle.

    How they came about goes along as a note.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except GeosrError as error:
            bare = type(error)(error.message, hint=error.hint)
            bare.add_note("".join(traceback.format_exception(error)))
        raise bare  # out here nothing is behind it

    return call
