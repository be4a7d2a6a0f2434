"""Measure the page in headless Chromium: `python -m tests.page.measure --output results/page`.

Writes `figures.csv` and `provenance.json`: sizes, times and the camera's rate on this machine, and how far composites
are from Python's; and `page.jpg`, the page with the drawn portrait. Times are medians over several runs; run it on an
idle machine.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import os
import shutil
import statistics
import tempfile
import threading
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

import rac_unet.page
from rac_unet.core.files.whole import replace_file, write_text
from rac_unet.core.provenance import make_provenance
from rac_unet.page.packing import page_files, single_page
from rac_unet.page.portrait import draw_portrait
from rac_unet.page.serving import make_server
from rac_unet.photos.png_encoding import encode_png
from rac_unet.photos.reading import read_photo
from rac_unet.runtime.published import PUBLISHED_NETWORK, PUBLISHED_READER
from rac_unet.unmasking.photo import Unmasker
from tests.page.conftest import CHROMIUMS, WORKER_HOOK, until, write_film
from tests.page.test_parity import person, same_photo
from tests.page.test_photo import repainted

RUNS = 7
# Longest time in ms between two events of a timer of 10 ms while a photo is open: how long the tab was frozen.
WATCH = """() => {
  let last = performance.now();
  window.longest = 0;
  window.watch = setInterval(() => {
    const now = performance.now();
    window.longest = Math.max(window.longest, now - last - 10);
    last = now;
  }, 10);
}"""


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.page.measure", description=main.__doc__)
    parser.add_argument("--output", type=Path, required=True, metavar="D", help="folder of figures.csv")
    parser.add_argument("--real_masks", type=Path, metavar="D", help="folder of photographs with real masks")
    args = parser.parse_args()
    files = page_files(PUBLISHED_NETWORK, PUBLISHED_READER)
    server = make_server(files, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    program = next(filter(None, map(shutil.which, CHROMIUMS)))
    rows = sizes(files)
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        film = write_film(Path(folder) / "film.y4m")
        browser = driver.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-video-capture={film}",
            ],
        )
        rows += times(browser, address)
        rows += camera(browser, address)
        page = opened(browser, address)
        # The page has no network for large faces.
        unmasker = Unmasker("lite", threads=1)
        rows += agreement("drawn", [person(number) for number in range(20)], page, unmasker)
        if args.real_masks:
            photos = [read_photo(path) for path in sorted(args.real_masks.glob("*.jpg"))[::12][:20]]
            rows += agreement("real_masks", [getattr(photo, "pixels", photo) for photo in photos], page, unmasker)
        picture(browser, address, args.output / "page.jpg")
        version = browser.version
        browser.close()
    server.shutdown()

    def write(path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([("figure", "value", "unit"), *rows])

    replace_file(args.output / "figures.csv", write)
    facts = make_provenance("tests.page.measure", None, chromium=version)
    write_text(args.output / "provenance.json", json.dumps(facts, indent=2) + "\n")
    for row in rows:
        print(*row)


def sizes(files: dict[str, bytes]) -> list[tuple]:
    folder = Path(rac_unet.page.__file__).parent
    wheel = [gzip.compress(path.read_bytes()) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return [
        ("page_folder", f"{sum(map(len, files.values())) / 1e6:.2f}", "MB"),
        ("single_file", f"{len(single_page(PUBLISHED_NETWORK, PUBLISHED_READER)) / 1e6:.2f}", "MB"),
        ("added_to_wheel", f"{sum(map(len, wheel)) / 1e6:.2f}", "MB"),
    ]


def opened(browser, address):
    page = browser.new_context().new_page()
    page.add_init_script(WORKER_HOOK)
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    return page


def times(browser, address) -> list[tuple]:
    ready, first, again, frozen = [], [], [], []
    photo = np.asarray(Image.open(io.BytesIO(draw_portrait())))
    megapixel = encode_png(cv2.resize(photo, (1172, 853), interpolation=cv2.INTER_CUBIC))
    stream = io.BytesIO()
    Image.fromarray(cv2.resize(photo, (8250, 6000), interpolation=cv2.INTER_LINEAR)).save(stream, "JPEG")
    for run in range(RUNS):
        page = opened(browser, address)
        ready.append(float(page.get_attribute("body", "data-ready")))
        page.evaluate(
            "() => { const body = document.body; window.done = new Promise((resolve) => new MutationObserver(() => "
            "body.dataset.opened && resolve(performance.now())).observe(body, { attributes: true })); "
            "document.addEventListener('change', () => { window.chosen ??= performance.now(); }, true); }"
        )
        page.set_input_files("#choose", {"name": "photo.png", "mimeType": "image/png", "buffer": megapixel})
        first.append(page.evaluate("window.done.then((end) => end - window.chosen)"))
        emotions = ["happiness", "fear", "anger", "neutral"]
        again += [
            page.evaluate(
                "async (emotion) => { const start = performance.now(); "
                "await askWorker('paint', { emotion, side: 1600 }); return performance.now() - start; }",
                emotion,
            )
            for emotion in emotions
        ]
        if run < 2:
            page.evaluate(WATCH)
            page.set_input_files("#choose", {"name": "p.jpg", "mimeType": "image/jpeg", "buffer": stream.getvalue()})
            until(page, "document.body.dataset.opened > 1", 120)
            frozen.append(page.evaluate("window.longest"))
        page.context.close()
    return [
        ("load_average", f"{os.getloadavg()[0]:.1f}", f"on {os.cpu_count()} cores"),
        ("ready", f"{statistics.median(ready):.0f}", "ms"),
        ("first_face_after_drop", f"{statistics.median(first):.0f}", "ms"),
        ("face_again_in_one_megapixel", f"{statistics.median(again):.0f}", "ms"),
        ("face_again_in_one_megapixel_fastest", f"{min(again):.0f}", "ms"),
        ("longest_freeze_with_50_megapixels", f"{max(frozen):.0f}", "ms"),
    ]


def camera(browser, address) -> list[tuple]:
    page = opened(browser, address)
    page.click("#use-camera")
    until(page, "document.body.dataset.rate > 0")
    rates = []
    for _ in range(8):
        page.wait_for_timeout(1000)
        rates.append(float(page.get_attribute("body", "data-rate")))
    page.context.close()
    return [
        ("camera_640x480_one_face", f"{statistics.median(rates):.1f}", "frames/s"),
        ("camera_640x480_one_face_fastest", f"{max(rates):.1f}", "frames/s"),
    ]


def picture(browser, address, path: Path) -> None:
    """Write the page as a picture: the drawn portrait, half of it painted happy, and all seven emotions."""
    page = browser.new_context(viewport={"width": 1120, "height": 900}).new_page()
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    page.click("#try")
    until(page, "document.body.dataset.opened > 0")
    repainted(page, lambda: page.check("input[name=emotion][value=happiness]", force=True))
    page.click("#show-sheet")
    page.wait_for_selector("#sheet figure:nth-child(8)")
    page.mouse.move(0, 0)
    replace_file(path, lambda unfinished: page.screenshot(path=unfinished, type="jpeg", quality=85, full_page=True))
    page.context.close()


def agreement(name: str, photos: list[np.ndarray], page, unmasker: Unmasker) -> list[tuple]:
    found = np.array([same_photo(page, unmasker, np.ascontiguousarray(photo)) for photo in photos])
    # A photo in which neither finds a mask says nothing of maps.
    psnr, iou, off, outside = found[found[:, 1] > 0].T
    return [
        (f"{name}_photos", len(psnr), ""),
        (f"{name}_least_composite_psnr", f"{psnr.min():.1f}", "dB"),
        (f"{name}_median_composite_psnr", f"{np.median(psnr):.1f}", "dB"),
        (f"{name}_least_map_iou", f"{iou.min():.4f}", ""),
        (f"{name}_median_map_iou", f"{np.median(iou):.4f}", ""),
        (f"{name}_largest_distance_of_crops", f"{off.max():.3f}", "px"),
        (f"{name}_changed_outside_the_map", f"{outside.max():g}", ""),
    ]


if __name__ == "__main__":
    main()
