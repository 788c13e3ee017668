"""int8 weights of a finished network: calibrated on what its recipe trains on.

The trained part alone is quantised. What enters it is divided by the contrast of the plane that
it was drawn from, as a run does with the contrast of a raster's band: see `geosr.contrast`. Bands
that the network sees together have one contrast.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geosr.contrast import common_contrast
from geosr.core.catalog import WEIGHTS_DIR
from geosr.core.errors import ModelFileError, OutputError
from geosr.core.facts import ModelFacts
from geosr.predictors import Machinery, load_predictor, verified_file
from geosr.radiometry import high_pass
from geosr.runtimes.int8 import write_int8
from geosr.training.patches import Pool, draw_batch, load_pools
from geosr.training.recipe import Recipe

PLANES, PATCHES = 64, 4
"""Draws of a plane for calibration, and patches of each."""

CHECKED = 32
"""Further draws, on which int8 is compared with float32."""

Float32 = NDArray[np.float32]


def export_int8(facts: ModelFacts, data_dir: str | Path, out_dir: str | Path) -> Path:
    """Quantise a model, and write it with its float files and a card; return the card's path.

    ``int8_error`` of the card is the largest difference from float32 seen on further training
    patches, per 10,000 of a band's range. The same model and images give the same files.

    Parameters
    ----------
    facts
        A network of the contract with an ONNX file and a recipe in its card.
    data_dir
        What the recipe's sources are relative to.
    out_dir
        May be the folder where the model lies; its card then gains the new files.

    Raises
    ------
    ModelFileError
        If the model has no ONNX file or no recipe.
    InputFileError
        If the training images are not there.
    MissingDependencyError
        If NNCF is not installed.
    OutputError
        If something cannot be written.
    """
    out_dir = Path(out_dir)
    recipe = _recipe_of(facts)
    onnx_path = verified_file(facts, "onnx", Path(facts.folder or WEIGHTS_DIR))
    files = {"int8": f"{facts.name}.int8.xml", "int8_bin": f"{facts.name}.int8.bin"}
    s = facts.upscale_factor
    side = (recipe.patch_of(s) + 2 * facts.radius) * s
    pool = load_pools(recipe, data_dir, side=side)[0].of_side(side)
    drawn = _scaled_patches(pool, recipe, facts, PLANES + CHECKED)
    samples = [high_pass(low)[None] for low, _ in (next(drawn) for _ in range(PLANES * PATCHES))]
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        _copy_floats(facts, out_dir)
        cut = facts.tensors["detail_in"], facts.tensors["detail_out"]
        write_int8(onnx_path, cut, samples, out_dir / files["int8"])
        digests = {
            kind: hashlib.sha256((out_dir / name).read_bytes()).hexdigest()
            for kind, name in files.items()
        }
        done = replace(
            facts, files={**facts.files, **files}, sha256={**facts.sha256, **digests}, folder=""
        )
        done = replace(done, int8_error=_largest_difference(done, out_dir, drawn))
        card = out_dir / f"{facts.name}.json"
        card.write_text(done.to_card(), encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"Nothing can be written to {out_dir}: {error.strerror}.",
            hint="Use another folder for --out.",
        ) from error
    return card


def _recipe_of(facts: ModelFacts) -> Recipe:
    recipe = facts.training.get("recipe")
    if facts.steps or facts.is_kernel or "onnx" not in facts.files or not recipe:
        raise ModelFileError(
            f"{facts.name} cannot be made int8: that takes one network with an ONNX file, and "
            "the recipe in its card.",
            hint="Name a model that `geosr train` has made; for a composed one, each of its steps.",
        )
    return Recipe.from_dict(recipe, f"The recipe of {facts.name}")


def _scaled_patches(
    pool: Pool, recipe: Recipe, facts: ModelFacts, count: int
) -> Iterator[tuple[Float32, float]]:
    """Yield patches ``(bands, h, w)`` over their plane's contrast, `PATCHES` of each of ``count``.

    With each comes that contrast.
    """
    rng = np.random.default_rng(recipe.seed)
    for step in range(count):
        one = Pool((pool.draw(rng),), np.ones(1))
        low, _ = draw_batch(
            one, recipe, halo=facts.radius, step=step, upscale_factor=facts.upscale_factor
        )
        images = np.moveaxis(low, -1, 1)
        scale = common_contrast([high_pass(band) for band in images.swapaxes(0, 1)])
        for patch in images[:PATCHES]:
            yield patch / np.float32(scale), scale


def _largest_difference(
    facts: ModelFacts, folder: Path, drawn: Iterator[tuple[Float32, float]]
) -> float:
    exact, quick = (
        load_predictor(facts, Machinery("openvino", "cpu", precision, 1), folder=folder)
        for precision in ("float32", "int8")
    )
    worst = max(
        scale * float(np.abs(exact.predict(low) - quick.predict(low)).max()) for low, scale in drawn
    )
    return round(10_000 * worst + 0.5)


def _copy_floats(facts: ModelFacts, out_dir: Path) -> None:
    for kind, name in facts.files.items():
        source, target = Path(facts.folder or WEIGHTS_DIR) / name, out_dir / name
        if kind in ("keras", "onnx") and source.resolve() != target.resolve():
            target.write_bytes(source.read_bytes())
