"""How the pixels of one raster lie on those of a finer one, by their transforms."""

from __future__ import annotations

from geosr.core.errors import UnsupportedRasterError
from geosr.io.crs import same_crs
from geosr.io.raster import RasterFacts

Line = tuple[float, float]
"""Scale and origin: ``y = scale * x + origin``."""

TOLERANCE = 0.01
"""How far the ratio of the pixel sizes may be from a whole number."""


def placed(low: RasterFacts, high: RasterFacts) -> tuple[int, tuple[Line, Line]]:
    """Return the factor between two rasters, and how rows and columns of the first go to the other.

    That is for rows and for columns ``(scale, origin)``: places count from the outer corner.

    Raises
    ------
    UnsupportedRasterError
        If they lie in different CRSs, at an angle, or their ratio is no whole number.
    """
    if low.has_transform != high.has_transform or not same_crs(low.grid.crs, high.grid.crs):
        raise UnsupportedRasterError(
            f"{low.path} and {high.path} are not in the same CRS.",
            hint="Bring the finer one to the CRS of the other with `rio warp --dst-crs`.",
        )
    if not low.has_transform:
        ratios = [n / m for n, m in zip(high.grid.shape, low.grid.shape, strict=True)]
        factor = _factor(low.path, high.path, ratios)
        return factor, ((ratios[0], 0.0), (ratios[1], 0.0))
    (row, col), (below, sideways), (across, right) = (
        high.grid.rowcol(*low.grid.xy(*corner)) for corner in ((0, 0), (1, 0), (0, 1))
    )
    row_scale, col_scale = below - row, right - col
    factor = _factor(low.path, high.path, [row_scale, col_scale])
    if max(abs(sideways - col), abs(across - row)) > 1e-3 * factor:
        raise UnsupportedRasterError(
            f"The rows of {low.path} and {high.path} are not parallel.",
            hint="Bring the finer one to the other's grid with `rio warp --like`.",
        )
    return factor, ((row_scale, row), (col_scale, col))


def _factor(low: str, high: str, ratios: list[float]) -> int:
    factor = round(sum(ratios) / 2)
    if factor < 2 or any(abs(ratio / factor - 1) > TOLERANCE for ratio in ratios):
        said = " and ".join(f"{ratio:.4g}" for ratio in dict.fromkeys(ratios))
        raise UnsupportedRasterError(
            f"A pixel of {low} is {said} pixels of {high} wide; that is no whole number of 2 or "
            "more.",
            hint="The coarser raster goes first. Resample the finer one with `rio warp --res`.",
        )
    return factor
