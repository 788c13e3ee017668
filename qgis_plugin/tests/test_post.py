# SPDX-License-Identifier: GPL-2.0-or-later
"""The look of a result, as text."""

from __future__ import annotations

import pytest

pytest.importorskip("qgis.core")
from qgis.core import QgsRasterLayer
from qgis.PyQt.QtXml import QDomDocument
from rasters import make_raster

pytestmark = pytest.mark.usefixtures("qgis_app")

STYLE = """<qgis><pipe><provider><resampling enabled="true" zoomedInResamplingMethod="cubic"
zoomedOutResamplingMethod="average"/></provider><rasterrenderer type="multibandcolor" redBand="4"
greenBand="3" blueBand="2" alphaBand="5"/><rasterresampler zoomedInResampler="bilinear"
zoomedOutResampler="averageResampler"/></pipe></qgis>"""


def look_for(*arguments):
    from geosr_super_resolution.post import look_for

    document = QDomDocument()
    assert document.setContent(look_for(*arguments))[0]
    return document.documentElement().firstChildElement("pipe")


def bands_of(pipe):
    renderer = pipe.firstChildElement("rasterrenderer")
    return tuple(renderer.attribute(each + "Band") for each in ("red", "green", "blue", "alpha"))


def test_all_bands_keep_their_numbers():
    assert bands_of(look_for(STYLE, (), 5)) == ("4", "3", "2", "5")


def test_kept_bands_are_numbered_anew():
    assert bands_of(look_for(STYLE, (2, 3, 4), 3)) == ("3", "2", "1", "-1")


@pytest.mark.parametrize(("indexes", "bands"), [((4, 3), 2), ((), 3)])
def test_a_style_of_bands_that_are_not_there_is_left_out(indexes, bands):
    assert look_for(STYLE, indexes, bands).firstChildElement("rasterrenderer").isNull()


def test_pixels_are_shown_as_they_are():
    pipe = look_for(STYLE, (), 5)
    resampler = pipe.firstChildElement("rasterresampler")
    assert not resampler.hasAttribute("zoomedInResampler")
    assert not resampler.hasAttribute("zoomedOutResampler")
    early = pipe.firstChildElement("provider").firstChildElement("resampling")
    assert early.attribute("enabled") == "false"


@pytest.mark.parametrize("text", ["", "no xml", "<qgis/>"])
def test_no_style_is_no_look(text):
    from geosr_super_resolution.post import look_for

    assert look_for(text, (), 1) == ""


def test_grey_style_goes_from_layer_to_layer(tmp_path):
    from geosr_super_resolution.post import apply_look, look_of

    one = QgsRasterLayer(make_raster(tmp_path / "a.tif", bands=13), "a")
    other = QgsRasterLayer(make_raster(tmp_path / "b.tif", bands=2), "b")
    grey = QgsRasterLayer(make_raster(tmp_path / "c.tif", bands=1), "c")
    grey.renderer().contrastEnhancement().setMinimumValue(123)
    grey.renderer().contrastEnhancement().setMaximumValue(456)
    apply_look(other, look_of(grey), ())
    enhancement = other.renderer().contrastEnhancement()
    assert (enhancement.minimumValue(), enhancement.maximumValue()) == (123, 456)
    kind = other.renderer().type()
    apply_look(other, look_of(one), (13, 12))  # its colours are bands that are not there
    assert other.renderer().type() == kind
    assert other.isValid()
