"""Fields: the land cut into parcels, each with a crop, sown in rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from . import spectra
from .canvas import Array, Canvas, Patch, fractal, hashed, noise, polygon_distance, turned, warp
from .spectra import Spectrum


@dataclass(frozen=True)
class Crop:
    """How a crop looks: its leaves, how much soil shows, how it was worked.

    ``swath`` is the width of one pass of the machine in metres and ``stripes`` how much passes
    differ; ``tramlines`` is the distance of the sprayer's wheel tracks, 0 for none.
    """

    leaves: Spectrum
    soil_share: float
    patchiness: float
    swath: float
    stripes: float
    tramlines: float
    weight: float


CROPS = (
    Crop((0.027, 0.058, 0.030, 0.460), 0.03, 0.10, 12, 0.05, 24, 22),  # winter wheat
    Crop((0.036, 0.076, 0.046, 0.400), 0.08, 0.14, 9, 0.06, 18, 12),  # barley
    Crop((0.085, 0.128, 0.165, 0.300), 0.05, 0.10, 9, 0.07, 24, 13),  # ripe grain
    Crop((0.050, 0.135, 0.118, 0.440), 0.02, 0.09, 12, 0.04, 24, 9),  # rape in flower
    Crop((0.030, 0.062, 0.036, 0.420), 0.45, 0.25, 6, 0.10, 0, 12),  # young maize
    Crop((0.028, 0.066, 0.032, 0.500), 0.20, 0.16, 6, 0.08, 36, 8),  # beet
    Crop((0.098, 0.130, 0.170, 0.265), 0.25, 0.15, 8, 0.16, 0, 9),  # stubble
    Crop(spectra.SOIL, 0.50, 0.50, 5, 0.09, 0, 9),  # tilled
    Crop(spectra.DARK_SOIL, 0.20, 0.40, 7, 0.16, 0, 6),  # ploughed
    Crop(spectra.GRASS, 0.05, 0.20, 14, 0.03, 0, 12),  # meadow
    Crop((0.056, 0.096, 0.082, 0.330), 0.04, 0.12, 13, 0.26, 0, 7),  # mown, hay in swaths
)
SPECIAL = {
    "solar": (2690.0, 1750.0),
    "orchard": (1330.0, 700.0),
    "vines": (2080.0, 1620.0),
    "orchard ": (1560.0, 1560.0),
}
"""Parcels near these points are no arable land."""


@dataclass(frozen=True)
class Parcel:
    """A convex field, ``(n, 2)`` corners; ``use`` is a key of `SPECIAL` or empty."""

    corners: Array
    crop: Crop
    seed: int
    use: str = ""

    @property
    def angle(self) -> float:
        """Direction of the longest side."""
        sides = np.roll(self.corners, -1, 0) - self.corners
        along = sides[np.hypot(*sides.T).argmax()]
        return float(np.arctan2(along[1], along[0]))


@dataclass(frozen=True)
class Land:
    """All parcels, and the cuts between them, roughest first."""

    parcels: tuple[Parcel, ...]
    cuts: tuple[tuple[int, Array], ...]


def divide_land(width: float, height: float, *, seed: int) -> Land:
    """Cut a rectangle into parcels as heirs do: halves of halves, long sides kept."""
    rng = np.random.default_rng(seed)
    corners = np.array(
        [(-60, -60), (width + 60, -60), (width + 60, height + 60), (-60, height + 60)]
    )
    cuts: list[tuple[int, Array]] = []
    polygons = list(_divide(corners.astype(np.float64), 0, rng, cuts))
    weights = np.array([crop.weight for crop in CROPS])
    picks = rng.choice(len(CROPS), len(polygons), p=weights / weights.sum())
    centres = np.array([polygon.mean(0) for polygon in polygons])
    uses = {int(np.hypot(*(centres - at).T).argmin()): name for name, at in SPECIAL.items()}
    return Land(
        tuple(
            Parcel(polygon, CROPS[pick], 1000 + 7 * number, uses.get(number, "").strip())
            for number, (polygon, pick) in enumerate(zip(polygons, picks, strict=True))
        ),
        tuple(cuts),
    )


def _divide(
    polygon: Array, depth: int, rng: np.random.Generator, cuts: list[tuple[int, Array]]
) -> Iterator[Array]:
    sides = np.roll(polygon, -1, 0) - polygon
    lengths = np.hypot(*sides.T)
    x, y = polygon.T
    area = 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
    if area < 52_000 * np.exp(rng.normal(0, 0.45)) and depth > 3:
        yield polygon
        return
    longest = int(lengths.argmax())
    side = sides[longest] / lengths[longest]
    slender = lengths[longest] ** 2 / area
    lengthwise = slender < 3.2 and rng.random() < 0.42 and depth > 3
    turn = rng.normal(0, 0.28 if depth < 2 else 0.05)
    direction = np.arctan2(side[1], side[0]) + turn + (0 if lengthwise else np.pi / 2)
    middle = polygon.mean(0) + rng.uniform(-0.13, 0.13) * (
        sides[longest]
        if not lengthwise
        else np.array([-side[1], side[0]]) * area / lengths[longest]
    )
    normal = np.array([-np.sin(direction), np.cos(direction)])
    low, high = _half(polygon, middle, normal), _half(polygon, middle, -normal)
    cut = np.array([p for p in low if abs((p - middle) @ normal) < 1e-6])
    cuts.append((depth, cut))
    yield from _divide(low, depth + 1, rng, cuts)
    yield from _divide(high, depth + 1, rng, cuts)


def _half(polygon: Array, point: Array, normal: Array) -> Array:
    """Return the part of a convex polygon on the negative side of a line."""
    kept = []
    for a, b in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        da, db = (a - point) @ normal, (b - point) @ normal
        if da <= 0:
            kept.append(a)
        if da * db < 0:
            kept.append(a + (b - a) * da / (da - db))
    return np.array(kept)


def paint_land(canvas: Canvas, land: Land) -> None:
    """Paint rough grass everywhere, and the parcels on it, a strip of grass apart."""
    ground = canvas.patch()
    if ground is None:
        return
    wild = np.clip(0.5 + 0.35 * fractal(ground.x, ground.y, 60, 11), 0, 1)
    ground.blend(np.ones_like(wild), mix(spectra.GRASS, spectra.DRY_GRASS, wild))
    for parcel in land.parcels:
        patch = canvas.around(parcel.corners, 30.0)
        if patch is not None:
            _paint_parcel(patch, parcel)


def _paint_parcel(patch: Patch, parcel: Parcel) -> None:
    x, y = warp(patch.x, patch.y)
    inside = polygon_distance(x, y, parcel.corners)
    if not (inside < 2).any():
        return
    alpha = patch.cover(inside + 1.6 + 0.5 * noise(patch.x, patch.y, 9, parcel.seed))
    u, v = turned(x, y, parcel.corners[0], parcel.angle)
    if parcel.use == "solar":
        colours = _solar(patch, inside)
    elif parcel.use == "orchard":
        colours = _orchard(patch, u, v, inside)
    elif parcel.use == "vines":
        colours = _vines(patch, u, v, inside)
    else:
        colours = _rows(patch, parcel, v, inside)
    patch.blend(alpha, colours)


def _rows(patch: Patch, parcel: Parcel, v: Array, inside: Array) -> Array:
    """Return the colours of a field sown across ``v``, its headland along the edge."""
    crop, seed = parcel.crop, parcel.seed
    turning = inside > -12.0
    across = np.where(turning, -inside, v)
    passes = np.floor(across / crop.swath).astype(np.int64)
    stripe = hashed(passes, turning.astype(np.int64), seed) - 0.5
    beat = np.cos(2 * np.pi * across / crop.swath)
    vigour = fractal(patch.x, patch.y, 170, seed, octaves=5, gain=0.55)
    fine = fractal(patch.x, patch.y, 14, seed + 1, octaves=3, gain=0.5)
    soil_share = crop.soil_share * (1 + 0.35 * stripe) + crop.patchiness * (
        0.55 * vigour + 0.10 * fine
    )
    if crop.tramlines:
        phase = (v / crop.tramlines + hashed(np.array(seed), 3, 5)) % 1 - 0.5
        for wheel in (-0.9, 0.9):
            off = np.abs(phase * crop.tramlines - wheel)
            soil_share = soil_share + 0.22 * np.clip(1 - off / 1.3, 0, 1) * ~turning
    soil = spectra.SOIL_LINES[seed % 3]
    colours = mix(crop.leaves, soil, np.clip(soil_share, 0, 0.92))
    return np.asarray(colours * (1 + crop.stripes * (0.8 * stripe + 0.35 * beat) + 0.012 * fine))


def _solar(patch: Patch, inside: Array) -> Array:
    """Return tables of panels in rows from west to east, their shadow north of each."""
    phase = (patch.y + 0.06 * patch.x) % 10.0
    aisle = (np.abs((patch.x % 84) - 42) < 2.5) | (inside > -9.0)
    panel = patch.cover(np.abs(phase - 6.0) - 2.6) * ~aisle
    shadow = patch.cover(np.abs(phase - 2.6) - 0.9) * ~aisle
    dry = np.clip(0.4 + 0.25 * fractal(patch.x, patch.y, 40, 77), 0, 1)
    grass = mix(spectra.GRASS, spectra.DRY_GRASS, dry) * (1 - 0.5 * shadow)
    return grass + panel * (np.array(spectra.SOLAR_PANEL)[:, None, None] - grass)


def _orchard(patch: Patch, u: Array, v: Array, inside: Array) -> Array:
    """Return fruit trees in a grid of 9 by 11 metres."""
    dry = np.clip(0.3 + 0.3 * fractal(patch.x, patch.y, 50, 78), 0, 1)
    grass = mix(spectra.GRASS, spectra.DRY_GRASS, dry)
    for du, dv, radius, what in ((2.2, 2.2, 2.7, "shadow"), (0.0, 0.0, 3.3, "crown")):
        i, j = np.floor((u + du) / 9.0), np.floor((v + dv) / 11.0)
        size = radius * (0.75 + 0.4 * hashed(i.astype(np.int64), j.astype(np.int64), 4))
        off = np.hypot(u + du - (i + 0.5) * 9.0, v + dv - (j + 0.5) * 11.0)
        cover = patch.cover(off - size) * (inside < -6)
        target = grass * 0.45 if what == "shadow" else np.array(spectra.PALE_LEAVES)[:, None, None]
        grass = grass + cover * (target - grass)
    return grass


def _vines(patch: Patch, u: Array, v: Array, inside: Array) -> Array:
    """Return hop or vine rows, 6 metres apart, with tilled ground between every other row."""
    row = patch.cover(np.abs(v % 6.0 - 3.0) - 1.1) * (inside < -5)
    tilled = (np.floor(v / 6.0) % 2 == 0) & (inside < -5)
    ground = np.where(tilled, *(np.array(s)[:, None, None] for s in (spectra.SOIL, spectra.GRASS)))
    thin = np.clip(0.85 + 0.2 * fractal(u, v, 30, 79), 0, 1)
    return np.asarray(ground + row * thin * (np.array(spectra.LUSH_GRASS)[:, None, None] - ground))


def mix(one: Spectrum, other: Spectrum, share: Array) -> Array:
    """Return ``one`` with ``share`` of the other, ``(4, height, width)``."""
    a, b = (np.array(s)[:, None, None] for s in (one, other))
    return np.asarray(a + share * (b - a))
