# SPDX-License-Identifier: GPL-2.0-or-later
"""From a layer to what geosr's command takes."""

from __future__ import annotations

import pytest

pytest.importorskip("qgis.core")
from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem, QgsRasterLayer
from rasters import make_raster

pytestmark = pytest.mark.usefixtures("qgis_app")

XYZ = "type=xyz&url=https://example.com/%7Bz%7D/%7Bx%7D/%7By%7D.png&zmax=3&zmin=0"
WMS = "contextualWMSLegend=0&crs=EPSG:4326&format=image/png&layers=a&styles&url=https://example.com"


@pytest.fixture
def source_of():
    from geosr_super_resolution.source import source_of

    return source_of


@pytest.fixture
def refused():
    from geosr_super_resolution.source import SourceRefused

    return SourceRefused


def test_plain_file(source_of, tmp_path):
    path = make_raster(tmp_path / "Höhe 1.tif", bands=3)
    source = source_of(QgsRasterLayer(path, "scene"))
    assert (source.path, source.bands, source.name, source.plain) == (path, 3, "scene", True)


@pytest.mark.parametrize("uri", [XYZ, WMS])
def test_web_maps_are_refused_with_what_to_do(source_of, refused, uri):
    layer = QgsRasterLayer(uri, "streets", "wms")
    with pytest.raises(refused, match=r"'streets' is a web map.*Export.*Raw data"):
        source_of(layer)


def test_other_providers_are_refused_by_name(source_of, refused):
    layer = QgsRasterLayer("url=https://example.com&identifier=a", "heights", "wcs")
    with pytest.raises(refused, match=r"'heights' comes from the provider wcs.*GeoTIFF"):
        source_of(layer)


def test_memory_of_qgis_is_refused(source_of, refused):
    gdal.Translate("/vsimem/scene.tif", make_memory(), format="GTiff").FlushCache()
    with pytest.raises(refused, match="only in QGIS's memory"):
        source_of(QgsRasterLayer("/vsimem/scene.tif", "scene"))
    gdal.Unlink("/vsimem/scene.tif")


def make_memory():
    made = gdal.GetDriverByName("MEM").Create("", 4, 4, 1)
    made.SetGeoTransform((0, 1, 0, 4, 0, -1))
    return made


def test_zip(source_of, tmp_path):
    import zipfile

    path = make_raster(tmp_path / "scene.tif")
    with zipfile.ZipFile(tmp_path / "scenes.zip", "w") as archive:
        archive.write(path, "inner/scene.tif")
    uri = "/vsizip/{}/inner/scene.tif".format(tmp_path / "scenes.zip")
    assert source_of(QgsRasterLayer(uri, "scene")).path == uri


def test_options_and_crs_become_a_vrt(source_of, tmp_path):
    from geosr_super_resolution.source import cli_path

    path = make_raster(tmp_path / "a b.tif", size=(64, 48))
    gdal.Open(path, gdal.GA_Update).BuildOverviews("AVERAGE", [2])
    layer = QgsRasterLayer(path + "|option:OVERVIEW_LEVEL=0", "scene")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:25832"))
    source = source_of(layer)
    assert source.open_options == ("OVERVIEW_LEVEL=0",)
    assert "25832" in source.crs
    opened = gdal.Open(cli_path(source))
    assert (opened.RasterXSize, opened.RasterYSize) == (32, 24)
    assert opened.GetSpatialRef().GetAuthorityCode(None) == "25832"


def test_missing_file_of_a_broken_layer_is_still_named(source_of, tmp_path):
    source = source_of(QgsRasterLayer(str(tmp_path / "gone.tif"), "gone"))
    assert source.path == str(tmp_path / "gone.tif")
