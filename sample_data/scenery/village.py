"""The village: gardens, houses along the streets, a church, a pitch, works with halls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from . import spectra
from .canvas import (
    SUN,
    Array,
    Canvas,
    Patch,
    box_distance,
    fractal,
    line_distance,
    noise,
    shadow_offset,
    turned,
)
from .land import mix
from .layout import (
    CAR_PARK,
    CHURCH,
    PITCH,
    PUBLIC_ROADS,
    ROUNDABOUT,
    STREETS,
    VILLAGE_LINES,
    WORKS_STREETS,
    distance_to,
)
from .roads import paint_vehicle
from .spectra import Spectrum


@dataclass(frozen=True)
class Building:
    """A block: middle, half sides, turn, height and roof; gabled along its first side or flat."""

    middle: Array
    half: tuple[float, float]
    angle: float
    height: float
    roof: Spectrum
    gabled: bool = True


def paint_village_ground(canvas: Canvas) -> None:
    """Paint gardens and yards along the streets, asphalt and lawns around the works."""
    for line in VILLAGE_LINES:
        patch = canvas.around(line, 95.0)
        if patch is not None:
            off, _ = line_distance(patch.x, patch.y, line, 95.0)
            edge = np.abs(off) - 54 - 12 * noise(patch.x, patch.y, 60, 71)
            patch.blend(patch.cover(edge), _gardens(patch))
    for line in WORKS_STREETS:
        patch = canvas.around(line, 90.0)
        if patch is not None:
            off, _ = line_distance(patch.x, patch.y, line, 90.0)
            edge = np.abs(off) - 66 - 6 * noise(patch.x, patch.y, 70, 84)
            yard = np.clip(0.5 + 1.6 * noise(patch.x, patch.y, 75, 72), 0, 1)
            patch.blend(patch.cover(edge), mix(spectra.OLD_ASPHALT, spectra.GRASS, yard))
    _paint_pitch(canvas)


def _gardens(patch: Patch) -> Array:
    lawn = np.clip(0.4 + 0.3 * fractal(patch.x, patch.y, 40, 73), 0, 1)
    colour = mix(spectra.GRASS, spectra.DRY_GRASS, lawn)
    for scale, seed, threshold, other in (
        (13.0, 74, 1.0, spectra.DECIDUOUS),
        (17.0, 75, 1.15, spectra.PAVING),
        (15.0, 76, 1.2, spectra.SOIL),
    ):
        share = np.clip((fractal(patch.x, patch.y, scale, seed, octaves=3) - threshold) * 4, 0, 1)
        colour += share * (np.array(other)[:, None, None] - colour)
    return colour


def build_village(*, seed: int) -> tuple[Building, ...]:
    """Return houses, barns and halls: along the streets, never on one, none touching."""
    rng = np.random.default_rng(seed)
    nave = Building(CHURCH, (14.0, 6.5), 0.15, 15.0, spectra.ROOFS[4])
    tower = Building(CHURCH - (15.5, 2.3), (4.2, 4.2), 0.15, 32.0, spectra.ROOFS[4])
    taken = [CHURCH, CHURCH - (16.0, 2.3), PITCH, ROUNDABOUT]
    houses: list[Building] = []
    lines = (*STREETS, *PUBLIC_ROADS, *WORKS_STREETS)
    for line in VILLAGE_LINES:
        for house in _row_of_houses(line, rng):
            clear = min(distance_to(house.middle[None], other).min() for other in lines)
            apart = np.hypot(*(np.array(taken) - house.middle).T).min()
            if clear > house.half[1] + 6.5 and apart > 6 + 1.15 * max(house.half):
                houses.append(house)
                taken.append(house.middle)
    halls: list[Building] = []
    taken.extend(
        CAR_PARK + np.array(corner) for corner in ((-22, -16), (22, -16), (-22, 16), (22, 16))
    )
    for line in WORKS_STREETS:
        for hall in _row_of_halls(line, rng):
            clear = min(distance_to(hall.middle[None], other).min() for other in lines)
            apart = np.hypot(*(np.array(taken) - hall.middle).T).min()
            if clear > hall.half[1] + 8 and apart > 1.25 * max(hall.half):
                halls.append(hall)
                taken.append(hall.middle)
    return (*houses, nave, tower, *halls)


def _stations(line: Array, gaps: tuple[float, float], rng: np.random.Generator) -> Iterator[Array]:
    """Yield ``(x, y, dx, dy)`` at uneven steps along a line, once for each side of it."""
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    for side in (-1.0, 1.0):
        at = rng.uniform(6, 14)
        while at < lengths[-1]:
            x, y = (np.interp(at, lengths, line[:, axis]) for axis in (0, 1))
            x1, y1 = (np.interp(at + 4, lengths, line[:, axis]) for axis in (0, 1))
            if (x1, y1) != (x, y):
                yield side * np.array([x * side, y * side, x1 - x, y1 - y])
            at += rng.uniform(*gaps)


def _row_of_houses(line: Array, rng: np.random.Generator) -> Iterator[Building]:
    for x, y, dx, dy in _stations(line, (17.0, 27.0), rng):
        angle = float(np.arctan2(dy, dx))
        inward = np.array([-np.sin(angle), np.cos(angle)])
        half = (rng.uniform(5.5, 8.5), rng.uniform(4.2, 5.6))
        turn = angle + (np.pi / 2 if rng.random() < 0.35 else 0.0) + rng.normal(0, 0.05)
        roof = spectra.ROOFS[
            int(rng.choice(len(spectra.ROOFS), p=(0.27, 0.2, 0.2, 0.1, 0.1, 0.08, 0.05)))
        ]
        middle = np.array([x, y]) + inward * rng.uniform(14, 19)
        if rng.random() < 0.93:
            yield Building(middle, half, turn, rng.uniform(6, 9), roof)
        if rng.random() < 0.35:  # a barn or workshop behind the house
            size = (rng.uniform(5, 13), rng.uniform(4, 7))
            behind = middle + inward * rng.uniform(20, 27) + rng.normal(0, 3, 2)
            yield Building(behind, size, turn + np.pi / 2 * (rng.random() < 0.5), 7.0, roof)


def _row_of_halls(line: Array, rng: np.random.Generator) -> Iterator[Building]:
    for x, y, dx, dy in _stations(line, (72.0, 105.0), rng):
        angle = float(np.arctan2(dy, dx))
        inward = np.array([-np.sin(angle), np.cos(angle)])
        half = (rng.uniform(20, 36), rng.uniform(12, 20))
        roof = spectra.HALLS[int(rng.integers(len(spectra.HALLS)))]
        middle = np.array([x, y]) + inward * (half[1] + 15)
        yield Building(middle, half, angle, rng.uniform(8, 12), roof, gabled=False)


def paint_buildings(canvas: Canvas, buildings: tuple[Building, ...]) -> None:
    """Paint the shadows of all buildings, then walls' feet and roofs."""
    for building in buildings:
        patch = canvas.around(building.middle[None], max(building.half) * 1.5 + building.height)
        if patch is not None:
            tip = shadow_offset(building.height)
            far = [
                box_distance(
                    patch.x, patch.y, building.middle + tip * t, building.half, building.angle
                )
                for t in np.linspace(0, 1, 2 + int(building.height / 2))
            ]
            patch.shade(patch.cover(np.minimum.reduce(far)))
    for number, building in enumerate(buildings):
        patch = canvas.around(building.middle[None], max(building.half) * 1.5 + 2)
        if patch is not None:
            _paint_roof(patch, building, number)
    _paint_parking(canvas)


