"""What a plan's output is: its metadata, its tags, and what decides its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from geosr.core.facts import ModelFacts
from geosr.core.heads import made_by
from geosr.core.version import __version__
from geosr.file_plan import FilePlan
from geosr.io.facts import cache_bytes
from geosr.io.gdal import gdal_version
from geosr.io.identity import source_identity
from geosr.io.metadata import RasterMetadata, output_metadata
from geosr.io.output import Output

_ENCODING = 16 << 20
"""Bytes of GDAL's block cache for what is being compressed."""


def output_of(
    plan: FilePlan, dst_path: str, *, overwrite: bool = False, resume: bool = True
) -> Output:
    """Return all that a sink needs to know of a plan's output."""
    grids = (plan.source.grid, plan.output.grid)
    metadata = output_metadata(plan.source.metadata, plan.indexes, plan.window, grids)
    if plan.model.kind == "sigma":
        metadata = _of_differences(metadata)
    tags = tags_of(plan, __version__)
    return Output(
        path=dst_path,
        profile=plan.output,
        metadata=metadata,
        tags=tags,
        blocks=plan.blocks,
        identity=identity_of(plan, tags, metadata),
        overwrite=overwrite,
        resume=resume,
        cache_bytes=cache_bytes(plan.source, plan.indexes, _read_at_once(plan)) + _ENCODING,
    )


def _of_differences(metadata: RasterMetadata) -> RasterMetadata:
    """Return the metadata of values that are lengths of intervals: they have no offset."""
    scales = tuple(abs(scale) for scale in metadata.scales)
    return replace(metadata, scales=scales, offsets=tuple(0.0 for _ in metadata.offsets))


def _read_at_once(plan: FilePlan) -> tuple[int, int]:
    """Return the shape of what a block reads, in source pixels."""
    core = next(plan.blocks.blocks()).core
    return core.height + 2 * plan.blocks.halo, core.width + 2 * plan.blocks.halo


def tags_of(plan: FilePlan, version: str) -> Mapping[str, str]:
    """Return what the output's tags say of how it was made."""
    model = plan.model
    tags = {
        "GEOSR_VERSION": version,
        "GEOSR_MODEL": model.name,
        "GEOSR_FACTOR": str(model.upscale_factor),
        "GEOSR_PRECISION": plan.machinery.precision,
        "GEOSR_CONSISTENCY": "block-mean" if plan.work.consistency else "none",
        "GEOSR_EXACT": "yes" if model.exact else "no: tiles are blended",
        "GEOSR_SHA256": model.sha256.get("onnx") or model.sha256.get("keras", ""),
    }
    if model.kind == "sigma":
        tags |= sigma_tags(model)
    if plan.foreign:
        tags["GEOSR_PROBE"] = plan.foreign.findings
        tags["GEOSR_MODEL_RANGE"] = " ".join(map(repr, plan.foreign.model_range or ()))
    return {name: value for name, value in tags.items() if value}


def sigma_tags(head: ModelFacts) -> dict[str, str]:
    """Return what the tags say of values that tell how sure a picture is."""
    said = {
        f"GEOSR_SIGMA_MULTIPLIERS_{degradation.upper()}": " ".join(
            f"{level}:{value:.4g}" for level, value in sorted(found.items())
        )
        for degradation, found in head.multipliers.items()
    }
    return {
        "GEOSR_UNCERTAINTY_OF": head.of,
        "GEOSR_UNCERTAINTY": "sigma: standard deviation of the picture's error, in its units",
        **said,
        "GEOSR_SIGMA_INTERVAL": "picture +- multiplier * sigma holds the truth in about that "
        "share of a new scene's pixels, as a mean over scenes; "
        + "; ".join(f"{name.upper()}: {made_by(name)}" for name in head.multipliers)
        if said
        else "",
    }


def identity_of(
    plan: FilePlan, tags: Mapping[str, str], metadata: RasterMetadata
) -> dict[str, Any]:
    """Return what decides the bytes of the output, as plain values under names for people.

    Threads, workers and the tile size of an exact network are left out: they change nothing.
    """
    model, blocks = plan.model, plan.blocks
    profile = asdict(plan.output)
    profile["creation_options"] = {
        name: value for name, value in plan.output.creation_options.items() if name != "NUM_THREADS"
    }
    return {
        "source": source_identity(plan.source),
        "part of the source": [list(asdict(plan.window).values()), list(plan.indexes)],
        "model": [model.name, dict(model.sha256), plan.machinery.runtime, tags],
        "output": profile,
        "metadata": repr(metadata),
        "way of working": [
            plan.work.consistency,
            repr(plan.work.hole),
            repr(plan.work.resampler),
            list(plan.work.contrasts),
            list(plan.work.order),
            blocks.block_size,
            None if model.exact else blocks.tile_size,
        ],
        "version of geosr": __version__,
        "version of GDAL": gdal_version(),
    }
