"""The page with another network than the published one for small faces: `--model FILE`."""

import threading

import pytest

from rac_unet import web
from rac_unet.page.serving import make_server
from rac_unet.runtime.published import PUBLISHED_PORTRAIT
from rac_unet.unmasking.photo import Unmasker
from tests.page.conftest import WORKER_HOOK
from tests.page.test_parity import person, same_photo


@pytest.fixture(scope="module")
def portrait_page(browser, tmp_path_factory):
    """The page with the published 256-px network, ready."""
    folder = tmp_path_factory.mktemp("portrait")
    assert web.main(["--output", str(folder), "--model", str(PUBLISHED_PORTRAIT)]) == 0
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    server = make_server(files, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page()
    page.add_init_script(WORKER_HOOK)
    page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
    page.wait_for_selector("body[data-ready]")
    yield page
    page.close()
    server.shutdown()
    server.server_close()


def test_another_network_paints_as_in_python(portrait_page):
    # A face for which the network's 256 pixels count.
    psnr, iou, off, outside = same_photo(portrait_page, Unmasker(PUBLISHED_PORTRAIT, threads=1), person(5))
    assert psnr >= 40 and iou >= 0.98 and off < 0.5 and outside == 0
    # The published network for small faces has maps of 128 x 128 pixels.
    assert (
        portrait_page.evaluate("askWorker('paint', { emotion: 'fear', side: 64 }).then(({ faces }) => faces[0].size)")
        == 256
    )
