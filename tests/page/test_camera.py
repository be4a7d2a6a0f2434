"""The live camera, with a device that Chromium plays from a file."""

import pytest

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
