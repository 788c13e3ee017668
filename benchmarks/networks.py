"""List all networks: parameters, radius, multiply-adds, promises.

    python benchmarks/networks.py --out benchmarks/networks.md

Nothing is trained: weights are random. It takes about a minute on a quiet machine.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from keras import ops

from geosr.core.errors import ModelFileError
from geosr.models.cost import multiply_adds
from geosr.models.families import ARCHITECTURES, Architecture, build, finished
from geosr.models.probe import probed_radius
from geosr.models.radius import graph_radius

FACTORS = (2, 3, 4)

LARGE = 2_000_000
"""Networks of more parameters are not probed: that would take minutes each."""

SAME = {"srgan": "srresnet", "esrgan": "rrdb"}
"""Names of the generators of GANs."""

PUBLISHED = {
    "edsr-paper": {2: "1.37M", 3: "1.55M", 4: "1.52M"},
    "edsr-large-paper": {2: "40.7M", 4: "43.1M"},
    "espcn-paper": {2: "21K", 4: "25K"},
    "fsrcnn-paper": dict.fromkeys(FACTORS, "12,464 (kernels)"),
    "rcan": {4: "15.6M"},
    "rrdb-paper": {4: "16.7M"},
    "srcnn-paper": dict.fromkeys(FACTORS, "8,032 (kernels)"),
    "srcnn-955-paper": dict.fromkeys(FACTORS, "57,184 (kernels)"),
    "srresnet-paper": {4: "1.5M"},
}
"""Parameters as published; the tests say where and compare them to the last digit."""

HEAD = (
    "name",
    "form",
    "factor",
    "parameters",
    "published",
    "radius, counted",
    "probed",
    "multiply-adds for an output pixel",
    "exact tiles",
    "equivariant",
)

NOTES = """
*Form*: a network of the `contract` takes one band in any units, has no biases (those in the gates
of `rcan-local` see shares, which have no units), keeps block means and mirrors its edges. A
`paper` form is as published and for research: it takes the bands and the range of values in
brackets, and what it gives depends on them. *Parameters* are the trained ones; *kernels* are those
without biases and slopes, which some papers count alone. `geosr` and `geosr-lite` are listed in the
form that ships.

*Radius* is in source pixels: counted from the graph, and measured by changing one pixel, with the
network's own random weights and two more sets of them. A dash: not probed, because the network has
more than {large:,} parameters. Networks of the contract look at most 4 pixels further than their
paper forms, by their high-pass. `rcan` looks at the whole picture, so its tiles are blended; so are
those of `rrdb-paper` when its file is run without a card: that probe ends at 128 pixels.

*Multiply-adds* are those of all convolutions, for all bands of an output pixel; times 921,600 they
are what papers list for 1280 x 720. *Equivariant*: `f(3x + 5) = 3 f(x) + 5` to 1e-4 of the
contrast, measured where the radius was probed; (yes) follows from the form alone.

`srgan` and `esrgan` are the generators `srresnet` and `rrdb` by their other names. Their
discriminators: `unet` with {unet:,} parameters for one band (4,376,897 for three, as published),
`vgg` with {vgg:,} for one band and patches of 96 pixels.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="the table, as Markdown; else it is printed")
    arguments = parser.parse_args()
    text = "\n".join(lines()) + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


def lines() -> Iterator[str]:
    """Yield the lines of the table and what it needs to be understood."""
    from geosr.models.unet_discriminator import build_unet_discriminator
    from geosr.models.vgg_discriminator import build_vgg_discriminator

    yield "# Networks"
    yield ""
    yield "Reproduced by `python benchmarks/networks.py --out benchmarks/networks.md`."
    yield ""
    yield table_row(HEAD)
    yield table_row(["---"] * len(HEAD))
    for name, architecture in ARCHITECTURES.items():
        if name not in SAME:
            for factor in FACTORS:
                yield table_row(row(name, architecture, factor))
    unet, vgg = trained(build_unet_discriminator()), trained(build_vgg_discriminator())
    yield NOTES.format(large=LARGE, unet=unet, vgg=vgg).rstrip()


def row(name: str, architecture: Architecture, factor: int) -> list[str]:
    """Return what there is to say of a network at a factor."""
    keras.utils.set_random_seed(0)
    model = finished(build(name, factor), name)
    parameters = trained(model)
    try:
        counted = graph_radius(model)
    except ModelFileError:
        counted = None
    small = parameters <= LARGE and counted is not None
    probed = probed_radius(model, expected=counted, draws=2) if small else None
    return [
        f"`{name}`",
        form(architecture),
        str(factor),
        f"{parameters:,}",
        PUBLISHED.get(name, {}).get(factor, ""),
        "all" if counted is None else str(counted),
        "-" if probed is None else str(probed),
        f"{multiply_adds(model):,.0f}",
        "yes" if architecture.exact and counted is not None else "no, blended",
        equivariant(model, counted) if small else f"({yes(architecture.is_contract)})",
    ]


def form(architecture: Architecture) -> str:
    """Return how a network stands to the contract."""
    if architecture.value_range is None:
        return "contract"
    low, high = architecture.value_range
    return f"paper ({'luma' if architecture.bands == 1 else 'RGB'}, {low:g} to {high:g})"


def trained(model: keras.Model) -> int:
    """Return how many numbers are trained."""
    return sum(math.prod(v.shape) for v in model.trainable_variables)


def equivariant(model: keras.Model, radius: int) -> str:
    """Measure whether the network's result follows the units of its input."""
    rng = np.random.default_rng(0)
    model.set_weights([lively(variable, rng) for variable in model.weights])
    shape = (1, radius + 12, radius + 13, model.inputs[0].shape[-1])
    x = rng.uniform(0, 1, shape).astype("float32")
    y, changed = (ops.convert_to_numpy(model(v, training=False)) for v in (x, 3 * x + 5))
    return yes(bool(np.abs(changed - (3 * y + 5)).max() < 1e-4 * np.ptp(y)))


def lively(variable, rng: np.random.Generator) -> np.ndarray:
    """Return random weights that are large enough to be seen in the output."""
    shape = variable.shape
    spread = 0.1 if len(shape) < 2 else 1 / np.sqrt(math.prod(shape[:-1]))
    values = rng.normal(0, spread, shape)
    return np.abs(values) + 0.5 if variable.path.endswith("moving_variance") else values


def yes(true: bool) -> str:
    return "yes" if true else "no"


def table_row(cells) -> str:
    """Return a row of a table in Markdown."""
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
