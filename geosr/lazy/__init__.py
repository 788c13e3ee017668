"""The same on xarray and dask: a DataArray in, a lazy one out.

In the order of a call: `array` (the whole story), `dims` (which dimension is what), `place`
(where pixels lie, before and after), `storage` (dtype, nodata, attributes), `layout` (chunks of
the result, and what each sees of the source's), `graph` (one dask task for each of them),
`blocks` (what such a task does, in whatever process it runs).
"""

from geosr.lazy.array import upscale_array

__all__ = ["upscale_array"]
