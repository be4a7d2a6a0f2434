"""A training run's command line: a preset or file, overridden by `--section.key value`; never imports TensorFlow."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any, NoReturn

from rac_unet.core.config import (
    NO_MATTER,
    PUBLISHED,
    RunConfig,
    from_dict,
    preset_names,
    preset_path,
    read_yaml,
)
from rac_unet.core.errors import TRACEBACK_HELP, CommandParser, UserError
from rac_unet.core.registry import check_name
from rac_unet.training.warm_start import refuse_other_network, settings_of


@dataclasses.dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        config: validated; when resuming, the defaults, of which only `overrides` count.
        name: what to call the run, the preset's or file's name.
        runs: folder for new run directories.
        resume: run directory to continue, if that was asked.
        overrides: the command line's settings; `with_overrides` lays them over a run's own.
    """

    config: RunConfig
    name: str
    runs: Path
    resume: Path | None
    overrides: tuple[str, ...] = ()


def parse(argv: list[str] | None = None) -> Request:
    """Parse the command line of `python -m rac_unet.train`.

    Raises: UserError for an unknown option or value, naming the valid ones.
    """
    argv = sys.argv[1:] if argv is None else argv
    base_args, overrides = _base_parser(add_help=False).parse_known_args(argv)
    wants_help = any(arg in ("-h", "--help") for arg in overrides)
    if base_args.resume and not wants_help:
        if base_args.preset or base_args.config or base_args.init_from:
            raise UserError(
                "--resume continues a run with its own settings; leave out --preset, --config and --init_from", "usage"
            )
        _refuse_other_settings(overrides)
        config = with_overrides(RunConfig(), overrides)
        return Request(config, base_args.resume.name, base_args.runs, base_args.resume, tuple(overrides))
    if base_args.preset and base_args.config:
        raise UserError("give --preset or --config, not both", "usage")
    source = base_args.config or preset_path(base_args.preset or "rac_unet")
    values = read_yaml(source)
    if base_args.init_from:
        if any(word.split("=")[0] == "--training.init_from" for word in overrides):
            raise UserError("--init_from sets --training.init_from; give one of them, not both", "usage")
        values = _under(settings_of(base_args.init_from), values)
        overrides = ["--training.init_from", base_args.init_from, *overrides]
    base = from_dict(values, str(source))
    config = with_overrides(base, overrides)
    if config.training.init_from:
        # Wherever it comes from: option, setting or file.
        path = config.training.init_from
        refuse_other_network(path if path == PUBLISHED else Path(path).expanduser(), config.model)
    return Request(config, Path(source).stem, base_args.runs, None, tuple(overrides))


def _under(below: dict, values: Any) -> dict:
    """Nested settings with others laid over them; what is not a section is left for `from_dict` to refuse."""
    if not isinstance(values, dict):
        return values
    both = {name: {**below[name], **own} for name, own in values.items() if name in below and isinstance(own, dict)}
    return {**below, **values, **both}


def with_overrides(base: RunConfig, overrides) -> RunConfig:
    """The config with `--section.key value` words laid over it.

    Raises: UserError for an unknown option or value, naming the valid ones.
    """
    return from_dict(_as_dict(_config_parser(base).parse_args(list(overrides))), "command line")


def _refuse_other_settings(overrides: list[str]) -> None:
    """Raise UserError for an option that a run cannot be continued with."""
    free = sorted(f"--{section}.{key}" for section, key in {*NO_MATTER, ("training", "epochs")})
    for word in overrides:
        if word.startswith("--") and (name := word.split("=")[0]) not in free:
            raise UserError(
                f"--resume continues a run with its own settings; leave out: {name}. May change: {', '.join(free)}",
                "usage",
            )


def _base_parser(**options) -> argparse.ArgumentParser:
    parser = CommandParser(**options)
    add_base_arguments(parser)
    return parser


def add_base_arguments(parser) -> None:
    """The options that are not part of the config."""
    names = ", ".join(preset_names())
    parser.add_argument(
        "--preset", metavar="NAME", help=f"settings that come with the package: {names} (default: rac_unet)"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML file with settings instead of a preset")
    parser.add_argument(
        "--init_from",
        metavar="RUN",
        help="a new training of this run's network, from its best weights and, where --data.path is left out, on its "
        "data; or of the network in a .tflite file, 8-bit or float; or `published`: of the one that comes with the "
        "package",
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


def _config_parser(base: RunConfig):
    import jsonargparse

    class Parser(jsonargparse.ArgumentParser):
        def error(self, message: str, ex: Exception | None = None) -> NoReturn:
            raise UserError(_explain(message, self), "usage")

        def format_help(self) -> str:
            return f"{super().format_help()}\n{TRACEBACK_HELP}\n"

    parser = Parser(
        prog="python -m rac_unet.train",
        description="Train a network on a pairs data set, in a run directory of its own.",
        epilog="example: python -m rac_unet.train --data.path pairs --model.filters 16 --training.epochs 3",
        default_env=False,
    )
    add_base_arguments(parser)
    for section in dataclasses.fields(RunConfig):
        parser.add_class_arguments(type(getattr(base, section.name)), section.name)
    parser.set_defaults({
        f"{section.name}.{key.name}": getattr(getattr(base, section.name), key.name)
        for section in dataclasses.fields(RunConfig)
        for key in dataclasses.fields(getattr(base, section.name))
    })  # fmt: skip
    return parser


def _explain(message: str, parser) -> str:
    """jsonargparse's message on one line; for an unknown option, the nearest and all valid ones."""
    message = " ".join(message.split())
    if "nrecognized arguments:" in message:
        given = message.split("nrecognized arguments:")[1].split()[0].split("=")[0]
        valid = sorted(
            o
            for action in parser._actions
            for o in action.option_strings
            if o.startswith("--") and o != "--print_shtab"
        )
        sections = {field.name for field in dataclasses.fields(RunConfig)}
        section = given.removeprefix("--").split(".")[0]
        if section in sections:
            valid = [o for o in valid if o.startswith(f"--{section}.")]
        else:
            valid = [o for o in valid if o.removeprefix("--") not in sections]
        try:
            check_name("command line", given, valid)
        except UserError as error:
            return str(error)
    return message.replace("<class '", "").replace("'>", "").replace("typing.Literal", "one of ")


def _as_dict(namespace) -> dict:
    values = namespace.as_dict()
    return {section.name: dict(values[section.name]) for section in dataclasses.fields(RunConfig)}
