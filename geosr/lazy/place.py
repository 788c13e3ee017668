"""Where an array's pixels lie: its coordinates to a `GeoGrid`, and a finer one's to coordinates.

rioxarray keeps the place of an array twice: in 1-D coordinates of pixel centres, and as
``GeoTransform`` among the attributes of the grid mapping's coordinate. Slicing leaves the latter
as it was, so the coordinates are right where the two differ; but only the latter is exact.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import dask.array
import numpy as np
import xarray
from numpy.typing import NDArray

from geosr.core.errors import UnsupportedRasterError
from geosr.core.geometry import GeoGrid, Transform
from geosr.lazy.dims import Dims

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_CENTRES: tuple[Hashable, Hashable] = ("xc", "yc")
_NEAR = 0.01  # of a pixel: as far as a coordinate may lie from its place


@dataclass(frozen=True)
class Place:
    """Where the pixels of an array lie, and what says so.

    Attributes
    ----------
    grid
        Of the array; it counts pixels where nothing gives the place.
    mapping
        Name of the coordinate that holds CRS and transform; None if there is none.
    centres
        Names of the 2-D coordinates of a rotated grid, for x and y.
    is_counted
        Whether the transform only counts pixels, as rioxarray has it for a file without one.
    """

    grid: GeoGrid
    mapping: Hashable | None
    centres: tuple[Hashable, Hashable] | None
    is_counted: bool = False

    def finer(self, factor: int) -> GeoGrid:
        """Return the grid of the upscaled array."""
        finer = self.grid.upscale(factor)
        return replace(finer, transform=_IDENTITY) if self.is_counted else finer


def read_place(raster: xarray.DataArray, dims: Dims) -> Place:
    """Read where an array's pixels lie.

    Raises
    ------
    UnsupportedRasterError
        If coordinates are irregular, or lie along rows and columns without giving the place.
    """
    shape = (int(raster.sizes[dims.y]), int(raster.sizes[dims.x]))
    if min(shape) < 1:
        raise UnsupportedRasterError(f"An array of {shape[0]} x {shape[1]} pixels is empty.")
    mapping = _mapping(raster)
    given = _transform(raster, mapping)
    centres = _CENTRES if _has_centres(raster, dims) else None
    _refuse_others(raster, dims, centres or ())
    grid = GeoGrid(shape, given or _IDENTITY)
    if centres is not None or grid.is_rotated:
        return Place(_rotated(raster, dims, grid, given, centres), mapping, centres)
    a, c = _axis(raster, dims.x, given and (given[0], given[2]))
    e, f = _axis(raster, dims.y, given and (given[4], given[5]))
    grid = GeoGrid(shape, (a, 0.0, c, 0.0, e, f))
    return Place(grid, mapping, None, is_counted=given == grid.transform == _IDENTITY)


def placed(
    data: dask.array.Array, raster: xarray.DataArray, dims: Dims, place: Place, factor: int
) -> xarray.DataArray:
    """Put upscaled pixels where they belong: all coordinates of ``raster``, on the finer grid."""
    along = [name for name, coord in raster.coords.items() if {dims.y, dims.x} & set(coord.dims)]
    kept = raster.coords.to_dataset().drop_vars(along)
    finer = place.finer(factor)
    coords: dict[Hashable, xarray.Variable] = {
        name: xarray.Variable((name,), centres, raster.coords[name].attrs)
        for name, centres in zip((dims.y, dims.x), _centres(finer), strict=True)
        if name in raster.coords
    }
    if place.centres is not None:
        chunks = tuple(data.chunks[raster.dims.index(name)] for name in (dims.y, dims.x))
        for name, values in zip(place.centres, _rotated_centres(finer, chunks), strict=True):
            coords[name] = xarray.Variable((dims.y, dims.x), values, raster.coords[name].attrs)
    if place.mapping is not None:
        old = raster.coords[place.mapping]
        attrs = _mapping_attrs(old.attrs, finer, factor)
        coords[place.mapping] = xarray.Variable(old.dims, old.values, attrs, old.encoding)
    result = xarray.DataArray(data, coords=kept.coords, dims=raster.dims)
    return result.assign_coords(coords).rename(raster.name)  # None too: not the dask array's name


def renewed(attrs: Mapping[Any, Any], place: Place, factor: int) -> dict[Any, Any]:
    """Return an array's attributes with the place that older rasters have among them."""
    own = dict(attrs)
    finer = place.finer(factor)
    if "transform" in own:
        own["transform"] = finer.transform
    if "res" in own:
        own["res"] = finer.pixel_size
    return own


