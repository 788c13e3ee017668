"""A picture and how sure it is: two outputs of one source, one after the other."""

from __future__ import annotations

import os
from dataclasses import replace

from geosr.batch.outputs import check_finished
from geosr.core.errors import OptionError, OutputExistsError
from geosr.core.events import file_event, log_event
from geosr.core.options import UpscaleOptions
from geosr.file_plan import FilePlan
from geosr.file_run import Surroundings, UpscaleReport, finished_report, run_file
from geosr.io.output import check_output
from geosr.io.remote import is_remote

Pass = tuple[FilePlan, str]
"""What is made, and where."""


def check_both(plan: FilePlan, dst_path: str, options: UpscaleOptions) -> tuple[bool, ...]:
    """Refuse outputs that cannot be made; return which of them are finished already.

    What an earlier run of the same command has finished is left as it is, so that a run that was
    stopped between the two goes on.

    Raises
    ------
    OptionError
        If both are the same file.
    OutputExistsError
        If both are finished, or one exists that is something else.
    GeosrError
        As `geosr.io.output.check_output`.
    """
    passes = _passes(plan, dst_path, options)
    names = [name if is_remote(name) else os.path.realpath(name) for _, name in passes]
    if len(set(names)) < len(names):
        raise OptionError(
            f"The output and its uncertainty would both be {dst_path}.",
            hint="Name another file with --uncertainty.",
        )
    found = [_existing(each, name, options) for each, name in passes]
    if found[0] is not None and None not in found:
        raise found[0]
    return tuple(error is not None for error in found)


def run_both(
    plan: FilePlan, dst_path: str, around: Surroundings, options: UpscaleOptions
) -> UpscaleReport:
    """Carry out a plan and that of its uncertainty; see `check_both`.

    Raises
    ------
    GeosrError
        One of its kinds, with a hint, for each thing that can go wrong.
    """
    finished = check_both(plan, dst_path, options)
    reports = []
    passes = _passes(plan, dst_path, options)
    for number, ((each, name), is_there) in enumerate(zip(passes, finished, strict=True), 1):
        around.on_event(file_event(plan.source.path, name, index=number, total=len(passes)))
        if is_there:
            around.on_event(log_event("info", f"{name} is finished already."))
            reports.append(finished_report(each, name))
        else:
            reports.append(run_file(each, name, around, options))
    return replace(reports[0], uncertainty=reports[1])


def _passes(plan: FilePlan, dst_path: str, options: UpscaleOptions) -> tuple[Pass, ...]:
    passes = [(replace(plan, uncertainty=None), dst_path)]
    if plan.uncertainty and options.uncertainty:
        passes.append((plan.uncertainty, os.fspath(options.uncertainty)))
    return tuple(passes)


def _existing(plan: FilePlan, name: str, options: UpscaleOptions) -> OutputExistsError | None:
    """Return None if an output can be made, or why it need not be.

    Raises
    ------
    OutputExistsError
        If it exists and this plan has not made it.
    """
    try:
        check_output(
            plan.source.path,
            name,
            options.overwrite,
            source_files=plan.source.files,
            format=options.format,
        )
    except OutputExistsError as error:
        if _is_older(name, plan.source.path):
            raise
        try:
            check_finished(plan, name)
        except OutputExistsError as other:
            raise error from other
        return error
    return None


def _is_older(name: str, source: str) -> bool:
    """Return whether a file's source has changed since; what lies elsewhere does not tell."""
    if not (os.path.exists(name) and os.path.exists(source)):
        return False
    return os.path.getmtime(name) < os.path.getmtime(source)
