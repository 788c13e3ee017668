"""What ``geosr serve --stdio`` is asked: requests, one JSON object a line, at both ends.

`geosr.core.answers` says what comes back.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, field, fields
from typing import Any, Callable, Dict, Mapping, Optional, Tuple, Type, Union

from .errors import OptionError
from .geometry import Bounds
from .options import UpscaleOptions

ANSWERS = ("path", "bytes")
"""A preview is named by its path, which lasts until 32 others were made, or comes along."""

Id = Union[int, str]
Message = Dict[str, Any]


@dataclass(frozen=True)
class Request:
    """What is asked for; ``do`` in JSON is the name of the class.

    Attributes
    ----------
    id
        Comes back with every event that the request leads to.
    """

    id: Optional[Id] = None

    @classmethod
    def kind(cls) -> str:
        """Return the name of the request."""
        return cls.__name__.lower()

    def to_line(self) -> str:
        """Return the request as one line of JSON without its end; what is None is left out.

        >>> Cancel(7).to_line()
        '{"do": "cancel", "id": 7}'
        """
        values: Message = {"do": self.kind()}
        for part in fields(self):
            value = getattr(self, part.name)
            values.update(value if part.name == "options" else {part.name: value})
        if values.get("nodata") is not None and math.isnan(values["nodata"]):
            values["nodata"] = "nan"  # JSON has no number for it
        return json.dumps({name: value for name, value in values.items() if value is not None})


@dataclass(frozen=True)
class Preview(Request):
    """Upscale a part of a raster: the very pixels that the whole run has there.

    Attributes
    ----------
    source
        Anything that GDAL reads.
    bounds, bounds_crs
        ``(west, south, east, north)`` of the view, in ``bounds_crs`` or the raster's CRS. All
        source pixels that they touch are shown.
    width, height
        Of the view, in pixels of the screen, if known.
    answer
        One of `ANSWERS`.
    replaces
        Cancel all previews that were asked for before and are not answered.
    options
        Those of `UpscaleOptions` that are named in `OPTIONS`.
    """

    source: str = ""
    bounds: Bounds = (0.0, 0.0, 0.0, 0.0)
    bounds_crs: Optional[str] = None
    width: Optional[int] = None
    height: Optional[int] = None
    answer: str = "path"
    replaces: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Warm(Request):
    """Load a model before it is needed.

    Attributes
    ----------
    bands
        Of the rasters to come; needed for a network without a card.
    options
        Those of `UpscaleOptions` that are named in `WARM_OPTIONS`.
    """

    bands: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Info(Request):
    """Tell what a raster is, as ``geosr info --json`` does."""

    source: str = ""


@dataclass(frozen=True)
class Cancel(Request):
    """Stop the request with this ``id``, or do not begin it."""


@dataclass(frozen=True)
class Models(Request):
    """List the models, as ``geosr models --json`` does."""


@dataclass(frozen=True)
class Ping(Request):
    """Answer, and nothing else."""


@dataclass(frozen=True)
class Quit(Request):
    """Cancel everything and end."""


REQUESTS: Dict[str, Type[Request]] = {
    kind.kind(): kind for kind in (Preview, Warm, Info, Cancel, Models, Ping, Quit)
}


def read_message(line: Union[str, bytes]) -> Message:
    """Return the JSON object of a line.

    Raises
    ------
    OptionError
        If it holds none.

    >>> read_message('{"do": "ping"}')
    {'do': 'ping'}
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise OptionError(
            f"A request is no JSON: {error}.", hint="Send one JSON object in each line."
        ) from error
    if not isinstance(message, dict):
        raise OptionError("A request is JSON, but no object.", hint='Write {"do": "ping"}, say.')
    return message


def message_id(message: Message) -> Optional[Id]:
    """Return a message's ``id``, or None if it has none that can be used.

    >>> message_id({"id": "a1"}), message_id({"id": [1]})
    ('a1', None)
    """
    found = message.get("id")
    return found if isinstance(found, (int, str)) and not isinstance(found, bool) else None


