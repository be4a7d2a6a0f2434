"""A download is complete or leaves no file, and it does not wait for a server that does not answer."""

import hashlib
import http.server
import socket
import threading
import time

import pytest

from rac_unet.objectives import download

CONTENT = bytes(range(256)) * 20_000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Server of `/whole`, `/other` (wrong bytes), `/short` (breaks off), `/drip` (a byte now and then); else 404."""

    def do_GET(self):
        if self.path not in ("/whole", "/other", "/short", "/drip"):
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if self.path == "/drip":
            # Until the client disconnects, long before the file is complete.
            for _ in range(len(CONTENT)):
                try:
                    self.wfile.write(b"x")
                    self.wfile.flush()
                except OSError:
                    break
                time.sleep(0.02)
        else:
            self.wfile.write({"/whole": CONTENT, "/other": CONTENT[::-1], "/short": CONTENT[:70_000]}[self.path])
        return None

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def url():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_whole_file_arrives_and_replaces(url, tmp_path, capsys):
    file = tmp_path / "models" / "weights.h5"
    download.fetch(f"{url}/whole", file, MD5)
    assert file.read_bytes() == CONTENT
    file.write_bytes(b"damaged")
    download.fetch(f"{url}/whole", file, MD5)
    assert file.read_bytes() == CONTENT and [p.name for p in file.parent.iterdir()] == ["weights.h5"]
    assert "weights.h5 (5 MB)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "words"),
    [("other", "not the published file"), ("short", "received|broke"), ("drip", "too slow"), ("gone", "404")],
)
def test_a_failed_download_leaves_no_file(url, tmp_path, monkeypatch, path, words):
    monkeypatch.setattr(download, "GRACE", 0.2)
    file = tmp_path / "weights.h5"
    file.write_bytes(b"before")
    with pytest.raises(download.DownloadError, match=words):
        download.fetch(f"{url}/{path}", file, MD5)
    assert file.read_bytes() == b"before" and [p.name for p in tmp_path.iterdir()] == ["weights.h5"]


def test_a_silent_server_times_out(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,  # it would never answer
        pytest.raises(download.DownloadError, match="no answer|timed out"),
    ):
        download.fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/whole", tmp_path / "w.h5", MD5)
    assert list(tmp_path.iterdir()) == []


def test_a_hanging_name_lookup_times_out(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    over, answered = threading.Event(), threading.Event()

    def lookup(*_, **__):
        over.wait(60)
        answered.set()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    try:
        with pytest.raises(download.DownloadError, match="no answer"):
            download.fetch("http://weights.invalid/whole", tmp_path / "w.h5", MD5)
        assert not answered.is_set()
    finally:
        over.set()
