"""The page of tiles in Chromium, opened as a file: moving, zooming, naming objects; it complains of nothing."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle_crops import encode_rle_crop
from maskrcnn.prediction import Prediction
from maskrcnn.results.finished import Finished
from maskrcnn.results.forms import FORMS
from maskrcnn.results.rows import ResultRows
from maskrcnn.structures import Categories
from maskrcnn.viz.colours import instance_colour
from results.conftest import SETTINGS

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("needs Chromium: apt-get install chromium", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
Page, expect = playwright.Page, playwright.expect

WIDTH, HEIGHT = 1500, 1200
SQUARES = [(100, 200, 180, 260), (1300, 1000, 1420, 1100), (480, 480, 540, 540)]
"""x1, y1, x2, y2; the last lies over four tiles."""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three squares on grey; of one class, so that each has a colour of its own."""
    folder = tmp_path_factory.mktemp("page")
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)).save(folder / "slide.png")
    size = (HEIGHT, WIDTH)
    rles = [
        encode_rle_crop(np.ones((y2 - y1, x2 - x1), np.uint8), (x1, y1, x2, y2), size) for x1, y1, x2, y2 in SQUARES
    ]
    categories = Categories((1,), ("cell",))
    found = Prediction(
        boxes=np.array(SQUARES, np.float32),
        scores=np.array([0.9, 0.8, 0.7], np.float32),
        labels=np.zeros(3, np.int64),
        image_size=size,
        categories=categories,
        source=folder / "slide.png",
        given_masks=PackedRLE.from_rles(rles, size),
    )
    rows = ResultRows(folder / "rows.jsonl", SETTINGS)
    rows.append(rows.found(str(folder / "slide.png"), found, 0.1))
    rows.close()
    FORMS["page"](Finished(rows, [str(folder / "slide.png")], categories), folder / "page")
    return folder / "page" / "slide" / "index.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def window(request: pytest.FixtureRequest) -> tuple[int, int]:
    return getattr(request, "param", (1000, 700))


WINDOWS = pytest.mark.parametrize("window", [(1000, 700), (420, 800)], ids=["wide", "phone"], indirect=True)


@pytest.fixture
def page(browser: playwright.Browser, index: Path, window: tuple[int, int]) -> Iterator[Page]:
    page, complaints = browser.new_page(viewport={"width": window[0], "height": window[1]}), list[str]()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda failed: complaints.append(failed.url))
    page.goto(index.as_uri())
    settled(page)
    yield page
    assert complaints == []
    page.close()


def settled(page: Page) -> dict[str, float]:
    """Where the view is once everything in it has come."""
    page.wait_for_function("() => !asked && document.getElementById('view').dataset.complete === 'true'")
    state = page.evaluate("() => ({ ...document.getElementById('view').dataset })")
    return {name: float(state[name]) for name in ("x", "y", "scale", "level")}


def place(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a point of the image is in the window."""
    box, view = page.locator("#view").bounding_box(), settled(page)
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    return middle[0] + (x - view["x"]) * view["scale"], middle[1] + (y - view["y"]) * view["scale"]


def point_under(page: Page, pointer: tuple[float, float]) -> tuple[float, float]:
    """The point of the image that the pointer is at."""
    (left, top), scale = place(page, 0, 0), settled(page)["scale"]
    return (pointer[0] - left) / scale, (pointer[1] - top) / scale


def colour_at(page: Page, x: float, y: float) -> list[int]:
    shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    left, top = place(page, x, y)
    return shot[int(top), int(left)].tolist()


@WINDOWS
def test_all_of_the_image_fits_at_first(page: Page) -> None:
    view, box = settled(page), page.locator("#view").bounding_box()
    assert view["scale"] == pytest.approx(min(box["width"] / WIDTH, box["height"] / HEIGHT))
    assert view["level"] == (0 if box["width"] > 500 else 1), "no coarser than the screen"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing runs out at the side"
    assert page.locator("h1").text_content() == "slide.png"
    assert page.locator("header p").text_content() == "1,500 x 1,200 pixels, 3 objects"


def test_the_wheel_zooms_at_the_pointer_and_objects_are_named_at_every_zoom(page: Page) -> None:
    levels = set()
    for _ in range(8):
        pointer = tuple(round(value) for value in place(page, 140, 230))
        page.mouse.move(*pointer)
        expect(page.locator("#hover")).to_have_text("cell 1, score 0.90")
        before = point_under(page, pointer)
        page.mouse.wheel(0, -200)
        page.wait_for_timeout(50)
        assert point_under(page, pointer) == pytest.approx(before, abs=0.01), "it stays under the pointer"
        levels.add(settled(page)["level"])
    assert settled(page)["scale"] > 3 and 0 in levels
    page.mouse.move(*place(page, 190, 230))
    expect(page.locator("#hover")).to_have_text("")


def test_outlines_and_areas_have_the_colour_of_the_object(page: Page) -> None:
    """At twice its size: the first and the last pixel of a square, what is inside, and beyond. Over four tiles too."""
    page.evaluate("() => { Object.assign(view, { x: 510, y: 510, scale: 2 }); redraw(); }")
    colour, grey = list(instance_colour(3)), [90, 90, 90]
    page.wait_for_function("() => document.getElementById('view').dataset.level === '0'")
    assert [colour_at(page, x, 500.5) for x in (480.5, 539.5)] == [colour, colour]
    assert [colour_at(page, x, 500.5) for x in (478.5, 482.5, 541.5)] == [grey] * 3
    page.keyboard.press("m")
    tinted = [round(90 + (value - 90) * 110 / 255) for value in colour]
    expect(page.locator("#shown")).to_have_text("filled")
    for x, y in ((490.5, 490.5), (530.5, 530.5)):
        assert colour_at(page, x, y) == pytest.approx(tinted, abs=2)
    page.locator("#shown").click()
    assert colour_at(page, 480.5, 500.5) == grey


def test_dragging_keys_and_buttons(page: Page) -> None:
    start = settled(page)
    box = page.locator("#view").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 230, box["y"] + 180, steps=3)
    page.mouse.up()
    view = settled(page)
    assert view["x"] == pytest.approx(start["x"] - 30 / start["scale"])
    assert view["y"] == pytest.approx(start["y"] + 20 / start["scale"])
    page.keyboard.press("ArrowRight")
    page.keyboard.press("+")
    page.wait_for_timeout(50)
    moved = settled(page)
    assert moved["x"] == pytest.approx(view["x"] + 80 / view["scale"])
    assert moved["scale"] == pytest.approx(1.25 * view["scale"])
    page.get_by_role("button", name="Smaller").click()
    page.get_by_role("button", name="Fit").click()
    page.wait_for_timeout(50)
    assert settled(page) == start


@WINDOWS
def test_two_fingers_zoom(page: Page) -> None:
    before, box = settled(page), page.locator("#view").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)

    def send(kind: str, reach: float) -> None:
        points = [{"x": middle[0] - reach, "y": middle[1], "id": 1}, {"x": middle[0] + reach, "y": middle[1], "id": 2}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else points})

    send("touchStart", 50)
    for reach in (75, 100):
        send("touchMove", reach)
    send("touchEnd", 0)
    page.wait_for_timeout(50)
    after = settled(page)
    assert after["scale"] == pytest.approx(2 * before["scale"], rel=1e-3)
    assert (after["x"], after["y"]) == pytest.approx((before["x"], before["y"]), abs=1)
