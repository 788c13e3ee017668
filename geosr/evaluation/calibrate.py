"""How many sigmas an interval needs: learned from scenes with a truth, written into a card."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from geosr.core.catalog import WEIGHTS_DIR
from geosr.core.errors import CancelledError, GeosrError, InputFileError
from geosr.core.events import EventSink, log_event, no_events, phase_event, progress_event
from geosr.core.facts import ModelFacts
from geosr.core.heads import LEVELS
from geosr.evaluation.coverage import Prober, SceneRatios, probing
from geosr.evaluation.samples import Entry
from geosr.metrics.conformal import conformal_quantile, held_out_coverages

Scenes = Mapping[str, list[Entry]]
"""By name of the scene, the images that are of it."""


@dataclass(frozen=True)
class Calibration:
    """What was learned from some scenes.

    Attributes
    ----------
    multipliers
        By nominal coverage, what times sigma is the half-width of the interval.
    coverages
        By nominal coverage, that of each scene by the multiplier of all the others.
    scenes
        Their names.
    degradation, finite_sample
        How the low resolution was made, and whether intervals were widened for few scenes.
    """

    multipliers: dict[str, float]
    coverages: dict[str, list[float]]
    scenes: tuple[str, ...]
    degradation: str
    finite_sample: bool

    def to_dict(self) -> dict[str, object]:
        """Return it as plain values, for a card."""
        return {
            "date": datetime.now(UTC).date().isoformat(),
            "method": "split-conformal, scenes count alike, pixels within a scene count alike",
            "finite_sample_correction": self.finite_sample,
            "degradation": self.degradation,
            "scenes": list(self.scenes),
            "measured": {
                level: {
                    "mean": round(float(np.mean(found)), 4),
                    "lowest": round(min(found), 4),
                    "highest": round(max(found), 4),
                }
                for level, found in self.coverages.items()
            },
        }


def calibrate(  # noqa: PLR0913 - what is compared, how, and who is told meanwhile
    model: ModelFacts,
    head: str | None,
    scenes: Scenes,
    *,
    degradation: str = "area",
    finite_sample: bool = False,
    on_event: EventSink = no_events,
    should_stop: Callable[[], bool] = lambda: False,
) -> Calibration:
    """Run a model and its head on scenes with a truth, and learn the multipliers.

    Parameters
    ----------
    head
        Card of the head; None: the model's own.
    scenes
        Two or more.

    Raises
    ------
    InputFileError
        If fewer than two scenes can be used.
    CancelledError
        If it was stopped.
    """
    on_event(phase_event(f"Comparing {model.name} with the truth"))
    found: dict[str, SceneRatios] = {}
    with probing(_name(model), model.upscale_factor, head, should_stop) as prober:
        for number, (name, entries) in enumerate(scenes.items()):
            try:
                found[name] = _of_scene(prober, name, entries, model.upscale_factor)
            except CancelledError:
                raise
            except GeosrError as error:
                on_event(log_event("warning", f"{name} is left out: {error.message}"))
            on_event(progress_event(number + 1, len(scenes)))
    if len(found) < 2:
        raise InputFileError(
            f"{len(found)} scenes can be used, and it takes two or more.",
            hint="Each image counts as a scene; more places make the calibration surer.",
        )
    drawn = [scene.drawn() for scene in found.values()]
    return Calibration(
        multipliers={
            level: round(conformal_quantile(drawn, float(level), finite_sample=finite_sample), 4)
            for level in LEVELS
        },
        coverages={
            level: held_out_coverages(drawn, float(level), finite_sample=finite_sample)
            for level in LEVELS
        },
        scenes=tuple(found),
        degradation=degradation,
        finite_sample=finite_sample,
    )


def _name(model: ModelFacts) -> str:
    return str(Path(model.folder) / f"{model.name}.json") if model.folder else model.name


def _of_scene(prober: Prober, name: str, entries: list[Entry], factor: int) -> SceneRatios:
    bands: dict[str, list[np.ndarray]] = {}
    for entry in entries:
        for band, values in prober.bands(name, entry.load(factor)).bands.items():
            bands.setdefault(band, []).append(values)
    return SceneRatios(name, {band: np.concatenate(values) for band, values in bands.items()})


def write_calibrated(head: ModelFacts, found: Calibration, card: Path, *, own: bool) -> Path:
    """Write a head's card with what was learned; its weights are copied beside it.

    Its ``own`` card keeps calibrations on other degradations; any other has this one alone.
    Multipliers that no number of sigmas reaches are left out.
    """
    known = {level: value for level, value in found.multipliers.items() if np.isfinite(value)}
    source = Path(head.folder or WEIGHTS_DIR)
    others, scores = (head.multipliers, head.scores) if own else ({}, {})
    calibrations = {**scores.get("calibration", {}), found.degradation: found.to_dict()}
    scores = {**scores, "calibration": calibrations}
    card.parent.mkdir(parents=True, exist_ok=True)
    for name in head.files.values():
        if (card.parent / name).resolve() != (source / name).resolve():
            shutil.copyfile(source / name, card.parent / name)
    multipliers = {**others, found.degradation: known}
    multipliers = {name: widths for name, widths in multipliers.items() if widths}
    text = replace(head, multipliers=multipliers, scores=scores, folder="").to_card()
    partial = card.with_suffix(".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(card)
    return card
