"""Write a folder of unusual and mangled image files: `python -m tests.strange_photos FOLDER --count 500 --seed 5`.

First intact files: every format and mode that Pillow writes, all EXIF orientations in every format that has them,
16-bit, transparent, animated; then wrong headers and other files; then random copies of these, cut off, damaged or
renamed.
"""

from __future__ import annotations

import argparse
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageCms, features

from tests.drawn_masks import drawn_photo

MODES = ("1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "F")
TURNED = ("jpeg", "png", "webp", "tiff", "avif")
_ENDINGS = {"jpeg": "jpg", "jpeg2000": "jp2", "tiff": "tif"}


def write_strange_photos(folder: Path, count: int, seed: int) -> None:
    """Write `count` files, `0000-name.suffix` and so on; intact files come first."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    with warnings.catch_warnings():
        # Some modes lose something in some formats.
        warnings.simplefilter("ignore")
        files = [*_whole(rng), *_liars(), *_no_photos()]
    if count > len(files):
        files += list(_mangled(files, count - len(files), rng))
    for number, (name, content) in enumerate(files[:count]):
        (folder / f"{number:04d}-{name}").write_bytes(content)


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Return an RGB image in any mode; deep modes are grey with 16 bits."""
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
    if mode in ("I", "I;16", "F"):
        kind = {"I": np.int32, "I;16": np.uint16, "F": np.float32}[mode]
        return Image.fromarray(np.asarray(image.convert("L")).astype(kind) * 257)
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _whole(rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    masked = Image.fromarray(cv2.resize(drawn_photo(), (90, 90), interpolation=cv2.INTER_AREA))
    noise = Image.fromarray(rng.integers(0, 255, (17, 23, 3), np.uint8))
    Image.init()
    for kind in sorted(Image.SAVE):
        for mode in MODES if kind != "ICNS" else ("RGB",):
            try:
                content = saved(in_mode(noise, mode), kind, **({"speed": 10} if kind == "AVIF" else {}))
            # Not every format writes every mode, and what it raises then differs.
            except Exception:
                continue
            yield f"{mode.replace(';', '_')}.{_ENDINGS.get(kind.lower(), kind.lower())}", content
    kinds = [kind for kind in TURNED if kind != "avif" or features.check("avif")]
    for kind in kinds:
        for orientation in range(1, 9):
            yield f"{orientation}-turned.{_ENDINGS.get(kind, kind)}", _turned(masked, kind, orientation)
    deep = np.asarray(masked)[..., ::-1].astype(np.uint16) * 257
    for ending in (".png", ".tif"):
        yield f"deep{ending}", cv2.imencode(ending, deep)[1].tobytes()
        yield f"deep-alpha{ending}", cv2.imencode(ending, np.dstack([deep, deep[..., 0]]))[1].tobytes()
    cutout = masked.convert("RGBA")
    cutout.putalpha(Image.fromarray(np.where(np.arange(90) < 12, 0, 255).astype(np.uint8)[None].repeat(90, 0)))
    for kind in ("png", "webp", "tiff", "gif"):
        yield f"cutout.{kind}", saved(cutout, kind)
    for kind in ("gif", "webp", "png", "tiff", *(["avif"] if "avif" in kinds else [])):
        yield f"animated.{kind}", saved(masked, kind, save_all=True, append_images=[noise.resize(masked.size)] * 2)
    for width, height in ((1, 1), (1, 60), (60, 1), (2, 2)):
        yield f"{width}x{height}.png", saved(noise.resize((width, height)), "png")
    yield "progressive.jpg", saved(masked, "jpeg", progressive=True)
    yield "cmyk.jpg", saved(masked.convert("CMYK"), "jpeg")
    yield "behind-its-end.jpg", saved(masked, "jpeg") + b"\0" * 99 + b"more"


def _turned(upright: Image.Image, kind: str, orientation: int) -> bytes:
    """Return an upright image stored such that this orientation turns it back."""
    back = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(
        upright if back is None else upright.transpose(back),
        kind,
        exif=exif,
        quality=95,
        **({"speed": 10} if kind == "avif" else {}),
    )


def _liars() -> Iterator[tuple[str, bytes]]:
    """Return small files whose headers claim a huge image, a wrong size, or another format."""
    small = Image.new("RGB", (40, 30), (90, 120, 30))
    for width, height in ((60_000, 60_000), (13_000, 13_000), (0, 0), (300, 200)):
        header = struct.pack(">II", width, height) + b"\x08\x02\0\0\0"
        png = saved(small, "png")
        png = png[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + png[33:]
        yield f"claims-{width}.png", png
        bmp = saved(small, "bmp")
        yield f"claims-{width}.bmp", bmp[:18] + struct.pack("<ii", width, height) + bmp[26:]
        jpeg = saved(small, "jpeg")
        at = jpeg.index(b"\xff\xc0") + 5
        yield f"claims-{width}.jpg", jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]
    yield "a-png-in-truth.jpg", saved(small, "png")
    yield "a-jpeg-in-truth.png", saved(small, "jpeg")
    yield "no-ending", saved(small, "webp")


def _no_photos() -> Iterator[tuple[str, bytes]]:
    yield "empty.jpg", b""
    yield "zeros.png", bytes(5000)
    yield "table.jpg", b"path,emotion\nphoto.jpg,anger\n"
    yield "clip.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(300)
    yield "clip.jpg", b"\x1aE\xdf\xa3\x93B\x82\x88matroska" + bytes(300)
    yield "phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    yield "next.jxl", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100)
    yield "sound.webp", b"RIFF\x10\0\0\0WAVEfmt " + bytes(100)


def _mangled(files: list[tuple[str, bytes]], count: int, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    endings = sorted({name.rpartition(".")[2] for name, _ in files})
    for _ in range(count):
        name, content = files[rng.integers(len(files))]
        stem = Path(name).stem.replace("-turned", "-was_turned")
        ending, kind = Path(name).suffix, rng.integers(4)
        if kind == 0:
            content = content[: rng.integers(0, len(content) + 1)]
        elif kind == 1:
            damaged = bytearray(content)
            for place in rng.integers(0, max(1, len(damaged)), rng.integers(1, 30)) if damaged else ():
                damaged[place] = rng.integers(256)
            content = bytes(damaged)
        elif kind == 2:
            content = content[:12] + rng.bytes(rng.integers(0, 200))
        else:
            ending = f".{endings[rng.integers(len(endings))]}"
        yield f"{stem}-{('cut', 'damaged', 'only-begins', 'renamed')[kind]}{ending}", content


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    write_strange_photos(args.folder, args.count, args.seed)
