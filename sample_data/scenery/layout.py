"""The map: where water, roads, woods and the village lie, in metres."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .canvas import Array, spline, turned


def _through(points: str) -> Array:
    """Return a smooth line through points written as "x y, x y"."""
    return spline([(float(x), float(y)) for x, y in (p.split() for p in points.split(","))])


RIVER = _through(
    "-80 905, 120 830, 330 900, 520 850, 640 1010, 600 1200, 760 1330, 900 1480, "
    "850 1680, 960 1830, 1120 1880, 1170 2060, 1050 2230, 1110 2430, 1260 2700"
)
BROOK = _through("1905 -60, 1800 190, 1650 330, 1450 420, 1230 640, 950 820, 625 990")
LAKES = (
    ((420, 1440), (205, 118), 0.5),
    ((1330, 1790), (70, 44), -0.4),
    ((1905, 2350), (34, 24), 0.2),
)
"""Centre, half axes and turn of each."""

FORESTS = (
    ((2790, 420), (330, 270), 0.4, 0.75),
    ((1620, 2270), (330, 215), -0.3, 0.35),
    ((330, 2170), (260, 330), 0.3, 0.60),
    ((1010, 250), (150, 95), -0.5, 0.15),
    ((2760, 2330), (130, 85), 0.8, 0.50),
    ((1260, 1200), (70, 42), 0.3, 0.10),
)
"""Centre, half axes, turn and share of conifers of each."""

MOTORWAY = _through("2240 -80, 2330 300, 2390 700, 2400 1150, 2350 1600, 2260 2050, 2210 2680")
MAIN_ROAD = _through(
    "-80 420, 260 520, 640 610, 960 700, 1270 830, 1520 935, 1720 1010, 1920 1110, "
    "2100 1260, 2270 1375, 2480 1440, 2700 1500, 3100 1705"
)
SOUTH_ROAD = _through(
    "1720 1010, 1690 1180, 1610 1380, 1480 1540, 1420 1720, 1290 1940, 1170 2060, "
    "960 2170, 740 2230, 560 2420, 500 2700"
)
NORTH_ROAD = _through("1720 1010, 1760 830, 1720 620, 1560 420, 1480 200, 1500 -80")
RAMPS = (
    _through("2387 860, 2381 1010, 2345 1180, 2268 1290, 2225 1349"),
    _through("2226 1352, 2258 1470, 2316 1610, 2314 1730, 2293 1830"),
    _through("2411 870, 2421 1020, 2446 1180, 2500 1310, 2540 1451"),
    _through("2535 1449, 2470 1540, 2390 1630, 2352 1730, 2326 1840"),
)
STREETS = (
    _through("1500 926, 1560 800, 1640 740, 1752 780"),
    _through("1560 800, 1450 760, 1400 800"),
    _through("1752 780, 1880 800, 1960 900, 1900 1096"),
    _through("1760 860, 1850 880, 1930 975"),
    _through("1640 740, 1620 850, 1645 975"),
    _through("1695 1160, 1800 1150, 1880 1205, 2010 1190"),
    _through("1800 1150, 1810 1070"),
    _through("1668 1240, 1560 1200, 1500 1105, 1535 942"),
    _through("1560 1200, 1500 1260, 1420 1270"),
    _through("1880 1205, 1850 1330, 1750 1370, 1640 1320"),
)
WORKS_STREETS = (
    _through("1755 640, 1900 610, 2050 600, 2170 640, 2195 730"),
    _through("2050 600, 2060 470, 1960 430, 1890 500, 1900 610"),
)
ROUNDABOUT = np.array([1720.0, 1010.0])
CHURCH = np.array([1772.0, 968.0])
PITCH = np.array([1395.0, 1010.0])
CAR_PARK = np.array([1985.0, 540.0])
CROSSING = np.array([2376.0, 1411.0])
"""Where the main road passes over the motorway."""

PUBLIC_ROADS = (MAIN_ROAD, SOUTH_ROAD, NORTH_ROAD)
VILLAGE_LINES = (*STREETS, MAIN_ROAD[85:135], SOUTH_ROAD[:24], NORTH_ROAD[:24])


def distance_to(points: Array, line: Array) -> Array:
    """Return the distance of each of ``points``, ``(n, 2)``, to the nearest vertex of a line."""
    return np.asarray(np.hypot(*(points[:, None] - line[None]).transpose(2, 0, 1)).min(1))


def is_open(points: Array, *, room: float) -> npt.NDArray[np.bool_]:
    """Return which ``points`` have ``room`` metres to roads and water."""
    away = distance_to(points, MOTORWAY) > room + 16
    for line in (*PUBLIC_ROADS, *RAMPS, *STREETS, *WORKS_STREETS):
        away &= distance_to(points, line) > room + 8
    away &= distance_to(points, RIVER) > room + 22
    for centre, half, _ in LAKES:
        away &= np.hypot(*(points - np.array(centre)).T) > room + max(half)
    return away


def is_built_or_wooded(points: Array) -> npt.NDArray[np.bool_]:
    """Return which ``points`` lie in a wood or among the works."""
    taken = np.zeros(len(points), np.bool_)
    for line in WORKS_STREETS:
        taken |= distance_to(points, line) < 72.0
    for centre, half, angle, _ in FORESTS:
        u, v = turned(points[:, 0], points[:, 1], np.array(centre, np.float64), angle)
        taken |= np.hypot(u / half[0], v / half[1]) < 1.05
    return taken
