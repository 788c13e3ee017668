"""What a run can be asked for, checked before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Mapping, Optional, Tuple, TypedDict, Union

from .errors import OptionError
from .geometry import Bounds

DEVICES = ("auto", "cpu", "gpu")
PRECISIONS = ("auto", "float32", "bfloat16", "int8")
RUNTIMES = ("auto", "openvino", "tensorflow")
FORMATS = ("cog", "gtiff", "zarr")
DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")


class UpscaleKeywords(TypedDict, total=False):
    """The fields of `UpscaleOptions` as keywords; a test keeps the two alike."""

    model: str
    upscale_factor: Optional[int]
    resolution: Optional[Union[str, float]]
    indexes: Tuple[int, ...]
    bounds: Optional[Bounds]
    bounds_crs: Optional[str]
    tile_size: Optional[int]
    dtype: Optional[str]
    nodata: Optional[float]
    format: str
    creation_options: Mapping[str, str]
    overwrite: bool
    resume: bool
    temp_dir: Optional[str]
    device: str
    precision: str
    runtime: str
    threads: Optional[int]
    workers: Optional[int]
    scheduler: Optional[str]
    consistency: bool
    model_range: Optional[Tuple[float, float]]
    uncertainty: Optional[str]
    uncertainty_model: Optional[str]


@dataclass(frozen=True)
class UpscaleOptions:
    """The options of one run.

    Attributes
    ----------
    model
        A name from ``geosr models``, or the path of an .onnx or .keras file, or of a .json card.
    upscale_factor
        Output pixels per source pixel and side; None: the model's, or 2.
    resolution
        Pixel size of the output in place of a factor: in CRS units, or in metres with an ``m``.
    indexes
        Band numbers, from 1; empty: all bands.
    bounds, bounds_crs
        ``(west, south, east, north)`` to cut out first, in ``bounds_crs`` or the raster's CRS.
    tile_size
        Side of what the network sees at once, in source pixels, its halo included. It changes
        speed and memory, never the result.
    dtype, nodata
        Of the output; None: as in the input.
    format
        One of `FORMATS`: a cloud-optimised GeoTIFF, any other GeoTIFF, or a Zarr store.
    creation_options
        GDAL's for GeoTIFF, such as ``{"COMPRESS": "DEFLATE"}``.
    overwrite
        Replace the output if it is there; it is replaced only once the run has succeeded.
    resume
        Go on with what a stopped run of the same kind has left, and leave it when stopped.
    temp_dir
        Folder where an output for object storage is made first; None: the system's.
    device, precision, runtime
        ``auto``, or one of `DEVICES`, `PRECISIONS`, `RUNTIMES`.
    threads
        Threads that run the network in each process; None: one per processor.
    workers
        Processes that share the work; None: this one does it.
    scheduler
        Address of a Dask scheduler whose workers share the work.
    consistency
        Make each block of output pixels average to its source pixel.
    model_range
        Raster values that a network without a card expects as 0 and 1.
    uncertainty
        Path of a second output, float32 in the raster's units: for each pixel, the standard
        deviation of the picture's error.
    uncertainty_model
        Card of the head that tells it; None: the one that belongs to the model.
    """

    model: str = "geosr-lite"
    upscale_factor: Optional[int] = None
    resolution: Optional[Union[str, float]] = None
    indexes: Tuple[int, ...] = ()
    bounds: Optional[Bounds] = None
    bounds_crs: Optional[str] = None
    tile_size: Optional[int] = None
    dtype: Optional[str] = None
    nodata: Optional[float] = None
    format: str = "cog"
    creation_options: Mapping[str, str] = field(default_factory=dict)
    overwrite: bool = False
    resume: bool = True
    temp_dir: Optional[str] = None
    device: str = "auto"
    precision: str = "auto"
    runtime: str = "auto"
    threads: Optional[int] = None
    workers: Optional[int] = None
    scheduler: Optional[str] = None
    consistency: bool = True
    model_range: Optional[Tuple[float, float]] = None
    uncertainty: Optional[str] = None
    uncertainty_model: Optional[str] = None

    def __post_init__(self) -> None:
        if self.upscale_factor is not None and self.resolution is not None:
            raise OptionError(
                "Both a factor and a resolution were given.",
                hint="Use either --factor or --resolution.",
            )
        if self.upscale_factor is not None and self.upscale_factor < 2:
            raise OptionError(
                f"The factor {self.upscale_factor} does not make the raster finer.",
                hint="Use a factor of 2 or more.",
            )
        if self.bounds_crs is not None and self.bounds is None:
            raise OptionError(
                "A CRS for the bounds was given, but no bounds.",
                hint="Add --bounds WEST SOUTH EAST NORTH.",
            )
        for name, number in (("threads", self.threads), ("workers", self.workers)):
            if number is not None and number < 1:
                raise OptionError(
                    f"{number} {name} cannot do anything.", hint=f"Use --{name} 1 or more."
                )
        if self.workers is not None and self.scheduler is not None:
            raise OptionError(
                "Both workers and a scheduler were given.",
                hint="Use --workers for processes of this machine, or --scheduler for a cluster's.",
            )
        if self.model_range is not None and not self.model_range[0] < self.model_range[1]:
            raise OptionError(
                "The model range {} {} is empty.".format(*self.model_range),
                hint="Give the lower value first, as in --model-range 0 10000.",
            )
        if len(set(self.indexes)) < len(self.indexes):
            raise OptionError(
                f"A band is named twice: {', '.join(map(str, self.indexes))}.",
                hint="Name each band once.",
            )
        self._check_uncertainty()
        self._check_choices()

    def _check_uncertainty(self) -> None:
        if self.uncertainty is None:
            if self.uncertainty_model is not None:
                raise OptionError(
                    "An uncertainty model was given, but no uncertainty was asked for.",
                    hint="Add --uncertainty SIGMA.tif.",
                )
            return
        if self.resolution is not None:
            raise OptionError(
                "The uncertainty is known for whole factors, not for a resolution: errors of "
                "neighbours are alike, and their mean has no deviation that could be told.",
                hint="Use --factor in place of --resolution.",
            )
        if not self.consistency:
            raise OptionError(
                "The uncertainty is that of a picture that keeps its block means.",
                hint="Leave --no-consistency out, or --uncertainty.",
            )

    def _check_choices(self) -> None:
        choices: Dict[str, Tuple[Optional[str], Tuple[str, ...]]] = {
            "device": (self.device, DEVICES),
            "precision": (self.precision, PRECISIONS),
            "runtime": (self.runtime, RUNTIMES),
            "dtype": (self.dtype, DTYPES),
            "format": (self.format, FORMATS),
        }
        for name, (value, allowed) in choices.items():
            if value is not None and value not in allowed:
                raise OptionError(
                    f"{value!r} is no {name}.", hint=f"Use one of {', '.join(allowed)}."
                )
