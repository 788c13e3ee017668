"""Self-supervised adaptation: a model fine-tuned on one scene, pulled towards what it was.

The scene, degraded by the model's factor, is the low resolution and the scene itself the truth
[1]_. That is one scale coarser than the model will work at: it learns the scene's textures and
units, not the detail that the sensor never saw. A penalty on the distance from the model's own
weights [2]_, a small rate and the running mean of the weights keep it from falling apart.

References
----------
.. [1] Shocher et al. (2018), "Zero-shot super-resolution using deep internal learning", CVPR.
   https://arxiv.org/abs/1712.06087
.. [2] Li et al. (2018), "Explicit inductive bias for transfer learning with convolutional
   networks", ICML. https://arxiv.org/abs/1802.01483
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from geosr.core.catalog import WEIGHTS_DIR
from geosr.core.errors import OptionError, TrainingError
from geosr.core.events import EventSink, log_event, no_events, phase_event, progress_event
from geosr.core.facts import ModelFacts
from geosr.degrade import Degrader
from geosr.io.facts import RasterFacts, check_upscalable, read_facts
from geosr.io.model_bands import band_order, check_band_count, taken_bands
from geosr.metrics import Interval, bootstrap_mean
from geosr.models.contract import declared_radius, valid_part
from geosr.predictors import verified_file
from geosr.training.held import degrader_of, scores
from geosr.training.publish import publish_files
from geosr.training.scene import Scene, draw_patches, read_scene
from geosr.training.steps import PixelStep


@dataclass(frozen=True)
class AdaptOptions:
    """How a model is adapted.

    Attributes
    ----------
    steps
        Batches to learn from.
    learning_rate
        At its height; it falls to nothing.
    pull
        Weight of the squared distance from the model's weights, as a part of their own square.
    batch_size, patch
        Patches of a step and their side in pixels of the degraded scene.
    indexes
        Numbers of the scene's bands, from 1; empty: all but alpha, and for a network that sees
        bands together in the order that the scene's descriptions tell.
    seed
        Decides which cells are held back, and each batch.
    memory
        Bytes of the scene that are kept.
    force
        Whether adapted weights are written even if they do not help.
    """

    steps: int = 300
    learning_rate: float = 3e-4
    pull: float = 1.0
    batch_size: int = 8
    patch: int = 24
    indexes: tuple[int, ...] = ()
    seed: int = 0
    memory: int = 512 << 20
    force: bool = False

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.patch, self.learning_rate) <= 0 or self.pull < 0:
            raise OptionError(
                f"Adapting by {self.steps} steps of {self.batch_size} patches of {self.patch} "
                f"pixels, rate {self.learning_rate}, pull {self.pull}, makes no sense.",
                hint="All are above 0; the pull may be 0.",
            )


@dataclass(frozen=True)
class Verdict:
    """Scores on places of the scene that were not learned from, in dB over all bands.

    Attributes
    ----------
    bicubic, before, after
        Mean PSNR of bicubic, the model and the adapted model; the range is that of each band, or
        of the widest of those that the model sees together.
    difference
        Of ``after`` and ``before``, with its 95 % interval over the places.
    places
        How many there are.
    card
        The card of what was written.
    kept
        Whether the model's own weights were written, because adapting did not help.
    """

    bicubic: float
    before: float
    after: float
    difference: Interval
    places: int
    card: Path
    kept: bool

    @property
    def helps(self) -> bool:
        """Whether the whole interval of the difference is a gain."""
        return self.difference.low is not None and self.difference.low > 0


class PulledStep(PixelStep):
    """A step on valid pixels with a penalty on the distance from the first weights.

    The truth has one band more than the network: 1 where the others are valid.
    """

    def __init__(self, network: keras.Model, *, pull: float) -> None:
        super().__init__(network, {"charbonnier": {"weight": 1.0, "eps": 0.01}})
        self._pull = pull
        first = [ops.convert_to_numpy(v) for v in network.trainable_variables]
        self._first = tuple(np.array(x) for x in first)
        self._scale = 1 / max(sum(float((x**2).sum()) for x in self._first), 1e-12)
        self._distance = keras.metrics.Mean(name="distance")

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the loss and the penalty."""
        truth, valid = y[..., :-1], y[..., -1:]
        # Where the truth is not valid the output is right: there is nothing to learn.
        total = super().compute_loss(
            x, truth, valid * y_pred + (1 - valid) * truth, sample_weight, training
        )
        pairs = zip(self.network.trainable_variables, self._first, strict=True)
        far = self._scale * sum(ops.sum(ops.square(v - x0)) for v, x0 in pairs)
        self._distance.update_state(far)
        return total + self._pull * far


