# SPDX-License-Identifier: GPL-2.0-or-later
"""The environment variables of a child: QGIS's own, without what leads it into QGIS's libraries.

QGIS's start scripts set variables that are right for QGIS and wrong for any other Python:
``PROJ_LIB`` names a proj.db that another PROJ cannot read, ``PYTHONHOME`` keeps Python from
starting, ``PYTHONEXECUTABLE`` lets it forget that it belongs to a virtual environment. What the
user or an administrator has set, such as proxies and certificates, stays.

All functions take the platform as an argument, for each to be tested on any of them.
"""

from __future__ import annotations

import ntpath
import os
import posixpath
import re
import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Callable

DROPPED = {
    "CONDA_DEFAULT_ENV",
    "CONDA_PREFIX",
    "CONDA_PROMPT_MODIFIER",
    "CONDA_SHLVL",
    "GDAL_DATA",
    "GDAL_DRIVER_PATH",
    "GEOTIFF_CSV",
    "OGR_DRIVER_PATH",
    "PROJ_DATA",
    "PROJ_LIB",
    "QT_PLUGIN_PATH",
    "QT_QPA_PLATFORM_PLUGIN_PATH",
    "UV_BREAK_SYSTEM_PACKAGES",
    "UV_PREFIX",
    "UV_PROJECT",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_TARGET",
    "VIRTUAL_ENV",
    "VIRTUAL_ENV_PROMPT",
    "__PYVENV_LAUNCHER__",
}

DROPPED_PREFIXES = ("PYTHON", "GDAL_PYTHON_", "_PYTHON_", "PIP_")

KEPT = {
    "PIP_CACHE_DIR",
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "PIP_CONFIG_FILE",
    "PIP_CONSTRAINT",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_KEYRING_PROVIDER",
    "PIP_NO_CACHE_DIR",
    "PIP_NO_INDEX",
    "PIP_PROXY",
    "PIP_RETRIES",
    "PIP_TIMEOUT",
    "PIP_TRUSTED_HOST",
    "PIP_USE_FEATURE",
}
"""Of pip's variables: where packages come from, not where they go."""

LISTS = {"DYLD_FALLBACK_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LD_LIBRARY_PATH", "PATH"}
"""Lists of folders, of which QGIS's go."""

PRELOADED = {"DYLD_INSERT_LIBRARIES", "LD_PRELOAD"}

CERTIFICATES = {
    "CURL_CA_BUNDLE",
    "PROJ_CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
}

SHARED_ROOTS = {"", "/", "/usr", "/usr/local", "/opt", "/opt/homebrew"}
"""Where QGIS may be installed beside everything else; nothing there is only QGIS's."""

_QGIS_NAME = re.compile(r"^(osgeo4|qgis)", re.IGNORECASE)


def clean_environment(
    environ: Mapping[str, str],
    *,
    python: str = "",
    platform: str = sys.platform,
    own_folders: Iterable[str] | None = None,
    exists: Callable[[str], bool] = os.path.exists,
) -> dict[str, str]:
    """Return the variables for a child that runs ``python``.

    Parameters
    ----------
    environ
        QGIS's variables.
    python
        The child's interpreter. The folders of its own installation stay, and those of a conda
        environment come first.
    own_folders
        QGIS's own; None: found by `qgis_folders`.
    exists
        Tells whether a file or folder is there.
    """
    path = _path_module(platform)
    folders = qgis_folders(environ, platform=platform) if own_folders is None else own_folders
    root = _root_of(python, path)
    owned = _Owned([each for each in folders if not _same(each, root, path)], root, platform)
    cleaned: dict[str, str] = {}
    for name, value in environ.items():
        key = name.upper() if platform == "win32" else name
        kept = _kept_value(key, value, owned, exists)
        if kept is not None:
            cleaned[name] = kept
    cleaned["PYTHONUTF8"] = "1"  # what it writes is read as UTF-8
    cleaned["PYTHONSAFEPATH"] = "1"  # no module from the current folder
    if root and exists(path.join(root, "conda-meta")):
        _activate_conda(cleaned, root, platform, exists)
    return cleaned


