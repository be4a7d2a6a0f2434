"""Download one published file completely or not at all, and give up within seconds without a connection.

`keras.utils.get_file` can hang: it sets no timeout, neither for resolving the host's name nor for the data.
"""

from __future__ import annotations

import hashlib
import http.client
import queue
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from rac_unet.core.files.whole import replace_file
from rac_unet.core.progress import Progress

# Seconds until the host must answer, and until each further chunk must arrive.
TIMEOUT = 10.0
# After GRACE seconds, a mean rate below SLOWEST bytes a second ends the download.
SLOWEST, GRACE = 50_000, 20.0
CHUNK = 1 << 20


class DownloadError(Exception):
    """A failed download, with its reason in a few words."""


def fetch(url: str, file: Path, md5: str) -> None:
    """Download `url` to `file`; create its folder, and replace an existing file.

    Args:
        md5: the published digest.
    Raises: DownloadError when the host does not answer, the connection breaks or is too slow, or the digest is wrong;
        `file` is then unchanged, and no temporary file remains.
    """
    response = _connect(url)
    size = int(response.headers.get("Content-Length") or 0)
    print(f"downloading {file.name} ({size / 1e6:.0f} MB) to {file.parent}", file=sys.stderr, flush=True)
    progress = Progress(round(size / CHUNK), noun="MiB")

    def write(temporary: Path) -> None:
        digest = hashlib.md5(usedforsecurity=False)
        received, start = 0, time.monotonic()
        with response, temporary.open("wb") as out:
            while chunk := _read(response):
                out.write(chunk)
                digest.update(chunk)
                progress.advance((received + len(chunk)) // CHUNK - received // CHUNK)
                received += len(chunk)
                seconds = time.monotonic() - start
                if seconds > GRACE and received < SLOWEST * seconds:
                    raise DownloadError(f"the connection is too slow: {received / 1e6:.1f} MB in {seconds:.0f} s")
        if digest.hexdigest() != md5:
            raise DownloadError(f"the {received:,} bytes received are not the published file (its MD5 is {md5})")

    replace_file(file, write)
    progress.close()


def _connect(url: str):
    """Return the open response. Resolving a host's name has no timeout, so a thread does it, which may be abandoned."""
    answers: queue.Queue = queue.Queue()

    def connect():
        try:
            answers.put(urllib.request.urlopen(url, timeout=TIMEOUT))
        except Exception as error:  # raised by the waiting thread
            answers.put(error)

    threading.Thread(target=connect, daemon=True).start()
    try:
        answer = answers.get(timeout=TIMEOUT)
    except queue.Empty:
        raise DownloadError(f"no answer within {TIMEOUT:.0f} s") from None
    if isinstance(answer, Exception):
        raise DownloadError(_reason(answer)) from answer
    return answer


def _read(response) -> bytes:
    try:
        # read1 returns what has arrived; read would block until a slow connection has filled a chunk.
        return response.read1(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"the connection broke: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    return str(getattr(error, "reason", "") or error or type(error).__name__)
