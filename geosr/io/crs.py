"""Coordinate systems compared."""

from __future__ import annotations

from pyproj import CRS
from pyproj.exceptions import CRSError


def same_crs(first: str | None, second: str | None) -> bool:
    """Return whether two coordinate systems, as WKT or None, mean the same; axes in any order."""
    if first == second:
        return True
    if first is None or second is None:
        return False
    try:
        return CRS.from_wkt(first).equals(CRS.from_wkt(second), ignore_axis_order=True)
    except CRSError:
        return False
