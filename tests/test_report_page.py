"""The report in a real browser: mouse, touch, keyboard, small screens, no network."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_scenes import run
from evaluation_scenes import photo, satellite
from imageio.v3 import imread

selenium = pytest.importorskip("selenium", reason="selenium drives the browser")
from selenium import webdriver  # noqa: E402 - after the skip
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.actions.action_builder import ActionBuilder  # noqa: E402
from selenium.webdriver.common.actions.interaction import POINTER_TOUCH  # noqa: E402
from selenium.webdriver.common.actions.pointer_input import PointerInput  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.select import Select  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)

DECODED = """
const done = arguments[0], images = [...document.images];
for (const image of images) image.loading = "eager";
Promise.allSettled(images.map(image => image.decode()))
  .then(all => done(all.filter(one => one.status === "rejected").map(one => String(one.reason))));
"""
"""Waits for all pictures; returns why some could not be shown."""

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="there is no chromium with chromedriver here"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return the address of a report on two images and two models."""
    folder = tmp_path_factory.mktemp("report")
    os.mkdir(folder / "images")
    photo(folder / "images" / "a.tif", shape=(120, 150))
    satellite(folder / "images" / "b.tif", shape=(96, 96))
    models = ("-m", "geosr-lite-x2", "-m", "nearest")
    report = folder / "report.html"
    result = run("evaluate", *models, "--data", folder / "images", "--report", report)
    assert result.exit_code == 0, result.output
    return report.as_uri()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """Start a browser of its own, with a fresh profile; end it."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(DRIVER))
    yield driver
    driver.quit()


def opened(driver, page, *, width=1280, height=900, mobile=False):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": mobile})
    driver.get(page)
    failed = driver.execute_async_script(DECODED)  # a busy machine shows them late
    assert failed == []
    return Swipe(driver)


class Swipe:
    """The first swipe of a page."""

    def __init__(self, driver):
        self.driver = driver
        self.stage = driver.find_element("css selector", ".stage")
        self.handle = self.stage.find_element("css selector", ".handle")
        self.selects = driver.find_elements("css selector", ".swipe select")[:2]
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", self.stage)

    @property
    def at(self):
        return int(self.handle.get_attribute("aria-valuenow"))

    def pixels(self):
        """Return the stage as it is seen, ``(3, height, width)``."""
        seen = imread(self.stage.screenshot_as_png, extension=".png")
        return np.moveaxis(seen[..., :3], -1, 0).astype(int)

    def move(self, share, *, kind):
        """Press on the divider, move to a share of the width, let go; `kind` as in pointers."""
        box = self.stage.rect
        top = self.driver.execute_script(
            "return arguments[0].getBoundingClientRect().top", self.stage
        )
        left = self.driver.execute_script(
            "return arguments[0].getBoundingClientRect().left", self.stage
        )
        pointer = PointerInput(kind, kind)
        actions = ActionBuilder(self.driver, mouse=pointer, duration=20)
        y = int(top + box["height"] * 0.7)
        pointer.create_pointer_move(duration=0, x=int(left + box["width"] * self.at / 100), y=y)
        pointer.create_pointer_down(button=0)
        for step in (0.3, 0.6, 1.0):
            target = self.at / 100 + step * (share - self.at / 100)
            pointer.create_pointer_move(duration=20, x=int(left + box["width"] * target), y=y)
        pointer.create_pointer_up(button=0)
        actions.perform()


def changed_columns(before, after):
    """Return which shares of the width look different, from 0 to 1."""
    columns = (np.abs(before - after).max(axis=0) > 24).mean(axis=0) > 0.02
    where = np.flatnonzero(columns) / columns.size
    return (where.min(), where.max()) if where.size else None


def test_nothing_is_fetched_and_nothing_is_wrong(chromium, page):
    chromium.get("about:blank")
    chromium.get_log("performance")  # what the browser did before
    opened(chromium, page)
    wrong = [entry for entry in chromium.get_log("browser") if entry["level"] != "INFO"]
    assert wrong == []
    lines = [json.loads(line["message"])["message"] for line in chromium.get_log("performance")]
    sent = [line["params"] for line in lines if line["method"] == "Network.requestWillBeSent"]
    asked = [line["request"]["url"] for line in sent if line["documentURL"].startswith("file:")]
    assert page in asked
    assert {url.partition(":")[0] for url in asked if url != page} <= {"data"}
    sizes = chromium.execute_script(
        "return [...document.images].map(i => i.complete ? i.naturalWidth : 0)"
    )
    assert len(sizes) >= 2 * 7
    assert min(sizes) > 0


def test_the_mouse_moves_the_divider_and_the_picture_follows(chromium, page):
    swipe = opened(chromium, page)
    assert swipe.at == 50
    Select(swipe.selects[0]).select_by_visible_text("input")
    Select(swipe.selects[1]).select_by_visible_text("truth")
    before = swipe.pixels()
    swipe.move(0.2, kind="mouse")
    assert swipe.at == pytest.approx(20, abs=1)
    low, high = changed_columns(before, swipe.pixels())
    assert low == pytest.approx(0.2, abs=0.08)  # the divider's own width besides
    assert high == pytest.approx(0.5, abs=0.08)


def test_a_finger_moves_it_as_well(chromium, page):
    swipe = opened(chromium, page, width=390, height=844, mobile=True)
    before = swipe.pixels()
    swipe.move(0.85, kind=POINTER_TOUCH)
    assert swipe.at == pytest.approx(85, abs=2)
    low, high = changed_columns(before, swipe.pixels())
    assert low > 0.3
    assert high == pytest.approx(0.85, abs=0.12)


def test_keys_move_it_and_it_says_where_it_is(chromium, page):
    swipe = opened(chromium, page)
    assert swipe.handle.get_attribute("role") == "slider"
    assert swipe.handle.get_attribute("tabindex") == "0"
    before = swipe.pixels()
    chromium.execute_script("arguments[0].focus({preventScroll: true})", swipe.handle)
    for keys, at in (
        ((Keys.ARROW_LEFT,), 48),
        ((Keys.ARROW_RIGHT, Keys.ARROW_RIGHT), 52),
        ((Keys.SHIFT + Keys.ARROW_RIGHT + Keys.NULL,), 62),
        ((Keys.PAGE_DOWN,), 52),
        ((Keys.END,), 100),
        ((Keys.ARROW_RIGHT,), 100),
        ((Keys.HOME,), 0),
        ((Keys.ARROW_UP,), 2),
    ):
        for key in keys:
            swipe.handle.send_keys(key)
        assert swipe.at == at, keys
    said = swipe.handle.get_attribute("aria-valuetext")
    assert said == "2 % bicubic, 98 % geosr-lite-x2"
    assert changed_columns(before, swipe.pixels())[0] < 0.1


def test_the_divider_is_reached_by_tab(chromium, page):
    opened(chromium, page)
    seen = set()
    for _ in range(80):
        active = chromium.switch_to.active_element
        active.send_keys(Keys.TAB)
        seen.add(chromium.switch_to.active_element.get_attribute("role"))
    assert "slider" in seen


def test_any_two_pictures_can_be_chosen(chromium, page):
    swipe = opened(chromium, page)
    left, right = map(Select, swipe.selects)
    names = [option.text for option in left.options]
    assert names == ["input", "bicubic", "geosr-lite-x2", "nearest", "truth"]
    left.select_by_visible_text("truth")
    right.select_by_visible_text("truth")
    same = swipe.pixels()
    left.select_by_visible_text("input")
    low, high = changed_columns(same, swipe.pixels())
    assert high < 0.56
    tags = [tag.text for tag in swipe.stage.find_elements("css selector", ".tag")]
    assert tags == ["input", "truth"]
    assert low < 0.2


def test_tables_are_sorted_by_a_click(chromium, page):
    opened(chromium, page)
    table = chromium.find_element("css selector", "#summary table")
    heads = {head.text.split("\n")[0]: head for head in table.find_elements("css selector", "th")}

    def column(number):
        cells = table.find_elements("css selector", f"tbody td:nth-child({number})")
        return [float(cell.get_attribute("data-value")) for cell in cells]

    place = list(heads).index("PSNR") + 1
    heads["PSNR"].find_element("tag name", "button").click()
    assert heads["PSNR"].get_attribute("aria-sort") == "descending"
    assert column(place) == sorted(column(place), reverse=True)
    heads["PSNR"].find_element("tag name", "button").send_keys(Keys.ENTER)
    assert heads["PSNR"].get_attribute("aria-sort") == "ascending"
    assert column(place) == sorted(column(place))
    heads["Method"].find_element("tag name", "button").click()
    assert heads["PSNR"].get_attribute("aria-sort") is None
    first = table.find_element("css selector", "tbody td").text
    assert first == "bicubic"


@pytest.mark.parametrize(("width", "height", "mobile"), [(1280, 900, False), (390, 844, True)])
def test_the_page_fits_the_screen(chromium, page, width, height, mobile):
    opened(chromium, page, width=width, height=height, mobile=mobile)
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    if not mobile:
        overflow = chromium.execute_script(
            "const s = document.querySelector('#summary .scroll');"
            "return s.scrollWidth - s.clientWidth"
        )
        assert overflow <= 0


def test_it_is_dark_where_the_reader_likes_it_dark(chromium, page):
    opened(chromium, page)
    ground = "return getComputedStyle(document.body).backgroundColor"
    colours = []
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        found = chromium.execute_script(ground)
        colours.append(sum(int(n) for n in found[4:-1].split(",")) / 3)
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert colours[0] > 200
    assert colours[1] < 60


def test_a_comparison_swipes_too(chromium, tmp_path):
    import geosr

    satellite(tmp_path / "a.tif", bands=3, shape=(96, 96))
    geosr.upscale_file(tmp_path / "a.tif", tmp_path / "b.tif", model="geosr-lite-x2")
    report = Path(tmp_path / "c.html")
    assert run("compare", tmp_path / "a.tif", tmp_path / "b.tif", "--report", report).exit_code == 0
    swipe = opened(chromium, report.as_uri())
    before = swipe.pixels()
    swipe.move(0.9, kind="mouse")
    low, high = changed_columns(before, swipe.pixels())
    assert 0.4 < low < high < 1
    assert chromium.get_log("browser") == []
    opened(chromium, report.as_uri(), width=390, height=844, mobile=True)
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= 390
