"""The face generator of `data_prep.generated`, and the check of generated faces."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data_prep.making.turning import MOST, load_turning
from rac_unet.core.errors import UserError, require
from rac_unet.core.files.hashing import file_digest
from rac_unet.core.files.output_folder import OutputFolder
from rac_unet.core.files.whole import write_file
from rac_unet.core.progress import format_seconds
from rac_unet.data.pairs import assign_splits
from rac_unet.faces.detect import FaceDetector
from rac_unet.pairing.preparing import CsvTable, Made, make_items
from rac_unet.photos.png_encoding import encode_png

LABELS_FILE = "labels.csv"
_FOLDER = "random_face/data/"
_NETWORKS = ("MappingNetwork", "SynthesisNetwork")
_NOISE = 512
# Number of samples for the average face.
_AVERAGED = 2048
# Expected point between the eyes and its largest deviation; ranges of eye distance and mouth; in shares of the side.
_BETWEEN_EYES, _MOST_OFF = np.array([0.5, 0.47]), 0.12
_EYE_DISTANCE, _MOUTH_BELOW, _MOUTH_ASIDE = (0.08, 0.4), (0.12, 0.42), 0.25


@dataclass(frozen=True)
class WheelGenerator:
    """Face generator with the networks of a random-face wheel; loaded on first use in each process.

    Attributes:
        wheel: path of the wheel.
        sha256: digest of the wheel.
    """

    wheel: str
    sha256: str

    def __call__(self, noise: np.ndarray, truncation: float, yaw: float | None = None) -> np.ndarray:
        """Generate one face.

        Args:
            noise: (512,) float32, standard normal.
            truncation: from 0, the average face, to 1, the full variation of the network.
            yaw: how far the head is turned, as `head_yaw` measures it; None does not change it.
        Returns: (1024, 1024, 3) uint8 RGB.
        """
        _, synthesis, mean = self._loaded
        latent = self.latent(noise, truncation)
        if yaw is not None:
            latent = load_turning().turn(latent, yaw)
        picture = synthesis([(mean + latent).astype(np.float32)])[0][0].transpose(1, 2, 0)
        return np.clip(np.rint(picture * 127.5 + 127.5), 0, 255).astype(np.uint8)

    def latent(self, noise: np.ndarray, truncation: float) -> np.ndarray:
        """Return the latent of a face, (512,), as its distance from the average face."""
        mapping, _, mean = self._loaded
        return (truncation * (mapping([noise[None]])[0] - mean))[0]

    @cached_property
    def _loaded(self) -> tuple[Callable, Callable, np.ndarray]:
        import openvino

        core = openvino.Core()
        # The worker processes use all cores; with one thread each, sums do not depend on the number of cores. Pinning
        # would tie the threads of all processes to the same core.
        settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": False}
        core.set_property("CPU", settings)
        with zipfile.ZipFile(self.wheel) as wheel:
            read = {name: [wheel.read(f"{_FOLDER}{name}.{end}") for end in ("xml", "bin")] for name in _NETWORKS}
        mapping, synthesis = (core.compile_model(core.read_model(*read[name]), "CPU") for name in _NETWORKS)
        many = core.read_model(*read["MappingNetwork"])
        many.reshape({many.inputs[0]: [_AVERAGED, _NOISE]})
        noise = np.random.default_rng(1).standard_normal((_AVERAGED, _NOISE)).astype(np.float32)
        return mapping, synthesis, core.compile_model(many, "CPU")([noise])[0].mean(0, keepdims=True)


def open_generator(wheel: str) -> WheelGenerator:
    """Return the generator of a wheel without loading its networks.

    Raises: UserError when the file is missing or not this wheel, or OpenVINO is not installed.
    """
    path = Path(wheel)
    if not path.is_file():
        raise UserError(f"--wheel {path} not found; download it: pip download --no-deps random-face", "missing")
    try:
        with zipfile.ZipFile(path) as opened:
            names = set(opened.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(
            f"--wheel {path} cannot be read as a wheel ({error}); download it again", "unreadable"
        ) from None
    lacking = [f"{_FOLDER}{name}.{end}" for name in _NETWORKS for end in ("xml", "bin")]
    lacking = [name for name in lacking if name not in names]
    if lacking:
        raise UserError(f"--wheel {path} is not a wheel of random-face: it has no {lacking[0]}", "wrong_type")
    require("generating faces", "generated")
    return WheelGenerator(str(path), file_digest(path))


@dataclass(frozen=True)
class FaceMaker:
    """Picklable callable for `rac_unet.pairing.preparing.make_items` that makes the face with a number.

    Args:
        generator: (noise, truncation, yaw) -> (S, S, 3) uint8 RGB, such as `WheelGenerator`.
        size: side of the pictures in pixels.
        low, high: range of the truncation.
        kind: jpeg or png.
        turned: share of the faces with a yaw drawn evenly from -`MOST` to `MOST`.
    """

    generator: Callable[[np.ndarray, float, float | None], np.ndarray]
    seed: int
    size: int
    low: float
    high: float
    kind: str
    turned: float = 0.0

    @cached_property
    def _detector(self) -> FaceDetector:
        return FaceDetector()

    def __call__(self, number: int, folder: str, unfinished: str) -> Made:
        random, noise, truncation = draw_latent(self.seed, number, self.low, self.high)
        turned = random.uniform() < self.turned
        picture = self.generator(noise, truncation, float(random.uniform(-MOST, MOST)) if turned else None)
        if len(picture) != self.size:
            method = cv2.INTER_AREA if len(picture) > self.size else cv2.INTER_CUBIC
            picture = cv2.resize(picture, (self.size, self.size), interpolation=method)
        identity = f"nobody-{self.seed}-{number:06d}"
        name = f"faces/{identity}.{'png' if self.kind == 'png' else 'jpg'}"
        if fault := face_fault([face.points for face in self._detector.detect(picture)], self.size):
            return Made(name, skipped=fault)
        content = encode_png(picture) if self.kind == "png" else _jpeg(picture)
        write_file(f"{folder}/{name}", content, unfinished)
        row = {"path": name, "identity": identity, "emotion": "", "split": assign_splits([identity])[0]}
        return Made(name, rows=[row], files={name: len(content)})


def draw_latent(seed: int, number: int, low: float, high: float) -> tuple[np.random.Generator, np.ndarray, float]:
    """Draw noise and truncation of the face with a number; they do not depend on the worker.

    Returns: the generator for further draws, (512,) float32 noise, and the truncation from `low` to `high`.
    """
    random = np.random.default_rng([seed, number])
    noise = random.standard_normal(_NOISE).astype(np.float32)
    return random, noise, float(random.uniform(low, high))


def face_fault(faces: list[np.ndarray], size: int) -> str | None:
    """Return why a generated picture is not usable; None if it shows one face in the expected place.

    Args:
        faces: (68, 2) landmarks of each detected face, in pixels.
        size: side of the picture.
    """
    if len(faces) != 1:
        return "no face found" if not faces else f"{len(faces)} faces"
    points = np.asarray(faces[0], np.float64) / size
    if not np.isfinite(points).all() or points.min() < -0.02 or points.max() > 1.02:
        return "landmarks outside the picture"
    left, right, mouth = points[36:42].mean(0), points[42:48].mean(0), points[48:68].mean(0)
    aside, below = mouth - (left + right) / 2
    if np.abs((left + right) / 2 - _BETWEEN_EYES).max() > _MOST_OFF:
        return "eyes not at the expected place"
    if not _EYE_DISTANCE[0] <= right[0] - left[0] <= _EYE_DISTANCE[1]:
        return "eyes too near to each other or too far apart"
    if not _MOUTH_BELOW[0] <= below <= _MOUTH_BELOW[1] or abs(aside) > _MOUTH_ASIDE:
        return "mouth not below the eyes"
    return None


def draw_faces(output: str, count: int, maker: FaceMaker, settings: dict[str, Any], workers: int) -> str:
    """Write faces 0 to `count` - 1, labels.csv and skipped.csv to a folder; continues an interrupted call.

    Returns: a summary for the user.
    Raises: UserError as `rac_unet.pairing.preparing.prepare` does.
    """
    with OutputFolder(output, settings, LABELS_FILE) as folder:
        if folder.finished:
            return f"already finished: {folder.path} (nothing to do)"

        def write_tables() -> Counter:
            labels, skipped, reasons = (
                CsvTable("path", "identity", "emotion", "split"),
                CsvTable("path", "reason"),
                Counter(),
            )
            for number in range(count):
                made = folder.result(number)
                if made["skipped"] is not None:
                    skipped.add(made["name"], made["skipped"])
                    reasons[made["skipped"]] += 1
                for row in made["rows"]:
                    labels.add(*row.values())
            write_file(folder.path / "skipped.csv", skipped.content())
            if reasons.total() == count:
                why = "; ".join(f"{number:,} x {reason}" for reason, number in reasons.most_common())
                raise UserError(f"no face could be used: {why}; see {folder.path / 'skipped.csv'}", "empty")
            # Written last: the folder is complete when labels.csv exists.
            write_file(folder.path / LABELS_FILE, labels.content())
            return reasons

        line, reasons = make_items(folder, range(count), maker, write_tables, workers, True, "faces")
        folder.finish()
    skipped = "".join(f"; skipped {number:,} x {reason}" for reason, number in reasons.most_common())
    return (
        f"{count - reasons.total():,} faces of {count:,}{skipped}\n"
        f"{line.rate:.2f} faces a second, {format_seconds(line.seconds)} in all\nwrote {Path(output) / LABELS_FILE}"
    )


def _jpeg(picture: np.ndarray) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, 93, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1].tobytes()
