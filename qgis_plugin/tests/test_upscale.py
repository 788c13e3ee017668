# SPDX-License-Identifier: GPL-2.0-or-later
"""Super-resolve raster, with the real geosr, against geosr's own command."""

from __future__ import annotations

import os

import numpy as np
import pytest
from conftest import SAMPLE

pytest.importorskip("qgis.core")
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingException,
    QgsProject,
    QgsRasterLayer,
)
from rasters import OBLIQUE, assert_alike, contents, make_raster

pytestmark = pytest.mark.usefixtures("geosr_python")


def test_sample_scene_equals_the_command(run, geosr, feedback, tmp_path):
    found = run("upscale", INPUT=str(SAMPLE), OUTPUT=str(tmp_path / "plugin.tif"))
    geosr("upscale", SAMPLE, tmp_path / "command.tif")
    assert_alike(found["OUTPUT"], tmp_path / "command.tif")
    assert found["MODEL_USED"] == "geosr-lite-x2"
    assert found["FACTOR_USED"] == 2
    assert (found["WIDTH"], found["HEIGHT"]) == (2 * 283, 2 * 237)
    assert "Upscaling" in feedback.phases
    assert feedback.shares[-1] == 100.0


def test_extent_in_another_crs_and_bands(run, geosr, tmp_path):
    found = run(
        "upscale",
        INPUT=str(SAMPLE),
        MODEL="bicubic",
        FACTOR=3,
        BANDS=[4, 2],
        EXTENT="14.155,14.165,48.66,48.67 [EPSG:4326]",
        OUTPUT=str(tmp_path / "plugin.tif"),
    )
    bounds = ("14.155", "48.66", "14.165", "48.67")
    geosr(
        *("upscale", SAMPLE, tmp_path / "command.tif", "-m", "bicubic", "-f", "3", "-b", "4,2"),
        *("--bounds", *bounds, "--bounds-crs", "EPSG:4326"),
    )
    pixels, place = contents(found["OUTPUT"])[:2]
    assert pixels.shape[0] == 2
    # QGIS and geosr may widen a rectangle in another CRS by a pixel more or less.
    wanted, other = contents(tmp_path / "command.tif")[:2]
    assert abs(place[0] - other[0]) <= 10
    assert abs(place[3] - other[3]) <= 10
    assert (place[0] - 437240) % 10 == 0
    assert place[1] == pytest.approx(10 / 3)
    assert abs(pixels.shape[2] - wanted.shape[2]) <= 6


def test_pixel_size_in_place_of_a_factor(run, tmp_path):
    found = run(
        "upscale",
        INPUT=str(SAMPLE),
        MODEL="bicubic",
        RESOLUTION=4.0,
        OUTPUT=str(tmp_path / "a.tif"),
    )
    assert contents(found["OUTPUT"])[1][1] == 4.0


def test_factor_and_pixel_size_together_are_refused(run, tmp_path):
    with pytest.raises(QgsProcessingException, match="either a factor or a pixel size"):
        run("upscale", INPUT=str(SAMPLE), FACTOR=2, RESOLUTION=4.0, OUTPUT=str(tmp_path / "a.tif"))


def test_uncertainty_nodata_and_data_type(run, tmp_path):
    found = run(
        "upscale",
        INPUT=str(SAMPLE),
        NODATA=-1,
        DTYPE="float32",
        EXTENT="437240,437740,5391230,5391730 [EPSG:32633]",
        OPTIONS="COMPRESS=DEFLATE",
        OUTPUT=str(tmp_path / "a.tif"),
        UNCERTAINTY=str(tmp_path / "sigma.tif"),
    )
    assert contents(found["OUTPUT"])[0].dtype == np.float32
    assert contents(found["OUTPUT"])[3] == -1
    sigma = contents(found["UNCERTAINTY"])[0]
    assert sigma.shape == (4, 100, 100)
    assert np.nanmax(sigma) > 0


@pytest.mark.parametrize("bands", [1, 13])
def test_band_counts(run, geosr, tmp_path, bands):
    source = make_raster(tmp_path / "scene.tif", bands=bands)
    found = run("upscale", INPUT=source, OUTPUT=str(tmp_path / "a.tif"))
    geosr("upscale", source, tmp_path / "b.tif")
    assert_alike(found["OUTPUT"], tmp_path / "b.tif")
    assert gdal.Open(found["OUTPUT"]).RasterCount == bands


