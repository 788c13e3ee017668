"""Rasters in and out of files; the only part that knows GDAL."""
