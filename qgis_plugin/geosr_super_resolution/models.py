# SPDX-License-Identifier: GPL-2.0-or-later
"""The models that can be chosen: as shipped with the plugin, as geosr listed them last."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .runner import WorkerError, run_json
from .translation import tr

DEFAULT_MODEL = "geosr-lite"
SNAPSHOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "resources", "models.json")
LIST_SECONDS = 60.0
_KEPT = ("name", "family", "upscale_factor", "bands", "parameters", "licence", "summary")
_CLASSICAL = ("bicubic", "lanczos", "bilinear", "nearest")  # the best one first


class ModelListError(Exception):
    """geosr did not list its models."""


@dataclass(frozen=True)
class Family:
    """A network or kernel in all the factors that it can make.

    Attributes
    ----------
    name
        What ``--model`` takes together with a factor.
    factors
        Output pixels per source pixel and side.
    bands
        How many bands the network sees together; 1: each by itself.
    gain
        PSNR above bicubic in dB at the smallest factor, as the model's card says; None: unknown.
    """

    name: str
    factors: tuple[int, ...]
    bands: int
    summary: str
    licence: str
    gain: float | None

    @property
    def classical(self) -> bool:
        """Whether it is interpolation, which adds no detail."""
        return self.name in _CLASSICAL

    @property
    def description(self) -> str:
        """One sentence for the person who chooses."""
        factors = ", ".join(f"x{factor}" for factor in self.factors)
        if self.classical:
            return tr("{summary} Adds no detail; for comparison ({factors}).").format(
                summary=tr(self.summary), factors=factors
            )
        gain = "" if self.gain is None else tr(", {:+.1f} dB over bicubic").format(self.gain)
        return f"{tr(self.summary)} ({factors}{gain})"


def condensed(models: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return of ``geosr models --json`` what the plugin shows.

    Raises
    ------
    ModelListError
        If an entry lacks what every model has.
    """
    try:
        return [dict({key: model[key] for key in _KEPT}, gain_db=_gain(model)) for model in models]
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelListError(f"The list of models has another form: {error!r}.") from error


def families(models: Sequence[dict[str, Any]]) -> tuple[Family, ...]:
    """Return the families of condensed models: networks first, the default one before all."""
    found: dict[str, list[dict[str, Any]]] = {}
    for model in models:
        found.setdefault(str(model["family"]), []).append(model)
    return tuple(_family(name, found[name]) for name in sorted(found, key=_rank))


def known_models(cache: str) -> list[dict[str, Any]]:
    """Return the models that geosr listed last, or else those that came with the plugin.

    ``cache`` is the file that `refresh` writes.
    """
    for path in (cache, SNAPSHOT):
        try:
            with open(path, encoding="utf-8") as stream:
                models = json.load(stream)
            families(models)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if models:
            return list(models)
    return []


def ask(python: str) -> list[dict[str, Any]]:
    """Return what ``geosr models --json`` lists in an environment, condensed.

    Raises
    ------
    ModelListError
        If it fails or does not answer.
    """
    try:
        return condensed(run_json(python, ["models", "--json"], timeout_s=LIST_SECONDS))
    except WorkerError as error:
        raise ModelListError(str(error)) from error


def refresh(python: str, cache: str) -> bool:
    """Ask an environment for its models and keep them; return whether they changed.

    Raises
    ------
    ModelListError
        If it does not answer, or the list cannot be kept.
    """
    before = known_models(cache)
    models = ask(python)
    if models == before:
        return False
    part = f"{cache}.{os.getpid()}.part"
    try:
        os.makedirs(os.path.dirname(cache), exist_ok=True)
        with open(part, "w", encoding="utf-8") as stream:
            json.dump(models, stream, indent=1)
        os.replace(part, cache)
    except OSError as error:
        raise ModelListError(f"The list of models cannot be kept: {error}") from error
    return True


def _family(name: str, models: Sequence[dict[str, Any]]) -> Family:
    first = min(models, key=lambda model: int(model["upscale_factor"]))
    factors = tuple(sorted(int(model["upscale_factor"]) for model in models))
    gain = first.get("gain_db")
    return Family(
        name,
        factors,
        int(first["bands"]),
        str(first["summary"]),
        str(first["licence"]),
        None if gain is None else float(gain),
    )


def _rank(name: str) -> tuple[int, int, str]:
    kernel = _CLASSICAL.index(name) + 1 if name in _CLASSICAL else 0
    return kernel, int(name != DEFAULT_MODEL), name


def _gain(model: dict[str, Any]) -> float | None:
    gain = model.get("scores", {}).get("gain_db")
    return None if gain is None else float(gain)
