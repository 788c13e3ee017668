# SPDX-License-Identifier: GPL-2.0-or-later
"""Build the plugin's ZIP, for "Install from ZIP" and plugins.qgis.org.

    python build_zip.py                # dist/geosr_super_resolution-VERSION.zip
    python build_zip.py --output x.zip

The same sources give the same bytes: names are sorted, times and permissions fixed. The version
is that of geosr. Translations are compiled by Qt's ``lrelease``.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess  # nosec B404
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLUGIN = HERE / "geosr_super_resolution"
VERSION_FILE = HERE.parent / "geosr" / "core" / "version.py"

SHIPPED = {".html", ".json", ".md", ".png", ".py", ".qm", ".svg", ".txt"}
PLAIN_NAMES = {"LICENSE"}
LEFT_OUT = {".pyc", ".ts"}  # sources of translations go as .qm
TIME = (2020, 1, 1, 0, 0, 0)
MOST_BYTES = 1_000_000

LRELEASE = ("lrelease", "lrelease6", "/usr/lib/qt6/bin/lrelease", "/usr/lib/qt5/bin/lrelease")


class BuildProblem(Exception):
    """The ZIP cannot be built; the message says why."""


def build_zip(target: Path, *, plugin: Path = PLUGIN, translations: bool = True) -> Path:
    """Write the ZIP and return its path.

    Raises
    ------
    BuildProblem
        If a file does not belong into it, it grows too large, or ``lrelease`` is missing.
    """
    files = {name: path.read_bytes() for name, path in shipped_files(plugin).items()}
    if translations:
        files.update(compiled_translations(plugin))
    files["metadata.txt"] = with_version(files["metadata.txt"].decode(), geosr_version()).encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with zipfile.ZipFile(part, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"{PLUGIN.name}/{name}", TIME)
            entry.create_system = 3  # Unix, for the permissions, wherever this runs
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name], compresslevel=9)
    if part.stat().st_size > MOST_BYTES:
        size = part.stat().st_size
        part.unlink()
        raise BuildProblem(f"The ZIP would have {size} bytes; {MOST_BYTES} is the most.")
    os.replace(part, target)
    return target


def shipped_files(plugin: Path) -> dict[str, Path]:
    """Return the files that go into the ZIP, by their names in it.

    Raises
    ------
    BuildProblem
        If there is one of a kind that is not known to belong there.
    """
    found: dict[str, Path] = {}
    for path in sorted(plugin.rglob("*")):
        name = path.relative_to(plugin)
        hidden = any(part == "__pycache__" or part.startswith(".") for part in name.parts)
        if path.is_dir() or hidden or path.suffix in LEFT_OUT:
            continue
        if path.is_symlink() or (path.suffix not in SHIPPED and path.name not in PLAIN_NAMES):
            raise BuildProblem(
                f"{name} does not belong into the plugin; move it, or name its kind."
            )
        found[name.as_posix()] = path
    missing = {"LICENSE", "__init__.py", "icon.svg", "metadata.txt"} - set(found)
    if missing:
        raise BuildProblem(f"The plugin lacks {', '.join(sorted(missing))}.")
    return found


def compiled_translations(plugin: Path) -> dict[str, bytes]:
    """Return the translations, compiled, by their names in the ZIP.

    Raises
    ------
    BuildProblem
        If there are some, and ``lrelease`` is missing or fails.
    """
    sources = sorted(plugin.rglob("*.ts"))
    program = lrelease() if sources else None
    if sources and program is None:
        raise BuildProblem(
            "lrelease is missing; on Debian: apt install qttools5-dev-tools. "
            "Or leave the translations out: --without-translations"
        )
    compiled: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        for source in sources:
            target = Path(folder) / "compiled.qm"
            done = subprocess.run(  # nosec B603
                [str(program), "-silent", str(source), "-qm", str(target)],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode or not target.exists():
                raise BuildProblem(f"lrelease refuses {source.name}: {done.stderr.strip()}")
            name = source.with_suffix(".qm").relative_to(plugin).as_posix()
            compiled[name] = target.read_bytes()
            target.unlink()
    return compiled


def lrelease() -> str | None:
    """Return where Qt's compiler of translations is, if it is here and runs."""
    for name in LRELEASE:
        program = shutil.which(name)
        if program:
            done = subprocess.run(  # nosec B603
                [program, "-version"], capture_output=True, check=False
            )
            if done.returncode == 0:
                return program
    return None


def geosr_version() -> str:
    """Return the version of the geosr in this checkout."""
    found = re.search(r'^__version__ = "([^"]+)"', VERSION_FILE.read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise BuildProblem(f"{VERSION_FILE} names no version.")
    return found.group(1)


def with_version(metadata: str, version: str) -> str:
    """Return the text of a ``metadata.txt`` with another version.

    >>> with_version("version=0", "1.2")
    'version=1.2'
    """
    return re.sub(r"(?m)^version=.*$", f"version={version}", metadata)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Build the ZIP of the QGIS plugin.")
    default = HERE.parent / "dist" / f"{PLUGIN.name}-{geosr_version()}.zip"
    parser.add_argument("--output", type=Path, default=default)
    parser.add_argument("--without-translations", action="store_true")
    asked = parser.parse_args(arguments)
    try:
        target = build_zip(asked.output, translations=not asked.without_translations)
    except BuildProblem as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