def _mapping(raster: xarray.DataArray) -> Hashable | None:
    default = raster.attrs.get("grid_mapping", "spatial_ref")
    name = raster.encoding.get("grid_mapping", default)
    return name if name in raster.coords else None


def _transform(raster: xarray.DataArray, mapping: Hashable | None) -> Transform | None:
    attrs = {} if mapping is None else raster.coords[mapping].attrs
    if "GeoTransform" in attrs:  # in GDAL's order
        numbers = _numbers(str(attrs["GeoTransform"]).split(), "GeoTransform")
        c, a, b, f, d, e = numbers
        return a, b, c, d, e, f
    if "transform" in raster.attrs:  # where older rasters have it
        return _numbers(raster.attrs["transform"][:6], "transform")
    return None


def _numbers(values: Any, name: str) -> Transform:
    try:
        a, b, c, d, e, f = map(float, values)
    except (TypeError, ValueError) as error:
        raise UnsupportedRasterError(
            f"The array's {name} does not hold six numbers.",
            hint="Write it anew with raster.rio.write_transform().",
        ) from error
    return a, b, c, d, e, f


def _has_centres(raster: xarray.DataArray, dims: Dims) -> bool:
    """Return whether the array has the 2-D coordinates that rioxarray gives rotated rasters."""
    found = [raster.coords[name] for name in _CENTRES if name in raster.coords]
    return [coord.dims for coord in found] == [(dims.y, dims.x)] * 2


def _refuse_others(raster: xarray.DataArray, dims: Dims, known: tuple[Hashable, ...]) -> None:
    for name, coord in raster.coords.items():
        if name in known or not {dims.y, dims.x} & set(coord.dims):
            continue
        if coord.dims != (name,):
            raise UnsupportedRasterError(
                f"The coordinate {name} has a value for each pixel along "
                f"{', '.join(map(str, coord.dims))}: it cannot be made finer.",
                hint=f"Leave it out with raster.drop_vars({name!r}).",
            )


def _axis(
    raster: xarray.DataArray, name: Hashable, given: tuple[float, float] | None
) -> tuple[float, float]:
    """Return the step along an axis, and the outer edge of its first pixel.

    ``given`` are those of the array's transform, which a slice of the array still has: its
    coordinates then lie a whole number of steps away.
    """
    if name not in raster.coords:
        return given or (1.0, 0.0)
    values, tolerance = _numeric(raster.coords[name])
    places = np.arange(values.size) + 0.5
    if given and given[0]:
        step, origin = given
        start = origin + round((values[0] - origin) / step - 0.5) * step
        if np.abs(start + places * step - values).max() <= max(_NEAR * abs(step), tolerance):
            return step, start
        if values.size == 1:
            return step, float(values[0]) - step / 2
    if values.size == 1:
        raise UnsupportedRasterError(
            f"The pixel size along {name} is not known: there is one pixel, and no transform.",
            hint=f"Add one with raster.rio.write_transform(), or use raster.drop_vars({name!r}).",
        )
    step = float(values[-1] - values[0]) / (values.size - 1)
    start = float(values[0]) - step / 2
    off = np.abs(start + places * step - values).max()
    if step == 0 or off > max(_NEAR * abs(step), tolerance):
        raise UnsupportedRasterError(
            f"The coordinate {name} is not evenly spaced.",
            hint="Bring the array to a regular grid first, as with raster.interp(), or use "
            f"raster.drop_vars({name!r}).",
        )
    return step, start


