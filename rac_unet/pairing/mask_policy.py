"""Mask policies: which mask styles are painted in which split, and the shares of pairs without a mask, with props, and
degraded.

Some styles can be held out for the test split, as masks that were not trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rac_unet.core.errors import UserError
from rac_unet.core.files.text_files import read_text
from rac_unet.data.pair_checks import SPLITS
from rac_unet.synthesis.masks.painting import DRAWING, STYLES

MAX_VARIANTS = 100
# Value of the column mask_style for a face without a mask.
NO_MASK = "none"
# The shares in a policy; also their names as options and in a policy file.
SHARES = ("bare", "degrade", "props")


class PairPlan(NamedTuple):
    """What is drawn on one face, with the seeds.

    Attributes:
        style: a mask style, or `NO_MASK`.
        mask_seed: for `paint_mask`.
        props_seed: for `draw_props`; None for no props.
        degrade_seed: for `degrade`; None for no degradation.
    """

    style: str
    mask_seed: int
    props_seed: int | None = None
    degrade_seed: int | None = None


@dataclass(frozen=True)
class MaskPolicy:
    """Weights of the mask styles in each split, number of masks per face, and shares of pairs with other changes.

    Attributes:
        train, val, test: (style, weight) pairs; styles are chosen in proportion to their weights.
        variants: masks painted on each face, each in a separate pair.
        bare: share of pairs without a mask, 0 to 1; both pictures are then the same.
        degrade: share of pairs degraded to a poor photograph.
        props: share of pairs with something else in front of the face: glasses, a hat, a hand, a microphone.
        test_too: whether the three shares apply to the test split, too.
    """

    train: tuple[tuple[str, float], ...]
    val: tuple[tuple[str, float], ...]
    test: tuple[tuple[str, float], ...]
    variants: int = 1
    bare: float = 0.0
    degrade: float = 0.0
    props: float = 0.0
    test_too: bool = False

    def plan(self, split: str, seed: int, key: str, variant: int) -> PairPlan:
        """Return the plan of one pair, determined by policy and arguments.

        Changing one share does not change the masks or the pairs chosen by the other shares.
        """
        style, mask_seed = self.draw(split, seed, key, variant)
        if split == "test" and not self.test_too:
            return PairPlan(style, mask_seed)
        bare, props, degrade = (
            self._chosen(name, f"{seed}:{key}:{variant}:{name}") for name in ("bare", "props", "degrade")
        )
        return PairPlan(style if bare is None else NO_MASK, mask_seed, props, degrade)

    def _chosen(self, name: str, text: str) -> int | None:
        """Return a seed if a pair belongs to the share `name`, else None."""
        number = hashlib.blake2b(text.encode(), digest_size=8).digest()
        share, seed = int.from_bytes(number[:4], "big") / 2**32, int.from_bytes(number[4:], "big")
        return seed if share < getattr(self, name) else None

    def draw(self, split: str, seed: int, key: str, variant: int) -> tuple[str, int]:
        """Return the mask style and mask seed of one pair, determined by policy and arguments."""
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
        """Return the policy as JSON-serialisable values; equal policies give equal values."""
        shares = {name: getattr(self, name) for name in SHARES if getattr(self, name)}
        return {
            "drawing": DRAWING,
            "variants": self.variants,
            **{f"masks_{split}": dict(getattr(self, split)) for split in SPLITS},
            **shares,
            **({"test_too": True} if shares and self.test_too else {}),
        }


def make_policy(styles: Sequence[str] = STYLES, held_out: Sequence[str] = (), variants: int = 1) -> MaskPolicy:
    """Return a policy with equal weights of `styles`; those in `held_out` are used in the test split only.

    Raises: UserError when a style is unknown or no style is left for training.
    """
    for style in (*styles, *held_out):
        _check_style(style)
    if stray := [style for style in held_out if style not in styles]:
        raise UserError(f"--held_out {stray[0]}: not among the styles {', '.join(styles)}", "unknown_name")
    trained = tuple((style, 1.0) for style in styles if style not in held_out)
    if not trained:
        raise UserError("--held_out leaves no mask style to train on; hold out fewer styles", "usage")
    return MaskPolicy(trained, trained, tuple((style, 1.0) for style in styles), variants)


def read_policy(path: str | Path) -> MaskPolicy:
    """Read a mask policy from a YAML file.

        variants: 2
        train: {surgical: 3, kn95: 1, cloth_plain: 1}
        test: [surgical, kn95, cloth_plain, bandana]

        degrade: 0.35

    A list gives its styles equal weights. Defaults: `val` and `test` are as `train`, `variants` is 1, and the shares
    `bare`, `degrade` and `props` are 0.

    Raises: UserError naming the fault in the file.
    """
    import yaml

    try:
        content = yaml.safe_load(read_text(path)[0])
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(
            f"--masks {path} not found; give a YAML file with styles for train, val and test", "missing"
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"--masks {path} is not a YAML file: {' '.join(str(error).split())}", "unreadable") from None
    known = ("variants", *SHARES, *SPLITS)
    if not isinstance(content, dict) or "train" not in content or set(content) - set(known):
        wrong = sorted(map(str, set(content) - set(known))) if isinstance(content, dict) else [repr(content)]
        found = f". Received: {', '.join(wrong)}" if wrong else ""
        raise UserError(
            f"--masks {path}: expected train, and optionally val, test, variants, {', '.join(SHARES)}{found}",
            "bad_layout",
        )
    variants = content.get("variants", 1)
    if not isinstance(variants, int) or isinstance(variants, bool) or not 1 <= variants <= MAX_VARIANTS:
        raise UserError(
            f"--masks {path}: variants: expected a whole number, 1..{MAX_VARIANTS}. Received: {variants!r}", "bad_value"
        )
    train = _read_styles(content["train"], f"--masks {path}: train")
    others = [
        _read_styles(content[split], f"--masks {path}: {split}") if split in content else train for split in SPLITS[1:]
    ]
    shares = {name: _read_share(content[name], f"--masks {path}: {name}") for name in SHARES if name in content}
    return MaskPolicy(train, *others, variants, **shares)


def _read_share(value: Any, where: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
        raise UserError(f"{where}: expected a share, 0 to 1. Received: {value!r}", "bad_value")
    return float(value)


def _read_styles(value: Any, where: str) -> tuple[tuple[str, float], ...]:
    if not isinstance(value, (list, dict)) or not value:
        raise UserError(f"{where}: expected styles, as in {{surgical: 2, kn95: 1}}. Received: {value!r}", "bad_value")
    if isinstance(value, list):
        value = dict.fromkeys(map(str, value), 1)
    for style, weight in value.items():
        _check_style(style, f"{where}: ")
        number = isinstance(weight, (int, float)) and not isinstance(weight, bool) and 0 < weight < float("inf")
        if not number:
            raise UserError(f"{where}.{style}: expected a weight above 0. Received: {weight!r}", "bad_value")
    return tuple((style, float(weight)) for style, weight in value.items())


def _check_style(style: Any, where: str = "") -> None:
    if style not in STYLES:
        raise UserError(f"{where}unknown mask style {style!r}; choose from: {', '.join(STYLES)}", "unknown_name")