def adapt(
    scene_path: str | Path,
    facts: ModelFacts,
    out: str | Path,
    options: AdaptOptions | None = None,
    *,
    on_event: EventSink = no_events,
) -> Verdict:
    """Fine-tune a model on a scene, write what came of it, and say whether it helps.

    ``out`` is the path of the card, ``.json``, or a folder for it. Weights lie beside it. The
    scene is read by windows, nodata is left out, and each band counts alike.

    Raises
    ------
    BandError
        If the model does not take the scene's bands.
    OptionError
        If the model is no network of geosr's contract.
    InputFileError
        If the scene is unreadable or too small.
    ModelFileError
        If the model's weights are missing or changed.
    TrainingError
        If the loss is no number any more.
    """
    options = options or AdaptOptions()
    _check(facts)
    path = verified_file(facts, "keras", Path(facts.folder or WEIGHTS_DIR))
    on_event(phase_event("Reading the scene"))
    keras.utils.set_random_seed(options.seed)
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    side = (options.patch + 2 * declared_radius(model)) * facts.upscale_factor
    source = read_facts(str(scene_path))
    scene = read_scene(
        source,
        _bands(source, facts, options.indexes, on_event),
        side=side,
        seed=options.seed,
        memory=options.memory,
        together=facts.bands > 1,
    )
    degrade = degrader_of(facts)
    bicubic, before = scores(model, scene, side, degrade)
    first = model.get_weights()
    on_event(phase_event(f"Adapting {facts.name}: {len(scene.learned)} places to learn from"))
    _learn(model, scene, degrade, options, on_event)
    _, after = scores(model, scene, side, degrade)
    difference = bootstrap_mean([a - b for a, b in zip(after, before, strict=True)])
    verdict = Verdict(
        bicubic=float(np.mean(bicubic)),
        before=float(np.mean(before)),
        after=float(np.mean(after)),
        difference=difference,
        places=len(scene.held),
        card=Path(out),
        kept=False,
    )
    if not verdict.helps and not options.force:
        model.set_weights(first)
        verdict = replace(verdict, kept=True)
    on_event(phase_event("Writing the weights"))
    return replace(verdict, card=_write(model, facts, scene, verdict, options))


def _check(facts: ModelFacts) -> None:
    if facts.is_kernel or facts.base is None or "keras" not in facts.files:
        raise OptionError(
            f"{facts.name} cannot be adapted.",
            hint="Name one of geosr's own networks, such as geosr-lite-x2, or the card of one "
            "that `geosr train` made, with .keras weights.",
        )


def _bands(
    source: RasterFacts, facts: ModelFacts, indexes: tuple[int, ...], on_event: EventSink
) -> tuple[int, ...]:
    """Return the scene's bands in the order of the model, and tell which they are in doubt."""
    chosen = tuple(n for n in source.all_indexes(indexes) if n != source.alpha)
    check_upscalable(source, chosen)
    check_band_count(facts, source, chosen)
    if indexes:
        return chosen
    order = band_order(facts, source)
    told = taken_bands(facts, source, order)
    if told:
        on_event(log_event("warning", told))
    return tuple(chosen[place] for place in order) or chosen


def _learn(
    model: keras.Model,
    scene: Scene,
    degrade: Degrader,
    options: AdaptOptions,
    on_event: EventSink,
) -> None:
    """Take the steps and leave the running mean of the weights in the model."""
    s, halo = model.get_layer("high_resolution").upscale_factor, declared_radius(model)
    side, core = (options.patch + 2 * halo) * s, slice(halo * s, (options.patch + halo) * s)
    part = valid_part(model)
    step_model = PulledStep(part, pull=options.pull)
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(
            options.learning_rate / 20,
            decay_steps=max(options.steps - options.steps // 10, 1),
            warmup_target=options.learning_rate,
            warmup_steps=options.steps // 10,
        ),
        use_ema=True,
        ema_momentum=max(1 - 20 / options.steps, 0.5),  # a mean over the last twentieth or so
        global_clipnorm=1.0,
    )
    step_model.compile(optimizer=optimizer, jit_compile=keras.backend.backend() == "jax")
    for step in range(options.steps):
        high, valid = draw_patches(
            scene, side=side, count=options.batch_size, seed=options.seed, step=step
        )
        truth = np.concatenate([high, valid[:, None]], axis=1)[..., core, core]
        low = degrade(high, s, np.random.default_rng([options.seed, step, 1])).astype(np.float32)
        step_model.reset_metrics()
        images = np.moveaxis(low, 1, -1), np.moveaxis(truth, 1, -1)
        found = step_model.train_on_batch(*images, return_dict=True)
        if not np.isfinite(float(found["loss"])):
            raise TrainingError(
                f"The loss is no number at step {step + 1}; nothing was written.",
                hint="Lower --learning-rate.",
            )
        on_event(progress_event(step + 1, options.steps))
    optimizer.finalize_variable_values(part.trainable_variables)
    part.set_weights(part.get_weights())  # as copies, see `Run.averaged`


def _write(
    model: keras.Model, facts: ModelFacts, scene: Scene, verdict: Verdict, options: AdaptOptions
) -> Path:
    """Write weights and card; return the card's path."""
    out, name = verdict.card, Path(scene.facts.path).name
    is_card = out.suffix == ".json"
    folder = out.parent if is_card else out
    folder.mkdir(parents=True, exist_ok=True)
    own = out.stem if is_card else f"{facts.name}-adapted"
    what = f"adapted to {name}"
    if verdict.kept:
        what = f"as it was: adapting it to {name} did not help"
    course = {
        "adapted_from": facts.name,
        "scene": name,
        "bands": list(scene.indexes),
        "weights_kept": verdict.kept,
        "options": asdict(options),
        "places": {"learned": len(scene.learned), "held": verdict.places},
        "held_psnr": {
            "bicubic": verdict.bicubic,
            "model": verdict.before,
            "adapted": verdict.after,
            "difference": asdict(verdict.difference),
        },
        "model_training": facts.training,
    }
    return publish_files(
        model,
        replace(
            facts,
            name=own,
            family=own,
            folder="",
            bfloat16_error=None,  # was measured with other weights
            int8_error=None,
            summary=f"{facts.name} {what}. {facts.summary}",
            sources=(
                *facts.sources,
                *(() if verdict.kept else (f"{name}: a scene of the user's",)),
            ),
            training=course,
            scores={},
        ),
        folder,
    )
