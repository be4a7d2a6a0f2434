"""A headless Chromium and the page in it; all tests that need them are skipped where there is none."""

import io
import json
import shutil
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import rac_unet.page
from rac_unet.page.packing import page_files
from rac_unet.page.portrait import draw_portrait
from rac_unet.page.serving import make_server
from rac_unet.runtime.published import PUBLISHED_NETWORK, PUBLISHED_READER

TEXT = json.loads((Path(rac_unet.page.__file__).parent / "static/text.json").read_text(encoding="utf-8"))
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# The worker's requests for tests: window.askWorker(name, arguments), in addition to those of the page.
WORKER_HOOK = """(() => {
  const Plain = Worker;
  window.Worker = class extends Plain {
    constructor(address) {
      super(address);
      window.askWorker = (request, given = {}) => new Promise((resolve, reject) => {
        const id = `test ${Math.random()}`;
        const listen = ({ data }) => {
          if (data.id !== id) return;
          this.removeEventListener("message", listen);
          if (data.refusal) reject(new Error(data.refusal)); else resolve(data.value);
        };
        this.addEventListener("message", listen);
        this.postMessage({ id, request, ...given });
      });
    }
  };
})();"""


@pytest.fixture(scope="session")
def launch():
    """A function that starts Chromium with more arguments; what it started is closed at the end."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, from the extra `dev`")
    program = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if program is None:
        pytest.skip("no Chromium on this machine; install it, for example with: apt-get install chromium")
    with sync_api.sync_playwright() as driver:
        yield lambda *more: driver.chromium.launch(executable_path=program, args=["--no-sandbox", *more])


@pytest.fixture(scope="session")
def browser(launch):
    browser = launch()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def address():
    """Address of the page with the published network, served as `--open` serves it."""
    server = make_server(page_files(PUBLISHED_NETWORK, PUBLISHED_READER), "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def page(browser, address):
    """The page, ready; shared by the tests of a file. Its `errors` are the browser's messages about faults in it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda message: message.type == "error" and page.errors.append(message.text))
    page.add_init_script(WORKER_HOOK)
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    yield page
    context.close()
    assert page.errors == []


def until(page, expression, seconds=30):
    """Wait until a JavaScript expression is true; Playwright's own waiting needs `eval`, which the policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"still false after {seconds} s: {expression}; {page.inner_text('#status')}"
        page.wait_for_timeout(20)


def give(page, content, name="photo.png", kind="image/png"):
    """Choose a file in the page and wait for its answer; returns the status line."""
    busy = [TEXT["looking"], TEXT["loading"]]
    before = page.evaluate("Number(document.body.dataset.answered ?? 0)")
    page.set_input_files("#choose", {"name": name, "mimeType": kind, "buffer": content})
    until(page, f"Number(document.body.dataset.answered ?? 0) > {before}")
    assert page.inner_text("#status") not in busy
    return page.inner_text("#status")


def write_film(path):
    """Write a film of 640 x 480 in which the drawn portrait moves a little, for Chromium's fake camera."""
    photo = np.asarray(Image.open(io.BytesIO(draw_portrait())))
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W640 H480 F30:1 Ip C420jpeg\n")
        for frame in range(10):
            moved = np.ascontiguousarray(photo[:, 2 * frame : 2 * frame + 640])
            file.write(b"FRAME\n" + cv2.cvtColor(moved, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path
