"""An output that belongs elsewhere: made on this machine, then sent in one go."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from geosr.core.errors import CancelledError, OutputError
from geosr.core.events import EventSink, log_event, phase_event
from geosr.io.output import Output
from geosr.io.remote import is_remote
from geosr.io.upload import delete, upload


@contextmanager
def delivered(
    output: Output,
    temp_dir: str | None,
    on_event: EventSink,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Output | None]:
    """Yield the output to be made on this machine; send it where it belongs afterwards.

    A local output is yielded as it is. None: it was made by an earlier run that could not send it.
    What is made for elsewhere lies in a folder below ``temp_dir`` that is named by its address, so
    that the same command finds it again; it goes once it has been sent.

    Raises
    ------
    OutputError
        If it cannot be sent; the sentence says where it is.
    """
    if not is_remote(output.path):
        yield output
        return
    folder = Path(temp_dir or tempfile.gettempdir()) / f"geosr-{_digest(output.path)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {folder} cannot be made: {error.strerror}.",
            hint="An output for elsewhere is made on this machine first: name a --temp-dir.",
        ) from error
    made = folder / output.path.rstrip("/").rpartition("/")[2]
    mark = folder / "made.json"  # tells of which run the finished file is
    identity = _digest(json.dumps(output.identity, sort_keys=True, default=repr))
    if made.exists() and mark.exists() and mark.read_text(encoding="ascii") == identity:
        on_event(log_event("info", f"{made} was finished by an earlier run; only sending is left."))
        yield None
    else:
        mark.unlink(missing_ok=True)
        yield replace(output, path=str(made), overwrite=True)
        mark.write_text(identity, encoding="ascii")
    on_event(phase_event(f"Sending it to {output.path}"))
    if made.is_dir() and output.overwrite:
        delete(output.path)

    def on_bytes(_sent: int, _total: int) -> None:
        if should_stop():
            raise CancelledError(
                f"Stopped; the finished output is {made}, and is still to be sent."
            )

    upload(made, output.path, on_bytes=on_bytes)
    shutil.rmtree(folder)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
