"""LPIPS, by a network that the user has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geosr.core.errors import ModelFileError
from geosr.runtimes.pairs import PairNetwork

Array = NDArray[np.generic]


class Lpips:
    """The learned perceptual distance of two pictures [1]_; 0 is best.

    geosr ships no weights for it: the network comes as ONNX with two inputs
    ``(1, 3, height, width)`` of values from -1 to 1, red, green and blue, and one number as its
    result. docs/evaluation.md tells how to export it.

    References
    ----------
    .. [1] Zhang et al. (2018), "The Unreasonable Effectiveness of Deep Features as a Perceptual
       Metric", CVPR.
    """

    def __init__(self, path: str) -> None:
        if not Path(path).is_file():
            raise ModelFileError(
                f"There is no LPIPS network {path}.",
                hint="docs/evaluation.md tells how to export one as ONNX.",
            )
        self._network = PairNetwork(Path(path))

    def __call__(self, truth: Array, estimate: Array, colours: tuple[int, ...]) -> float:
        """Return the distance of two images ``(bands, h, w)`` as they are shown.

        8 bits go in as they are; other values by the truth's range from its 2nd to its 98th
        percentile, and what lies outside is clipped.
        """
        chosen = list(colours) * (3 if len(colours) == 1 else 1)
        true, made = (
            np.nan_to_num(image[chosen].astype(np.float64)) for image in (truth, estimate)
        )
        if truth.dtype == np.uint8:
            low, high = np.zeros((3, 1)), np.full((3, 1), 255.0)
        else:
            low, high = np.percentile(true.reshape(3, -1), (2, 98), axis=1)[..., None]
        low, span = low[..., None], np.maximum(high - low, 1e-12)[..., None]
        pair = (np.clip(2 * (image - low) / span - 1, -1, 1) for image in (true, made))
        return self._network(*(image[None].astype(np.float32) for image in pair))
