"""From a photo to the same photo with every face mask painted over: find, align, run the network, paste back."""

from __future__ import annotations

import dataclasses
import functools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rac_unet.core.emotions import EMOTIONS, emotion_id, parse_emotion
from rac_unet.core.errors import UserError
from rac_unet.core.registry import MODELS, check_name
from rac_unet.faces.align import AlignedFace, align_face, transform_points
from rac_unet.faces.detect import Face, FaceDetector
from rac_unet.photos.reading import Photo, UnreadablePhoto, decode_photo, read_photo_bytes
from rac_unet.runtime.emotion_reader import EmotionReader, load_emotion_reader
from rac_unet.runtime.interface import OCCLUSION, PAINTED, VISIBLE
from rac_unet.runtime.published import PUBLISHED_NETWORK, PUBLISHED_READER
from rac_unet.runtime.runners import Runner, load_runner
from rac_unet.unmasking.framing import runs_out, wider_frame, without_reflection
from rac_unet.unmasking.mask_evidence import is_convincing, is_surer, map_agreement, may_be_turned
from rac_unet.unmasking.output import ALL
from rac_unet.unmasking.pasting import FaceMap, face_map, matched_to_photo, paste_face
from rac_unet.unmasking.result import FaceResult, PhotoResult, SevenFaces

PUBLISHED = PUBLISHED_NETWORK
AUTO, NONE = "auto", "none"
# A map that covers less of the face crop is no mask: drawn and worn ones cover a tenth to a half.
LEAST_MASK = 0.08
_BATCH = 16


@dataclass(frozen=True)
class CutFace:
    """A face of a photo, found, aligned, and its mask mapped.

    Attributes:
        face: as the detector found it.
        points: (68, 2) photo pixels, by which `align_face` cuts this crop out: the face's, or spread about where the
            mask goes on below the usual crop.
        crop: (S, S, 3) float32 in [0, 1].
        matrix: (2, 3), photo pixel (x, y, 1) -> crop pixel.
        occlusion: (S, S) float32 in [0, 1], how likely each of the crop's pixels is hidden.
        where: the map of its mask in the crop.
        usual: (S, S, 3), the crop in which the emotion is read; `crop` may be a wider one.
        visible: (7,) float32, how likely each emotion is by the network's own reading; zeros where it does not tell.
        convincing: whether face and map can be believed in; True until that is asked.
    """

    face: Face
    points: np.ndarray
    crop: np.ndarray
    matrix: np.ndarray
    occlusion: np.ndarray
    where: FaceMap
    usual: np.ndarray
    visible: np.ndarray
    convincing: bool = True

    @property
    def masked(self) -> bool:
        return self.where.area >= LEAST_MASK and self.convincing


def parse_request(text: str, where: str = "emotion") -> str:
    """`auto`, `none`, `all` or an emotion's name, for what a person wrote; UserError with a suggestion otherwise."""
    name = str(text).strip().lower()
    if name in (AUTO, NONE, ALL):
        return name
    try:
        return parse_emotion(name)
    except UserError:
        check_name(where, str(text), (AUTO, NONE, ALL, *EMOTIONS))
        raise


