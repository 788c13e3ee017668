"""A recipe of a few steps and images to train on, for the tests of training."""

from __future__ import annotations

import numpy as np
from dataset_scenes import write

from geosr.training.recipe import Recipe, Source

TINY = Recipe(
    name="tiny-x2",
    architecture="geosr-lite",
    upscale_factor=2,
    sources=(Source("*.tif", validation=("held.tif",)),),
    steps=6,
    batch_size=2,
    patch=12,
    warmup=2,
    ema=0.5,
    expansion=8,
    validate_every=3,
)
"""It takes the images of `write_images`; tests replace what they are about."""


def write_images(folder, names=("a", "held"), *, bands=1):
    """Write 8-bit images of squares, NAME.tif; return the folder."""
    rng = np.random.default_rng(0)
    for name in names:
        cells = rng.uniform(0, 255, (bands, 24, 26))
        image = np.kron(cells, np.ones((5, 5))).astype("uint8")
        write(folder / f"{name}.tif", image, origin=(500.0, 900.0), pixel=1.0)
    return folder
