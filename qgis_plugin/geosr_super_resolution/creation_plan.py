# SPDX-License-Identifier: GPL-2.0-or-later
"""What making an environment would do: said before anything is done."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .explain import without_secrets
from .interpreters import NEWEST, OLDEST, BasePython, asked, base_pythons, uv_program
from .managed_folder import is_managed
from .probing import EnvironmentProblem

CONSTRAINTS = "constraints.txt"
"""In a folder of wheels: the versions that belong together."""

EXTRAS = {"": (0.6, 0.15, 1), "tensorflow": (2.6, 0.9, 5)}
"""Of each choice: GB on disk, GB to download, and minutes, as measured on Linux; it varies."""


@dataclass(frozen=True)
class CreationPlan:
    """What is to be made, and from where.

    Attributes
    ----------
    folder
        Where it goes; it must not exist, be empty, or have been made by this plugin.
    base
        The Python that it is made from.
    extra
        ``""`` for the light environment, ``"tensorflow"`` to train and for NVIDIA GPUs.
    uv
        Where uv is; empty: the environment's own pip.
    index_url, proxy, ca_bundle
        As of pip's options; empty: as pip is configured.
    wheel_folder
        Install from there and from nowhere else.
    """

    folder: str
    base: BasePython
    extra: str = ""
    uv: str = ""
    index_url: str = ""
    proxy: str = ""
    ca_bundle: str = ""
    wheel_folder: str = ""

    @property
    def requirement(self) -> str:
        """What is installed."""
        return f"geosr[{self.extra}]" if self.extra else "geosr"

    @property
    def python(self) -> str:
        """The interpreter that there will be."""
        inner = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
        return os.path.join(self.folder, *inner)


def plan_creation(
    folder: str,
    environ: Mapping[str, str] | None = None,
    *,
    base: str = "",
    extra: str = "",
    installer: str = "auto",
    index_url: str = "",
    proxy: str = "",
    ca_bundle: str = "",
    wheel_folder: str = "",
) -> CreationPlan:
    """Return what `create` would do; starts interpreters to ask for their version.

    Parameters
    ----------
    base
        An interpreter; empty: the best one here.
    installer
        ``auto`` takes uv if it is there, ``pip`` and ``uv`` are themselves.

    Raises
    ------
    EnvironmentProblem
        If it cannot be done, as far as that can be known.
    """
    environ = os.environ if environ is None else environ
    uv = uv_program(environ) if installer in ("auto", "uv") else ""
    if installer == "uv" and not uv:
        raise EnvironmentProblem("uv is not on PATH.", "Install it, or choose pip.")
    if extra not in EXTRAS:
        raise EnvironmentProblem(f"There is no extra {extra!r}.", "Choose tensorflow, or none.")
    plan = CreationPlan(
        folder=os.path.abspath(os.path.expanduser(folder)),
        base=_base(base, environ, needs_venv=not uv),
        extra=extra,
        uv=uv,
        index_url=index_url.strip(),
        proxy=proxy.strip(),
        ca_bundle=ca_bundle.strip(),
        wheel_folder=wheel_folder.strip(),
    )
    check(plan)
    return plan


def describe_plan(plan: CreationPlan) -> str:
    """Return what would be installed, from where, how large it is and how long it takes."""
    disk, download, minutes = EXTRAS[plan.extra]
    source = plan.wheel_folder or without_secrets(plan.index_url) or "the package index of pip"
    major, minor = plan.base.version
    what = {
        "": "geosr with OpenVINO: upscales on any processor",
        "tensorflow": "geosr with OpenVINO and TensorFlow: also trains, and uses NVIDIA GPUs",
    }[plan.extra]
    lines = [
        f"Installs: {what}.",
        f"Into: {plan.folder}",
        f"Python: {major}.{minor}, {plan.base.path}",
        f"From: {source}, with {'uv' if plan.uv else 'pip'}",
        f"Takes: about {disk:g} GB on disk, {download:g} GB to download"
        f"{' (here nothing: from the folder)' if plan.wheel_folder else ''},"
        f" {minutes} minute{'s' if minutes > 1 else ''} or more.",
        "QGIS itself is not changed. To get rid of it, delete the folder.",
    ]
    return "\n".join(lines)


def commands_by_hand(plan: CreationPlan) -> str:
    """Return the commands to copy that do the same."""
    commands = [venv_command(plan), [*install_command(plan), *_source_options(plan)]]
    return "\n".join(" ".join(quoted(part) for part in command) for command in commands)


def _base(base: str, environ: Mapping[str, str], *, needs_venv: bool) -> BasePython:
    """Return the interpreter to begin with."""
    versions = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    install = f"Install Python {versions} from python.org or your system's packages."
    if base:
        known = asked(base, environ)
        if known is None:
            raise EnvironmentProblem(f"{base} is no working Python.", install)
        if not known.suits:
            said = f"{known.version[0]}.{known.version[1]} with {known.bits} bits"
            raise EnvironmentProblem(
                f"{base} is Python {said}; geosr needs {versions} with 64 bits.", install
            )
    else:
        found = base_pythons(environ)
        if not found:
            raise EnvironmentProblem(f"There is no Python {versions} here.", install)
        known = found[0]
    if needs_venv and not known.complete:
        raise EnvironmentProblem(
            f"{known.path} cannot make environments: its module venv is not installed.",
            "Install it; on Debian and Ubuntu: sudo apt install python3-venv",
        )
    return known


def check(plan: CreationPlan) -> None:
    """Find out what would fail for sure.

    Raises
    ------
    EnvironmentProblem
        With the first such thing.
    """
    folder = Path(plan.folder)
    if folder.exists() and not is_managed(folder) and (folder.is_file() or any(folder.iterdir())):
        raise EnvironmentProblem(
            f"The folder {folder} is not empty, and was not made by this plugin.",
            "Choose another folder, or use what is there as an existing environment.",
        )
    if plan.wheel_folder and not list(Path(plan.wheel_folder).glob("geosr-*.whl")):
        raise EnvironmentProblem(
            f"There is no geosr in the wheel folder {plan.wheel_folder}.",
            "Make one with make_wheel_folder.py, on a computer like this one.",
        )
    if plan.ca_bundle and not os.path.isfile(plan.ca_bundle):
        raise EnvironmentProblem(f"There is no CA bundle at {plan.ca_bundle}.", "Correct the path.")
    above = next((each for each in folder.parents if each.is_dir()), None)
    needed = EXTRAS[plan.extra][0]
    free = shutil.disk_usage(above).free / 1e9 if above else 0.0
    if free < needed:
        raise EnvironmentProblem(
            f"There is {free:.1f} GB of room in {above}; this takes about {needed:g} GB.",
            "Make room, or choose another folder.",
        )


def venv_command(plan: CreationPlan) -> list[str]:
    """Return the command that makes the virtual environment."""
    if plan.uv:
        return [plan.uv, "venv", "--allow-existing", "--python", plan.base.path, plan.folder]
    return [plan.base.path, "-m", "venv", plan.folder]


def install_command(plan: CreationPlan) -> list[str]:
    """Return the command that fills it; where from, the environment variables say as well."""
    if plan.uv:
        command = [plan.uv, "pip", "install", "--python", plan.python]
    else:
        command = [plan.python, "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    if plan.wheel_folder:
        command += ["--no-index", "--find-links", plan.wheel_folder]
        constraints = os.path.join(plan.wheel_folder, CONSTRAINTS)
        command += ["--constraint", constraints] if os.path.isfile(constraints) else []
    return [*command, plan.requirement]


def _source_options(plan: CreationPlan) -> list[str]:
    """Return what `creation` tells by variables, which no list of processes shows."""
    options = ["--index-url", plan.index_url] if plan.index_url and not plan.wheel_folder else []
    if not plan.uv:
        options += ["--proxy", plan.proxy] if plan.proxy else []
        options += ["--cert", plan.ca_bundle] if plan.ca_bundle else []
    return options


def quoted(part: str) -> str:
    """Return a part of a command as it is typed."""
    return f'"{part}"' if not part or set(part) & set(" []&;()") else part
