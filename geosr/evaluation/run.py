"""An evaluation from its entries to its scores; one image is in memory at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from geosr.batch.failures import Failure
from geosr.core.errors import (
    CancelledError,
    DeviceError,
    InputFileError,
    MissingDependencyError,
    ModelFileError,
    PlanError,
    UnknownModelError,
)
from geosr.core.events import EventSink, log_event, phase_event, progress_event, start_event
from geosr.core.version import __version__
from geosr.evaluation.lpips import Lpips
from geosr.evaluation.methods import Prediction, Upscaler, common_factor, upscaling
from geosr.evaluation.pictures import BUDGET, ScenePictures, scene_pictures
from geosr.evaluation.protocol import GDALWARP, Protocol
from geosr.evaluation.samples import Entry, Sample
from geosr.evaluation.scoring import Score, Scorer
from geosr.evaluation.summary import MethodSummary, summarise
from geosr.metrics import luma, radial_spectrum

Line = NDArray[np.float64]

_log = logging.getLogger(__name__)

MOST_SCENES = 40
"""Scenes with pictures in a report; further ones are in its tables only."""

_OF_ALL = (DeviceError, MissingDependencyError, ModelFileError, PlanError, UnknownModelError)


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Attributes
    ----------
    title
        What was evaluated, for people.
    kind
        Where the low resolution comes from: ``folder``, ``pairs`` or ``scene``.
    protocol, factor, border
        How; the last two as they were decided on.
    scores
        A row for each image, method and band.
    summaries
        One for each method.
    scenes
        What is shown of each image.
    frequencies, spectra
        Cycles per output pixel, and each method's mean power there in decades, the power of the
        whole truth being 1.
    failures
        Images that could not be scored.
    notes
        What the user should know.
    seconds
        How long it took.
    """

    title: str
    kind: str
    protocol: Protocol
    factor: int
    border: int
    scores: tuple[Score, ...]
    summaries: tuple[MethodSummary, ...]
    scenes: tuple[ScenePictures, ...]
    frequencies: Line
    spectra: dict[str, Line]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    seconds: float


