"""Arguments shared by the commands that make a data set of pairs; without slow imports, so that --help is fast."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from rac_unet.core.errors import CommandParser, UserError, number

if TYPE_CHECKING:
    from rac_unet.pairing.mask_policy import MaskPolicy

positive = number(int, 1)
seed = number(int, 0)
image_size = number(int, 48, 512)
share = number(float, 0, 0.5)
any_share = number(float, 0, 1)


def hash_range(text: str) -> tuple[float, float]:
    """Parse `0.5,1` to (0.5, 1.0), a part of [0, 1)."""
    try:
        low, high = (float(word) for word in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not two numbers; use LOW,HIGH such as 0,0.5") from None
    if not 0 <= low < high <= 1:
        raise argparse.ArgumentTypeError(f"{text} is out of range; use LOW,HIGH with 0 <= LOW < HIGH <= 1")
    return low, high


def photo_parser(command: str, description: str) -> CommandParser:
    """Return a parser for a command that prepares photographs; complete it with `add_photo_arguments`."""
    return CommandParser(
        prog=f"python -m data_prep.{command}",
        description=description,
        epilog="Run it again to continue an interrupted run. Unusable photos are listed in skipped.csv, with reasons.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )


def add_photo_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of commands that prepare photographs: validation share, hash range, links, common ones."""
    parser.add_argument(
        "--val_share", type=share, default=0.1, metavar="X", help="share of the training photos used for validation"
    )
    parser.add_argument(
        "--hash_range",
        type=hash_range,
        default="0,1",
        metavar="LOW,HIGH",
        help="use only photos whose hash, a number in [0, 1) computed from the photo's name, is in [LOW, HIGH): "
        "sets made with 0,0.5 and 0.5,1 share no photo, and each photo keeps its split",
    )
    parser.add_argument(
        "--follow_links", action="store_true", help="also follow links to photos and folders outside the folder"
    )
    add_common_arguments(parser)


def add_common_arguments(parser: argparse.ArgumentParser, seeded: str = "masks") -> None:
    """Add the arguments of all commands that make pairs; `seeded` is what the seed determines."""
    add_output(parser)
    parser.add_argument(
        "--size", type=image_size, default=128, metavar="N", help="side of the images in pixels, 48..512"
    )
    parser.add_argument("--styles", metavar="A,B,...", help="mask styles to use", default="all")
    parser.add_argument(
        "--held_out",
        metavar="A,B,...",
        default=argparse.SUPPRESS,
        help="mask styles to use only in the test split (held-out masks), where the others are used, too",
    )
    parser.add_argument(
        "--variants",
        type=positive,
        default=argparse.SUPPRESS,
        metavar="K",
        help="masks painted on each face, each in a separate pair (default: 1)",
    )
    parser.add_argument(
        "--masks",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="YAML file with the styles of each split and their weights, instead of the three options above",
    )
    parser.add_argument(
        "--bare",
        type=any_share,
        default=argparse.SUPPRESS,
        metavar="X",
        help="share of pairs without a mask, whose pictures are the same (default: 0)",
    )
    parser.add_argument(
        "--degrade",
        type=any_share,
        default=argparse.SUPPRESS,
        metavar="X",
        help="share of pairs degraded by blur, noise, JPEG, shadow or cut edges (default: 0)",
    )
    parser.add_argument(
        "--props",
        type=any_share,
        default=argparse.SUPPRESS,
        metavar="X",
        help="share of pairs with glasses, a hat, a hand or a microphone in front of the face (default: 0)",
    )
    parser.add_argument(
        "--test_too",
        action="store_true",
        default=argparse.SUPPRESS,
        help="apply --bare, --degrade and --props to the test split, too",
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="S", help=f"random seed of {seeded}")
    add_workers(parser)


def add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        required=True,
        metavar="D",
        default=argparse.SUPPRESS,
        help="output folder: new, empty, or started by this command with the same settings",
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers",
        type=positive,
        default=os.cpu_count() or 1,
        metavar="W",
        help="number of processes (about 200 MB each); does not change the result",
    )


def parse_policy(options: argparse.Namespace) -> MaskPolicy:
    """Return the mask policy given by the options.

    Raises: UserError for unknown names, listing the valid ones, and for options that exclude each other.
    """
    from dataclasses import replace

    from rac_unet.pairing.mask_policy import SHARES, make_policy, read_policy

    if hasattr(options, "masks"):
        given = [name for name in ("held_out", "variants") if hasattr(options, name)]
        given += ["styles"] * (options.styles != "all")
        if given:
            raise UserError(f"--masks already gives the masks; leave out --{given[0]}", "usage")
        policy = read_policy(options.masks)
        if twice := [name for name in SHARES if hasattr(options, name) and getattr(policy, name)]:
            raise UserError(f"--masks {options.masks} already gives {twice[0]}; leave out --{twice[0]}", "usage")
    else:
        held_out = _names(options.held_out) if hasattr(options, "held_out") else ()
        policy = make_policy(parse_styles(options.styles), held_out, getattr(options, "variants", 1))
    policy = replace(policy, **{name: getattr(options, name) for name in SHARES if hasattr(options, name)})
    if hasattr(options, "test_too"):
        if not any(getattr(policy, name) for name in SHARES):
            raise UserError(
                "--test_too applies --bare, --degrade and --props; give one of them, or leave it out", "usage"
            )
        policy = replace(policy, test_too=True)
    return policy


def parse_styles(text: str) -> tuple[str, ...]:
    """Parse `surgical,kn95` to a tuple of names; `all` gives every style.

    Raises: UserError for unknown names, listing the valid ones.
    """
    from rac_unet.synthesis.masks.painting import STYLES

    names = _names(text)
    if names == ("all",):
        return STYLES
    unknown = [name for name in names if name not in STYLES]
    if unknown or not names:
        what = f"unknown mask style {', '.join(map(repr, unknown))}" if unknown else "--styles names no mask style"
        raise UserError(f"{what}; choose from: {', '.join(STYLES)} (or all)", "unknown_name")
    return names


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
