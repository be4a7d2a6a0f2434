"""The live camera, with a device that Chromium plays from a file."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from rac_unet.page.portrait import draw_portrait
from tests.page.conftest import TEXT, until, write_film


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("film") / "portrait.y4m")


def before_the_worker(script):
    """Return a script for the page that makes its worker run `script` first."""
    return (
        "const Plain = Blob; window.Blob = class extends Plain { constructor(parts, options) {"
        f"super(options?.type === 'text/javascript' ? [{script!r}, ...parts] : parts, options); }} }};"
    )


@pytest.fixture(scope="module")
def filming(launch, film, address):
    browser = launch(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    )
    page = browser.new_context().new_page()
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    yield page
    browser.close()


def test_camera_paints_faces_and_takes_stills(filming):
    page = filming
    page.click("#use-camera")
    until(page, f"document.getElementById('rate').textContent.includes({TEXT['camera_one']!r})")
    assert page.evaluate("document.getElementById('live').width") == 640
    live = "document.getElementById('live').getContext('2d').getImageData(320, 380, 1, 1).data.join()"
    # The mask is pale; the painted chin is brown.
    until(page, f"(([red, green, blue]) => Number(red) > Number(blue) + 20)({live}.split(','))")
    assert "scaleX(-1)" in page.evaluate("getComputedStyle(document.getElementById('live')).transform").replace(
        "matrix(-1, 0, 0, 1, 0, 0)", "scaleX(-1)"
    )
    page.check("input[name=live-emotion][value=happiness]", force=True)
    page.click("#still")
    until(page, "document.body.dataset.opened > 0")
    assert page.inner_text("#status") == TEXT["one_face"].format(masked=1)
    assert page.is_hidden("#camera") and page.is_visible("#work")


def test_frames_come_back_with_the_painted_part_only(page):
    found = page.evaluate(
        """async (text) => {
          const content = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          const file = new Blob([content], { type: "image/jpeg" });
          await askWorker("open", { file, side: 64 });
          await askWorker("paint", { emotion: "happiness", side: 64 });
          const { data, width, height } = await askWorker("pixels");
          const bitmap = await createImageBitmap(file);
          let frame;
          for (const restart of [true, false]) {
            frame = await askWorker("frame", { bitmap, emotion: "happiness", restart });
          }
          const text64 = (values) => {
            let out = "";
            for (let i = 0; i < values.length; i += 8192) out += String.fromCharCode(...values.subarray(i, i + 8192));
            return btoa(out);
          };
          const { parts, faces, masked } = frame;
          return { width, height, faces, masked, returned: [frame.bitmap.width, frame.bitmap.height],
            photo: text64(data), parts: parts.map((part) => ({ ...part, data: text64(part.data) })) };
        }""",
        base64.b64encode(draw_portrait()).decode(),
    )
    assert found["faces"] == found["masked"] == len(found["parts"]) == 1
    assert found["returned"] == [found["width"], found["height"]]
    part = found["parts"][0]
    assert part["width"] * part["height"] < found["width"] * found["height"] / 2
    where = np.s_[part["top"] : part["top"] + part["height"], part["left"] : part["left"] + part["width"]]
    pixels, painted = (
        np.frombuffer(base64.b64decode(given["data"]), np.uint8).reshape(given["height"], given["width"], 4)[..., :3]
        for given in (part, {**found, "data": found["photo"]})
    )
    before = np.asarray(Image.open(io.BytesIO(draw_portrait())))[where].astype(int)
    changed = np.abs(painted[where] - before).max(-1) > 8
    # Painted in less time than a photo, with landmarks of one run of the mesh, a frame looks almost the same.
    change = np.abs(painted[where][changed] - before[changed]).mean()
    assert change > 10
    assert np.abs(pixels[changed] - painted[where][changed].astype(int)).mean() < change / 4


def test_camera_stops(filming):
    page = filming
    page.click("#use-camera")
    until(page, "!document.getElementById('camera').hidden")
    page.click("#stop")
    assert page.is_hidden("#camera")


def test_no_camera_is_said(page):
    page.click("#use-camera")
    until(page, "document.getElementById('status').classList.contains('problem')")
    assert page.inner_text("#status") in (TEXT["camera_missing"], TEXT["camera_refused"])
    page.errors.clear()


@pytest.mark.parametrize(
    ("broken", "key"),
    [
        ("delete window.DecompressionStream", "oldBrowser"),
        ("window.fetch = () => Promise.reject(new TypeError())", "files"),
    ],
)
def test_browsers_that_lack_something_get_an_explanation(browser, address, broken, key):
    page = browser.new_page()
    page.add_init_script(broken)
    page.goto(address)
    until(page, "document.getElementById('status').classList.contains('problem')")
    assert page.inner_text("#status") == TEXT[key]
    page.close()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("WebAssembly = undefined;", "noWasm"),
        (
            "OffscreenCanvasRenderingContext2D.prototype.getImageData = ((read) => function (...given) {"
            "const got = read.apply(this, given); got.data[0] ^= 1; return got; })"
            "(OffscreenCanvasRenderingContext2D.prototype.getImageData);",
            "falsified",
        ),
    ],
)
def test_workers_that_lack_something_or_falsify_pixels_are_explained(browser, address, change, key):
    page = browser.new_page()
    page.add_init_script(before_the_worker(change))
    page.goto(address)
    until(page, "document.getElementById('status').classList.contains('problem')")
    assert page.inner_text("#status") == TEXT[key]
    page.close()


def test_page_works_without_relaxed_simd(browser, address):
    page = browser.new_page()
    page.add_init_script(before_the_worker("WebAssembly.validate = () => false;"))
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    assert page.get_attribute("body", "data-fast") == "false"
    page.click("#try")
    until(page, "document.body.dataset.opened > 0")
    assert page.inner_text("#status") == TEXT["one_face"].format(masked=1)
    page.close()
