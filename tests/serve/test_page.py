"""The page in Debian's Chromium: what it shows, and that it complains of nothing."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .fake import bright_parts, png
from .process import Process

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("needs Chromium: apt-get install chromium", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
Page, expect = playwright.Page, playwright.expect

WIDTH, HEIGHT = 90, 70


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    with Process.fake(0.0, "--max-body", "100000") as process:
        yield process


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """Errors of the page, those of its security policy among them."""
    return []


@pytest.fixture
def page(browser: playwright.Browser, server: Process, complaints: list[str]) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"http://127.0.0.1:{server.port}/")
    expect(page.locator("#model")).to_have_text("fake: left, right")
    expect(page.locator("#threshold-text")).to_have_text("0.55")
    yield page
    page.close()


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """Bright pixels at random: runs of every length, in and across columns."""
    draw = np.random.default_rng(0)
    return (draw.random((HEIGHT, WIDTH, 1)) < draw.random((1, WIDTH, 1))).repeat(3, axis=2).astype(np.uint8) * 255


def choose(page: Page, content: bytes, name: str = "noise.png") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "application/octet-stream", "buffer": content})


def pixels(page: Page, canvas: str) -> np.ndarray:
    """(H, W, 4) RGBA of a canvas."""
    values = page.evaluate(
        """id => {
            const canvas = document.getElementById(id);
            const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return [height, width, Array.from(data)];
        }""",
        canvas,
    )
    return np.array(values[2], np.uint8).reshape(values[0], values[1], 4)


def test_masks_are_those_of_the_prediction(page: Page, noise: np.ndarray, complaints: list[str]) -> None:
    """Pixel by pixel, and each object in a colour of its own; the picture lies below them, unchanged."""
    choose(page, png(noise))
    expect(page.locator("#status")).to_have_text("1 left, 1 right")
    left, right = bright_parts(noise).masks()
    shown = pixels(page, "masks")
    assert np.array_equal(shown[..., 3] > 0, left | right)
    colours = [np.unique(shown[mask & (shown[..., 3] == 255)][:, :3], axis=0) for mask in (left, right)]
    assert [len(colour) for colour in colours] == [1, 1] and not np.array_equal(*colours)
    assert np.array_equal(pixels(page, "picture")[..., :3], noise)
    row = page.locator("#classes tbody tr").first
    assert row.locator("td").all_text_contents() == [
        "left",
        "1",
        f"{left.sum():,}",
        f"{100 * left.sum() / left.size:.1f} %",
    ]
    assert complaints == []


def test_the_threshold_asks_nobody(page: Page, noise: np.ndarray, complaints: list[str]) -> None:
    choose(page, png(noise))
    expect(page.locator("#status")).to_have_text("1 left, 1 right")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    slider = page.get_by_role("slider", name="Score above")
    slider.fill("0.7")
    expect(page.locator("#status")).to_have_text("1 left; 1 more score lower")
    assert np.array_equal(pixels(page, "masks")[..., 3] > 0, bright_parts(noise, 0.7).masks()[0])
    slider.fill("0.95")
    expect(page.locator("#status")).to_have_text("nothing above this score; 2 more score lower")
    slider.press("Home")
    expect(page.locator("#status")).to_have_text("1 left, 1 right")
    assert requests == [] and complaints == []


def test_pointing_at_objects(page: Page, complaints: list[str]) -> None:
    """By mouse and by keyboard; what is said is the same."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[10:30, 5:25], image[40:50, 60:80] = 255, 255
    choose(page, png(image))
    expect(page.locator("#status")).to_have_text("1 left, 1 right")
    box = page.locator("#masks").bounding_box()
    zoom = min(box["width"] / WIDTH, box["height"] / HEIGHT)
    origin = [box["x"] + (box["width"] - zoom * WIDTH) / 2, box["y"] + (box["height"] - zoom * HEIGHT) / 2]
    tip = page.locator("#tip")
    for x, y, text in ((24.5, 10.5, "left 0.90, 400 pixels"), (60.5, 49.5, "right 0.60, 200 pixels")):
        page.mouse.move(origin[0] + x * zoom, origin[1] + y * zoom)
        expect(tip).to_have_text(text)
    page.mouse.move(origin[0] + 40 * zoom, origin[1] + 5 * zoom)
    expect(tip).to_be_hidden()
    page.locator("#masks").focus()
    for key, text in (("ArrowRight", "1 of 2: left"), ("ArrowRight", "2 of 2: right"), ("ArrowRight", "1 of 2: left")):
        page.keyboard.press(key)
        expect(page.locator("#status")).to_contain_text(f"object {text}")
    assert complaints == []


