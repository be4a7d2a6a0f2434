"""Write the reference part of docs/commands.md from the commands' own help: `python -m tests.commands_page`."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from pathlib import Path
from unittest import mock

import rac_unet.__main__

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/commands.md"
PACKAGES = ("rac_unet", "data_prep", "kaggle_kernels")
# What precedes this line is written by hand and kept.
MARKER = "<!-- Below this line: written by `python -m tests.commands_page` from the help texts in the source. -->\n"
# These come first; the others follow by package and name.
FIRST = tuple(f"rac_unet.{name}" for name in rac_unet.__main__.FIRST)


def commands() -> list[str]:
    """Names of all modules that `python -m` runs, the most used ones first."""
    names = [
        f"{package}.{path.stem}"
        for package in PACKAGES
        for path in sorted((ROOT / package).glob("[!_]*.py"))
        if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    ]
    return sorted(names, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))


def reference() -> str:
    """A section per command. It depends on neither the terminal, the machine, nor the version of Python."""
    with mock.patch("os.cpu_count", return_value="number of CPU cores"):
        parsers = [_parser(name) for name in commands()]
    return "\n" + "\n".join(map(_section, parsers))


def _parser(name: str) -> argparse.ArgumentParser:
    if name == "rac_unet.train":
        from rac_unet.training.arguments import make_parser

        return make_parser()
    return importlib.import_module(name)._parser()


def _section(parser: argparse.ArgumentParser) -> str:
    lines = [f"## {parser.prog.removeprefix('python -m ')}", "", parser.description, ""]
    tables: dict[str, list[str]] = {}
    for group in parser._action_groups:
        title = "" if group.title in ("positional arguments", "options") else f"{group.title}:"
        tables.setdefault(title, []).extend(
            _row(parser, action) for action in group._group_actions if _is_shown(action)
        )
    for title, rows in tables.items():
        if rows:
            lines += [title, ""] if title else []
            lines += ["| option | meaning |", "| --- | --- |", *rows, ""]
    example = (parser.epilog or "").removeprefix("example: ")
    if example != parser.epilog:
        lines += ["```bash", example, "```", ""]
    elif example:
        lines += [example, ""]
    return "\n".join(lines)


def _is_shown(action: argparse.Action) -> bool:
    return "--help" not in action.option_strings and action.help is not argparse.SUPPRESS


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    call = f"{next(iter(action.option_strings), '')} {_value(action)}".strip()
    needed = " (required)" if action.required and action.option_strings else ""
    cells = (f"`{call}`{needed}", _meaning(parser, action))
    # A bar ends a cell, and Markdown takes <split> for HTML.
    cells = (re.sub(r"([|<])", r"\\\1", " ".join(cell.split())) for cell in cells)
    return f"| {' | '.join(cells)} |"


def _value(action: argparse.Action) -> str:
    """What follows the option: a placeholder or the choices; empty for a flag."""
    if action.nargs == 0:
        return ""
    name = action.metavar or action.dest.upper()
    if action.choices and (action.metavar is None or not action.option_strings):
        name = "{" + ",".join(action.choices) + "}"
    return {"+": f"{name} …", "*": f"[{name} …]", "?": f"[{name}]"}.get(action.nargs, name)


def _meaning(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    # What argparse's formatter adds to an option without a default says nothing.
    return re.sub(r" \(default: (None|False)\)$", "", parser._get_formatter()._expand_help(action))


if __name__ == "__main__":
    by_hand, marker, _ = PAGE.read_text(encoding="utf-8").partition(MARKER)
    if not marker:
        sys.exit(f"{PAGE} lacks the line {MARKER}")
    PAGE.write_text(by_hand + MARKER + reference(), encoding="utf-8")
    print(f"wrote    {PAGE.relative_to(ROOT)}")
