"""Roads: a motorway with its junction, public roads, streets, farm tracks; and cars."""

from __future__ import annotations

import numpy as np

from . import spectra
from .canvas import Array, Canvas, Patch, box_distance, fractal, line_distance, shadow_offset
from .land import Land, mix
from .layout import (
    CROSSING,
    MAIN_ROAD,
    MOTORWAY,
    PUBLIC_ROADS,
    RAMPS,
    ROUNDABOUT,
    STREETS,
    WORKS_STREETS,
)
from .nature import unbent
from .spectra import Spectrum


def paint_tracks(canvas: Canvas, land: Land) -> None:
    """Paint farm tracks along the rougher cuts between parcels."""
    for depth, cut in land.cuts:
        if depth in (2, 3, 4):
            steps = np.linspace(0, 1, max(3, int(np.hypot(*(cut[1] - cut[0])) / 25)))[:, None]
            _track(canvas, unbent(cut[0] + steps * (cut[1] - cut[0])), grassy=depth == 4)


def paint_roads(canvas: Canvas) -> None:
    """Paint all paved roads, minor ones first, so that the greater cross over them."""
    for line in (*STREETS, *WORKS_STREETS):
        _road(canvas, line, 3.0, spectra.OLD_ASPHALT, dashes=False)
    for line in PUBLIC_ROADS:
        _road(canvas, line, 4.0, spectra.ASPHALT, dashes=True)
    _roundabout(canvas)
    _motorway(canvas)
    for line in RAMPS:
        _road(canvas, line, 3.6, spectra.ASPHALT, dashes=False)
    _overpass(canvas)
    _traffic(canvas)


def _worn(patch: Patch, colour: Spectrum, seed: int) -> Array:
    """Return an uneven pavement: patches of repair, wear along it."""
    wear = fractal(patch.x, patch.y, 60, seed) * 0.05
    return np.asarray(np.array(colour)[:, None, None] * (1 + wear))


def _stroke(patch: Patch, distance: Array, width: float) -> Array:
    """Return the cover of a line thinner than a sample."""
    share = min(1.0, width / patch.step)
    return np.asarray(share * np.clip(1 - np.abs(distance) / patch.step, 0, 1))


def _track(canvas: Canvas, line: Array, *, grassy: bool) -> None:
    patch = canvas.around(line, 12.0)
    if patch is None:
        return
    off, _ = line_distance(patch.x, patch.y, line, 12.0)
    off = off + 0.5 * fractal(patch.x, patch.y, 30, 61)
    verge = mix(
        spectra.GRASS,
        spectra.DRY_GRASS,
        np.clip(0.6 + 0.3 * fractal(patch.x, patch.y, 20, 62), 0, 1),
    )
    patch.blend(patch.cover(np.abs(off) - 3.8), verge)
    gravel = spectra.SOIL if grassy else spectra.GRAVEL
    patch.blend(patch.cover(np.abs(off) - 1.7) * (0.8 if grassy else 1.0), _worn(patch, gravel, 63))
    patch.blend(0.55 * _stroke(patch, off, 0.9), verge)


def _road(canvas: Canvas, line: Array, half: float, colour: Spectrum, *, dashes: bool) -> None:
    patch = canvas.around(line, half + 8)
    if patch is None:
        return
    off, along = line_distance(patch.x, patch.y, line, half + 6)
    off_side = np.abs(off)
    patch.blend(0.85 * patch.cover(off_side - half - 2.4, soft=1.0), spectra.DRY_GRASS)
    patch.blend(patch.cover(off_side - half), _worn(patch, colour, 64))
    if dashes:
        dash = (along % 18.0) < 9.0
        patch.blend(_stroke(patch, off, 0.12) * dash, spectra.PAINT)
        patch.blend(_stroke(patch, off_side - half + 0.5, 0.12), spectra.PAINT)


