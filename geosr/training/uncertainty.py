"""A head for a finished network: trained to tell how far that network's picture is off.

Truth minus picture is taken as noise whose deviation the head gives for each pixel [1]_; the
network itself stays as it is. A head sees each band by itself, even where the network sees several
together.

References
----------
.. [1] Kendall and Gal (2017), "What uncertainties do we need in Bayesian deep learning for
   computer vision?", NeurIPS. https://arxiv.org/abs/1703.04977
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from geosr.core.catalog import WEIGHTS_DIR
from geosr.core.errors import OptionError
from geosr.core.events import EventSink, log_event, no_events, phase_event, progress_event
from geosr.core.facts import ModelFacts
from geosr.models.contract import PAD, declared_radius, valid_part
from geosr.models.layers import BandsApart, BandsTogether, Crop, MirrorPad
from geosr.models.sigma import build_sigma
from geosr.predictors import verified_file
from geosr.training.head_recipe import HeadRecipe
from geosr.training.history import Row, write_history
from geosr.training.patches import Pair, draw_batch, load_pools, validation_pairs
from geosr.training.planes import Plane
from geosr.training.publish import publish_files
from geosr.training.run import Run, compile_step
from geosr.training.steps import PixelStep

LEAST = 3e-4
"""Deviation that is added in training, as a part of a plane's range.

It stands for the rounding of stored values, which no picture tells; without it, flat places
would make the likelihood infinite.
"""


class LikelihoodStep(PixelStep):
    """A step that makes the errors likely under the deviations that the head tells.

    The first half of the outputs' bands is the picture, which is no longer trained; the second
    is sigma.
    """

    def __init__(self, network: keras.Model, likelihood: str) -> None:
        super().__init__(network, {"mse": {"weight": 0.0}})
        self._likelihood = likelihood

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the mean negative logarithm of the likelihood, without its constant."""
        picture, sigma = ops.split(y_pred, 2, axis=-1)
        super().compute_loss(x, y, picture, sample_weight, training)  # notes the error
        error = ops.stop_gradient(y - picture)
        return ops.mean(surprise(error, sigma, self._likelihood))


def surprise(error: Any, sigma: Any, likelihood: str) -> Any:
    """Return the negative log-likelihood of errors of deviation ``sigma``, without its constant.

    Scaling both by ``a`` adds ``log(a)``, whatever the weights: bright and dark scenes teach
    alike.
    """
    sigma = sigma + LEAST
    if likelihood == "gaussian":
        return ops.log(sigma) + 0.5 * ops.square(error / sigma)
    return ops.log(sigma) + 2**0.5 * ops.abs(error) / sigma


