# SPDX-License-Identifier: GPL-2.0-or-later
"""The parameters of Super-resolve raster."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDistance,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRange,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterString,
)

from ..translation import tr
from . import parameters as make
from .base import for_option

AS_INPUT = "as input"
_DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]


def what_parameters() -> list[Any]:
    """Return those that say what is made."""
    return [
        make.layer_parameter(
            "INPUT",
            tr("Raster layer"),
            tr("Any raster that lies in a file or at an address. No web maps."),
        ),
        for_option(make.model_parameter(), "--model"),
        make.model_file_parameter(
            tr(
                "A card (.json) that 'Adapt a model' or 'Train a model' wrote, or a network as "
                ".onnx or .keras file."
            )
        ),
        for_option(
            make.factor_parameter(
                tr("Output pixels per input pixel and side. Not set: 2, or the model's only one.")
            ),
            "--factor",
        ),
        _resolution(),
        for_option(
            make.bands_parameter("INPUT", tr("Bands of the result, in this order. None: all.")),
            "--bidx",
        ),
        _extent(),
        _consistency(),
        _nodata(),
    ]


def output_parameters() -> list[Any]:
    """Return those for the results."""
    output = QgsProcessingParameterRasterDestination("OUTPUT", tr("Super-resolved"))
    uncertainty = QgsProcessingParameterRasterDestination(
        "UNCERTAINTY", tr("Uncertainty"), None, optional=True, createByDefault=False
    )
    about = tr(
        "A second raster: the standard deviation of each pixel's error, in units of the bands. "
        "Not every model can tell it."
    )
    return [
        make.helped(output, tr("A cloud-optimised GeoTIFF with the style of the input.")),
        for_option(make.helped(uncertainty, about), "--uncertainty"),
    ]


def how_parameters() -> list[Any]:
    """Return the advanced ones: most change speed and memory, not the result."""
    return [
        _advanced(
            make.number("TILE_SIZE", tr("Tile size"), minimum=16),
            "--tile-size",
            tr(
                "Side of what the network sees at once, in input pixels. Less needs less memory; "
                "the result is the same."
            ),
        ),
        _auto("DEVICE", tr("Device"), ["cpu", "gpu"], tr("Where the network runs.")),
        _auto(
            "PRECISION",
            tr("Precision"),
            ["float32", "bfloat16", "int8"],
            tr("Number format inside the network. bfloat16 and int8 are quicker and less exact."),
        ),
        _auto("RUNTIME", tr("Runtime"), ["openvino", "tensorflow"], tr("What runs the network.")),
        _advanced(
            make.number("WORKERS", tr("Processes"), minimum=1),
            "--workers",
            tr("Processes that share the work. Not set: one."),
        ),
        _advanced(
            make.number("THREADS", tr("Threads"), minimum=1),
            "--threads",
            tr("Threads of each process. Not set: all cores."),
        ),
        _advanced(
            make.choice("DTYPE", tr("Data type"), [AS_INPUT, *_DTYPES], default=AS_INPUT),
            "--dtype",
            tr("Of the result."),
        ),
        _advanced(
            QgsProcessingParameterString("OPTIONS", tr("Creation options"), optional=True),
            "--co",
            tr("GDAL's, for GeoTIFF: COMPRESS=DEFLATE, several with | between."),
        ),
        *_own_model(),
    ]


def _own_model() -> list[Any]:
    model_range = QgsProcessingParameterRange(
        "MODEL_RANGE",
        tr("Values that the own model expects as 0 and 1"),
        type=make.DOUBLE,
        optional=True,
    )
    head = QgsProcessingParameterFile(
        "UNCERTAINTY_MODEL",
        tr("Uncertainty model"),
        optional=True,
        fileFilter=make.NETWORK_FILES.format(tr("Cards")),
    )
    return [
        _advanced(
            model_range, "--model-range", tr("Only for an .onnx or .keras file without a card.")
        ),
        _advanced(
            head,
            "--uncertainty-model",
            tr("Card of what tells the uncertainty. Not set: the model's own."),
        ),
    ]


def _resolution() -> Any:
    resolution = QgsProcessingParameterDistance(
        "RESOLUTION", tr("Pixel size"), None, "INPUT", optional=True, minValue=0.0
    )
    about = tr(
        "Pixel size of the result in units of the layer's CRS, in place of a factor. The result "
        "has it exactly."
    )
    return for_option(make.helped(resolution, about), "--resolution")


def _extent() -> Any:
    extent = QgsProcessingParameterExtent("EXTENT", tr("Extent"), optional=True)
    about = tr("Part of the raster, in any CRS; it is widened to whole pixels. Not set: all of it.")
    return for_option(make.helped(extent, about), "--bounds")


def _consistency() -> Any:
    consistency = QgsProcessingParameterBoolean(
        "CONSISTENCY", tr("Keep the mean of each input pixel"), True
    )
    about = tr(
        "Each block of output pixels averages to its input pixel, so that sums and indices stay "
        "what they were. Networks only: interpolation never does."
    )
    return for_option(make.helped(consistency, about), "--no-consistency")


def _nodata() -> Any:
    nodata = QgsProcessingParameterNumber(
        "NODATA", tr("Nodata value of the result"), type=make.DOUBLE, optional=True
    )
    return for_option(make.helped(nodata, tr("Not set: the input's.")), "--nodata")


def _auto(name: str, title: str, others: list[str], about: str) -> Any:
    parameter = make.choice(name, title, ["auto", *others], default="auto")
    return _advanced(parameter, "--" + name.lower(), about)


def _advanced(parameter: Any, option: str, about: str) -> Any:
    return for_option(make.helped(parameter, about, advanced=True), option)
