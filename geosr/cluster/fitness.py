"""What workers are asked before the first block: whether they fit, and what they run on."""

from __future__ import annotations

import importlib.metadata
import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from geosr.cluster.errors import ClusterError, bare_errors
from geosr.cluster.job import Job, traits
from geosr.core.errors import InputFileError
from geosr.core.facts import ModelFacts
from geosr.core.options import UpscaleOptions
from geosr.core.version import __version__
from geosr.foreign import is_model_path
from geosr.foreign.opening import choose_machinery
from geosr.io.facts import read_facts
from geosr.io.gdal import gdal_version
from geosr.predictors import Machinery, settle


@bare_errors
def check_ready(job: Job) -> None:
    """Refuse what would go wrong with each block, before the first one.

    Raises
    ------
    GeosrError
        If the software, the source or the output's folder is not that of the run.
    """
    check(job)


def check(job: Job) -> None:
    """Do what `check_ready` does, for a process that came later.

    Raises
    ------
    GeosrError
        As there.
    """
    host = socket.gethostname()
    check_same(versions(), job.versions, f"The worker on {host}")
    _check_folder(job, host)
    path = job.plan.source.path
    try:
        here = read_facts(path)
    except InputFileError as error:
        error.hint = f"{error.hint} All workers must read it; the one on {host} does not.".lstrip()
        raise
    if traits(here) != job.traits:
        raise InputFileError(
            f"{path} is another raster on {host}.",
            hint="All workers need the same file at this path.",
        )


def _check_folder(job: Job, host: str) -> None:
    folder = job.parts.folder
    shared = "The output must lie in a folder that all machines share, under the same path."
    if not job.parts.run_goes_on():
        raise ClusterError(f"The worker on {host} does not see {folder}.", hint=shared)
    trial = Path(folder) / f"{job.parts.run}.{host[:64]}-{os.getpid()}-{threading.get_ident()}"
    try:
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise ClusterError(
            f"The worker on {host} may not write to {folder}: {error.strerror}.", hint=shared
        ) from error


def versions() -> dict[str, str]:
    """Return the versions of the software here that decides the output's bytes."""
    found = {"geosr": __version__, "GDAL": gdal_version()}
    for package in ("numpy", "openvino"):
        with suppress(importlib.metadata.PackageNotFoundError):  # some builds do not say it
            found[package] = importlib.metadata.version(package)
    return found


def check_same(found: Mapping[str, str], wanted: Mapping[str, str], whose: str) -> None:
    """Refuse workers with other software than the rest.

    Raises
    ------
    ClusterError
        If a version differs.
    """
    for name, version in wanted.items():
        if found.get(name) != version:
            raise ClusterError(
                f"{whose} has {name} {found.get(name)}, and this run {version}.",
                hint="Install the same versions everywhere: the output's bytes depend on them.",
            )


@bare_errors
def settle_here(facts: ModelFacts, options: UpscaleOptions) -> Machinery:
    """Decide what ``auto`` means on this worker.

    Raises
    ------
    DeviceError, MissingDependencyError
        If what was asked for is not here.
    OptionError
        If two options contradict each other.
    """
    if is_model_path(options.model):
        return choose_machinery(Path(options.model), options, processors=1)
    return settle(facts, options, processors=1)
