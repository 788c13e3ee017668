"""Simulated low resolution: what a coarser sensor would have seen of the same ground.

Grids are corner-aligned: each low-resolution pixel covers a block of ``s x s`` pixels.
"""

from geosr.degrade.drawn import DEGRADATIONS, Degradation, Degrader
from geosr.degrade.noise import add_noise
from geosr.degrade.real import real
from geosr.degrade.sampling import area, bicubic, mtf
from geosr.degrade.sensors import SENSORS, band_named, check_sensor, sensor_mtf

__all__ = [
    "DEGRADATIONS",
    "SENSORS",
    "Degradation",
    "Degrader",
    "add_noise",
    "area",
    "band_named",
    "bicubic",
    "check_sensor",
    "mtf",
    "real",
    "sensor_mtf",
]