class Unmasker:
    """A network and a face detector, loaded once; not to be shared between threads.

    Args:
        model: a run directory or anything exported from one; default: the published network of the package, for which
            `auto` is read by the published reader. For any other its own reading counts.
        threads: see `load_runner`.
    Raises: UserError when the model is missing, damaged, or not mask-aware.
    """

    def __init__(self, model: str | os.PathLike | None = None, threads: int | None = None):
        self.runner = load_mask_aware(PUBLISHED if model is None else model, threads)
        self._threads = threads
        self._reader_file = published_reader(model)
        self._detector = FaceDetector()

    def check_request(self, request: str) -> str | None:
        """Refuse what this network cannot do; returns a note where it can do it only in part.

        Raises: UserError.
        """
        name = self.runner.name
        if not self.runner.conditioned and request not in (AUTO, NONE):
            raise UserError(
                f"{name} takes no emotion, so {request!r} cannot be painted; use --emotion none, or another model",
                "unsupported",
            )
        if request == AUTO and self.runner.conditioned and VISIBLE not in self.runner.outputs:
            raise UserError(
                f"{name} does not read emotions from the visible half; give one by name with --emotion, or none",
                "unsupported",
            )
        return None if self.runner.conditioned else f"{name} takes no emotion: every face is painted without one"

    def unmask(self, photo: np.ndarray, emotion: str = AUTO) -> PhotoResult:
        """Paint over every face mask in a photo.

        Args:
            photo: (H, W, 3) uint8 RGB, left as it is.
            emotion: `auto` (read from what can be seen of each face), `none`, or a name for all faces.
        """
        cuts = self.look(photo)
        image, occlusion, faces = photo.copy(), np.zeros(photo.shape[:2], bool), []
        masked = [cut for cut in cuts if cut.masked]
        names = self._emotions(masked, emotion)
        painted = self._paint([cut.crop for cut in masked], [name for name, _ in names])
        named = {id(cut): (name, paint) for cut, name, paint in zip(masked, names, painted, strict=True)}
        for cut in cuts:
            (name, confidence), paint = named.get(id(cut), ((None, None), None))
            if paint is not None:
                lit = matched_to_photo(paint, cut.crop, cut.where.ring)
                paste_face(image, occlusion, lit, cut.where, cut.matrix)
            faces.append(_result(cut, name, confidence))
        return PhotoResult(image, occlusion, faces, photo)

    def unmask_all(self, photo: np.ndarray) -> tuple[list[SevenFaces], list[FaceResult]]:
        """Each masked face of a photo with each of the seven emotions, and what is to be said of every face."""
        sevens, faces = [], []
        for cut in self.look(photo):
            result = _result(cut, None, None)
            faces.append(result)
            if not cut.masked:
                continue
            painted = self._paint([cut.crop] * len(EMOTIONS), list(EMOTIONS))
            before, pictures = np.rint(255 * cut.crop).astype(np.uint8), {}
            for name, paint in zip(EMOTIONS, painted, strict=True):
                picture = before.copy()
                lit = matched_to_photo(paint, cut.crop, cut.where.ring)
                paste_face(picture, np.zeros(picture.shape[:2], bool), lit, cut.where, np.eye(2, 3))
                pictures[name] = without_reflection(picture, cut.matrix, photo.shape)
            sevens.append(SevenFaces(without_reflection(before, cut.matrix, photo.shape), pictures, result))
        return sevens, faces

    def look(self, photo: np.ndarray) -> list[CutFace]:
        """The faces of a photo, aligned, each with the map of its mask and what can be read of its emotion."""
        cuts = self._turned_over(photo, self._judged(photo, self._detector.detect_all(photo)))
        return cuts if any(cut.masked for cut in cuts) else self._with_lying(photo, cuts)

    def _judged(self, photo: np.ndarray, faces: list[Face]) -> list[CutFace]:
        """The faces, cut as they will be painted, each with whether it and its mask can be believed in."""
        cuts = self._cut(photo, faces, [face.points for face in faces])
        wide = [i for i, cut in enumerate(cuts) if cut.masked and runs_out(cut.where, cut.matrix, photo.shape)]
        frames = [wider_frame(cuts[i].points, cuts[i].matrix, self.runner.image_size) for i in wide]
        again = self._cut(photo, [cuts[i].face for i in wide], frames)
        for i, cut in zip(wide, again, strict=True):
            # The emotion is read where the network is used to see a face.
            if cut.masked:
                cuts[i] = dataclasses.replace(cut, usual=cuts[i].usual, visible=cuts[i].visible)
        return [dataclasses.replace(cut, convincing=self._is_convincing(cut)) if cut.masked else cut for cut in cuts]

    def _is_convincing(self, cut: CutFace) -> bool:
        none = np.zeros((1, len(EMOTIONS)), np.float32)
        mirrored = self.runner(np.ascontiguousarray(cut.crop[None, :, ::-1]), none)[OCCLUSION][0, ..., 0]
        return is_convincing(cut.face, cut.crop, map_agreement(cut.occlusion, mirrored))

    def _turned_over(self, photo: np.ndarray, cuts: list[CutFace]) -> list[CutFace]:
        """The faces of a photo, those taken for masked ones replaced that lie or stand on their heads."""
        doubtful = [cut for cut in cuts if cut.masked and may_be_turned(cut.face)]
        lying = self._detector.detect_turned(photo) if doubtful else []
        wrong = {
            id(cut): face
            for cut in doubtful
            for face in lying
            if is_surer(face, cut.face) and (_same_place(face, cut.face) or _same_place(cut.face, face))
        }
        right = list({id(face): face for face in wrong.values()}.values())
        return _largest_first([cut for cut in cuts if id(cut) not in wrong] + self._judged(photo, right))

    def _with_lying(self, photo: np.ndarray, cuts: list[CutFace]) -> list[CutFace]:
        """The faces of a photo in which none wears a mask, those replaced that do where it is turned."""
        lying = self._detector.detect_lying(photo, [cut.face for cut in cuts])
        masked = [cut for cut in self._judged(photo, lying) if cut.masked]
        kept = [cut for cut in cuts if not any(_same_place(cut.face, other.face) for other in masked)]
        return _largest_first(masked + kept)

    def _cut(self, photo: np.ndarray, faces: list[Face], points: list[np.ndarray]) -> list[CutFace]:
        size, cuts = self.runner.image_size, []
        aligned = [(face, each, _aligned(photo, each, size)) for face, each in zip(faces, points, strict=True)]
        for start in range(0, len(aligned), _BATCH):
            part = aligned[start : start + _BATCH]
            crops = np.stack([each.image for *_, each in part]).astype(np.float32) / 255
            seen = self.runner(crops, np.zeros((len(part), len(EMOTIONS)), np.float32))
            readings = seen.get(VISIBLE, np.zeros((len(part), len(EMOTIONS)), np.float32))
            for (face, by, each), crop, hidden, visible in zip(part, crops, seen[OCCLUSION], readings, strict=True):
                eyes = transform_points(each.matrix, face.points[36:48]).reshape(2, 6, 2)
                where = face_map(hidden[..., 0], eyes)
                cuts.append(CutFace(face, by, crop, each.matrix, hidden[..., 0], where, crop, visible))
        return cuts

    def _emotions(self, cuts: list[CutFace], request: str) -> list[tuple[str | None, float | None]]:
        """Name and confidence of the emotion that each face is painted with."""
        if request == NONE or not self.runner.conditioned:
            return [(None, None)] * len(cuts)
        if request != AUTO:
            return [(request, None)] * len(cuts)
        read = [cut.visible for cut in cuts]
        if cuts and self._reader:
            read = self._reader(np.stack([cut.usual for cut in cuts]))
        return [(EMOTIONS[int(row.argmax())], float(row.max())) for row in read]

    @functools.cached_property
    def _reader(self) -> EmotionReader | None:
        """Loaded when it is first asked for, which most requests never do."""
        return self._reader_file and load_emotion_reader(self._reader_file, self._threads)

    def _paint(self, crops: list[np.ndarray], names: list[str | None]) -> list[np.ndarray]:
        painted: list[np.ndarray] = []
        for start in range(0, len(crops), _BATCH):
            part = names[start : start + _BATCH]
            labels = np.zeros((len(part), len(EMOTIONS)), np.float32)
            for row, name in zip(labels, part, strict=True):
                if name is not None:
                    row[emotion_id(name)] = 1
            painted += list(self.runner(np.stack(crops[start : start + _BATCH]), labels)[PAINTED])
        return painted