def _numeric(coord: xarray.DataArray) -> tuple[NDArray[np.float64], float]:
    """Return a coordinate's values, and how far off its dtype may have rounded them."""
    if coord.dtype.kind not in "iuf" or not np.isfinite(coord.values).all():
        raise UnsupportedRasterError(
            f"The coordinate {coord.name} holds something else than finite numbers.",
            hint=f"Leave it out with raster.drop_vars({coord.name!r}).",
        )
    values = coord.values
    rounded = values if values.dtype.kind == "f" else values.astype(np.float64)
    return values.astype(np.float64), 2 * float(np.spacing(np.abs(rounded).max()))


def _rotated(
    raster: xarray.DataArray,
    dims: Dims,
    grid: GeoGrid,
    given: Transform | None,
    centres: tuple[Hashable, Hashable] | None,
) -> GeoGrid:
    """Return the grid of a rotated raster, shifted to where a slice of it lies.

    Raises
    ------
    UnsupportedRasterError
        If its coordinates are not those of its transform.
    """
    apart = UnsupportedRasterError(
        "The array's coordinates are not those of its rotated transform.",
        hint="Leave them out with raster.drop_vars([...]); the transform gives the place.",
    )
    if given is None or dims.x in raster.coords or dims.y in raster.coords:
        raise apart
    if centres is None:
        return grid
    a, b, _, d, e, _ = grid.transform
    corners = [
        tuple(float(raster.coords[name][place]) for name in centres) for place in ((0, 0), (-1, -1))
    ]
    x, y = grid.xy(0.5, 0.5)
    east, south = corners[0][0] - x, corners[0][1] - y
    det = a * e - b * d
    col, row = round((e * east - b * south) / det), round((a * south - d * east) / det)
    x, y = grid.xy(row, col)
    moved = GeoGrid(grid.shape, (a, b, x, d, e, y))
    height, width = grid.shape
    expected = (moved.xy(0.5, 0.5), moved.xy(height - 0.5, width - 0.5))
    if np.abs(np.subtract(corners, expected)).max() > _NEAR * min(grid.pixel_size):
        raise apart
    return moved


def _centres(grid: GeoGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the pixel centres along y and x, computed in rioxarray's order."""
    height, width = grid.shape
    a, b, c, d, e, f = grid.transform
    x, y = a * 0.5 + b * 0.5 + c, d * 0.5 + e * 0.5 + f
    rows, cols = (np.arange(length, dtype=np.float64) for length in (height, width))
    return rows * e + y, cols * a + x


def _rotated_centres(
    grid: GeoGrid, chunks: tuple[tuple[int, ...], ...]
) -> tuple[dask.array.Array, dask.array.Array]:
    """Return x and y of all pixel centres, lazily: they may be larger than the raster."""
    rows = dask.array.arange(grid.shape[0], chunks=(chunks[0],))[:, None]
    cols = dask.array.arange(grid.shape[1], chunks=(chunks[1],))[None, :]
    a, b, c, d, e, f = grid.transform
    x, y = a * 0.5 + b * 0.5 + c, d * 0.5 + e * 0.5 + f
    return cols * a + rows * b + x, cols * d + rows * e + y


def _mapping_attrs(old: Mapping[Any, Any], grid: GeoGrid, factor: int) -> dict[Any, Any]:
    """Return the grid mapping's attributes on the finer grid; the CRS stays as it is."""
    attrs = dict(old)
    if "GeoTransform" in attrs:
        a, b, c, d, e, f = grid.transform
        attrs["GeoTransform"] = " ".join(map(str, (c, a, b, f, d, e)))
    if "gcps" in attrs:  # rioxarray keeps ground control points as GeoJSON
        points = json.loads(attrs["gcps"])
        for point in points["features"]:
            for name in ("row", "col"):
                point["properties"][name] *= factor
        attrs["gcps"] = json.dumps(points)
    return attrs