def test_downloads(page: Page, noise: np.ndarray, complaints: list[str]) -> None:
    """Of what is shown: the better of two objects."""
    choose(page, png(noise), "a.b.png")
    page.get_by_role("slider", name="Score above").fill("0.7")
    expect(page.locator("#status")).to_have_text("1 left; 1 more score lower")
    files = {}
    for kind in ("PNG", "JSON", "CSV"):
        with page.expect_download() as download:
            page.get_by_role("button", name=kind).click()
        files[download.value.suggested_filename] = Path(download.value.path()).read_bytes()
    assert set(files) == {"a.b_objects.png", "a.b.json", "a.b.csv"}
    (found,) = json.loads(files["a.b.json"])["objects"]
    mask = bright_parts(noise).masks()[0]
    assert (found["category_name"], found["area"], found["bbox"]) == ("left", mask.sum(), [0, 0, WIDTH // 2, HEIGHT])
    head, row = csv.reader(io.StringIO(files["a.b.csv"].decode()))
    assert dict(zip(head, row, strict=True))["area"] == str(mask.sum())
    picture = np.asarray(Image.open(io.BytesIO(files["a.b_objects.png"])).convert("RGB"))
    assert np.array_equal((picture != noise).any(axis=2), mask) and complaints == []


def test_a_format_that_browsers_do_not_read(page: Page, noise: np.ndarray, complaints: list[str]) -> None:
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "TIFF")
    choose(page, buffer.getvalue(), "noise.tif")
    expect(page.locator("#status")).to_have_text("1 left, 1 right")
    assert np.array_equal(pixels(page, "picture")[..., :3], noise) and complaints == []


def test_what_is_no_picture(page: Page) -> None:
    for content, words in ((b"hello", "expected a JPEG"), (b"x" * 200_000, "expected at most 100000 bytes")):
        choose(page, content)
        expect(page.locator("#status.alarm")).to_contain_text(words)


def test_a_narrow_screen_and_names_for_readers(page: Page, noise: np.ndarray) -> None:
    page.set_viewport_size({"width": 420, "height": 800})
    choose(page, png(noise))
    expect(page.get_by_role("img", name="noise.png: 1 left, 1 right")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    for control in page.locator("button:visible, input:visible, canvas:visible, table:visible").all():
        box = control.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 420
    assert page.get_by_label("Choose a picture").get_attribute("type") == "file"
    for name in ("Score above", "Strength of the colours"):
        expect(page.get_by_role("slider", name=re.compile(name))).to_be_visible()
    names = [page.get_by_role("button", name=name) for name in ("PNG", "JSON", "CSV")]
    assert all(button.is_enabled() for button in names)


def test_a_server_with_a_key(browser: playwright.Browser, noise: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_KEY", "secret")
    with Process.fake(0.0, "--api-key-env", "OUR_KEY") as server:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.port}/")
        expect(page.locator("#status.alarm")).to_contain_text("key")
        page.get_by_label("Key of this server").fill("secret")
        page.get_by_label("Key of this server").press("Enter")
        expect(page.locator("#model")).to_have_text("fake: left, right")
        choose(page, png(noise))
        expect(page.locator("#status")).to_have_text("1 left, 1 right")
        page.close()
