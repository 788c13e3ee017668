# SPDX-License-Identifier: GPL-2.0-or-later
"""Make a folder of wheels that an environment for the plugin can be installed from, offline.

    python make_wheel_folder.py wheels                     # the light environment
    python make_wheel_folder.py wheels --extra tensorflow  # with training
    python make_wheel_folder.py wheels --python-version 3.12 --platform win_amd64

Run it in a checkout of geosr, on a computer with a network, with the version of Python and on
the system that the environment is for, or name them. It builds geosr's own wheel, downloads all
that it needs, and writes ``constraints.txt`` with the versions. Then carry the folder over, and
in QGIS name it under "Wheel folder"; or by hand:

    python -m pip install --no-index --find-links wheels --constraint wheels/constraints.txt geosr
"""

from __future__ import annotations

import argparse
import re
import subprocess  # nosec B404
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
CONSTRAINTS = "constraints.txt"


def make_wheel_folder(
    folder: Path,
    *,
    extra: str = "",
    python_version: str = "",
    platforms: Sequence[str] = (),
    pip_options: Sequence[str] = (),
) -> Path:
    """Fill a folder and return its constraints file; what is there already is used again.

    Parameters
    ----------
    extra
        One of geosr's extras, such as ``tensorflow``.
    python_version, platforms
        As of ``pip download``; empty: those of this interpreter.
    pip_options
        For both steps, such as ``--index-url`` and what belongs to it.

    Raises
    ------
    subprocess.CalledProcessError
        If pip fails; it has said why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("geosr-*.whl"):
        old.unlink()
    with tempfile.TemporaryDirectory() as built:
        _pip("wheel", "--no-deps", "--wheel-dir", built, *pip_options, str(CHECKOUT))
        (wheel,) = Path(built).glob("geosr-*.whl")
        target = folder / wheel.name
        target.write_bytes(wheel.read_bytes())
    version = wheel.name.split("-")[1]
    wanted = f"geosr[{extra}]=={version}" if extra else f"geosr=={version}"
    options = ["--dest", str(folder), "--find-links", str(folder), "--only-binary", ":all:"]
    options += ["--python-version", python_version] if python_version else []
    for platform in platforms:
        options += ["--platform", platform]
    _pip("download", *options, *pip_options, wanted)
    constraints = folder / CONSTRAINTS
    lines = constraint_lines(path.name for path in folder.glob("*.whl"))
    constraints.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return constraints


def constraint_lines(names: Iterable[str]) -> list[str]:
    """Return the versions of wheels as a constraints file has them.

    >>> constraint_lines(["numpy-2.1.0-cp312-cp312-win_amd64.whl", "geosr-0.1.0-py3-none-any.whl"])
    ['geosr==0.1.0', 'numpy==2.1.0']

    Two versions of a package cannot both be meant:

    >>> constraint_lines(["a-1.0-py3-none-any.whl", "a-2.0-py3-none-any.whl"])
    Traceback (most recent call last):
    ValueError: The folder holds a 1.0 and 2.0: begin with an empty one.
    """
    versions: dict[str, str] = {}
    for name in sorted(names):
        package, version = name.split("-")[:2]
        package = re.sub(r"[-_.]+", "-", package).lower()
        if versions.setdefault(package, version) != version:
            raise ValueError(
                f"The folder holds {package} {versions[package]} and {version}: "
                "begin with an empty one."
            )
    return [f"{package}=={version}" for package, version in sorted(versions.items())]


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True)  # nosec B603


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; options that are not known go to pip."""
    parser = argparse.ArgumentParser(
        description="Make a folder of wheels for an environment without a network.",
        epilog="Other options, such as --index-url, go to pip.",
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--extra", default="", help="such as tensorflow, to train and for GPUs")
    parser.add_argument("--python-version", default="", help="such as 3.12")
    parser.add_argument("--platform", action="append", default=[], help="such as win_amd64")
    asked, rest = parser.parse_known_args(arguments)
    try:
        constraints = make_wheel_folder(
            asked.folder,
            extra=asked.extra,
            python_version=asked.python_version,
            platforms=asked.platform,
            pip_options=rest,
        )
    except subprocess.CalledProcessError as error:
        print("pip has failed; it says why above.", file=sys.stderr)
        return int(error.returncode)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    wheels = list(asked.folder.glob("*.whl"))
    size = sum(path.stat().st_size for path in wheels) / 1e6
    print(f"{len(wheels)} wheels, {size:.0f} MB, and {constraints.name} in {asked.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
