"""What one step of training moves, as Keras models.

Each is a `keras.Model` of which only `compute_loss` is its own, so TensorFlow, JAX and PyTorch
train it by their own ``train_on_batch``. Where two networks are trained against each other, each
has a model that calls both and lists the variables of one as trainable: no network is frozen and
thawed, and each has an optimizer of its own.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from geosr.training.adversarial import critic_loss, maker_loss, right_share
from geosr.training.losses import Loss, make_loss
from geosr.training.terms import Terms


class PixelStep(keras.Model):
    """A network and a weighted sum of losses between its outputs and the truth.

    Parameters
    ----------
    network
        Of one output, or of several that are trained together: their losses are added.
    terms
        As `Recipe.terms` has them, without the adversarial one.
    """

    def __init__(self, network: keras.Model, terms: Terms) -> None:
        super().__init__(name=f"{type(self).__name__.lower()}_{network.name}")
        self.network = network
        self.weight_of = {name: float(entry["weight"]) for name, entry in terms.items()}
        self._makers: dict[str, Loss] = {name: make_loss(name, terms[name]) for name in terms}
        self._term_means = [keras.metrics.Mean(name=name) for name in terms]

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Run the network."""
        return self.network(x, training=training)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the sum of the losses; note each by its name, as the mean of the outputs."""
        del x, sample_weight, training
        total = 0.0
        pairs = list(zip(_several(y), _several(y_pred), strict=True))
        for mean, (name, loss) in zip(self._term_means, self._makers.items(), strict=True):
            found = sum(loss(truth, ops.cast(output, "float32")) for truth, output in pairs)
            mean.update_state(found / len(pairs))
            total = total + self.weight_of[name] * found
        return total


class _OneOfTwo(keras.Model):
    """A model of two networks that trains one."""

    learner: keras.Model

    @property
    def trainable_variables(self) -> list[Any]:
        """Return the variables that a step moves."""
        found: list[Any] = self.learner.trainable_variables
        return found

    @property
    def non_trainable_variables(self) -> list[Any]:
        """Return all others."""
        moved = {id(v) for v in self.learner.trainable_variables}
        return [v for v in self.variables if id(v) not in moved]

    @property
    def trainable_weights(self) -> list[Any]:
        """Return what `trainable_variables` returns."""
        return self.trainable_variables


class MakerStep(_OneOfTwo, PixelStep):
    """The network's step against a discriminator: its losses and the adversarial one.

    It notes ``right``, the share of samples that the discriminator is right about, and
    ``sharpness``, the output's mean difference of neighbours against the truth's.
    """

    def __init__(self, network: keras.Model, critic: keras.Model, terms: Terms) -> None:
        others = {name: entry for name, entry in terms.items() if name != "adversarial"}
        PixelStep.__init__(self, network, others)
        self.learner, self.critic = network, critic
        self._kind, self._weight = (terms["adversarial"][key] for key in ("kind", "weight"))
        self._notes = [
            keras.metrics.Mean(name=name) for name in ("adversarial", "right", "sharpness")
        ]

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the sum of all losses."""
        total = PixelStep.compute_loss(self, x, y, y_pred, sample_weight, training)
        for truth, output in zip(_several(y), _several(y_pred), strict=True):
            output = ops.cast(output, "float32")
            real = ops.stop_gradient(self.critic(truth, training=False))
            fake = self.critic(output, training=False)
            found = maker_loss(self._kind, real, fake)
            right = right_share(self._kind, real, fake)
            sharp = _steepness(output) / (_steepness(truth) + 1e-6)
            for note, value in zip(self._notes, (found, right, sharp), strict=True):
                note.update_state(value)
            total = total + self._weight * found
        return total


class CriticStep(_OneOfTwo):
    """The discriminator's step: truth against what the network makes at present."""

    def __init__(self, network: keras.Model, critic: keras.Model, kind: str) -> None:
        super().__init__(name=f"criticstep_{network.name}")
        self.network, self.critic = network, critic
        self.learner, self._kind = critic, kind

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Run the network as it is."""
        del training
        return self.network(x, training=False)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the discriminator's loss over all outputs."""
        del x, sample_weight
        total = 0.0
        for truth, output in zip(_several(y), _several(y_pred), strict=True):
            output = ops.stop_gradient(ops.cast(output, "float32"))
            real = self.critic(truth, training=training)
            fake = self.critic(output, training=training)
            total = total + critic_loss(self._kind, real, fake)
        return total


def _several(x: Any) -> list[Any]:
    return list(x) if isinstance(x, list | tuple) else [x]


def _steepness(x: Any) -> Any:
    return ops.mean(ops.abs(x[:, :, 1:] - x[:, :, :-1]))
