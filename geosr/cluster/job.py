"""What a worker needs to know of a run: small, sent once, and the same for all blocks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from geosr.cluster.parts import Parts
from geosr.core.options import UpscaleOptions
from geosr.file_plan import FilePlan
from geosr.io.facts import RasterFacts
from geosr.io.output import Output


@dataclass(frozen=True)
class Network:
    """A network without a card: each process opens its file by itself.

    Attributes
    ----------
    options
        What it was opened with; its path is absolute.
    bands
        Of the raster, an alpha band not counted.
    findings
        What the probe has found, in words.
    """

    options: UpscaleOptions
    bands: int
    findings: str


@dataclass(frozen=True)
class Job:
    """What the workers need to know of a run.

    Attributes
    ----------
    plan
        What is done, without an opened network.
    output, parts
        What it is done for, and where its parts go.
    traits
        Of the source: see `traits`.
    versions
        Of the software that decides the bytes, by name.
    network
        The network if it has no card; else None.
    remote
        Whether the workers are others than processes of this run.
    """

    plan: FilePlan
    output: Output
    parts: Parts
    traits: tuple[Any, ...]
    versions: Mapping[str, str]
    network: Network | None
    remote: bool


def job_of(
    plan: FilePlan,
    output: Output,
    parts: Parts,
    options: UpscaleOptions,
    versions: Mapping[str, str],
) -> Job:
    """Return what the workers need to know of a plan that was made with ``options``."""
    source, foreign = plan.source, plan.foreign
    network = None
    if foreign is not None:
        machinery = plan.machinery
        own = UpscaleOptions(
            model=os.path.abspath(options.model),
            model_range=foreign.model_range,
            device=machinery.device,
            precision=machinery.precision,
            runtime=machinery.runtime,
        )
        bands = len(plan.indexes) - (source.alpha in plan.indexes)
        network = Network(own, bands, foreign.findings)
    # Workers have working folders of their own.
    path = os.path.abspath(source.path) if os.path.exists(source.path) else source.path
    plain = replace(plan, source=replace(source, path=path), foreign=None, notes=())
    remote = options.scheduler is not None
    return Job(plain, output, parts, traits(source), versions, network, remote)


def traits(facts: RasterFacts) -> tuple[Any, ...]:
    """Return what tells a raster from another under the same name, on any machine.

    Times of files are left out: they may differ between mounts.
    """
    sizes = tuple(os.path.getsize(name) for name in facts.files if os.path.exists(name))
    return facts.grid.shape, facts.grid.transform, facts.dtypes, repr(facts.nodata), sizes
