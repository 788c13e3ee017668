"""The perceptual loss: differences of the features that a pretrained network sees."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from geosr.core.errors import MissingDependencyError, ModelFileError, OptionError
from geosr.training.terms import check_names

_VGG_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"


class Perceptual:
    """How far the features of truth and output lie apart, as a share of the truth's.

    Planes go in as grey pictures: each band by itself, three times over, unless there are three
    bands, which are red, green and blue. The loss is the mean over the layers of
    ``sum(|a - b|) / sum(|a|)``, which is 0 for equal pictures and of the order of 1 for
    different ones, whatever the network [1]_.

    Parameters
    ----------
    network
        ``efficientnet-lite0``, from geosr[perceptual], or ``vgg19``.
    layers
        Layers by name; none is `DEFAULT_LAYERS`. Those of VGG19 are taken before activation.
    low, high
        The values of the planes that are black and white to the network.
    weights
        Path of the network's weights; empty is the installed package, or Keras's own cache.

    Raises
    ------
    MissingDependencyError
        If the weights are not here: nothing is downloaded.
    ModelFileError
        If they are damaged.
    OptionError
        If the network has no such layer, or the range is empty.

    References
    ----------
    .. [1] Johnson et al. (2016), "Perceptual losses for real-time style transfer and
       super-resolution", ECCV. https://arxiv.org/abs/1603.08155
    """

    def __init__(
        self,
        network: str = "efficientnet-lite0",
        *,
        layers: tuple[str, ...] = (),
        low: float = 0.0,
        high: float = 1.0,
        weights: str = "",
    ) -> None:
        if not high > low:
            raise OptionError(
                f"The perceptual loss has low = {low} and high = {high}.",
                hint="`high` is what is white to the network, and above `low`.",
            )
        names = layers or DEFAULT_LAYERS[network]
        self.low, self.high = low, high
        self._is_vgg = network == "vgg19"
        path = Path(weights) if weights else None
        self.network = _vgg19(path, names) if self._is_vgg else _lite0(path, names)

    def __call__(self, truth: Any, output: Any) -> Any:
        """Map ``(batch, height, width, bands)`` of both to one number."""
        total = 0.0
        wanted = [ops.stop_gradient(found) for found in self.features(truth)]
        for a, b in zip(wanted, self.features(output), strict=True):
            total += ops.sum(ops.abs(a - b)) / (ops.sum(ops.abs(a)) + 1e-6)
        return total / len(wanted)

    def features(self, planes: Any) -> list[Any]:
        """Return the features of each layer for planes ``(batch, height, width, bands)``."""
        x = (planes - self.low) / (self.high - self.low)
        if x.shape[-1] != 3:
            height, width = ops.shape(x)[1:3]
            x = ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (-1, height, width, 1))
            x = ops.repeat(x, 3, axis=-1)
        x = x * 255
        x = x[..., ::-1] - _VGG_MEAN if self._is_vgg else (x - 127) / 128
        found = self.network(x, training=False)
        return list(found) if isinstance(found, list | tuple) else [found]


_VGG_MEAN = np.array([103.939, 116.779, 123.68], "float32")  # blue, green, red

DEFAULT_LAYERS = {
    "efficientnet-lite0": ("block0", "block2", "block4"),  # at 1/2, 1/4, 1/8 of the pixels
    "vgg19": ("block5_conv4",),
}


def _lite0(path: Path | None, names: tuple[str, ...]) -> keras.Model:
    from geosr.training.efficientnet import BLOCKS, build_efficientnet_lite0, find_weights

    check_names(names, BLOCKS, "EfficientNet-Lite0 has no such layer")
    return build_efficientnet_lite0(path or find_weights(), names)


def _vgg19(path: Path | None, names: tuple[str, ...]) -> keras.Model:
    """Return VGG19 with outputs before activation, red, green and blue swapped as it wants."""
    if path is None:
        home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
        path = home / "models" / _VGG_FILE
    if not path.is_file():
        raise MissingDependencyError(
            f"The ImageNet weights of VGG19 are not here: there is no {path}.",
            hint="geosr downloads nothing. Name Keras's file of them as `weights`, put it into "
            "that folder, or use the network efficientnet-lite0.",
        )
    whole = keras.applications.VGG19(include_top=False, weights=None)
    try:
        whole.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise ModelFileError(
            f"{path} does not hold the weights of VGG19: {str(error).splitlines()[0]}",
            hint=f"It is Keras's own file, {_VGG_FILE}.",
        ) from error
    convolutions = [layer.name for layer in whole.layers if "conv" in layer.name]
    check_names(names, convolutions, "VGG19 has no such convolution")
    outputs = []
    for name in names:
        layer = whole.get_layer(name)
        bare = type(layer).from_config({**layer.get_config(), "activation": "linear"})
        outputs.append(bare(layer.input))
        bare.set_weights(layer.get_weights())
    model = keras.Model(whole.inputs, outputs, name="vgg19")
    model.trainable = False
    return model
