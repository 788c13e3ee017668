"""What goes wrong only where several processes share the work."""

from __future__ import annotations

from geosr.core.errors import GeosrError


class ClusterError(GeosrError, RuntimeError):
    """The processes that share the work are not there, or do not fit."""

    code = "cluster"


def in_words(error: BaseException | None) -> str:
    """Return an error that is not geosr's own as a part of a sentence."""
    text = " ".join(str(error).split()).rstrip(".")
    name = type(error).__name__
    return f"{name}: {text}" if text else name