def test_names_with_spaces_umlauts_and_brackets(run, tmp_path):
    folder = tmp_path / "Übersicht Süd [1]"
    folder.mkdir()
    source = make_raster(folder / "Größe *& 'x'.tif")
    found = run(
        "upscale", INPUT=source, MODEL="bicubic", OUTPUT=str(folder / "schärfer als vorher.tif")
    )
    assert contents(found["OUTPUT"])[0].shape == (40, 48)


def test_vrt(run, geosr, tmp_path):
    source = str(tmp_path / "scene.vrt")
    gdal.Translate(source, str(SAMPLE), format="VRT", srcWin=[10, 20, 50, 40]).FlushCache()
    found = run("upscale", INPUT=source, MODEL="bicubic", OUTPUT=str(tmp_path / "a.tif"))
    geosr("upscale", source, tmp_path / "b.tif", "-m", "bicubic")
    assert_alike(found["OUTPUT"], tmp_path / "b.tif")


def test_subdataset_of_a_geopackage(run, tmp_path):
    path = tmp_path / "Karten 1.gpkg"
    make_raster(path, driver="GPKG", bands=1, dtype="float32", size=(40, 30))
    options = ["APPEND_SUBDATASET=YES", "RASTER_TABLE=second"]
    source = make_raster(tmp_path / "second.tif", dtype="float32", size=(50, 20))
    gdal.Translate(str(path), source, format="GPKG", creationOptions=options).FlushCache()
    layer = QgsRasterLayer(f"GPKG:{path}:second", "second")
    assert layer.isValid()
    found = run("upscale", INPUT=layer, MODEL="bicubic", OUTPUT=str(tmp_path / "a.tif"))
    assert contents(found["OUTPUT"])[0].shape == (40, 100)


def test_subdataset_of_a_netcdf(run, tmp_path):
    path = make_raster(tmp_path / "two words.nc", driver="netCDF", bands=2)
    layer = QgsRasterLayer(f'NETCDF:"{path}":Band2', "Band2")
    assert layer.isValid()
    found = run("upscale", INPUT=layer, OUTPUT=str(tmp_path / "a.tif"))
    pixels = contents(found["OUTPUT"])[0]
    assert pixels.shape == (40, 48)
    wanted = contents(layer.source())[0].astype(float)
    means = pixels.reshape(20, 2, 24, 2).mean(axis=(1, 3))
    np.testing.assert_array_equal(means, wanted)


def test_crs_of_the_file_that_no_authority_lists(run, geosr, tmp_path):
    from geosr_super_resolution.source import source_of

    source = make_raster(tmp_path / "oblique.tif", crs=OBLIQUE)
    assert source_of(QgsRasterLayer(source, "oblique")).plain
    found = run("upscale", INPUT=source, MODEL="bicubic", OUTPUT=str(tmp_path / "a.tif"))
    geosr("upscale", source, tmp_path / "b.tif", "-m", "bicubic")
    assert_alike(found["OUTPUT"], tmp_path / "b.tif")
    assert "Oblique" in contents(found["OUTPUT"])[2]


def test_crs_that_the_user_gave_to_the_layer(run, tmp_path):
    layer = QgsRasterLayer(make_raster(tmp_path / "bare.tif", crs=""), "bare")
    layer.setCrs(QgsCoordinateReferenceSystem.fromProj(OBLIQUE))
    found = run(
        "upscale",
        INPUT=layer,
        MODEL="bicubic",
        EXTENT="500050,500150,4999900,4999950",
        OUTPUT=str(tmp_path / "a.tif"),
    )
    pixels, place, crs, _ = contents(found["OUTPUT"])
    assert "Oblique" in crs
    assert pixels.shape == (10, 20)
    assert place[0] == 500050
    assert place[3] == 4999950


def test_open_options(run, tmp_path):
    source = make_raster(tmp_path / "scene.tif", size=(64, 64))
    gdal.Open(source, gdal.GA_Update).BuildOverviews("AVERAGE", [2])
    layer = QgsRasterLayer(source + "|option:OVERVIEW_LEVEL=0", "overview")
    assert (layer.width(), layer.height()) == (32, 32)
    found = run("upscale", INPUT=layer, MODEL="bicubic", OUTPUT=str(tmp_path / "a.tif"))
    pixels, place = contents(found["OUTPUT"])[:2]
    assert pixels.shape == (64, 64)
    assert place[1] == 10