def qgis_folders(
    environ: Mapping[str, str],
    *,
    platform: str = sys.platform,
    prefix: str = sys.prefix,
    executable: str = sys.executable,
) -> list[str]:
    r"""Return the folders that hold QGIS and its libraries, and nothing else.

    >>> qgis_folders({}, platform="win32", prefix=r"C:\QGIS\apps\Python312",
    ...     executable=r"C:\QGIS\bin\qgis-bin.exe")
    ['C:\\QGIS']
    """
    path = _path_module(platform)
    found = [environ.get(name, "") for name in ("OSGEO4W_ROOT", "QGIS_PREFIX_PATH", "GISBASE")]
    found += [environ.get("APPDIR", ""), environ.get("SNAP", "")]
    if environ.get("FLATPAK_ID"):
        found.append("/app")
    if platform == "win32":
        found += [re.split(r"(?i)[\\/]apps[\\/]", prefix)[0] if _in_apps(prefix) else ""]
        if _QGIS_NAME.match(ntpath.basename(executable or "")):
            found.append(re.sub(r"(?i)[\\/]bin$", "", ntpath.dirname(executable)))
    elif platform == "darwin":
        found += [_bundle(executable or ""), _bundle(prefix)]
    if environ.get("CONDA_PREFIX"):
        found.append(environ["CONDA_PREFIX"])
    cleaned = [path.normpath(folder) if folder else "" for folder in found]
    return list(dict.fromkeys(each for each in cleaned if each not in SHARED_ROOTS))


class _Owned:
    """Tells which folders are QGIS's."""

    def __init__(self, folders: Iterable[str], root: str, platform: str) -> None:
        self.path, self._platform = _path_module(platform), platform
        self._folders, self._root = list(folders), root

    def __call__(self, folder: str) -> bool:
        if not folder or (self._root and _inside(folder, self._root, self.path)):
            return False
        if any(_inside(folder, each, self.path) for each in self._folders):
            return True
        # Start scripts write short names, such as C:\OSGEO4~1, which are no part of any other.
        parts = re.split(r"[\\/]", folder)
        return self._platform == "win32" and any(_QGIS_NAME.match(part) for part in parts)

    def without(self, value: str, separator: str) -> str | None:
        """Return a list without what is QGIS's, or None if nothing is left."""
        kept = [part for part in value.split(separator) if part and not self(part.strip('"'))]
        return separator.join(kept) or None


def _kept_value(key: str, value: str, owned: _Owned, exists: Callable[[str], bool]) -> str | None:
    if key in DROPPED or (key.startswith(DROPPED_PREFIXES) and key not in KEPT):
        return None
    if key in LISTS:
        return owned.without(value, owned.path.pathsep)
    if key in PRELOADED:
        return owned.without(value.replace(" ", ":"), ":")
    if key in CERTIFICATES:
        parts = value.split(owned.path.pathsep) if key == "SSL_CERT_DIR" else [value]
        return value if any(exists(part) and not owned(part) for part in parts) else None
    return value


def _activate_conda(
    variables: dict[str, str], root: str, platform: str, exists: Callable[[str], bool]
) -> None:
    """Set what ``conda activate`` sets; without it Windows finds none of its libraries."""
    path = _path_module(platform)
    windows = platform == "win32"
    inner = ["", "Library/mingw-w64/bin", "Library/usr/bin", "Library/bin", "Scripts", "bin"]
    folders = [path.normpath(path.join(root, each)) for each in (inner if windows else ["bin"])]
    name = next((each for each in variables if each.upper() == "PATH"), "PATH")
    before = variables.get(name)
    variables[name] = path.pathsep.join(folders + ([before] if before else []))
    variables["CONDA_PREFIX"] = root
    share = path.join(root, "Library", "share") if windows else path.join(root, "share")
    for variable, folder in (("GDAL_DATA", "gdal"), ("PROJ_DATA", "proj"), ("PROJ_LIB", "proj")):
        if exists(path.join(share, folder)):
            variables[variable] = path.join(share, folder)


def _root_of(python: str, path: ModuleType) -> str:
    """Return the folder of an interpreter's installation, unless others share it."""
    if not python:
        return ""
    folder = path.dirname(path.normpath(python))
    if path.basename(folder).lower() in {"bin", "scripts"}:
        folder = path.dirname(folder)
    return "" if folder in SHARED_ROOTS else folder


def _inside(folder: str, root: str, path: ModuleType) -> bool:
    folder = path.normcase(path.normpath(folder))
    root = path.normcase(path.normpath(root)).rstrip("\\/")
    return folder == root or folder.startswith((root + "/", root + "\\"))


def _same(one: str, other: str, path: ModuleType) -> bool:
    return bool(other) and path.normcase(path.normpath(one)) == path.normcase(other)


def _in_apps(prefix: str) -> bool:
    """Return whether a Python is part of an OSGeo4W tree, as QGIS's is on Windows."""
    return re.search(r"(?i)[\\/]apps[\\/]python", prefix) is not None


def _bundle(file: str) -> str:
    """Return the macOS application that a file is part of, or nothing.

    >>> _bundle("/Applications/QGIS.app/Contents/MacOS/QGIS")
    '/Applications/QGIS.app'
    """
    found = re.match(r"(.*?\.app)(/|$)", file)
    return found.group(1) if found and "qgis" in found.group(1).lower() else ""


def _path_module(platform: str) -> ModuleType:
    return ntpath if platform == "win32" else posixpath
