"""No picture leaves the device: the browser itself forbids it, in the page and in its worker."""

import http.server
import threading

import pytest

from tests.page.conftest import TEXT, until

TRIES = {
    "fetch": "fetch(address).then(() => 'left', () => 'blocked')",
    "beacon": "Promise.resolve(navigator.sendBeacon(address, 'x') && 'queued')",
    "picture": "new Promise((done) => Object.assign(new Image(), "
    "{ src: address, onload: () => done('left'), onerror: () => done('blocked') }))",
    "socket": "new Promise((done) => { try { const socket = new WebSocket(address.replace('http', 'ws')); "
    "socket.onerror = () => done('blocked'); socket.onopen = () => done('left'); } catch { done('blocked'); } })",
    "script": "new Promise((done) => document.head.append(Object.assign(document.createElement('script'), "
    "{ src: address, onload: () => done('left'), onerror: () => done('blocked') })))",
    "form": "(() => { const form = document.createElement('form'); form.action = address; document.body.append(form); "
    "form.submit(); return new Promise((done) => setTimeout(() => done('blocked'), 100)); })()",
}


@pytest.fixture(scope="module")
def outside():
    """Another server, and what it was asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", asked
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def visited(browser, address):
    """The page after a photo was unmasked, and all addresses that were asked for."""
    context = browser.new_context()
    page, requests = context.new_page(), []
    context.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    page.click("#try")
    until(page, "document.body.dataset.opened > 0")
    yield page, requests
    context.close()


def test_only_the_pages_own_files_are_asked_for_and_nothing_is_stored(visited, address):
    page, requests = visited
    assert page.inner_text("#status") == TEXT["one_face"].format(masked=1)
    assert len(requests) >= 5
    assert [url for url in requests if not url.startswith((address, "blob:", "data:"))] == []
    assert page.context.cookies() == []
    assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]
    stored = "Promise.all([indexedDB.databases(), caches.keys(), navigator.serviceWorker.getRegistrations()])"
    assert page.evaluate(f"{stored}.then((all) => all.flat().length)") == 0


@pytest.mark.parametrize("way", TRIES)
def test_an_injected_address_is_blocked(visited, outside, way):
    page, _ = visited
    address, asked = outside
    page.evaluate(f"(address) => {TRIES[way]}", f"{address}{way}")
    page.wait_for_timeout(100)
    assert asked == []


def test_the_other_server_can_be_reached_without_the_policy(browser, outside):
    address, asked = outside
    context = browser.new_context(bypass_csp=True)
    context.new_page().goto(f"{address}reached")
    context.close()
    assert "/reached" in asked
    asked.clear()


def test_the_worker_is_under_the_same_policy(visited, outside):
    page, _ = visited
    address, asked = outside
    assert len(page.workers) == 1
    result = page.workers[0].evaluate("(address) => fetch(address).then(() => 'left', () => 'blocked')", address)
    assert result == "blocked" and asked == []


def test_no_inline_handlers_and_no_text_evaluation(address, visited):
    page, _ = visited
    assert (
        page.evaluate(
            "[...document.querySelectorAll('*')].flatMap((each) => each.getAttributeNames())"
            ".filter((name) => name.startsWith('on'))"
        )
        == []
    )
    policy = page.get_attribute("meta[http-equiv=Content-Security-Policy]", "content")
    assert policy.startswith("default-src 'none'") and "'unsafe-eval'" not in policy and "unsafe-inline" not in policy
