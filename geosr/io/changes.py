"""What differs between a run and the one that left its work behind, in a sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def same(old: Any, new: Any) -> bool:
    """Return whether two plain values are the same once written as JSON; NaN is NaN.

    >>> same({"nodata": float("nan"), "shape": (1, 2)}, {"shape": [1, 2], "nodata": float("nan")})
    True
    """
    return _canonical(old) == _canonical(new)


def what_changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return a sentence that names what differs between two identities; empty if nothing does.

    >>> what_changed({"source": 1, "model": 2}, {"source": 3, "model": 2})
    'The source has changed since the earlier run; this one starts anew.'
    """
    names = [*new, *(name for name in old if name not in new)]
    other = [
        name for name in names if not (name in old and name in new and same(old[name], new[name]))
    ]
    if not other:
        return ""
    listed = " and the ".join(filter(None, (", the ".join(other[:-1]), other[-1])))
    have = "has" if len(other) == 1 else "have"
    return f"The {listed} {have} changed since the earlier run; this one starts anew."


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else repr(value)