class HeadRun(Run):
    """A run whose trained network is a finished one and a head, side by side."""

    def __init__(self, asked: HeadRecipe, joint: keras.Model, out_dir: Path) -> None:
        super().__init__(asked.recipe, {asked.of.upscale_factor: joint}, out_dir)
        self._likelihood = asked.likelihood
        self.pixel_step = LikelihoodStep(self.trained, asked.likelihood)
        compile_step(self.pixel_step, self.optimizer)

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint holds besides variables."""
        return {**super().facts(), "likelihood": self._likelihood}

    def take_facts(self, facts: dict[str, Any]) -> None:
        """Go on from what `facts` returned."""
        if facts.get("likelihood") != self._likelihood:
            raise OptionError(
                f"The checkpoint in {self.out_dir} was made with another likelihood.",
                hint="Use --no-resume to start anew, or another --out folder.",
            )
        super().take_facts(facts)

    def validate(self, pairs: dict[int, list[Pair]], terms: dict[str, float]) -> Row:
        """Score the averaged weights; append to the history and return its new row."""
        (factor, joint), ratios, surprises = next(iter(self.models.items())), [], []
        with self.averaged():
            for pair in pairs[factor]:
                low, high = _bands_last(pair.low), _bands_last(pair.high)
                found = np.asarray(joint.predict_on_batch(low[None]))[0]
                picture, sigma = np.split(found, 2, axis=-1)
                error = (high - picture).astype(np.float32)
                ratios.append(np.abs(error) / (sigma + LEAST))
                told = surprise(error, sigma, self._likelihood)
                surprises.append(float(np.mean(ops.convert_to_numpy(told))))
        nothing = float("nan")
        notes = {
            "validation_surprise": float(np.mean(surprises)) if surprises else nothing,
            "within_one_sigma": float(np.mean([np.mean(r <= 1) for r in ratios]))
            if ratios
            else nothing,
        }
        rate = float(ops.convert_to_numpy(self.optimizer.learning_rate))
        row = Row(self.step, round(self.seconds, 1), terms["loss"], rate, nothing, nothing, notes)
        self.history.append(row)
        write_history(self.history, self.out_dir, title=self.recipe.name)
        return row


def _bands_last(image: Plane) -> Plane:
    """Return ``(h, w)`` or ``(bands, h, w)`` as ``(h, w, bands)``."""
    return np.moveaxis(image.reshape(-1, *image.shape[-2:]), 0, -1)


def side_by_side(finished: keras.Model, head: keras.Model) -> keras.Model:
    """Return a model of twice the bands: the picture's, then sigma's. Only the head is trained."""
    finished.trainable = False
    bands = finished.input_shape[-1]
    radius = max(declared_radius(finished), declared_radius(head))
    inputs = keras.Input((None, None, bands), name="low_resolution")
    x = MirrorPad(radius, name=PAD)(inputs)
    picture, sigma = (
        valid_part(model)(each)
        for model, each in (
            (finished, _cropped(x, finished, radius, "picture")),
            (head, BandsApart(bands, name="apart")(_cropped(x, head, radius, "sigma"))),
        )
    )
    sigma = BandsTogether(bands, name="together")(sigma)
    both = layers.Concatenate(name="both")([picture, sigma])
    return keras.Model(inputs, both, name=f"{head.name}_joint")


def _cropped(x: Any, model: keras.Model, radius: int, name: str) -> Any:
    return Crop(radius - declared_radius(model), name=f"{name}_crop")(x)


def train_head(
    asked: HeadRecipe,
    data_dir: str | Path,
    out_dir: str | Path,
    *,
    resume: bool = True,
    on_event: EventSink = no_events,
) -> Path:
    """Train a head and return the path of its card, which has no multipliers yet.

    ``out_dir`` gets what `geosr.training.fit.train` leaves there; a stopped run goes on.

    Raises
    ------
    GeosrError
        As `geosr.training.fit.train`; `ModelFileError` if the network's weights are not there.
    """
    of, recipe, out_dir = asked.of, asked.recipe, Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(recipe.seed)
    path = verified_file(of, "keras", Path(of.folder or WEIGHTS_DIR))
    finished = keras.saving.load_model(path, compile=False, safe_mode=True)
    head = build_sigma(upscale_factor=of.upscale_factor)
    joint = side_by_side(finished, head)
    halo, s = declared_radius(joint), of.upscale_factor
    on_event(phase_event("Reading the images"))
    pool, held = load_pools(recipe, data_dir, side=(recipe.patch_of(s) + 2 * halo) * s)
    pairs = {s: validation_pairs(held, recipe, s)}
    run = HeadRun(asked, joint, out_dir)
    if resume:
        run.restored()
    on_event(phase_event(f"Training {recipe.name}: {recipe.steps} steps"))
    losses: list[float] = []
    for step in range(run.step, recipe.steps):
        begun = time.monotonic()
        low, high = draw_batch(pool, recipe, halo=halo, step=step, upscale_factor=s)
        losses.append(run.train_on([low], [high])["loss"])
        run.seconds += time.monotonic() - begun
        run.step = step + 1
        on_event(progress_event(run.step, recipe.steps))
        if run.step % recipe.validate_every == 0 or run.step == recipe.steps:
            row = run.validate(pairs, {"loss": float(np.mean(losses))})
            losses.clear()
            on_event(log_event("info", _line(row)))
            run.save()
    on_event(phase_event("Writing the weights"))
    with run.averaged():
        return publish_files(head, _facts(head, asked, run.history), out_dir)


def _line(row: Row) -> str:
    notes = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in row.terms.items())
    return f"step {row.step}: loss {row.loss:.4f}, {notes}, {row.seconds:.0f} s"


def _facts(head: keras.Model, asked: HeadRecipe, history: list[Row]) -> ModelFacts:
    of, recipe = asked.of, asked.recipe
    return ModelFacts(
        name=recipe.name,
        family=recipe.name,
        kind="sigma",
        of=of.name,
        upscale_factor=of.upscale_factor,
        radius=declared_radius(head),
        base=None,
        equivariant=False,
        consistency="none",
        parameters=head.count_params(),
        tensors={"detail_in": "detail_in", "detail_out": "detail_out"},
        licence=recipe.licence,
        summary=recipe.summary,
        sources=tuple(f"{s.name}: {s.licence}" for s in recipe.sources),
        training={
            "date": datetime.now(UTC).date().isoformat(),
            "backend": f"Keras {keras.__version__} on {keras.backend.backend()}",
            "seconds": history[-1].seconds if history else 0,
            "of_sha256": dict(of.sha256),
            "last": history[-1].terms if history else {},
            "recipe": {**recipe.to_dict(), "of": of.name, "likelihood": asked.likelihood},
        },
    )
