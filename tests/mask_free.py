"""500 pictures without a face mask, drawn or made from photographs, to count how many `predict` changes.

    python -m tests.mask_free --photos ../shared/data/faces

Thresholds were chosen on one half, alternating blocks of eight pictures, and are reported on the other. The same
arguments give the same pixels with the same version of OpenCV.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.synthesis.toys.face import draw_face

_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)
_TEXT = (
    "the of and mask face paint over light under window street water glass paper house river morning sold 1948 "
    "price note table red green summer Berlin Nr. 27 % & total 12.50 open closed exit"
)
_WORDS = _TEXT.split()


@dataclass(frozen=True)
class Picture:
    """A picture without a mask: its kind, its number in the set, and a function that returns (H, W, 3) uint8 RGB."""

    kind: str
    number: int
    make: Callable[[], np.ndarray]

    @property
    def name(self) -> str:
        return f"{self.number:03d} {self.kind}"


def drawn_pictures() -> list[Picture]:
    """Return the 325 pictures that need no photographs."""
    kinds = (
        ("letter", _letter, 70),
        ("words", _words, 30),
        ("scan", _scan, 35),
        ("texture", _texture, 80),
        ("noise", _noise, 30),
        ("gradient", _gradient, 15),
        ("shapes", _shapes, 25),
        ("toy", _toy, 40),
    )
    made = [(kind, draw, i) for kind, draw, count in kinds for i in range(count)]
    return [Picture(kind, number, _drawn(draw, number, i)) for number, (kind, draw, i) in enumerate(made)]


def photographs(folder: Path) -> list[Picture]:
    """Return 175 pictures from the test split of `labels.csv` in a folder of photographs.

    They are unchanged, small, far away, grey, bitonal, turned, or parts.
    """
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        paths = [folder / row["path"] for row in csv.DictReader(file) if row["split"] == "test"]
    first = len(drawn_pictures())
    paths = [paths[i] for i in np.linspace(0, len(paths) - 1, 175).astype(int)]
    return [
        Picture(f"photo {_CHANGES[i % len(_CHANGES)].__name__[1:]}", first + i, _changed(path, first + i, i))
        for i, path in enumerate(paths)
    ]


def _drawn(draw, number: int, i: int) -> Callable[[], np.ndarray]:
    return lambda: np.ascontiguousarray(draw(np.random.default_rng([7, number]), i))


def _changed(path: Path, number: int, i: int) -> Callable[[], np.ndarray]:
    def make() -> np.ndarray:
        photo = cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]
        return np.ascontiguousarray(_CHANGES[i % len(_CHANGES)](photo, np.random.default_rng([7, number])))

    return make


# Drawn pictures


def _two_colours(rng) -> tuple[np.ndarray, np.ndarray]:
    """Return ink and paper colours: black on white in half of the cases."""
    if rng.random() < 0.5:
        return np.array((0, 0, 0)), np.array((255, 255, 255))
    while True:
        ink, paper = rng.integers(0, 256, (2, 3))
        if abs(int(ink.sum()) - int(paper.sum())) > 150:
            return ink, paper


def _written(text: str, rng, side: tuple[int, int], size: float | None = None) -> np.ndarray:
    """A word in the middle of a picture of (height, width), as large as fits."""
    font, thickness = int(rng.choice(_FONTS)), int(rng.integers(1, 9))
    ink, paper = _two_colours(rng)
    (width, height), _ = cv2.getTextSize(text, font, 1, thickness)
    fits = min(side[1] / (width + 8), side[0] / (2 * height + 8))
    scale = (size or rng.uniform(0.5, 1.3)) * fits
    (width, height), _ = cv2.getTextSize(text, font, scale, thickness)
    image = np.tile(paper.astype(np.uint8), (*side, 1))
    place = (int((side[1] - width) / 2), int((side[0] + height) / 2))
    return cv2.putText(image, text, place, font, scale, ink.tolist(), thickness, cv2.LINE_AA)


def _letter(rng, i: int) -> np.ndarray:
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789&%@#?!$*"
    side = int(rng.choice((64, 128, 200, 256, 400)))
    text = signs[(7 * i) % len(signs)]
    if i % 3 == 2:
        text = ":".join(signs[j] for j in rng.integers(0, len(signs), 2))
    image = _written(text, rng, (side, side))
    if rng.random() < 0.4:
        # Dots and strokes above and below, as accents are.
        for _ in range(int(rng.integers(1, 4))):
            x, y = rng.integers(side // 4, 3 * side // 4, 2).tolist()
            cv2.circle(image, (x, y), int(rng.integers(1, max(2, side // 12))), (0, 0, 0), -1, cv2.LINE_AA)
    return image


def _words(rng, i: int) -> np.ndarray:
    text = " ".join(rng.choice(_WORDS, int(rng.integers(1, 4))))
    return _written(text, rng, (int(rng.choice((60, 120, 240))), int(rng.choice((200, 320, 640)))), 0.9)


def _page(rng, width: int, height: int) -> np.ndarray:
    """(H, W) uint8: lines of words, columns, a box or two."""
    page = np.full((height, width), 255, np.uint8)
    font, scale = int(rng.choice(_FONTS)), float(rng.uniform(0.35, 1.1))
    y = int(40 * scale)
    while y < height:
        line = " ".join(rng.choice(_WORDS, 24))
        cv2.putText(page, line, (int(rng.integers(5, 30)), y), font, scale, 0, 1 + (scale > 0.8), cv2.LINE_AA)
        y += int(rng.uniform(30, 42) * scale)
    for _ in range(int(rng.integers(0, 4))):
        corner, far = rng.integers(0, [width, height], (2, 2)).tolist()
        cv2.rectangle(page, corner, far, 0 if rng.random() < 0.5 else 255, -1 if rng.random() < 0.3 else 2)
    return page


def _scan(rng, i: int) -> np.ndarray:
    page = _page(rng, int(rng.integers(250, 900)), int(rng.integers(250, 1000)))
    turn = cv2.getRotationMatrix2D((page.shape[1] / 2, page.shape[0] / 2), float(rng.uniform(-6, 6)), 1)
    page = cv2.warpAffine(page, turn, page.shape[::-1], borderValue=255).astype(np.float32)
    page -= _smooth(rng, page.shape, 0.3) * rng.uniform(0, 90)
    page += rng.normal(0, rng.uniform(0, 30), page.shape)
    if i % 2:
        # In black and white, with specks.
        page = 255.0 * (page > 140)
        page[rng.random(page.shape) < 0.01] = 0
    return _grey(page)


def _smooth(rng, shape, share: float) -> np.ndarray:
    """(H, W) float32 in 0..1 that changes over that share of the picture."""
    cells = max(2, round(1 / share) + 1)
    coarse = rng.random((cells, cells)).astype(np.float32)
    return np.clip(cv2.resize(coarse, shape[1::-1], interpolation=cv2.INTER_CUBIC), 0, 1)


def _grey(image: np.ndarray) -> np.ndarray:
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], 3, -1)


def _tinted(values: np.ndarray, rng) -> np.ndarray:
    """(H, W) in 0..1 between two colours."""
    low, high = _two_colours(rng)
    mixed = low + np.clip(values, 0, 1)[..., None] * (high - low).astype(np.float32)
    return np.clip(mixed + rng.normal(0, rng.uniform(0, 8), (*values.shape, 1)), 0, 255).astype(np.uint8)


def _texture(rng, i: int) -> np.ndarray:
    height, width = (int(rng.choice((128, 256, 384, 512))) for _ in range(2))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    step = float(rng.uniform(6, 60))
    drawn = (_bricks, _weave, _stripes, _cells, _rings, _clouds, _dots, _checks, _grass, _knit)[i % 10]
    return _tinted(drawn(rng, x, y, step), rng)


def _bricks(rng, x, y, step):
    row = np.floor(y / step)
    column = np.floor((x + row % 2 * step) / (2 * step))
    joint = (y % step < 0.12 * step) | ((x + row % 2 * step) % (2 * step) < 0.12 * step)
    shade = np.sin(12.9 * row + 78.2 * column + 7 * rng.random()) % 0.4
    return np.where(joint, 0.9, 0.2 + shade)


def _weave(rng, x, y, step):
    over = (np.floor(x / step) + np.floor(y / step)) % 2
    thread = np.where(over > 0, np.sin(np.pi * (x / step % 1)), np.sin(np.pi * (y / step % 1)))
    return thread * (0.7 + 0.3 * _smooth(rng, x.shape, 0.2))


def _stripes(rng, x, y, step):
    angle = rng.uniform(0, np.pi)
    bent = rng.uniform(0, 3) * _smooth(rng, x.shape, 0.3)
    return 0.5 + 0.5 * np.sin(2 * np.pi * ((x * np.cos(angle) + y * np.sin(angle)) / step + bent))


def _cells(rng, x, y, step):
    count = int(min(300, x.size / step**2)) + 3
    seeds = rng.uniform(0, 1, (count, 2)) * [x.shape[1], x.shape[0]]
    points = np.ones(x.shape, np.uint8)
    points[seeds[:, 1].astype(int), seeds[:, 0].astype(int)] = 0
    return cv2.distanceTransform(points, cv2.DIST_L2, 5) / step


def _rings(rng, x, y, step):
    middle = rng.uniform(0, 1, 2) * [x.shape[1], x.shape[0]]
    away = np.hypot(x - middle[0], (y - middle[1]) * rng.uniform(0.3, 1))
    return 0.5 + 0.5 * np.sin(2 * np.pi * (away / step + rng.uniform(0, 2) * _smooth(rng, x.shape, 0.2)))


def _clouds(rng, x, y, step):
    return sum(_smooth(rng, x.shape, share) * weight for share, weight in ((0.5, 0.5), (0.2, 0.3), (0.07, 0.2)))


def _dots(rng, x, y, step):
    shifted = x + (np.floor(y / step) % 2) * step / 2
    return np.hypot(shifted % step - step / 2, y % step - step / 2) < rng.uniform(0.2, 0.45) * step


def _checks(rng, x, y, step):
    return 0.4 * (np.floor(x / step) % 2) + 0.4 * (np.floor(y / step) % 2) + 0.2 * (np.floor(x / step / 3) % 2)


def _grass(rng, x, y, step):
    noise = rng.random(x.shape).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), sigmaX=0.8, sigmaY=step / 6)
    return (blurred - blurred.min()) / np.ptp(blurred)


def _knit(rng, x, y, step):
    slope = np.abs((x / step) % 1 - 0.5)
    return 0.5 + 0.5 * np.sin(2 * np.pi * (y / step + 2 * slope)) * (0.6 + 0.4 * _smooth(rng, x.shape, 0.1))


def _noise(rng, i: int) -> np.ndarray:
    side = int(rng.choice((64, 160, 320, 500)))
    image = rng.normal(128, rng.uniform(20, 90), (side, int(side * rng.uniform(0.6, 1.6)), 3))
    if i % 3 == 1:
        image = 128 + 6 * (cv2.GaussianBlur(image, (0, 0), rng.uniform(1, 12)) - 128)
    if i % 3 == 2:
        image = 255.0 * (image[..., :1].repeat(3, -1) > rng.uniform(80, 180))
    return np.clip(image, 0, 255).astype(np.uint8)


def _gradient(rng, i: int) -> np.ndarray:
    height, width = (int(rng.choice((50, 200, 400))) for _ in range(2))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    along = (x * np.cos(angle) / width + y * np.sin(angle) / height) % 1 if i % 2 else np.hypot(x / width, y / height)
    return _tinted(along, rng)


def _shapes(rng, i: int) -> np.ndarray:
    """Discs, boxes and lines; some like dials, sockets and fronts of objects: two dots and a shape below."""
    side = int(rng.choice((100, 200, 400)))
    ink, paper = _two_colours(rng)
    image = np.tile(paper.astype(np.uint8), (side, side, 1))
    if i % 2:
        radius = int(side * rng.uniform(0.25, 0.48))
        middle = side // 2
        cv2.circle(image, (middle, middle), radius, rng.integers(0, 256, 3).tolist(), -1, cv2.LINE_AA)
        for sign in (-1, 1):
            place = (middle + int(sign * 0.4 * radius), middle - int(0.25 * radius))
            cv2.circle(image, place, max(1, int(radius * rng.uniform(0.06, 0.2))), ink.tolist(), -1, cv2.LINE_AA)
        low = middle + int(0.4 * radius)
        half = int(radius * rng.uniform(0.15, 0.5))
        cv2.rectangle(image, (middle - half, low), (middle + half, low + max(2, half // 3)), ink.tolist(), -1)
        return image
    for _ in range(int(rng.integers(3, 25))):
        colour, (a, b) = rng.integers(0, 256, 3).tolist(), rng.integers(0, side, (2, 2)).tolist()
        kind = rng.integers(0, 3)
        if kind == 0:
            cv2.circle(image, a, int(rng.integers(3, side // 4)), colour, -1, cv2.LINE_AA)
        elif kind == 1:
            cv2.rectangle(image, a, b, colour, -1)
        else:
            cv2.line(image, a, b, colour, int(rng.integers(1, 12)), cv2.LINE_AA)
    return image


def _toy(rng, i: int) -> np.ndarray:
    side = (48, 64, 96, 128, 256)[i % 5]
    people = 1 + i % 3
    faces = [draw_face(900 + 3 * i + n, EMOTIONS[(i + n) % 7], i, side).image for n in range(people)]
    return cv2.copyMakeBorder(np.hstack(faces), *[int(rng.integers(0, side))] * 4, cv2.BORDER_REPLICATE)


# Pictures made from photographs


def _whole(photo, rng):
    return photo


def _small(photo, rng):
    side = int(rng.integers(40, 140))
    return cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)


def _far_away(photo, rng):
    """A person of some 20 px before a wall, a lawn, a crowd of stripes."""
    side = int(rng.integers(50, 90))
    scene = _texture(rng, int(rng.integers(0, 10)))
    scene = cv2.resize(scene, (640, 480), interpolation=cv2.INTER_AREA)
    x, y = int(rng.integers(0, 640 - side)), int(rng.integers(0, 480 - side))
    scene[y : y + side, x : x + side] = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)
    return scene


def _poor(photo, rng):
    """A blurred, noisy, compressed photograph."""
    image = cv2.GaussianBlur(photo, (0, 0), rng.uniform(0.5, 3)).astype(np.float32)
    image = np.clip(image * rng.uniform(0.3, 1.4) + rng.normal(0, rng.uniform(2, 25), image.shape), 0, 255).astype(
        np.uint8
    )
    coded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(8, 60))])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1]


def _bitonal(photo, rng):
    """A photograph like a fax: thresholded or dithered."""
    side = int(rng.choice((128, 200, 250)))
    grey = cv2.resize(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), (side, side), interpolation=cv2.INTER_AREA)
    dots = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) * 16 + 8
    limit = np.tile(dots, (side // 4 + 1, side // 4 + 1))[:side, :side] if rng.random() < 0.6 else grey.mean()
    return _grey(255.0 * (grey > limit))


def _turned(photo, rng):
    return np.rot90(photo, int(rng.integers(1, 4)))


def _part(photo, rng):
    """Eyes, a mouth, an ear, a collar: a window that shows a part of a face, enlarged."""
    side = int(rng.integers(40, 110))
    x, y = int(rng.integers(30, 220 - side)), int(rng.integers(30, 220 - side))
    return cv2.resize(photo[y : y + side, x : x + side], (256, 256), interpolation=cv2.INTER_CUBIC)


def _grey_photo(photo, rng):
    return _grey(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY))


_CHANGES = (_whole, _small, _far_away, _poor, _bitonal, _turned, _part, _grey_photo)


def changed_pictures(unmasker, pictures: list[Picture]) -> Iterator[tuple[Picture, bool]]:
    """Yield each picture, and whether `predict` changed it."""
    for picture in pictures:
        yield picture, unmasker.unmask(picture.make(), "none").painted > 0


def main() -> None:
    from rac_unet.unmasking.photo import Unmasker

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="a folder with labels.csv, for the 175 made of photographs")
    parser.add_argument("--model", type=Path)
    args = parser.parse_args()
    pictures = drawn_pictures() + (photographs(args.photos) if args.photos else [])
    halves: list[list[bool]] = [[], []]
    for picture, changed in changed_pictures(Unmasker(args.model), pictures):
        halves[picture.number // 8 % 2].append(changed)
        if changed:
            print(f"changed  {picture.name}")
    for half, what in zip(halves, ("chosen on", "reported on"), strict=True):
        print(f"{what:<12} {sum(half)} of {len(half)} changed ({100 * np.mean(half):.1f} %)")


if __name__ == "__main__":
    main()
