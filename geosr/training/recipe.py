"""A training run as a value, read from TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from geosr.core.errors import InputFileError, OptionError
from geosr.degrade import DEGRADATIONS, Degrader
from geosr.training.architectures import ARCHITECTURES, refuse_as_published
from geosr.training.bands import check_bands
from geosr.training.tables import check_table, read_part, with_tuples
from geosr.training.terms import Terms, check_kind, check_names, read_terms


@dataclass(frozen=True)
class Source:
    """Images to train on: files, or a patch set made by ``geosr dataset``.

    Attributes
    ----------
    glob
        File names below the data folder.
    dataset
        In its place: a patch set's folder, below the data folder or anywhere. It has been split
        already, and its own pairs of resolutions are taken as they are.
    weight
        How often they are drawn, against the other sources.
    reduce
        Block means to take first; each number gives one more octave of the same images. More
        than 1 removes the traces of a camera's colour filter and of JPEG.
    validation
        File names, out of those, that are kept for validation.
    ignore_nodata
        The nodata value is a brightness like any other here, as 255 in pictures whose white
        pixels would else be holes.
    bands
        For a recipe with `Recipe.bands`: which bands of the files these are, from 1; empty: the
        first ones.
    """

    glob: str = ""
    weight: float = 1.0
    reduce: tuple[int, ...] = (1,)
    validation: tuple[str, ...] = ()
    licence: str = ""
    dataset: str = ""
    ignore_nodata: bool = False
    bands: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.glob) == bool(self.dataset):
            raise OptionError(
                "A recipe's source needs either a glob or a dataset.",
                hint='Write glob = "*.tif", or dataset = "DIR".',
            )
        if self.dataset and (self.reduce != (1,) or self.validation):
            raise OptionError(
                f"The recipe's dataset {self.dataset} has reduce or validation.",
                hint="They are for a glob; a patch set has its own split and resolution.",
            )

    @property
    def name(self) -> str:
        """What the source is called in cards and messages."""
        return self.glob or self.dataset


@dataclass(frozen=True)
class Gan:
    """How a discriminator is trained against the network.

    Attributes
    ----------
    discriminator
        ``unet`` judges each pixel, ``vgg`` the whole patch.
    filters
        Of its first convolution.
    learning_rate
        Of its own optimizer, constant.
    pretrain
        Steps at the beginning on the other losses, without the perceptual one.
    pause_above
        While it is right about this share of the samples it does not learn.
    tolerance
        The run is stopped as collapsed when validation is so many dB below bicubic.
    """

    discriminator: str = "unet"
    filters: int = 32
    learning_rate: float = 1e-4
    pretrain: int = 0
    pause_above: float = 0.95
    tolerance: float = 6.0

    def __post_init__(self) -> None:
        check_names(
            (self.discriminator,), ("unet", "vgg"), "A recipe has an unknown gan.discriminator"
        )
        if not (self.filters > 0 and self.learning_rate > 0 and 0.5 < self.pause_above <= 1):
            raise OptionError(
                f"A recipe's [gan] says filters = {self.filters}, learning_rate = "
                f"{self.learning_rate}, pause_above = {self.pause_above}.",
                hint="The first two are above 0, the last is above 0.5 and at most 1.",
            )


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights of a run.

    Several factors are trained together: they share all but the tail, and each is published under
    the name and its factor. ``loss_eps`` is where the Charbonnier loss turns from squared to
    absolute, as a part of a plane's range: small values leave outliers alone, large ones serve
    PSNR. ``patch`` is in source pixels, one number or one for each factor. ``clip_norm``
    bounds the norm of all gradients together; 0 does not. ``schedule`` lets the rate fall
    after ``warmup`` steps: as a ``cosine`` to a hundredth, or in ``step`` halvings at 50, 75,
    90 and 95 % of the steps. ``losses`` holds the terms that are made small, with weights and
    parameters: see `geosr.training.terms`; none is one Charbonnier term. ``precision`` is what
    the trained convolutions compute in; weights are float32 always. ``gan`` says more about
    the ``adversarial`` loss, if that is one of them. Of several ``degradation``s each sample
    draws one; ``degrade`` holds their parameters: see `geosr.degrade.Degrader`. ``bands`` names
    those that the network sees together, in their order; none: it sees each by itself. ``frozen``
    holds layers still, by names or patterns of names: they keep the weights of ``initial``.
    """

    name: str
    architecture: str
    upscale_factor: int | tuple[int, ...]
    sources: tuple[Source, ...]
    degradation: str | tuple[str, ...] = "area"
    steps: int = 1000
    batch_size: int = 16
    patch: int | tuple[int, ...] = 48
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
    schedule: str = "cosine"
    precision: str = "float32"
    losses: dict[str, Any] = field(default_factory=dict)
    gan: Gan | None = None
    degrade: dict[str, Any] = field(default_factory=dict)
    bands: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        refuse_as_published(self.architecture)
        for key, known in _CHOICES.items():
            value = getattr(self, key)
            names = value if isinstance(value, tuple) else (value,)
            check_names(names, known, f"A recipe has an unknown {key}")
        Degrader.of(self.degradation, self.degrade)
        check_bands(self.bands, {source.name: source.bands for source in self.sources})
        if "adversarial" in self.terms and self.gan is None:
            object.__setattr__(self, "gan", Gan())
        if "adversarial" not in self.terms and self.gan is not None:
            raise OptionError(
                "A recipe has a table [gan] and no adversarial loss.",
                hint="Add `adversarial` to [losses], or leave [gan] out.",
            )
        if self.frozen and not self.initial:
            raise OptionError(
                "A recipe holds layers still and starts from no weights: they would stay random.",
                hint="Name the weights to start from as `initial`, or leave `frozen` out.",
            )
        patches = self.patch if isinstance(self.patch, tuple) else (self.patch,)
        if len(patches) not in (1, len(self.factors)):
            raise OptionError(
                f"A recipe has {len(patches)} patch sizes for {len(self.factors)} factors.",
                hint="Give one number, or one for each factor.",
            )
        numbers = (self.steps, self.batch_size, *patches, self.validate_every)
        if min(numbers) < 1 or min(self.factors, default=0) < 2 or not self.sources:
            raise OptionError(
                "A recipe needs sources, a factor of 2 or more, and at least one step, patch "
                "pixel and sample a batch.",
                hint="Compare it with recipes/geosr-lite.toml.",
            )

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], where: str = "The recipe") -> Self:
        """Return the recipe of plain values, as `to_dict` or a TOML file has them.

        Keys that are missing have their defaults.

        Raises
        ------
        OptionError
            If a key is unknown or missing, or a value of the wrong kind.
        """
        check_table(table, cls, where)
        given = dict(table)
        entries = given.pop("sources", ())
        check_kind("sources", entries, (), where)
        sources = tuple(read_part(Source, entry, f"{where}'s [[sources]]") for entry in entries)
        if given.get("gan") is not None:
            given["gan"] = read_part(Gan, given["gan"], f"{where}'s [gan]")
        return cls(sources=sources, **with_tuples(given))

    @property
    def factors(self) -> tuple[int, ...]:
        """The upscale factors, one or several."""
        several = self.upscale_factor
        return several if isinstance(several, tuple) else (several,)

    def patch_of(self, upscale_factor: int) -> int:
        """Return the side of a patch for a factor, in source pixels."""
        if isinstance(self.patch, tuple):
            return self.patch[self.factors.index(upscale_factor)]
        return self.patch

    @property
    def together(self) -> int:
        """How many bands the network sees together; 1: each by itself."""
        return len(self.bands) or 1

    @property
    def terms(self) -> Terms:
        """The loss terms with all their parameters."""
        return read_terms(self.losses, "A recipe", eps=self.loss_eps)

    @property
    def degrader(self) -> Degrader:
        """What makes the low-resolution side."""
        return Degrader.of(self.degradation, self.degrade)

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
    recipe = Recipe.from_dict(table, f"The recipe {path}")
    given: dict[str, Any] = {key: value for key, value in changes.items() if value is not None}
    return replace(recipe, **given)


_CHOICES = {
    "architecture": ARCHITECTURES,
    "degradation": tuple(DEGRADATIONS),
    "schedule": ("cosine", "step"),
    "precision": ("float32", "mixed_bfloat16"),
}