@functools.lru_cache(maxsize=1)
def _unmasker(model: str) -> Unmasker:
    return Unmasker(model)


def unmask(photo: str | os.PathLike | np.ndarray, emotion: str = AUTO, model: str | os.PathLike | None = None):
    """Paint over every face mask in one photo; what `rac_unet.unmask` calls.

    The network stays loaded for the next call with the same model.

    Args:
        photo: a file, or (H, W, 3) uint8 RGB.
        emotion: `auto`, `none`, or the name of one of the seven.
        model: see `Unmasker`.
    Returns: PhotoResult.
    Raises: UserError when the photo, the emotion or the model cannot be used.
    """
    request = parse_request(emotion)
    if request == ALL:
        raise UserError(
            "one photo shows one emotion; for all seven call unmask once for each, or Unmasker.unmask_all", "usage"
        )
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
            raise UserError(
                f"photo: expected uint8 RGB (H, W, 3), or a file. Received: {photo.dtype} {photo.shape}", "wrong_type"
            )
        read = Photo(photo)
    else:
        try:
            read = decode_photo(read_photo_bytes(photo), full_size=True)
        except UnreadablePhoto as reason:
            raise UserError(f"{os.fspath(photo)}: {reason}", "unreadable") from None
    unmasker = _unmasker(os.fspath(PUBLISHED if model is None else model))
    unmasker.check_request(request)
    return dataclasses.replace(unmasker.unmask(read.pixels, request), metadata=read.metadata, rgba=read.rgba)