@dataclass
class _Found:
    """What has been found so far."""

    scores: list[Score] = field(default_factory=list)
    scenes: list[ScenePictures] = field(default_factory=list)
    spectra: dict[str, list[Line]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def evaluate(
    entries: Sequence[Entry],
    protocol: Protocol,
    *,
    title: str,
    kind: str,
    on_event: EventSink,
    should_stop: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Score all methods on all images; an image that fails for one of them is scored for none.

    Raises
    ------
    OptionError
        If the models make different factors.
    CancelledError
        If it was stopped.
    InputFileError
        If no image could be scored.
    GeosrError
        If a model could be run on no image.
    """
    begun = monotonic()
    factor = common_factor(protocol)
    border = 2 * factor if protocol.border is None else protocol.border
    lpips = Lpips(protocol.lpips) if protocol.lpips else None
    steps = len(entries) * len(protocol.methods)
    start = start_event(version=__version__, device="cpu", tiles=steps, output_mpx=0.0)
    on_event({key: value for key, value in start.items() if key != "output_mpx"})
    found = _Found()
    with upscaling(protocol, should_stop) as upscaler:
        work = _Work(protocol, factor, border, lpips, upscaler, len(entries))
        for number, entry in enumerate(entries):
            on_event(phase_event(f"Scoring {entry.name}"))
            tell = partial(_tell, on_event, number * len(protocol.methods), steps)
            tell(0)
            try:
                _take(entry, work, found, tell, should_stop)
            except Exception as error:
                _check_stop(should_stop)  # one sentence, whoever noticed it first
                if isinstance(error, (CancelledError, *_OF_ALL)):
                    raise
                _log.debug("Why %s failed, in full", entry.name, exc_info=True)
                failure = Failure.of(entry.name, None, error)
                found.failures.append(failure)
                if len(entries) > 1:  # else it is the error that ends the run
                    on_event(log_event("warning", f"{entry.name} failed: {failure.message}"))
    if not found.scores:
        raise _nothing(found.failures)
    on_event(progress_event(steps, steps))
    for note in found.notes:
        on_event(log_event("warning", note))
    frequencies, spectra = _mean_spectra(found.spectra)
    return Evaluation(
        title=title,
        kind=kind,
        protocol=protocol,
        factor=factor,
        border=border,
        scores=tuple(found.scores),
        summaries=tuple(summarise(found.scores, protocol.methods, protocol.seed)),
        scenes=tuple(found.scenes),
        frequencies=frequencies,
        spectra=spectra,
        failures=tuple(found.failures),
        notes=tuple(found.notes),
        seconds=monotonic() - begun,
    )


@dataclass(frozen=True)
class _Work:
    """What all images have in common."""

    protocol: Protocol
    factor: int
    border: int
    lpips: Lpips | None
    upscaler: Upscaler
    images: int


def _take(
    entry: Entry,
    work: _Work,
    found: _Found,
    on_method: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> None:
    """Score one image; nothing of it is kept if a method fails on it."""
    _check_stop(should_stop)
    sample = entry.load(work.factor)
    scorer = Scorer(
        sample,
        name=entry.name,
        factor=work.factor,
        border=work.border,
        data_range=work.protocol.data_range,
        lpips=work.lpips,
    )
    predictions: dict[str, Prediction] = {}
    scores: list[Score] = []
    for number, method in enumerate(work.protocol.methods, 1):
        _check_stop(should_stop)
        predictions[method] = work.upscaler(sample, method, work.factor)
        scores += scorer(method, predictions[method])
        on_method(number)
    found.scores += scores
    if sample.note:
        found.notes.append(sample.note)
    _add_spectra(sample, predictions, found)
    if len(found.scenes) < MOST_SCENES:
        images = {
            method: prediction.image
            for method, prediction in predictions.items()
            if method != GDALWARP  # which looks like bicubic
        }
        found.scenes.append(_pictured(entry.name, sample, images, scores, work))


def _pictured(
    name: str,
    sample: Sample,
    images: dict[str, NDArray[np.generic]],
    scores: Sequence[Score],
    work: _Work,
) -> ScenePictures:
    captions = {score.method: f"{score.psnr:.2f} dB" for score in scores if score.band == "all"}
    budget = BUDGET // min(work.images, MOST_SCENES)
    return scene_pictures(name, sample, images, work.factor, captions=captions, budget=budget)


def _add_spectra(sample: Sample, predictions: dict[str, Prediction], found: _Found) -> None:
    pictures = {method: prediction.image for method, prediction in predictions.items()}
    pictures["truth"] = sample.truth
    whole = None
    for method, image in reversed(pictures.items()):  # the truth first: its power is the unit
        plane = luma(image) if sample.is_photo else image.astype(np.float64).mean(axis=0)
        _, power = radial_spectrum(plane, valid=sample.valid)
        if whole is None:
            whole = float(np.nansum(power)) or 1.0
        with np.errstate(divide="ignore"):
            decades = np.log10(power / whole)
        found.spectra.setdefault(method, []).append(np.where(np.isfinite(decades), decades, np.nan))


def _mean_spectra(spectra: dict[str, list[Line]]) -> tuple[Line, dict[str, Line]]:
    """Return frequencies and the mean of each method's lines; a ring that none has is NaN."""
    means: dict[str, Line] = {}
    for method in reversed(spectra):
        lines = np.stack(spectra[method])
        known = np.isfinite(lines)
        count = known.sum(axis=0)
        total = np.where(known, lines, 0).sum(axis=0)
        means[method] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    rings = len(next(iter(means.values())))
    return (np.arange(rings) + 0.5) * 0.5 / rings, means


def _tell(on_event: EventSink, before: int, steps: int, done: int) -> None:
    on_event(progress_event(before + done, steps))


def _check_stop(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise CancelledError("Stopped; nothing was written.")


def _nothing(failures: Sequence[Failure]) -> InputFileError:
    first = failures[0]
    if len(failures) == 1:
        named = Path(first.source).name in first.message
        message = first.message if named else f"{first.source}: {first.message}"
        return InputFileError(message, hint=first.hint)
    return InputFileError(
        f"None of the {len(failures)} images could be scored; {first.source}: {first.message}",
        hint=first.hint,
    )
