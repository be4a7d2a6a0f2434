"""Make a data set of pairs from procedural faces, the built-in default, balanced over all seven emotions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError, own_version
from rac_unet.pairing.mask_policy import MaskPolicy, make_policy
from rac_unet.pairing.preparing import ImageWriter, Made, Summary, prepare

# Source files below rac_unet/ that determine the pictures of a toy pair.
_DRAWN_BY = (
    "core/emotions.py",
    "pairing/toy_pairs.py",
    "pairing/drawing.py",
    "pairing/mask_policy.py",
    "synthesis/**/*.py",
)
# Split of the n-th person: the first three cover all splits, so that a tiny set can be used for training and scoring.
_SPLIT_OF_TEN = ("train", "val", "test", *["train"] * 7)


def drawing_version() -> str:
    """Return eight hexadecimal digits that change with any line of the code that draws toy pairs."""
    source = b"".join(file.read_bytes() for file in drawing_sources())
    # Without sources (compiled files only) the version of the package is used.
    return hashlib.sha256(source or str(own_version()).encode()).hexdigest()[:8]


def drawing_sources() -> list[Path]:
    """Return the source files that determine the pictures of a toy pair, in a fixed order."""
    package = Path(__file__).resolve().parents[1]
    return [file for pattern in _DRAWN_BY for file in sorted(package.glob(pattern))]


def write_toy_pairs(
    output: str | Path,
    count: int,
    size: int = 128,
    mode: str = "natural",
    policy: MaskPolicy | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: bool = True,
) -> Summary:
    """Write pairs of `count` procedural faces; continues an interrupted call.

    Each person is drawn once with each of the seven emotions, so emotions are balanced in every split and 21
    pairs are enough to fill all three.

    Args:
        output: a new or empty folder, or one started with the same arguments (except `workers`, `progress`).
        size: side of the images in pixels.
        mode: `natural`, or `ambiguous`: nothing outside the mask depends on the emotion.
        policy: which masks are painted; default: every style in every split, one mask per face.
    Raises: UserError for a wrong argument, and as `rac_unet.pairing.preparing.prepare` does.
    """
    from rac_unet.synthesis.toys.face import MAX_SIZE, MIN_SIZE, MODES

    policy = policy or make_policy()
    if mode not in MODES:
        raise UserError(f"unknown mode {mode!r}; use one of: {', '.join(MODES)}", "unknown_name")
    if count < 1:
        raise UserError(f"count must be 1 or more. Received: {count}", "bad_value")
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise UserError(f"size must be {MIN_SIZE}..{MAX_SIZE} pixels. Received: {size}", "bad_value")
    settings = {
        "made_by": "toy",
        "format": 2,
        "count": count,
        "mode": mode,
        "size": size,
        "seed": seed,
        **policy.as_settings(),
    }
    maker = ToyMaker(size, mode, policy, seed)
    return prepare(output, range(count), maker, settings, workers, progress, "faces")


@dataclass(frozen=True)
class ToyMaker:
    """Draw the n-th toy face with its masks; equal arguments give equal bytes."""

    size: int
    mode: str
    policy: MaskPolicy
    seed: int

    def __call__(self, number: int, folder: str, unfinished: str) -> Made:
        from rac_unet.pairing.drawing import draw_pair
        from rac_unet.synthesis.toys.face import draw_face

        person, which = divmod(number, len(EMOTIONS))
        emotion, split = EMOTIONS[which], _SPLIT_OF_TEN[person % 10]
        key = f"toy{self.seed}-{person:06d}-{emotion}"
        # The person depends on the seed, too: other seeds draw other people.
        face = draw_face(self._number("person", person), emotion, self._number("face", number), self.size, self.mode)
        images = ImageWriter(folder, unfinished, split, key)
        made = Made(key, files=images.files)
        shared = None
        for variant in range(self.policy.variants):
            plan = self.policy.plan(split, self.seed, key, variant)
            pair = draw_pair(face.image, face.points, plan)
            suffix = f"-{variant}" if self.policy.variants > 1 else ""
            if pair.unmasked is not face.image:
                unmasked = images.write(f"{suffix}_unmasked", pair.unmasked)
            else:
                unmasked = shared = shared or images.write("", face.image)
            made.rows.append(
                {
                    "key": f"{key}{suffix}",
                    "masked": images.write(f"{suffix}_masked", pair.masked),
                    "unmasked": unmasked,
                    "occlusion": images.write(f"{suffix}_occlusion", pair.occlusion),
                    "emotion": emotion,
                    "split": split,
                    "identity": f"toy{self.seed}-{person:06d}",
                    "source": f"toy-{self.mode}",
                    "mask_style": plan.style,
                }
            )
            made.hidden.append(float((pair.occlusion > 0).mean()))
        return made

    def _number(self, what: str, index: int) -> int:
        digest = hashlib.blake2b(f"{self.seed}:{what}:{index}".encode(), digest_size=6).digest()
        return int.from_bytes(digest, "big")
