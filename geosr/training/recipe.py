"""A training run as a value, read from TOML."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from geosr.core.errors import InputFileError, OptionError
from geosr.degrade import DEGRADATIONS

ARCHITECTURES = ("geosr", "geosr-lite", "srcnn", "fsrcnn")


@dataclass(frozen=True)
class Source:
    """Images to train on.

    Attributes
    ----------
    glob
        File names below the data folder.
    weight
        How often they are drawn, against the other sources.
    reduce
        Block means to take first; each number gives one more octave of the same images. More
        than 1 removes the traces of a camera's colour filter and of JPEG.
    validation
        File names, out of those, that are kept for validation.
    """

    glob: str
    weight: float = 1.0
    reduce: tuple[int, ...] = (1,)
    validation: tuple[str, ...] = ()
    licence: str = ""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights of a run.

    Several factors are trained together: they share all but the tail, and each is published under
    the name and its factor. ``loss_eps`` is where the Charbonnier loss turns from squared to
    absolute, as a part of a plane's range: small values leave outliers alone, large ones serve
    PSNR. ``clip_norm`` bounds the norm of all gradients together; 0 does not.
    """

    name: str
    architecture: str
    upscale_factor: int | tuple[int, ...]
    sources: tuple[Source, ...]
    degradation: str = "area"
    steps: int = 1000
    batch_size: int = 16
    patch: int = 48
    learning_rate: float = 1e-3
    warmup: int = 200
    ema: float = 0.999
    clip_norm: float = 0.0
    loss_eps: float = 0.01
    seed: int = 0
    expansion: int = 128
    validate_every: int = 250
    initial: str = ""
    licence: str = "Apache-2.0"
    summary: str = ""

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise OptionError(
                f"A recipe asks for the architecture {self.architecture!r}.",
                hint=f"Use one of {', '.join(ARCHITECTURES)}.",
            )
        if self.degradation not in DEGRADATIONS:
            raise OptionError(
                f"A recipe asks for the degradation {self.degradation!r}.",
                hint=f"Use one of {', '.join(DEGRADATIONS)}.",
            )
        numbers = (self.steps, self.batch_size, self.patch, self.validate_every)
        if min(numbers) < 1 or min(self.factors, default=0) < 2 or not self.sources:
            raise OptionError(
                "A recipe needs sources, a factor of 2 or more, and at least one step, patch "
                "pixel and sample a batch.",
                hint="Compare it with recipes/geosr-lite-x2.toml.",
            )

    @property
    def factors(self) -> tuple[int, ...]:
        """The upscale factors, one or several."""
        several = self.upscale_factor
        return several if isinstance(several, tuple) else (several,)

    def name_of(self, upscale_factor: int) -> str:
        """Return what the weights for a factor are called."""
        return f"{self.name}-x{upscale_factor}" if len(self.factors) > 1 else self.name

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain values, for cards and checkpoints."""
        return asdict(self)


def read_recipe(path: str | Path, **changes: Any) -> Recipe:
    """Read a recipe; ``changes`` that are not None replace its values.

    Raises
    ------
    InputFileError
        If the file cannot be read.
    OptionError
        If it is no recipe.
    """
    try:
        table: dict[str, Any] = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputFileError(
            f"The recipe {path} cannot be read: {error.strerror}.",
            hint="geosr's own recipes lie in recipes/.",
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"The recipe {path} is no TOML: {error}.", hint="Mend it.") from error
    unknown = set(table) - {f.name for f in fields(Recipe)}
    if unknown:
        raise OptionError(
            f"The recipe {path} has unknown keys: {', '.join(sorted(unknown))}.",
            hint=f"Known: {', '.join(f.name for f in fields(Recipe))}.",
        )
    try:
        sources = tuple(_source(entry) for entry in table.pop("sources", ()))
        if isinstance(table.get("upscale_factor"), list):
            table["upscale_factor"] = tuple(table["upscale_factor"])
        recipe = Recipe(sources=sources, **table)
    except TypeError as error:
        raise OptionError(
            f"The recipe {path} lacks something: {error}.",
            hint="Compare it with recipes/geosr-lite-x2.toml.",
        ) from error
    given: dict[str, Any] = {key: value for key, value in changes.items() if value is not None}
    return replace(recipe, **given)


def _source(entry: dict[str, Any]) -> Source:
    lists: dict[str, Any] = {
        key: tuple(entry[key]) for key in ("reduce", "validation") if key in entry
    }
    return Source(**{**entry, **lists})
