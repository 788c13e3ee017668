"""A training run against a discriminator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from geosr.core.errors import TrainingError
from geosr.training.balance import Balance, signs_of_collapse
from geosr.training.history import Row
from geosr.training.patches import Pair
from geosr.training.planes import Plane
from geosr.training.recipe import Gan, Recipe
from geosr.training.run import Outputs, Run, compile_step, take_step
from geosr.training.samples import write_samples
from geosr.training.steps import CriticStep, MakerStep
from geosr.training.terms import Terms


class GanRun(Run):
    """A run in two phases: on pixels first, then in turns with a discriminator.

    In the second phase each batch serves the discriminator, then the network; each has an
    optimizer of its own. While the discriminator is right more often than ``gan.pause_above`` it
    waits. Validation scores and finished weights are those of the running mean of the network's
    weights. Pictures go to ``samples/``.

    Parameters
    ----------
    critic
        The discriminator: ``(batch, height, width, bands)`` to logits of any shape. None makes
        the one that the recipe names.
    """

    def __init__(
        self,
        recipe: Recipe,
        models: dict[int, keras.Model],
        out_dir: Path,
        *,
        critic: keras.Model | None = None,
    ) -> None:
        super().__init__(recipe, models, out_dir)
        self.gan = recipe.gan or Gan()
        self.critic = critic or _critic(self.gan, recipe)
        self.balance = Balance()
        self.maker_step = MakerStep(self.trained, self.critic, recipe.terms)
        compile_step(self.maker_step, self.optimizer)
        kind = recipe.terms["adversarial"]["kind"]
        self.critic_step = CriticStep(self.trained, self.critic, kind)
        self.critic_optimizer = keras.optimizers.Adam(self.gan.learning_rate, beta_1=0.5)
        compile_step(self.critic_step, self.critic_optimizer)
        self.critic_optimizer.build(self.critic.trainable_variables)

    def pixel_terms(self) -> Terms:
        """Return the losses of the first phase: the perceptual one comes with the second."""
        return {name: t for name, t in super().pixel_terms().items() if name != "perceptual"}

    @property
    def is_adversarial(self) -> bool:
        """Whether the next step is one against the discriminator."""
        return self.step >= self.gan.pretrain

    def _learned(self, low: list[Plane], high: list[Plane]) -> dict[str, float]:
        if not self.is_adversarial:
            return super()._learned(low, high)
        waits = self.balance.pauses(self.gan.pause_above)
        judged = {} if waits else take_step(self.critic_step, low, high)
        found = take_step(self.maker_step, low, high)
        self.balance.note(found["right"])
        # A waiting discriminator has no loss; its share of the steps tells how often it waits.
        return {**found, "critic": judged.get("loss", 0.0), "waits": float(waits)}

    def seen(self, pairs: dict[int, list[Pair]], outputs: Outputs) -> None:
        """Write pictures of some of it."""
        for factor, of_factor in pairs.items():
            name = f"step_{self.step:06d}_x{factor}.png"
            write_samples(self.out_dir / "samples" / name, of_factor, outputs[factor])

    def warnings(self, row: Row) -> list[str]:
        """Return what is worth a warning after a row.

        Raises
        ------
        TrainingError
            If the network has collapsed.
        """
        found = super().warnings(row)
        if self.step <= self.gan.pretrain:
            return found
        signs = signs_of_collapse(row)
        if np.isfinite(row.psnr) and row.gain < -self.gan.tolerance:
            raise TrainingError(
                f"Validation is {-row.gain:.1f} dB below bicubic at step {row.step}: the network "
                f"has collapsed. {' '.join(signs)}".strip(),
                hint="Lower the weight of the adversarial loss, pretrain longer, or raise "
                "gan.tolerance; the checkpoint before it is kept.",
            )
        return found + signs

    def variables(self) -> list[Any]:
        """Return what a checkpoint holds: the discriminator's part is last."""
        return [*super().variables(), *self.critic.variables, *self.critic_optimizer.variables]

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint holds besides variables."""
        return {**super().facts(), "right": self.balance.right}

    def take_facts(self, facts: dict[str, Any]) -> None:
        """Go on from what `facts` returned."""
        super().take_facts(facts)
        self.balance.right = facts["right"]


def _critic(gan: Gan, recipe: Recipe) -> keras.Model:
    from geosr.models.discriminators import build_discriminator

    side = max(recipe.patch_of(factor) * factor for factor in recipe.factors)
    return build_discriminator(
        gan.discriminator, filters=gan.filters, side=side, bands=recipe.together
    )
