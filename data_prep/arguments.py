"""Arguments shared by every command that makes a data set of pairs; nothing heavy, so --help is quick."""

from __future__ import annotations

import argparse
import os

from rac_unet.errors import UserError


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", required=True, metavar="D", default=argparse.SUPPRESS,
        help="folder to make: new, empty, or begun by this command with the same settings",
    )  # fmt: skip
    parser.add_argument(
        "--size", type=image_size, default=128, metavar="N", help="side of the images in pixels, 64..512"
    )
    parser.add_argument("--styles", metavar="A,B,...", help="mask styles to draw from", default="all")
    parser.add_argument("--seed", type=seed, default=0, metavar="S", help="other seeds paint other masks")
    parser.add_argument(
        "--workers", type=positive, default=os.cpu_count() or 1, metavar="W",
        help="processes at work (about 200 MB each); never changes the result",
    )  # fmt: skip


def positive(text: str) -> int:
    return _whole_number(text, 1, None)


def seed(text: str) -> int:
    return _whole_number(text, 0, None)


def image_size(text: str) -> int:
    return _whole_number(text, 64, 512)


def parse_styles(text: str) -> tuple[str, ...]:
    """`surgical,kn95` -> their names; `all` -> every style.

    Raises: UserError that lists the valid names.
    """
    from rac_unet.faces.masks import STYLES

    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if names == ("all",):
        return STYLES
    unknown = [name for name in names if name not in STYLES]
    if unknown or not names:
        what = f"unknown mask style {', '.join(map(repr, unknown))}" if unknown else "--styles names no mask style"
        raise UserError(f"{what}; choose from: {', '.join(STYLES)} (or all)")
    return names


def _whole_number(text: str, low: int, high: int | None) -> int:
    limits = f"{low} or more" if high is None else f"{low}..{high}"
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number; use {limits}") from None
    if number < low or (high is not None and number > high):
        raise argparse.ArgumentTypeError(f"{number} is out of range; use {limits}")
    return number
