"""Surface reflectance of what the landscape is made of: blue, green, red, near infrared.

The values are typical of spectral libraries, rounded; no library was copied.
"""

from __future__ import annotations

Spectrum = tuple[float, float, float, float]

SOIL: Spectrum = (0.078, 0.108, 0.142, 0.205)
DARK_SOIL: Spectrum = (0.056, 0.074, 0.096, 0.140)
PALE_SOIL: Spectrum = (0.105, 0.142, 0.186, 0.258)
GRAVEL: Spectrum = (0.135, 0.165, 0.195, 0.245)
SAND: Spectrum = (0.145, 0.185, 0.218, 0.275)
ASPHALT: Spectrum = (0.076, 0.088, 0.098, 0.122)
OLD_ASPHALT: Spectrum = (0.096, 0.110, 0.122, 0.150)
PAVING: Spectrum = (0.102, 0.126, 0.146, 0.185)
CONCRETE: Spectrum = (0.180, 0.205, 0.222, 0.250)
PAINT: Spectrum = (0.520, 0.530, 0.530, 0.540)

GRASS: Spectrum = (0.042, 0.084, 0.056, 0.370)
DRY_GRASS: Spectrum = (0.062, 0.100, 0.100, 0.300)
LUSH_GRASS: Spectrum = (0.032, 0.072, 0.036, 0.450)
REED: Spectrum = (0.048, 0.078, 0.066, 0.270)
DECIDUOUS: Spectrum = (0.026, 0.053, 0.030, 0.360)
PALE_LEAVES: Spectrum = (0.032, 0.068, 0.038, 0.420)
CONIFER: Spectrum = (0.022, 0.038, 0.027, 0.235)
WATER: Spectrum = (0.042, 0.046, 0.029, 0.012)
SHALLOWS: Spectrum = (0.060, 0.078, 0.062, 0.032)

ROOFS: tuple[Spectrum, ...] = (
    (0.066, 0.088, 0.178, 0.215),  # clay tiles
    (0.072, 0.100, 0.205, 0.250),
    (0.060, 0.076, 0.140, 0.175),
    (0.064, 0.072, 0.092, 0.120),  # brown concrete tiles
    (0.068, 0.072, 0.076, 0.084),  # slate
    (0.098, 0.104, 0.110, 0.122),
    (0.175, 0.190, 0.200, 0.220),  # fibre cement
)
HALLS: tuple[Spectrum, ...] = (
    (0.330, 0.345, 0.352, 0.365),  # white membrane
    (0.240, 0.255, 0.262, 0.280),  # metal
    (0.190, 0.165, 0.130, 0.150),  # blue sheet
    (0.140, 0.150, 0.158, 0.170),  # bitumen and gravel
)
CARS: tuple[Spectrum, ...] = (
    (0.420, 0.420, 0.420, 0.420),
    (0.200, 0.205, 0.210, 0.220),
    (0.040, 0.042, 0.045, 0.060),
    (0.060, 0.050, 0.240, 0.280),
    (0.220, 0.120, 0.070, 0.090),
)
SOLAR_PANEL: Spectrum = (0.062, 0.052, 0.046, 0.062)
TARTAN: Spectrum = (0.070, 0.078, 0.250, 0.300)

SOIL_LINES: tuple[Spectrum, ...] = (SOIL, DARK_SOIL, PALE_SOIL)
