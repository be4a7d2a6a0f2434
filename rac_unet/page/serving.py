"""Serve the page's files to a browser on this machine."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from rac_unet.core.errors import UserError
from rac_unet.page.packing import FOLDER_POLICY

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_KINDS = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "gz": "application/octet-stream",
}


def make_server(files: dict[str, bytes], host: str, port: int) -> ThreadingHTTPServer:
    """Return a server of the files of `page_files`; its `serve_forever` serves them.

    It answers GET and HEAD for these files only. On a loopback address it refuses requests for other host names, which
    a foreign page could point at this machine.

    Args:
        port: 0 for any free port.
    Raises: UserError when address and port cannot be used.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._answer(True)

        def do_HEAD(self):
            self._answer(False)

        def log_message(self, *_):
            pass

        def _answer(self, with_body: bool) -> None:
            name = urlsplit(self.path).path.removeprefix("/") or "index.html"
            asked = urlsplit(f"//{self.headers.get('Host', '')}").hostname
            allowed = host not in LOOPBACK or asked in LOOPBACK
            content = files.get(name) if allowed else None
            self.send_response(200 if content is not None else 404 if allowed else 403)
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("Content-Type", _KINDS.get(name.rpartition(".")[2], "text/plain; charset=utf-8"))
            self.send_header("Content-Security-Policy", f"{FOLDER_POLICY}; frame-ancestors 'none'")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Cache-Control", "no-cache")
            self.end_headers()
            if with_body and content:
                self.wfile.write(content)

    try:
        return ThreadingHTTPServer((host, port), Handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot serve on {host}, port {port}: {reason}; give another --port", "unwritable") from None
