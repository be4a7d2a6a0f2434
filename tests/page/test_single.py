"""The page as one file: opened from a disk, without a network, under a policy that allows no connection at all."""

import pytest

from rac_unet.page.packing import single_page
from rac_unet.runtime.published import PUBLISHED_NETWORK, PUBLISHED_READER
from tests.page.conftest import TEXT, until


@pytest.fixture(scope="module")
def offline(browser, tmp_path_factory):
    path = tmp_path_factory.mktemp("single") / "page.html"
    path.write_bytes(single_page(PUBLISHED_NETWORK, PUBLISHED_READER))
    context = browser.new_context(offline=True)
    page, requests, errors = context.new_page(), [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready]")
    yield page, requests, errors
    context.close()


def test_it_paints_a_face_without_asking_for_anything(offline):
    page, requests, errors = offline
    page.click("#try")
    until(page, "document.body.dataset.opened > 0")
    assert page.inner_text("#status") == TEXT["one_face"].format(masked=1)
    with page.expect_download():
        page.click("#download")
    assert [url for url in requests[1:] if not url.startswith(("blob:", "data:"))] == [] and errors == []


def test_its_policy_allows_no_connection_and_only_its_own_script(offline):
    page, _, _ = offline
    policy = page.get_attribute("meta[http-equiv=Content-Security-Policy]", "content")
    assert "connect-src 'none'" in policy and "'sha256-" in policy and "unsafe-inline" not in policy
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.injected = 1' }))"
    )
    assert page.evaluate("window.injected") is None
    assert (
        page.workers[0].evaluate("fetch('http://127.0.0.1:9/').then(() => 'left', (error) => error.name)")
        == "TypeError"
    )


def test_texts_and_notices_are_in_it(offline):
    page, _, _ = offline
    assert page.title() == TEXT["title"] and "Apache License" in page.content()