def _roundabout(canvas: Canvas) -> None:
    patch = canvas.around(ROUNDABOUT[None], 30.0)
    if patch is None:
        return
    off = np.hypot(patch.x - ROUNDABOUT[0], patch.y - ROUNDABOUT[1])
    patch.blend(patch.cover(off - 20), _worn(patch, spectra.ASPHALT, 65))
    patch.blend(patch.cover(off - 11.5), spectra.PAINT)
    patch.blend(patch.cover(off - 10.5), spectra.LUSH_GRASS)
    patch.blend(patch.cover(off - 3.5), spectra.DECIDUOUS)


def _motorway(canvas: Canvas) -> None:
    patch = canvas.around(MOTORWAY, 40.0)
    if patch is None:
        return
    off, along = line_distance(patch.x, patch.y, MOTORWAY, 36.0)
    side = np.abs(off)
    verge = mix(
        spectra.GRASS,
        spectra.DRY_GRASS,
        np.clip(0.5 + 0.3 * fractal(patch.x, patch.y, 30, 66), 0, 1),
    )
    patch.blend(patch.cover(side - 21.0, soft=2.0), verge)
    patch.blend(patch.cover(np.abs(side - 8.0) - 6.2), _worn(patch, spectra.OLD_ASPHALT, 67))
    patch.blend(patch.cover(np.abs(side - 6.2) - 3.7) * 0.5, spectra.ASPHALT)
    patch.blend(_stroke(patch, off, 0.6), spectra.CONCRETE)
    for at, width in ((2.5, 0.15), (9.9, 0.2)):
        patch.blend(_stroke(patch, side - at, width), spectra.PAINT)
    patch.blend(_stroke(patch, side - 6.2, 0.12) * ((along % 18) < 6), spectra.PAINT)


def _overpass(canvas: Canvas) -> None:
    """Paint the bridge of the main road over the motorway, and its shadow."""
    near = MAIN_ROAD[np.hypot(*(MAIN_ROAD - CROSSING).T) < 42.0]
    patch = canvas.around(near, 30.0)
    if patch is None:
        return
    shift = shadow_offset(8.0)
    cast, _ = line_distance(patch.x - shift[0], patch.y - shift[1], near, 14.0)
    patch.shade(0.85 * patch.cover(np.abs(cast) - 5.2))
    off, along = line_distance(patch.x, patch.y, near, 14.0)
    patch.blend(patch.cover(np.abs(off) - 5.6), spectra.CONCRETE)
    patch.blend(patch.cover(np.abs(off) - 4.2), _worn(patch, spectra.ASPHALT, 68))
    patch.blend(_stroke(patch, off, 0.12) * ((along % 18) < 9), spectra.PAINT)


def _traffic(canvas: Canvas) -> None:
    """Paint cars and lorries on the motorway, some on the main road."""
    rng = np.random.default_rng(69)
    for line, lanes, number in ((MOTORWAY, (4.4, 8.0), 95), (MAIN_ROAD, (2.0,), 26)):
        tangent = np.gradient(line, axis=0)
        for _ in range(number):
            at = int(rng.integers(1, len(line) - 1))
            direction = tangent[at] / np.hypot(*tangent[at])
            lane = float(rng.choice(lanes)) * rng.choice((-1, 1))
            lorry = abs(lane) > 6 and rng.random() < 0.5
            colour = spectra.CARS[0 if lorry else int(rng.integers(len(spectra.CARS)))]
            middle = line[at] + lane * np.array([-direction[1], direction[0]])
            paint_vehicle(canvas, middle, direction, (8.0, 1.35) if lorry else (2.3, 0.95), colour)


def paint_vehicle(
    canvas: Canvas, middle: Array, direction: Array, half: tuple[float, float], colour: Spectrum
) -> None:
    """Paint a car with its shadow."""
    patch = canvas.around(middle[None], 16.0)
    if patch is None:
        return
    angle = float(np.arctan2(direction[1], direction[0]))
    shadow = middle + shadow_offset(2.0 if half[0] < 4 else 4.0)
    patch.shade(0.8 * patch.cover(box_distance(patch.x, patch.y, shadow, half, angle)))
    patch.blend(patch.cover(box_distance(patch.x, patch.y, middle, half, angle)), colour)
