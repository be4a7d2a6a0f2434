"""A config's settings as command-line options, `--section.key value`, with values written as in YAML."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import typing
from functools import partial
from typing import Any, Literal

from rac_unet.core.config.values import coerce
from rac_unet.core.errors import UserError


def add_settings(parser: argparse.ArgumentParser, config: Any) -> None:
    """Add one option per setting; the parsed namespace holds only those that were given, as `section.key`.

    Args:
        parser: where to add them, a group of options per section.
        config: a dataclass of section dataclasses. Their docstrings' `Args` become the help, their values the
            defaults in it.
    """
    for part in dataclasses.fields(config):
        section = getattr(config, part.name)
        title, meanings = _documentation(type(section))
        group = parser.add_argument_group(title)
        for key, kind in typing.get_type_hints(type(section)).items():
            meaning, default = meanings.get(key, ""), getattr(section, key)
            if default not in (None, [], {}):
                meaning += f" (default: {_as_text(default)})"
            group.add_argument(
                f"--{part.name}.{key}",
                type=partial(_parse, type(section), key, f"{part.name}.{key}"),
                default=argparse.SUPPRESS,
                metavar=_placeholder(kind) or key.upper(),
                # argparse formats help with %.
                help=meaning.replace("%", "%%"),
            )


def _documentation(section: type) -> tuple[str, dict[str, str]]:
    """Return the first line of a dataclass's docstring, and the description of each field."""
    text = inspect.getdoc(section) or ""
    entries = re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", text.partition("\nArgs:\n")[2], re.M)
    return text.partition("\n")[0].rstrip("."), {key: " ".join(meaning.split()) for key, meaning in entries}


def _parse(section: type, key: str, where: str, text: str) -> Any:
    try:
        return coerce(_from_yaml(text, typing.get_type_hints(section)[key]), section, key, where)
    except UserError as error:
        raise UserError(str(error), "usage") from None


def _from_yaml(text: str, kind: Any) -> Any:
    """Return the value of an option's text; a path or name is not read as YAML, so `123` and `off` stay words."""
    if kind == str | None and text == "null":
        return None
    if not text or kind in (str, str | None) or text in typing.get_args(kind):
        return text
    import yaml

    try:
        return yaml.safe_load(text)
    # The second, for dates that do not exist.
    except (yaml.YAMLError, ValueError):
        return text


def _placeholder(kind: Any) -> str:
    """Return the help's placeholder of a value; empty where the setting's name says it."""
    origin = typing.get_origin(kind)
    if kind is bool or origin is Literal:
        words = (True, False) if kind is bool else typing.get_args(kind)
        return "{" + ",".join(map(_as_text, words)) + "}"
    return {list: "[NAME, ...]", dict: "{NAME: WEIGHT, ...}"}.get(origin, "")


def _as_text(value: Any) -> str:
    """Return a value as it is written after its option."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {each}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
