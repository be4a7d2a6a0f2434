"""Which masks are painted in which split: so that some styles can be kept for the test, as masks nobody trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rac_unet.data.pair_checks import SPLITS
from rac_unet.errors import UserError
from rac_unet.faces.masks import STYLES

MAX_VARIANTS = 100


@dataclass(frozen=True)
class MaskPolicy:
    """How often each style is painted in each split, and how many masks each face gets.

    Attributes:
        train, val, test: (style, weight) pairs; a style is drawn as often as its share of the weights.
        variants: masks painted on each face, each in a pair of its own.
    """

    train: tuple[tuple[str, float], ...]
    val: tuple[tuple[str, float], ...]
    test: tuple[tuple[str, float], ...]
    variants: int = 1

    def draw(self, split: str, seed: int, key: str, variant: int) -> tuple[str, int]:
        """The mask style and the painter's seed of one pair: they follow from policy and arguments alone."""
        styles, weights = zip(*getattr(self, split), strict=True)
        digest = hashlib.blake2b(f"{seed}:{key}:{variant}".encode(), digest_size=16).digest()
        rng = np.random.default_rng(int.from_bytes(digest, "big"))
        if len(set(weights)) == 1:
            place = int(rng.integers(len(styles)))
        else:
            ends = np.cumsum(weights)
            place = int(np.searchsorted(ends, rng.random() * ends[-1], side="right"))
        return styles[place], int(rng.integers(2**31))

    def as_settings(self) -> dict[str, Any]:
        """The policy as JSON-able values, the same for the same policy."""
        return {"variants": self.variants, **{f"masks_{split}": dict(getattr(self, split)) for split in SPLITS}}


def make_policy(styles: Sequence[str] = STYLES, held_out: Sequence[str] = (), variants: int = 1) -> MaskPolicy:
    """All `styles` equally often; those in `held_out` in the test split alone, beside the others.

    Raises: UserError when a style is unknown or nothing is left to train on.
    """
    for style in (*styles, *held_out):
        _check_style(style)
    if stray := [style for style in held_out if style not in styles]:
        raise UserError(f"--held_out {stray[0]}: not among the styles {', '.join(styles)}")
    seen = tuple((style, 1.0) for style in styles if style not in held_out)
    if not seen:
        raise UserError("--held_out leaves no mask style to train on; hold fewer out")
    return MaskPolicy(seen, seen, tuple((style, 1.0) for style in styles), variants)


def read_policy(path: str | Path) -> MaskPolicy:
    """Read a mask policy from a YAML file.

        variants: 2
        train: {surgical: 3, kn95: 1, cloth_plain: 1}
        test: [surgical, kn95, cloth_plain, bandana]

    A list weighs its styles equally. `val` is as `train` when left out, as is `test`; `variants` is then 1.

    Raises: UserError naming what is wrong in the file.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"--masks {path} is not there; it is a YAML file with styles for train, val and test") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"--masks {path} is not a YAML file: {' '.join(str(error).split())}") from None
    known = ("variants", *SPLITS)
    if not isinstance(content, dict) or "train" not in content or set(content) - set(known):
        wrong = sorted(map(str, set(content) - set(known))) if isinstance(content, dict) else [repr(content)]
        found = f". Received: {', '.join(wrong)}" if wrong else ""
        raise UserError(f"--masks {path}: expected train, and if wanted val, test and variants{found}")
    variants = content.get("variants", 1)
    if not isinstance(variants, int) or isinstance(variants, bool) or not 1 <= variants <= MAX_VARIANTS:
        raise UserError(f"--masks {path}: variants: expected a whole number, 1..{MAX_VARIANTS}. Received: {variants!r}")
    train = _read_styles(content["train"], f"--masks {path}: train")
    others = [
        _read_styles(content[split], f"--masks {path}: {split}") if split in content else train for split in SPLITS[1:]
    ]
    return MaskPolicy(train, *others, variants)


def _read_styles(value: Any, where: str) -> tuple[tuple[str, float], ...]:
    if isinstance(value, list):
        value = dict.fromkeys(map(str, value), 1)
    if not isinstance(value, dict) or not value:
        raise UserError(f"{where}: expected styles, as in {{surgical: 2, kn95: 1}}. Received: {value!r}")
    for style, weight in value.items():
        _check_style(style, f"{where}: ")
        number = isinstance(weight, (int, float)) and not isinstance(weight, bool) and 0 < weight < float("inf")
        if not number:
            raise UserError(f"{where}.{style}: expected a weight above 0. Received: {weight!r}")
    return tuple((style, float(weight)) for style, weight in value.items())


def _check_style(style: Any, where: str = "") -> None:
    if style not in STYLES:
        raise UserError(f"{where}unknown mask style {style!r}; choose from: {', '.join(STYLES)}")
