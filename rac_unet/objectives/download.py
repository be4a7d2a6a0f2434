"""Fetch one published file, whole or not at all, and give up within seconds where there is no connection.

Keras's own downloader waits for ever: it sets no timeout, neither for the name of the host nor for the data.
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

# Seconds for the host to answer at all, and for each further piece of the file.
PATIENCE = 10.0
# A connection that is slower than this on average, in bytes a second, after the first seconds, is as good as none.
SLOWEST, GRACE = 50_000, 20.0
PIECE = 1 << 20


class DownloadError(Exception):
    """Why the file could not be had, in a few words."""


def fetch(url: str, file: Path, md5: str) -> None:
    """Download `url` to `file`, whose folder is made; a file that is there already is replaced.

    Args:
        md5: the digest that the publisher names.
    Raises: DownloadError when there is no answer, the connection breaks or crawls, or other bytes arrive; `file` is
        then as it was before, and nothing lies beside it.
    """
    response = _connect(url)
    size = int(response.headers.get("Content-Length") or 0)
    print(f"downloading {file.name} ({size / 1e6:.0f} MB) to {file.parent}", file=sys.stderr, flush=True)
    progress = Progress(round(size / PIECE), noun="MiB")

    def write(temporary: Path) -> None:
        digest = hashlib.md5(usedforsecurity=False)
        received, start = 0, time.monotonic()
        with response, temporary.open("wb") as out:
            while piece := _read(response):
                out.write(piece)
                digest.update(piece)
                progress.advance((received + len(piece)) // PIECE - received // PIECE)
                received += len(piece)
                seconds = time.monotonic() - start
                if seconds > GRACE and received < SLOWEST * seconds:
                    raise DownloadError(f"the connection crawls: {received / 1e6:.1f} MB in {seconds:.0f} s")
        if digest.hexdigest() != md5:
            raise DownloadError(f"{received:,} bytes arrived that are not the published file (its MD5 is {md5})")

    replace_file(file, write)
    progress.close()


def _connect(url: str):
    """The open response; looking up a host's name knows no timeout, so a thread does it that may be left behind."""
    answers: queue.Queue = queue.Queue()

    def connect():
        try:
            answers.put(urllib.request.urlopen(url, timeout=PATIENCE))
        except Exception as error:  # handed over to the thread that waits
            answers.put(error)

    threading.Thread(target=connect, daemon=True).start()
    try:
        answer = answers.get(timeout=PATIENCE)
    except queue.Empty:
        raise DownloadError(f"no answer within {PATIENCE:.0f} s") from None
    if isinstance(answer, Exception):
        raise DownloadError(_reason(answer)) from answer
    return answer


def _read(response) -> bytes:
    try:
        # What is there, not a full piece: a trickle must not hold us inside one call.
        return response.read1(PIECE)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"the connection broke: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return str(getattr(error, "reason", "") or error or type(error).__name__)
