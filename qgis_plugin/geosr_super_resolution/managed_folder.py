# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of an environment that the plugin makes, and only that.

It holds a file, `MARK`, which says that it is the plugin's and whether it is finished. Without
that file nothing is ever removed.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Callable

MARK = "geosr-environment.json"


class ManagedFolder:
    """A folder for an environment to be: on leaving it is finished, or as it was before.

    An older environment of the plugin's is set aside meanwhile.

    Raises
    ------
    OSError
        On entering, if it cannot be made.
    """

    def __init__(self, path: str | Path, requirement: str) -> None:
        self._path, self._requirement = Path(path), requirement
        self._aside = self._path.with_name(f"{self._path.name}.old")
        self._finished = False

    def __enter__(self) -> ManagedFolder:
        self._put_back()  # if QGIS was killed while the new one was made
        try:
            if is_managed(self._path) and not is_unfinished(self._path):
                remove(self._aside)
                self._path.rename(self._aside)
            remove(self._path)
            self._path.mkdir(parents=True, exist_ok=True)
            self._mark("unfinished")
        except OSError:
            self._put_back()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # What cannot be removed now is still marked, and goes the next time.
        with suppress(OSError):
            remove(self._aside if self._finished else self._path)
        if not self._finished:
            self._put_back()

    def finish(self, version: str) -> None:
        """Say that it is complete."""
        self._mark("ready", version)
        self._finished = True

    def _put_back(self) -> None:
        if not is_managed(self._aside):
            return
        with suppress(OSError):
            if is_unfinished(self._path):
                remove(self._path)
            if not self._path.exists():
                self._aside.rename(self._path)

    def _mark(self, state: str, version: str = "") -> None:
        facts = {"state": state, "requirement": self._requirement, "geosr": version}
        (self._path / MARK).write_text(json.dumps(facts), encoding="utf-8")


def is_managed(folder: str | Path) -> bool:
    """Return whether the plugin has made a folder."""
    return (Path(folder) / MARK).is_file()


def is_unfinished(folder: str | Path) -> bool:
    """Return whether the plugin has begun to make a folder, and has not finished it."""
    try:
        state = json.loads((Path(folder) / MARK).read_text(encoding="utf-8")).get("state")
    except (OSError, ValueError, AttributeError):
        return is_managed(folder)
    return bool(state != "ready")


def remove(folder: str | Path) -> None:
    """Remove a folder that the plugin has made, its mark last; leave any other one alone.

    Raises
    ------
    OSError
        If something in it cannot be removed.
    """
    folder = Path(folder)
    if not is_managed(folder):
        return
    for path in folder.iterdir():
        if path.name == MARK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, onerror=_once_more)
        else:
            path.unlink()
    (folder / MARK).unlink()
    folder.rmdir()


def _once_more(function: Callable[[str], object], name: str, _: object) -> None:
    """Remove what may not be written, or what a virus scanner held for a moment."""
    with suppress(OSError):
        os.chmod(name, stat.S_IRUSR | stat.S_IWUSR | stat.S_IXUSR)
    time.sleep(0.1)
    function(name)