def test_own_model_replaces_the_listed_one(run, tmp_path):
    with pytest.raises(QgsProcessingException, match=r"nowhere\.json"):
        run(
            "upscale",
            INPUT=str(SAMPLE),
            MODEL_FILE="/nowhere.json",
            OUTPUT=str(tmp_path / "a.tif"),
        )


def test_an_error_is_a_sentence_and_speaks_of_parameters(run, feedback, tmp_path):
    with pytest.raises(QgsProcessingException) as caught:
        run(
            "upscale",
            INPUT=str(SAMPLE),
            MODEL="geosr-lite-x2",
            FACTOR=3,
            OUTPUT=str(tmp_path / "a.tif"),
        )
    text = str(caught.value)
    assert "geosr-lite-x2 makes 2 times the pixels, not 3" in text
    assert "'Factor'" in text
    assert "--factor" not in text
    assert "Traceback" not in text
    assert not (tmp_path / "a.tif").exists()


def test_model_that_is_not_there(run, tmp_path):
    with pytest.raises(QgsProcessingException, match=r"no model 'geosr-lit'.*Did you mean"):
        run("upscale", INPUT=str(SAMPLE), MODEL="geosr-lit", OUTPUT=str(tmp_path / "a.tif"))


def test_a_web_map_is_refused_before_anything_runs(run, feedback, tmp_path):
    uri = "type=xyz&url=https://example.com/%7Bz%7D/%7Bx%7D/%7By%7D.png&zmax=3&zmin=0"
    layer = QgsRasterLayer(uri, "streets", "wms")
    with pytest.raises(QgsProcessingException, match=r"'streets' is a web map.*Export"):
        run("upscale", INPUT=layer, OUTPUT=str(tmp_path / "a.tif"))
    assert feedback.commands == []
    assert os.listdir(tmp_path) == []


def test_cancel_leaves_nothing(run, feedback, tmp_path):
    source = make_raster(tmp_path / "large.tif", bands=4, size=(1500, 1500))
    folder = tmp_path / "out"
    folder.mkdir()
    feedback.cancel_at = "Upscaling"
    assert run("upscale", INPUT=source, FACTOR=4, OUTPUT=str(folder / "a.tif")) == {}
    assert os.listdir(folder) == []


def test_an_old_result_survives_a_cancel(run, feedback, tmp_path):
    source = make_raster(tmp_path / "scene.tif", size=(400, 400))
    output = tmp_path / "a.tif"
    output.write_bytes(b"old")
    feedback.cancel_at = "Loading"
    run("upscale", INPUT=source, OUTPUT=str(output))
    assert output.read_bytes() == b"old"


@pytest.mark.usefixtures("qgis_new_project")
def test_loaded_result_looks_like_its_input_and_says_what_it_is(plugin, tmp_path):
    import processing

    layer = QgsRasterLayer(str(SAMPLE), "scene")
    QgsProject.instance().addMapLayer(layer)
    layer.renderer().setRedBand(4)
    layer.resampleFilter().setZoomedInResampler(_bilinear())
    output = str(tmp_path / "a.tif")
    processing.runAndLoadResults("geosr:upscale", {"INPUT": layer, "OUTPUT": output})
    layers = QgsProject.instance().mapLayers().values()
    (result,) = [each for each in layers if each.source() == output]
    assert result.name() == "scene (geosr-lite-x2, detail estimated)"
    for name in ("redBand", "greenBand", "blueBand"):
        assert getattr(result.renderer(), name)() == getattr(layer.renderer(), name)()
    for name in ("redContrastEnhancement", "blueContrastEnhancement"):
        one, other = (getattr(each.renderer(), name)() for each in (result, layer))
        assert one.minimumValue() == pytest.approx(other.minimumValue())
        assert one.maximumValue() == pytest.approx(other.maximumValue())
    assert result.resampleFilter().zoomedInResampler() is None
    said = result.metadata().abstract()
    assert "estimated by geosr-lite-x2, not measured" in said
    assert "10 before, 5 now" in said


def _bilinear():
    from qgis.core import QgsBilinearRasterResampler

    return QgsBilinearRasterResampler()
