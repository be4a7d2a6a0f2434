"""The command that writes and serves the page."""

import threading
import urllib.error
import urllib.request

import pytest

from rac_unet import web
from rac_unet.page.serving import make_server
from rac_unet.runtime.published import PUBLISHED_READER
from tests.refusals import refused

FILES = {"index.html": b"<p>page", "data/a.gz": b"a"}


def test_folder_and_single_file_are_written_and_written_again(tmp_path, capsys):
    folder, single = tmp_path / "page", tmp_path / "page.html"
    for _ in range(2):
        assert web.main(["--output", str(folder), "--single", str(single)]) == 0
    out = capsys.readouterr().out
    assert str(folder) in out and str(single) in out
    assert {"index.html", "page.js", "style.css", "LICENSE", "NOTICE", "data"} == {
        path.name for path in folder.iterdir()
    }
    assert single.read_bytes().startswith(b"<!doctype html>")


def test_other_files_are_not_overwritten(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with refused("exists", tmp_path.name):
        web.main(["--output", str(tmp_path)])
    with refused("exists", "index.html"):
        web.main(["--single", str(tmp_path / "index.html")])
    assert (tmp_path / "index.html").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("argv", "kind", "named"),
    [
        ([], "usage", "--open"),
        (["--output", "page", "--port", "80"], "usage", "--port"),
        (["--open", "--port", "70000"], "usage", "70000"),
        (["--output", "page", "--model", "missing.tflite"], "missing", "missing.tflite"),
        (["--output", "page", "--model", str(PUBLISHED_READER)], "wrong_type", PUBLISHED_READER.name),
        (["--output", "page", "--model", __file__], "unsupported", "test_web.py"),
    ],
)
def test_wrong_options(argv, kind, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with refused(kind, named):
        web.main(argv)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def address():
    server = make_server(FILES, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_server_gives_only_its_files_under_the_policy(address):
    with urllib.request.urlopen(address) as answer:
        assert answer.read() == FILES["index.html"]
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    with urllib.request.urlopen(f"{address}/data/a.gz") as answer:
        assert answer.read() == b"a" and answer.headers["Content-Encoding"] is None
    for path in ("/../setup.cfg", "/data", "/etc/passwd"):
        with pytest.raises(urllib.error.HTTPError) as failure:
            urllib.request.urlopen(address + path)
        assert failure.value.code == 404


def test_server_on_this_machine_refuses_other_host_names(address):
    request = urllib.request.Request(address, headers={"Host": "attacker.example"})
    with pytest.raises(urllib.error.HTTPError) as failure:
        urllib.request.urlopen(request)
    assert failure.value.code == 403


def test_used_port_is_refused(address):
    port = address.rpartition(":")[2]
    with refused("unwritable", port):
        make_server(FILES, "127.0.0.1", int(port))


@pytest.mark.parametrize(("host", "warned"), [(None, False), ("127.0.0.1", False), ("0.0.0.0", True)])
def test_open_serves_on_this_machine_and_warns_of_others(host, warned, monkeypatch, capsys):
    from rac_unet.page import serving

    opened = []

    def made(files, host, port):
        server = make_server({"index.html": b""}, "127.0.0.1", port)
        server.serve_forever = lambda: None
        opened.append(host)
        return server

    monkeypatch.setattr(serving, "make_server", made)
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert web.main(["--open", *(["--host", host] if host else [])]) == 0
    out = capsys.readouterr().out
    assert opened[0] == (host or "127.0.0.1") and opened[1].startswith("http://127.0.0.1:") and opened[1] in out
    assert ("warning" in out) == warned
