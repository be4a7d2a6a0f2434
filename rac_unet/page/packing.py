"""Gather the files of the page: a folder for a web server, or one HTML file for a disk.

Both have the same parts. The worker's script, LiteRT and the networks are compressed files that the page unpacks. The
worker is started from a blob in both, so that it inherits the content-security policy of the page: a worker loaded from
an address would take the policy of the server's answer, and most servers send none.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import html
import json
import os
import re
from pathlib import Path

import numpy as np

from rac_unet.core.errors import UserError, own_version
from rac_unet.faces.boxes import FAR, NEAR
from rac_unet.faces.detect import MESH_FILE, NETWORKS
from rac_unet.page.bundling import bundle
from rac_unet.page.dense_text import dense_text
from rac_unet.page.portrait import draw_portrait
from rac_unet.page.refresh_runtime import PACKED_COMPATIBLE, PACKED_FAST, SCRIPTS
from rac_unet.unmasking.painting.texture import grain_tile

_HERE = Path(__file__).resolve().parent
_STATIC, _VENDOR = _HERE / "static", _HERE / "vendor"
# In every page that this module writes, by which it is recognized.
GENERATOR = '<meta name="generator" content="rac_unet.web'
# Steps of the noise per standard deviation, in int8; `static/worker.js` divides by it.
_GRAIN_STEPS = 28
_POLICY = {
    "default-src": "'none'",
    "script-src": "{script} 'wasm-unsafe-eval'",
    "style-src": "{style}",
    "worker-src": "blob:",
    "connect-src": "{connect}",
    "img-src": "data:",
    "base-uri": "'none'",
    "form-action": "'none'",
}
FOLDER_POLICY = "; ".join(f"{name} {value}" for name, value in _POLICY.items()).format(
    script="'self'", style="'self'", connect="'self'"
)


def page_files(model: str | os.PathLike, reader: str | os.PathLike | None) -> dict[str, bytes]:
    """Return the files of the page by their paths, for a web server; index.html is the first page.

    Args:
        model: .tflite file of a mask-aware network with our interface.
        reader: .tflite file of an emotion reader, or None if the model reads emotions itself.
    """
    text = _text()
    files = {f"data/{name}.gz": content for name, content in _packed(model, reader).items()}
    names = json.dumps({name: f"data/{name}.gz" for name in _packed(model, reader)})
    page = _page(
        text,
        policy=FOLDER_POLICY,
        style='<link rel="stylesheet" href="style.css">',
        script='<script src="page.js" defer></script>',
        files=f'<script type="application/json" id="addresses">{names}</script>',
    )
    return {
        "index.html": page.encode(),
        "style.css": (_STATIC / "style.css").read_bytes(),
        "page.js": bundle(_STATIC, "page.js").encode(),
        **files,
        "LICENSE": (_VENDOR / "LICENSE").read_bytes(),
        "NOTICE": (_VENDOR / "NOTICE").read_bytes(),
    }


def single_page(model: str | os.PathLike, reader: str | os.PathLike | None) -> bytes:
    """Return the page as one HTML file that works from a disk; for the arguments see `page_files`."""
    style = (_STATIC / "style.css").read_text(encoding="utf-8")
    script = bundle(_STATIC, "page.js")
    values = {"script": _hash_source(script), "style": _hash_source(style), "connect": "'none'"}
    policy = "; ".join(f"{name} {value}" for name, value in _POLICY.items()).format(**values)
    files = "\n".join(
        f'<script type="text/plain" id="file-{name}">{dense_text(content)}</script>'
        for name, content in _packed(model, reader).items()
    )
    notice = (_VENDOR / "NOTICE").read_text(encoding="utf-8").replace("--", "- -")
    page = _page(
        _text(),
        policy=policy,
        style=f"<style>{style}</style>",
        # After the files, which it reads.
        script="",
        files=f"<!--\n{notice}-->\n{files}\n<script>{script}</script>",
    )
    return page.encode()


def write_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Write the files of `page_files` into a folder, index.html last.

    Raises: UserError when the folder has other files and no page that this package wrote.
    """
    from rac_unet.core.files.whole import write_file

    if folder.is_dir() and any(folder.iterdir()) and not is_own_page(folder / "index.html"):
        raise UserError(f"{folder} has other files and no page of rac_unet; give a new folder", "exists")
    for name, content in reversed(files.items()):
        write_file(folder / name, content)


def is_own_page(path: Path) -> bool:
    """Return whether a file is a page that this package wrote."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return GENERATOR.encode() in file.read(4096)


@functools.lru_cache(maxsize=2)
def _packed(model: str | os.PathLike, reader: str | os.PathLike | None) -> dict[str, bytes]:
    networks = {
        "near": NETWORKS / NEAR.file,
        "far": NETWORKS / FAR.file,
        "mesh": NETWORKS / MESH_FILE,
        "inpainter": Path(model),
        **({"reader": Path(reader)} if reader else {}),
    }
    grain = np.clip(np.rint(_GRAIN_STEPS * grain_tile()), -127, 127).astype(np.int8)
    return {
        "worker": _compressed(_worker().encode()),
        "wasm": (_VENDOR / PACKED_FAST).read_bytes(),
        "compatible": (_VENDOR / PACKED_COMPATIBLE).read_bytes(),
        "portrait": draw_portrait(),
        "grain": _compressed(grain.tobytes()),
        **{name: _compressed(_sorted(path.read_bytes())) for name, path in networks.items()},
    }


def _worker() -> str:
    """Return the worker's script: LiteRT's two scripts, of which it calls one, and ours."""
    parts = [
        f"self.{name} = () => {{\n{(_VENDOR / script).read_text(encoding='utf-8')}\nreturn ModuleFactory;\n}};\n"
        for name, script in zip(("liteRtFast", "liteRtCompatible"), SCRIPTS, strict=True)
    ]
    return "".join(parts) + bundle(_STATIC, "worker.js")


def _sorted(content: bytes) -> bytes:
    """Return the bytes of a network in four runs, each float's first bytes, second bytes and so on: gzip saves more."""
    whole = len(content) // 4 * 4
    return np.frombuffer(content[:whole], np.uint8).reshape(-1, 4).T.tobytes() + content[whole:]


def _compressed(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)


def _text() -> dict[str, str]:
    return json.loads((_STATIC / "text.json").read_text(encoding="utf-8"))


def _page(text: dict[str, str], **parts: str) -> str:
    """Return index.html with its texts and parts filled in."""
    page = (_STATIC / "index.html").read_text(encoding="utf-8")
    page = re.sub(r"\{\{text (\w+)\}\}", lambda found: html.escape(text[found.group(1)]), page)
    # "<" would end the element.
    texts = json.dumps(text, ensure_ascii=True).replace("<", "\\u003c")
    parts |= {"texts": texts, "version": own_version()}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found.group(1)], page)


def _hash_source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
