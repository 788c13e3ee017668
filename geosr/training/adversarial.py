"""Losses of a discriminator and of the network that it judges, from the discriminator's logits.

``real`` and ``fake`` are logits of any shape: one a patch, or one a pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from geosr.core.errors import OptionError


def _bce_critic(real: Any, fake: Any) -> Any:
    return 0.5 * (ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake)))


def _bce_maker(real: Any, fake: Any) -> Any:
    del real
    return ops.mean(ops.softplus(-fake))


def _relativistic_critic(real: Any, fake: Any) -> Any:
    return _bce_critic(real - ops.mean(fake), fake - ops.mean(real))


def _relativistic_maker(real: Any, fake: Any) -> Any:
    return _bce_critic(fake - ops.mean(real), real - ops.mean(fake))


def _hinge_critic(real: Any, fake: Any) -> Any:
    return 0.5 * (ops.mean(ops.relu(1 - real)) + ops.mean(ops.relu(1 + fake)))


def _hinge_maker(real: Any, fake: Any) -> Any:
    del real
    return -ops.mean(fake)


_LOSSES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "bce": (_bce_critic, _bce_maker),
    "relativistic": (_relativistic_critic, _relativistic_maker),
    "hinge": (_hinge_critic, _hinge_maker),
}


def critic_loss(kind: str, real: Any, fake: Any) -> Any:
    """Return what the discriminator makes small.

    ``bce`` is binary cross-entropy [1]_, ``relativistic`` the relativistic average form of it
    [2]_ as in ESRGAN, ``hinge`` that of [3]_. Each is the mean of its real and its fake half.

    References
    ----------
    .. [1] Goodfellow et al. (2014), "Generative adversarial nets", NeurIPS.
       https://arxiv.org/abs/1406.2661
    .. [2] Jolicoeur-Martineau (2018), "The relativistic discriminator".
       https://arxiv.org/abs/1807.00734
    .. [3] Lim and Ye (2017), "Geometric GAN". https://arxiv.org/abs/1705.02894
    """
    return _pair(kind)[0](real, fake)


def maker_loss(kind: str, real: Any, fake: Any) -> Any:
    """Return what the judged network makes small; see `critic_loss` for the kinds."""
    return _pair(kind)[1](real, fake)


def right_share(kind: str, real: Any, fake: Any) -> Any:
    """Return how often the discriminator is right, from 0 to 1; a coin is right half the time."""
    over, under = (0.0, 0.0) if kind != "relativistic" else (ops.mean(fake), ops.mean(real))
    return 0.5 * (
        ops.mean(ops.cast(real > over, "float32")) + ops.mean(ops.cast(fake < under, "float32"))
    )


def _pair(kind: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    if kind not in _LOSSES:
        raise OptionError(
            f"There is no adversarial loss {kind!r}.", hint=f"Use one of {', '.join(_LOSSES)}."
        )
    return _LOSSES[kind]
