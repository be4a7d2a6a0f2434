"""The command line of `train`: a preset or file, overridden by `--section.key value`; never imports TensorFlow."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from rac_unet.core.config import (
    NO_MATTER,
    PUBLISHED,
    RunConfig,
    from_dict,
    preset_names,
    preset_path,
    published_or_path,
    read_yaml,
    to_dict,
)
from rac_unet.core.config.options import add_settings
from rac_unet.core.errors import CommandParser, UserError
from rac_unet.core.registry import check_name


@dataclasses.dataclass(frozen=True)
class TrainCommand:
    """A parsed command line of `train`.

    Attributes:
        config: validated; when resuming, the defaults, of which only `overrides` count.
        name: name of the run: that of the preset or file.
        runs: folder for new run directories.
        resume: run directory to continue, if any.
        overrides: settings given on the command line, by `section.key`; `with_overrides` applies them to a config.
    """

    config: RunConfig
    name: str
    runs: Path
    resume: Path | None
    overrides: dict[str, Any] = dataclasses.field(default_factory=dict)


def parse(argv: list[str] | None = None) -> TrainCommand:
    """Parse the command line of `python -m rac_unet.train`; `--help` prints the help and exits.

    Raises: UserError for an unknown option or value, naming the valid ones.
    """
    args, unknown = make_parser().parse_known_args(argv)
    overrides = {name: value for name, value in vars(args).items() if "." in name}
    if args.help:
        # With the defaults of the requested preset or file.
        parser = make_parser(_base(args))
        parser.print_help()
        parser.exit()
    if unknown:
        _refuse_unknown(unknown[0].split("=")[0], args)
    if args.init_from:
        args.init_from = published_or_path(args.init_from)
    if overrides.get("training.init_from"):
        overrides["training.init_from"] = published_or_path(overrides["training.init_from"])
    if args.resume:
        if args.preset or args.config or args.init_from:
            raise UserError(
                "--resume continues a run with its own settings; leave out --preset, --config and --init_from", "usage"
            )
        _refuse_other_settings(overrides)
        return TrainCommand(with_overrides(RunConfig(), overrides), args.resume.name, args.runs, args.resume, overrides)
    if args.init_from:
        if "training.init_from" in overrides:
            raise UserError("--init_from sets --training.init_from; give one of them, not both", "usage")
        overrides["training.init_from"] = args.init_from
    config = with_overrides(_base(args), overrides)
    if config.training.init_from:
        named = published_or_path(config.training.init_from)
        config = dataclasses.replace(config, training=dataclasses.replace(config.training, init_from=named))
        from rac_unet.training.warm_start import refuse_other_network

        # It can come from the option, a setting or a file.
        path = config.training.init_from
        refuse_other_network(path if path == PUBLISHED else Path(path).expanduser(), config.model)
    return TrainCommand(config, _source(args).stem, args.runs, None, overrides)


def with_overrides(base: RunConfig, overrides: dict[str, Any]) -> RunConfig:
    """Return the config with other values for some settings, given by `section.key`.

    Raises: UserError for a value out of range.
    """
    values = to_dict(base)
    for name, value in overrides.items():
        section, _, key = name.partition(".")
        values[section][key] = value
    return from_dict(values, "command line")


def make_parser(base: RunConfig | None = None) -> CommandParser:
    """Return the parser of all options; its help shows the settings of `base` as defaults."""
    parser = CommandParser(
        prog="python -m rac_unet.train",
        extras=("train",),
        # The default usage would list every setting.
        usage="%(prog)s [--preset NAME | --config FILE] [--init_from RUN] [--runs DIR] [--section.key VALUE ...]\n"
        "       %(prog)s --resume RUN [--section.key VALUE ...]",
        description="Train a network on a pairs data set, in a run directory of its own. Values of settings "
        "(--section.key) are written as in YAML: 3, 1e-4, true, '[runs/A, runs/B]', '{l1: 1, ssim: 0.5}', null.",
        epilog="example: python -m rac_unet.train --data.path pairs --model.filters 16 --training.epochs 3",
        add_help=False,
    )
    names = ", ".join(preset_names())
    # Shown by `parse`, which knows the preset only after all options are read.
    parser.add_argument("-h", "--help", action="store_true", help="show this help message and exit")
    parser.add_argument(
        "--preset", metavar="NAME", help=f"settings that come with the package: {names} (default: rac_unet)"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML file with settings instead of a preset")
    parser.add_argument(
        "--init_from",
        metavar="RUN",
        help="start a new training with the best weights of this run's network and, where --data.path is left out, on "
        "its data; or with the network of a .weights.h5 file (config.yaml next to it) or of a .tflite file, 8-bit "
        "or float; or `published`, also called `lite`: with the network that comes with the package",
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="where run directories are made (default: runs)"
    )
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="RUN",
        help="continue this run directory with its own settings; where it is read-only, a copy of it in --runs",
    )
    add_settings(parser, base or RunConfig())
    return parser


def _source(args: argparse.Namespace) -> Path:
    """Return the file with the settings."""
    if args.preset and args.config:
        raise UserError("give --preset or --config, not both", "usage")
    return args.config or preset_path(args.preset or "rac_unet")


def _base(args: argparse.Namespace) -> RunConfig:
    """Return the config without the settings of the command line: the preset or file, over that of --init_from."""
    source = _source(args)
    values = read_yaml(source)
    if args.init_from:
        from rac_unet.training.warm_start import settings_of

        values = _under(settings_of(args.init_from), values)
    return from_dict(values, str(source))


def _under(below: dict, values: Any) -> dict:
    """Return nested settings, overridden by `values`; `from_dict` refuses what is not a section."""
    if not isinstance(values, dict):
        return values
    both = {name: {**below[name], **own} for name, own in values.items() if name in below and isinstance(own, dict)}
    return {**below, **values, **both}


def _refuse_unknown(given: str, args: argparse.Namespace) -> None:
    """Raise UserError for an unknown option, with the nearest and the valid ones of its section, or all."""
    valid = sorted(
        # Only settings that were given are in the namespace.
        {f"--{name}" for name in vars(args)}
        | {f"--{section}.{key}" for section, content in to_dict(RunConfig()).items() for key in content}
    )
    section = [option for option in valid if option.startswith(f"{given.split('.')[0]}.")]
    try:
        check_name("command line", given, section or valid)
    except UserError as error:
        raise UserError(str(error), "usage") from None


def _refuse_other_settings(overrides: dict[str, Any]) -> None:
    """Raise UserError for a setting that cannot change when a run is resumed."""
    free = sorted(f"{section}.{key}" for section, key in {*NO_MATTER, ("training", "epochs")})
    for name in overrides:
        if name not in free:
            raise UserError(
                f"--resume continues a run with its own settings; leave out: --{name}. "
                f"May change: {', '.join(f'--{each}' for each in free)}",
                "usage",
            )
