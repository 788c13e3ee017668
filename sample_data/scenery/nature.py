"""Water, woods and single trees."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from . import spectra
from .canvas import (
    SUN,
    Array,
    Canvas,
    Patch,
    fractal,
    hashed,
    line_distance,
    noise,
    shadow_offset,
    turned,
    warp,
)
from .land import Land, mix
from .layout import BROOK, FORESTS, LAKES, RIVER, VILLAGE_LINES, is_built_or_wooded, is_open

Distance = Callable[[Array, Array], Array]


def paint_water(canvas: Canvas) -> None:
    """Paint river, brook and lakes with their banks: grass, reed or sand, shallows, depth."""
    patch = canvas.patch()
    if patch is None:
        return
    bank = _water_distance(patch)
    if not (bank < 60).any():
        return
    wet = np.clip(1.1 - bank / 45 + 0.35 * fractal(patch.x, patch.y, 50, 21), 0, 1)
    lush = np.clip(0.4 + 0.3 * fractal(patch.x, patch.y, 35, 22), 0, 1)
    meadow = mix(spectra.LUSH_GRASS, spectra.DRY_GRASS, lush)
    patch.blend(np.clip(wet * 3, 0, 1), meadow)
    sandy = np.clip(0.15 + 0.7 * noise(patch.x, patch.y, 130, 23), 0, 1)
    shore = mix(spectra.REED, spectra.SAND, sandy)
    shore *= 1 + 0.10 * fractal(patch.x, patch.y, 10, 24, octaves=3)
    patch.blend(patch.cover(bank - 3.5 - 2.0 * noise(patch.x, patch.y, 25, 25), soft=1.5), shore)
    depth = np.clip(-bank / 13 + 0.15 * fractal(patch.x, patch.y, 60, 26), 0, 1)
    water = mix(spectra.SHALLOWS, spectra.WATER, depth)
    water *= 1 + 0.035 * fractal(patch.x, patch.y, 40, 27)
    patch.blend(patch.cover(bank, soft=0.8), water)


def _water_distance(patch: Patch) -> Array:
    x, y = patch.x, patch.y
    wobble = 3.5 * fractal(x, y, 45, 28, octaves=4)
    river, along = line_distance(x, y, RIVER, 130.0)
    bank = np.abs(river) - 17 - 5 * np.sin(along / 140) + wobble
    brook, _ = line_distance(x, y, BROOK, 100.0)
    bank = np.minimum(bank, np.abs(brook) - 2.6 + 0.4 * wobble)
    for centre, half, angle in LAKES:
        u, v = turned(x, y, np.array(centre, np.float64), angle)
        off = (np.hypot(u / half[0], v / half[1]) - 1) * min(half)
        bank = np.minimum(bank, off + 3.2 * wobble)
    return np.asarray(bank)


def paint_forests(canvas: Canvas) -> None:
    """Paint woods crown by crown; those whose middle lies inside the wood are there."""
    for number, (centre, half, _, conifers) in enumerate(FORESTS):
        inside = partial(_wood_distance, number)
        patch = canvas.around(np.array([centre], np.float64), max(half) + 120)
        if patch is None:
            continue
        shift = shadow_offset(17.0)
        floor = inside(patch.x, patch.y)
        patch.blend(patch.cover(floor - 7, soft=4.0), spectra.REED)
        reaches = [inside(patch.x - shift[0] * t, patch.y - shift[1] * t) for t in (0.4, 0.7, 1.0)]
        shadow = np.minimum.reduce(reaches) + 2 * noise(patch.x, patch.y, 8, 31)
        patch.shade(patch.cover(np.minimum(shadow, floor), soft=3.0))
        for spacing, share in ((8.0, conifers), (12.0, conifers * 0.5)):
            _paint_canopy(patch, inside, spacing=spacing, conifers=share, seed=400 + number)


def _wood_distance(number: int, x: Array, y: Array) -> Array:
    """Return distance to the edge of a wood, or to the ride that divides it."""
    centre, half, angle, _ = FORESTS[number]
    u, v = turned(x, y, np.array(centre, np.float64), angle)
    off = ((np.abs(u) / half[0]) ** 2.3 + (np.abs(v) / half[1]) ** 2.3) ** (1 / 2.3) - 1
    edge = off * min(half) + 34 * fractal(x, y, 240, 300 + number, octaves=4)
    ride = 5.0 - np.abs(u - 0.3 * half[0] + 12 * noise(u, v, 200, 300 + number))
    return np.maximum(edge, ride)


def _paint_canopy(
    patch: Patch, inside: Distance, *, spacing: float, conifers: float, seed: int
) -> None:
    """Paint the crown that stands highest over each sample: paraboloids on a shaken grid."""
    top = np.full(patch.x.shape, 0.0)
    light, shade_of, kind = np.zeros_like(top), np.zeros_like(top), np.zeros_like(top)
    ci = np.floor(patch.x / spacing).astype(np.int64)
    cj = np.floor(patch.y / spacing).astype(np.int64)
    for di in (-1, 0, 1):
        for dj in (-1, 0, 1):
            i, j = ci + di, cj + dj
            px = (i + 0.15 + 0.7 * hashed(i, j, seed)) * spacing
            py = (j + 0.15 + 0.7 * hashed(i, j, seed + 1)) * spacing
            size = spacing * (0.52 + 0.24 * hashed(i, j, seed + 2))
            dx, dy = (patch.x - px) / size, (patch.y - py) / size
            there = hashed(i, j, seed + 3) < (1.0 if spacing < 10 else 0.25)
            z = np.where(there & (inside(px, py) < 0), 1.0 - dx * dx - dy * dy, 0.0)
            z *= 0.7 + 0.6 * hashed(i, j, seed + 4)
            higher = z > top
            top = np.where(higher, z, top)
            light = np.where(higher, dx * SUN[0] + dy * SUN[1], light)
            shade_of = np.where(higher, hashed(i, j, seed + 5), shade_of)
            stand = 0.5 + 0.28 * noise(px, py, 130, seed + 6)
            kind = np.where(higher, 0.8 * stand + 0.2 * hashed(i, j, seed + 7), kind)
    leaves = mix(spectra.DECIDUOUS, spectra.PALE_LEAVES, shade_of)
    needles = np.array(spectra.CONIFER)[:, None, None]
    colour = leaves + (kind < conifers) * (needles - leaves)
    colour = colour * (0.74 + 0.30 * np.sqrt(np.clip(top, 0, 1)) + 0.19 * light)
    colour *= 1 + 0.05 * fractal(patch.x, patch.y, 90, seed + 8, octaves=4)
    patch.blend(np.clip(top * 7, 0, 1), colour)


def plant_trees(land: Land, *, seed: int) -> Array:
    """Return ``(n, 4)``: x, y, crown radius and kind of trees in hedges, on banks, alone."""
    rng = np.random.default_rng(seed)
    places = [
        _along(cut, rng, gap=6.0) for depth, cut in land.cuts if depth > 2 and rng.random() < 0.20
    ]
    for line, width, density in ((RIVER, 27.0, 0.30), (BROOK, 7.0, 0.50)):
        for side in (-1, 1):
            row = _beside(line, side * width, rng)
            clumps = noise(row[:, 0], row[:, 1], 110, 41 + side) > 1.2 - 3 * density
            places.append(row[clumps])
    hedges = np.vstack(places)
    hedges = hedges[is_open(hedges, room=-6.0) & ~is_built_or_wooded(hedges)]
    single = rng.uniform((0, 0), (3100, 2700), (170, 2))
    single = single[is_open(single, room=4.0)]
    lines = np.vstack(VILLAGE_LINES)
    garden = lines[rng.integers(len(lines), size=700)] + rng.normal(0, 26, (700, 2))
    single = np.vstack([single, garden[is_open(garden, room=2.0)]])
    points = np.vstack([hedges, single])
    radius = np.concatenate(
        [rng.uniform(2.0, 4.6, len(hedges)), rng.uniform(2.4, 5.5, len(single))]
    )
    return np.column_stack([points, radius, rng.random(len(points))])


def _along(cut: Array, rng: np.random.Generator, *, gap: float) -> Array:
    length = np.hypot(*(cut[1] - cut[0]))
    steps = np.arange(4.0, length, gap) / length
    steps = steps[rng.random(len(steps)) < 0.85]
    points = cut[0] + steps[:, None] * (cut[1] - cut[0]) + rng.normal(0, 1.1, (len(steps), 2))
    return unbent(points)


def unbent(points: Array) -> Array:
    """Return where ``points`` of the parcels' bent frame lie on the map."""
    bent = np.column_stack(warp(points[:, 0], points[:, 1]))
    return np.asarray(2 * points - bent)