def parse_request(message: Message) -> Request:
    """Return what a message asks for.

    Raises
    ------
    OptionError
        If it is no request, lacks something, or holds something wrong or unknown.

    >>> parse_request({"do": "info", "id": 2, "source": "a.tif"})
    Info(id=2, source='a.tif')
    """
    do = message.get("do")
    if not isinstance(do, str) or do not in REQUESTS:
        raise OptionError(
            f"There is no request {_short(do)}.", hint=f'"do" is one of {", ".join(REQUESTS)}.'
        )
    own = {part.name for part in fields(REQUESTS[do])}
    known = own - {"options"} | set(_OPTIONS_OF.get(do, ()))
    given = {name: value for name, value in message.items() if value is not None and name != "do"}
    for name in sorted(set(given) - known):
        raise OptionError(
            f"A {do} request has no {_short(name)}.", hint=f"It has {', '.join(sorted(known))}."
        )
    for name in _NEEDED.get(do, ()):
        if name not in given:
            raise OptionError(f"The {do} request has no {name}.", hint="It cannot be left out.")
    values = {name: _checked(do, name, value) for name, value in given.items()}
    options = {name: values.pop(name) for name in OPTIONS if name in values}
    if options:
        UpscaleOptions(**options)  # which refuses what makes no sense
        values["options"] = options
    return REQUESTS[do](**values)


def _checked(do: str, name: str, value: Any) -> Any:
    try:
        return _FIELDS[name](value)
    except ValueError as error:
        raise OptionError(
            f"The {name} of a {do} request is {_short(value)}; it must be {error}.",
            hint="Correct it, or leave it out.",
        ) from error


def _must(holds: bool, words: str) -> None:
    if not holds:
        raise ValueError(words)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _text(value: Any) -> str:
    _must(isinstance(value, str) and value != "" and "\0" not in value, "a text")
    return str(value)


def _flag(value: Any) -> bool:
    _must(isinstance(value, bool), "true or false")
    return bool(value)


def _number(value: Any) -> float:
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    _must(good and abs(value) <= sys.float_info.max, "a finite number")  # NaN is not, either
    return float(value)


def _whole(value: Any) -> int:
    good = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1 << 16
    _must(good, f"a whole number from 1 to {1 << 16}")
    return int(value)


def _list(check: Callable[[Any], Any], count: Optional[int] = None) -> Callable[[Any], Any]:
    def checked(value: Any) -> Tuple[Any, ...]:
        good = isinstance(value, list) and count in (None, len(value))
        _must(good, f"a list of {count} numbers" if count else "a list of numbers")
        return tuple(map(check, value))

    return checked


def _id(value: Any) -> Any:
    _must(message_id({"id": value}) is not None, "a whole number or a text")
    return value


def _answer(value: Any) -> Any:
    _must(value in ANSWERS, f"one of {', '.join(ANSWERS)}")
    return value


OPTIONS: Dict[str, Callable[[Any], Any]] = {
    "model": _text,
    "upscale_factor": _whole,
    "resolution": lambda value: (_text if isinstance(value, str) else _number)(value),
    "indexes": _list(_whole),
    "tile_size": _whole,
    "dtype": _text,
    "nodata": lambda value: math.nan if value == "nan" else _number(value),
    "device": _text,
    "precision": _text,
    "runtime": _text,
    "threads": _whole,
    "consistency": _flag,
    "model_range": _list(_number, 2),
}
"""What a preview may be asked for besides its place, and what checks it."""

WARM_OPTIONS = (
    "model", "upscale_factor", "device", "precision", "runtime", "threads", "model_range",
)  # fmt: skip
"""What decides which model is loaded, and for what."""

_FIELDS: Dict[str, Callable[[Any], Any]] = {
    **OPTIONS,
    "id": _id,
    "source": _text,
    "bands": _whole,
    "bounds": _list(_number, 4),
    "bounds_crs": _text,
    "width": _whole,
    "height": _whole,
    "answer": _answer,
    "replaces": _flag,
}

_OPTIONS_OF = {"preview": tuple(OPTIONS), "warm": WARM_OPTIONS}

_NEEDED = {"preview": ("id", "source", "bounds"), "cancel": ("id",), "info": ("source",)}
