"""How much contrast real sensors let through at their own Nyquist frequency, with sources."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from geosr.core.errors import OptionError

Both = tuple[float, float]
"""Across the track (along a row) and along the track (down a column)."""


PAN = "PAN"
"""Name of a panchromatic band."""


@dataclass(frozen=True)
class Sensor:
    """The modulation transfer of a sensor's bands at the Nyquist frequency.

    Attributes
    ----------
    bands
        By the name of the band; one number is for both directions.
    source
        Where the numbers are from.
    assumed
        Whether they are a guess at the size, because no table of them was at hand.
    """

    bands: dict[str, float | Both]
    source: str
    assumed: bool = False

    def transfer(self, band: str) -> Both:
        """Return the transfer of a band across and along the track."""
        value = self.bands[band]
        return value if isinstance(value, tuple) else (value, value)


_VIVONE = (
    "Vivone et al. (2021), 'A new benchmark based on recent advances in multispectral "
    "pansharpening', IEEE Geoscience and Remote Sensing Magazine 9(1), and its toolbox"
)

SENSORS: dict[str, Sensor] = {
    "sentinel-2": Sensor(
        {
            "B01": 0.32,
            "B02": 0.26,
            "B03": 0.28,
            "B04": 0.24,
            "B05": 0.38,
            "B06": 0.34,
            "B07": 0.34,
            "B08": 0.26,
            "B8A": 0.33,
            "B09": 0.26,
            "B11": 0.22,
            "B12": 0.23,
        },
        "ESA, Sentinel-2A in-flight values, as tabulated by Lanaras et al. (2017), "
        "'Super-resolution of multispectral multiresolution images from a single sensor', CVPR "
        "Workshops (SupReME)",
    ),
    "landsat-oli": Sensor(
        {"B2": 0.55, "B3": 0.55, "B4": 0.55, "B5": 0.53, PAN: 0.40},
        "Lee et al. (2014), 'RER, FWHM, MTF from Landsat-8 OLI lunar data', for Level 1R, before "
        "the resampling onto a map; of the products that are distributed, about 0.3 is left",
    ),
    "worldview-2": Sensor(
        {**dict.fromkeys(("C", "B", "G", "Y", "R", "RE", "N1"), 0.35), "N2": 0.27, PAN: 0.11},
        _VIVONE,
    ),
    "worldview-3": Sensor(
        {
            "C": 0.325,
            "B": 0.355,
            "G": 0.360,
            "Y": 0.350,
            "R": 0.365,
            "RE": 0.360,
            "N1": 0.335,
            "N2": 0.315,
            PAN: 0.14,
        },
        _VIVONE,
    ),
    "worldview-4": Sensor({**dict.fromkeys("BGRN", 0.23), PAN: 0.16}, _VIVONE),
    "spot-7": Sensor(
        dict.fromkeys("BGRN", 0.33),
        "Vivone et al. (2021), 'A benchmarking protocol for pansharpening: dataset, preprocessing, "
        "and quality assessment', IEEE JSTARS 14",
    ),
    "planetscope": Sensor(
        dict.fromkeys("BGRN", 0.15),
        "the middle of 0.1 to 0.2, what small satellites of its kind reach; it differs between "
        "the satellites (Anger et al., 2019, 'Assessing the sharpness of satellite images: study "
        "of the PlanetScope constellation', arXiv:1904.09159), so that a range is better",
        assumed=True,
    ),
}
"""The sensors that can be named."""


def sensor_mtf(sensor: str, band: str) -> Both:
    """Return a band's modulation transfer at Nyquist, across and along the track.

    Raises
    ------
    OptionError
        If the sensor or the band is not in the table.
    """
    check_sensor(sensor)
    known = SENSORS[sensor].bands
    if band not in known:
        raise OptionError(
            f"The table of {sensor} has no band {band!r}.", hint=f"It has {', '.join(known)}."
        )
    return SENSORS[sensor].transfer(band)


def check_sensor(sensor: str) -> None:
    """Raise `OptionError` for a sensor that is not in the table, and suggest the nearest."""
    if sensor in SENSORS:
        return
    near = difflib.get_close_matches(sensor.lower(), SENSORS, n=1, cutoff=0.5)
    meant = f"Did you mean {near[0]}? " if near else ""
    raise OptionError(
        f"There is no sensor {sensor!r} in the table.",
        hint=f"{meant}Use one of {', '.join(SENSORS)}; a recipe can say mtf_at_nyquist instead.",
    )


def band_named(sensor: str, description: str | None) -> str | None:
    """Return the band of a sensor that a raster's band description names; None: none of them.

    ``B4, central wavelength 665 nm``, as GDAL describes Sentinel-2, is ``B04``.
    """
    names = {_plain(band): band for band in SENSORS[sensor].bands}
    return names.get(_plain((description or "").split(",")[0]))


def _plain(name: str) -> str:
    return re.sub(r"(?<=[A-Z])0+(?=\d)", "", name.strip().upper())