def _beside(line: Array, offset: float, rng: np.random.Generator) -> Array:
    tangent = np.gradient(line, axis=0)
    normal = np.column_stack([-tangent[:, 1], tangent[:, 0]]) / np.hypot(*tangent.T)[:, None]
    row = np.repeat(line + normal * offset, 2, axis=0)
    return row + rng.normal(0, 4.5, row.shape)


def paint_trees(canvas: Canvas, trees: Array) -> None:
    """Paint all shadows first, then the crowns, lit from the sun's side."""
    for x, y, radius, _ in trees:
        tip = shadow_offset(2.1 * radius)
        ends = np.array([(x, y), (x + tip[0], y + tip[1])])
        patch = canvas.around(ends, 2 * radius)
        if patch is not None:
            t = np.clip(((patch.x - x) * tip[0] + (patch.y - y) * tip[1]) / (tip @ tip), 0, 1)
            off = np.hypot(patch.x - x - t * tip[0], patch.y - y - t * tip[1])
            patch.shade(0.9 * patch.cover(off - 0.9 * radius))
    for number, (x, y, radius, kind) in enumerate(trees):
        patch = canvas.around(np.array([(x, y)]), 1.4 * radius)
        if patch is None:
            continue
        dx, dy = (patch.x - x) / radius, (patch.y - y) / radius
        lumps = 0.22 * noise(patch.x, patch.y, 0.8 * radius, 500 + number % 50)
        lit = 0.86 + 0.30 * (dx * SUN[0] + dy * SUN[1]) + 0.25 * lumps
        one = (spectra.DECIDUOUS, spectra.PALE_LEAVES, spectra.CONIFER)[int(kind * 2.3)]
        colour = np.array(one)[:, None, None] * lit
        patch.blend(patch.cover((np.hypot(dx, dy) - 1 - lumps) * radius), colour)