def published_reader(model: str | os.PathLike | None) -> Path | None:
    """File of the reader that decides `auto` with a model: the published one with the published network, else None."""
    published = model is None or Path(model) == PUBLISHED
    return PUBLISHED_READER if published and PUBLISHED_READER.is_file() else None


def load_mask_aware(model: str | os.PathLike, threads: int | None = None) -> Runner:
    """Open a network that says where the mask is; raises UserError for any other."""
    path = Path(model)
    if path == PUBLISHED and not path.is_file():
        raise UserError(
            f"the published network is not in this installation ({path.name} is missing); name a run directory or "
            "something exported from one with --model",
            "missing",
        )
    runner = load_runner(path, threads)
    missing = [name for name in (OCCLUSION, PAINTED) if name not in runner.outputs]
    if missing:
        able = " or ".join(name for name, network in MODELS.items() if network.finds_mask)
        raise UserError(
            f"{path} cannot tell where a mask is (it has no output {' and '.join(missing)}); use a run of {able}, or "
            "something exported from one",
            "wrong_type",
        )
    return runner


def _aligned(photo: np.ndarray, points: np.ndarray, size: int) -> AlignedFace:
    """`align_face` that is handed no more of a photo than the crop can show: some are large, with many faces."""
    low, high = points.min(0), points.max(0)
    margin = 2 * (high - low).max()
    x0, y0 = np.clip(low - margin, 0, None).astype(int)
    x1, y1 = np.clip(high + margin, 1, None).astype(int)
    if min(x1 - x0, y1 - y0) < 1 or x0 >= photo.shape[1] or y0 >= photo.shape[0]:
        return align_face(photo, points, size)
    cut = align_face(photo[y0:y1, x0:x1], points - np.float32([x0, y0]), size)
    matrix = np.c_[cut.matrix[:, :2], cut.matrix[:, 2] - cut.matrix[:, :2] @ [x0, y0]]
    return AlignedFace(cut.image, cut.points, matrix)


def _largest_first(cuts: list[CutFace]) -> list[CutFace]:
    return sorted(cuts, key=lambda cut: cut.face.box[0] - cut.face.box[2])


def _same_place(face: Face, other: Face) -> bool:
    """Whether the middle of one's box lies in the other's."""
    x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
    return other.box[0] <= x <= other.box[2] and other.box[1] <= y <= other.box[3]


def _result(cut: CutFace, name: str | None, confidence: float | None) -> FaceResult:
    return FaceResult(tuple(cut.face.box), cut.masked, name, confidence, cut.where.area)