def _paint_roof(patch: Patch, building: Building, number: int) -> None:
    u, v = turned(patch.x, patch.y, building.middle, building.angle)
    roof = np.array(building.roof)[:, None, None]
    grain = 1 + 0.05 * fractal(u, v, 12, 800 + number % 40, octaves=3)
    if building.gabled:
        facing = -np.sin(building.angle) * SUN[0] + np.cos(building.angle) * SUN[1]
        colour = roof * grain * (1 + 0.34 * facing * np.sign(v))
        colour = colour * (1 + 0.12 * np.clip(1 - np.abs(v) / patch.step, 0, 1))
    else:
        skylight = (np.abs((u + 100) % 12.0 - 6.0) < 0.9) & (np.abs(v) < 0.75 * building.half[1])
        parapet = np.maximum(np.abs(u) - building.half[0], np.abs(v) - building.half[1]) > -1.0
        colour = roof * grain + 0.16 * skylight - 0.25 * roof * parapet
        if number % 3 == 0:  # rows of panels on one half of the roof
            rows = (np.abs(v % 5.0 - 2.5) < 1.6) & (u > 2) & (u < building.half[0] - 3)
            rows &= np.abs(v) < building.half[1] - 2.5
            colour = np.where(rows, np.array(spectra.SOLAR_PANEL)[:, None, None], colour)
    patch.blend(
        patch.cover(box_distance(patch.x, patch.y, building.middle, building.half, building.angle)),
        colour,
    )


