"""``geosr dataset``."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geosr.cli import options
from geosr.cli.progress import Progress
from geosr.cli.session import EventCommand, Session, command_session
from geosr.core.errors import GeosrError, InputFileError, OptionError
from geosr.core.events import log_event

if TYPE_CHECKING:
    from geosr.training.dataset.make import DatasetReport


@click.command(cls=EventCommand, short_help="Cut rasters into patches to train on.")
@click.argument("names", metavar="[SOURCE]...", nargs=-1)
@click.option("--out", "out_dir", required=True, metavar="DIR", help="Folder to be made.")
@click.option(
    "--pairs",
    "pairs",
    type=str,
    nargs=2,
    multiple=True,
    metavar="LOW HIGH",
    help="In place of SOURCE: two rasters of one place by two sensors, the coarser first; repeat "
    "it.",
)
@click.option(
    "--pairs-csv",
    metavar="FILE",
    help="A list of such pairs: LOW,HIGH on each line, from the folder of the list.",
)
@click.option(
    "--patch",
    type=int,
    default=256,
    show_default=True,
    metavar="N",
    help="Side of a patch, in high-resolution pixels.",
)
@click.option(
    "--stride",
    type=int,
    metavar="N",
    help="From one patch to the next, in the same pixels.  [default: that of --patch]",
)
@click.option(
    "-f",
    "--factor",
    "upscale_factor",
    type=int,
    metavar="N",
    help="Of --degradation, or that pairs must have.",
)
@click.option(
    "--degradation",
    default="",
    metavar="NAME",
    help="Store the low resolution as well, made by area, bicubic, mtf or real.  [default: "
    "training makes it from each patch as it is drawn]",
)
@click.option(
    "--split",
    type=float,
    default=0.9,
    show_default=True,
    metavar="SHARE",
    help="Of the patches that are for training; whole scenes go to either side.",
)
@options.seed_option
@click.option(
    "--scene",
    default="",
    metavar="REGEX",
    help="Files in whose names it finds the same text are one scene, as are files whose "
    "footprints overlap.",
)
@options.bidx_option("take")
@click.option(
    "--min-sharpness",
    type=float,
    default=0.01,
    show_default=True,
    metavar="X",
    help="Leave out patches with less detail, as a part of the raster's range.",
)
@click.option(
    "--max-likeness",
    type=float,
    default=0.98,
    show_default=True,
    metavar="R",
    help="Leave out patches whose thumbnail correlates more with one before.",
)
@click.option(
    "--min-correlation",
    type=float,
    default=0.7,
    show_default=True,
    metavar="R",
    help="Leave out pairs that correlate less after matching.",
)
@click.option("--overwrite", is_flag=True, help="Replace the patch set if it is there.")
@click.option("--dry-run", is_flag=True, help="Do everything but write; tell the counts.")
@options.run_options
def dataset(
    names: tuple[str, ...],
    out_dir: str,
    *,
    pairs: tuple[tuple[str, str], ...],
    pairs_csv: str | None,
    patch: int,
    stride: int | None,
    upscale_factor: int | None,
    degradation: str,
    split: float,
    seed: int,
    scene: str,
    indexes: tuple[int, ...],
    min_sharpness: float,
    max_likeness: float,
    min_correlation: float,
    overwrite: bool,
    dry_run: bool,
    progress: Progress | None,
    exit_with_stdin: bool,
    log_path: str | None,
    verbose: int,
    quiet: bool,
) -> None:
    """Cut SOURCEs into patches and store them with an index, for `geosr train`.

    \b
    geosr dataset scenes/ 'more/*.tif' --out patches
    geosr dataset --pairs sentinel2.tif aerial.tif --out pairs --split 1

    SOURCE is a raster, a folder, a pattern, or a list as @FILE. Patches with holes, without detail
    or like one before are left out; training and validation share no scene. A recipe names the
    set as dataset = "DIR".
    """
    with command_session(
        progress, -1 if quiet else verbose, with_stdin=exit_with_stdin, log_path=log_path
    ) as session:
        from geosr.training.dataset.make import DatasetJob, make_dataset
        from geosr.training.dataset.options import DatasetOptions

        both = (*pairs, *(_listed(pairs_csv) if pairs_csv else ()))
        _check_names(names, both, degradation, upscale_factor)
        decided = DatasetOptions(
            patch=patch,
            stride=stride,
            split=split,
            seed=seed,
            indexes=indexes,
            scene=scene,
            min_sharpness=min_sharpness,
            max_likeness=max_likeness,
            degradation=degradation,
            upscale_factor=upscale_factor,
            min_correlation=min_correlation,
        )
        paths, unfound = _rasters(names)
        for error in unfound:
            session.emit(log_event("warning", error.message))
        if unfound and not paths:
            raise unfound[0]
        job = DatasetJob(paths, both, out_dir, overwrite, dry_run)
        report = make_dataset(job, decided, on_event=session.emit, should_stop=session.stop)
        _tell(session, report, dry_run)
        if report.failed or unfound:
            raise click.exceptions.Exit(1)


def _check_names(
    names: Sequence[str], pairs: Sequence[tuple[str, str]], degradation: str, factor: int | None
) -> None:
    if bool(names) == bool(pairs):
        raise OptionError(
            "A patch set is made of rasters or of pairs of them, not both."
            if names
            else "No raster was named.",
            hint="Name rasters and folders, or use --pairs.",
        )
    if pairs and degradation:
        raise OptionError(
            "--degradation makes a low resolution, and pairs have their own.",
            hint="Leave --degradation out.",
        )
    if factor is not None and not pairs and not degradation:
        raise OptionError(
            "--factor does not apply: without --degradation no low resolution is stored.",
            hint="Leave it out: the recipe says the factor.",
        )


def _rasters(names: Sequence[str]) -> tuple[tuple[str, ...], list[GeosrError]]:
    """Return what the names stand for, each once, and what is wrong with those of no raster."""
    from geosr.batch.sources import find_sources
    from geosr.training.dataset.sources import rasters_in

    paths: list[str] = []
    unfound: list[GeosrError] = []
    for name in names:
        try:
            if os.path.isdir(name) and not name.endswith(".zarr"):
                paths += rasters_in(name)
                continue
            found = find_sources([name])
            paths += [source.path for source in found.sources]
            unfound += [InputFileError(f.message, hint=f.hint) for f in found.failures]
        except GeosrError as error:
            unfound.append(error)
    return tuple(dict.fromkeys(paths)), unfound


def _listed(path: str) -> list[tuple[str, str]]:
    """Return the pairs of a list; a first line that says low,high is its head."""
    try:
        lines = list(csv.reader(Path(path).read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputFileError(
            f"The list {path} cannot be read: {getattr(error, 'strerror', None) or error}.",
            hint="It is a text file with LOW,HIGH on each line.",
        ) from error
    rows = [[cell.strip() for cell in line] for line in lines if any(line)]
    if rows and [cell.lower() for cell in rows[0]] == ["low", "high"]:
        rows = rows[1:]
    if not rows or any(len(row) != 2 or not all(row) for row in rows):
        raise InputFileError(
            f"The list {path} is not one of pairs.", hint="It has LOW,HIGH on each line."
        )
    folder = Path(path).parent
    return [(str(folder / low), str(folder / high)) for low, high in rows]


def _tell(session: Session, report: DatasetReport, dry_run: bool) -> None:
    index = report.index
    counts = {part: index.count(part) for part in ("train", "validation")}
    scenes = len({source.scene for source in index.sources})
    session.emit(
        {
            "event": "plan" if dry_run else "result",
            "output": report.output,
            **counts,
            "scenes": scenes,
            "sources": len(index.sources),
            "failed": [asdict(failure) for failure in report.failed],
            "dropped": index.dropped,
        }
    )
    if session.tells_people:
        left_out = ", ".join(f"{count} {why}" for why, count in index.dropped.items()) or "none"
        would = "would have " if dry_run else ""
        click.echo(
            f"{report.output}  {would}{counts['train']} patches for training, "
            f"{counts['validation']} for validation, from {len(index.sources)} sources in "
            f"{scenes} scenes; left out: {left_out}"
        )