def _paint_parking(canvas: Canvas) -> None:
    """Paint a car park beside the works: asphalt, bays and cars."""
    middle, angle = CAR_PARK, 0.05
    patch = canvas.around(middle[None], 70.0)
    if patch is None:
        return
    u, v = turned(patch.x, patch.y, middle, angle)
    off = np.maximum(np.abs(u) - 34, np.abs(v) - 26)
    patch.blend(
        patch.cover(off),
        np.array(spectra.ASPHALT)[:, None, None] * (1 + 0.04 * noise(u, v, 20, 81)),
    )
    rng = np.random.default_rng(82)
    axis, across = (
        np.array([np.cos(angle), np.sin(angle)]),
        np.array([-np.sin(angle), np.cos(angle)]),
    )
    for row in (-20.0, -6.0, 6.0, 20.0):
        for bay in np.arange(-31, 32, 2.8):
            if rng.random() < 0.62:
                colour = spectra.CARS[int(rng.integers(len(spectra.CARS)))]
                paint_vehicle(
                    canvas, middle + bay * axis + row * across, across, (2.2, 0.9), colour
                )


def _paint_pitch(canvas: Canvas) -> None:
    """Paint a football pitch in mowing stripes with a running track around it."""
    patch = canvas.around(PITCH[None], 110.0)
    if patch is None:
        return
    u, v = turned(patch.x, patch.y, PITCH, 0.45)
    lane = np.hypot(np.maximum(np.abs(u) - 42.0, 0), v) - 37.0
    patch.blend(patch.cover(np.maximum(np.abs(u) - 92, np.abs(v) - 58)), spectra.GRASS)
    patch.blend(patch.cover(np.abs(lane - 4.0) - 4.0), spectra.TARTAN)
    stripe = 1 + 0.07 * np.sign(np.sin(2 * np.pi * u / 13.0))
    turf = np.array(spectra.LUSH_GRASS)[:, None, None] * (stripe + 0.02 * noise(u, v, 8, 83))
    patch.blend(patch.cover(np.maximum(np.abs(u) - 52.5, np.abs(v) - 34)), turf)
    for off in (np.maximum(np.abs(u) - 50, np.abs(v) - 31), np.hypot(u, v) - 9.15):
        patch.blend(0.3 * np.clip(1 - np.abs(off) / patch.step, 0, 1), spectra.PAINT)
    middle = 0.3 * np.clip(1 - np.abs(u) / patch.step, 0, 1) * (np.abs(v) < 31)
    patch.blend(middle, spectra.PAINT)
