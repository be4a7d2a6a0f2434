"""Run any command by its name: `rac-unet NAME …` is the same as `python -m rac_unet.NAME …`."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from rac_unet.core.errors import UserError, own_version, run_command

# The packages whose modules are commands; those of the first are named without it.
_PACKAGES = ("rac_unet", "data_prep")
# These come first in lists of commands; the others follow by name.
FIRST = ("predict", "web", "train", "evaluate", "compare", "export")
_USAGE = """usage: rac-unet NAME [option …]

`rac-unet NAME` is the same as `python -m rac_unet.NAME`, and `rac-unet data_prep.NAME` as `python -m data_prep.NAME`.
`rac-unet NAME --help` lists the options of a command, `rac-unet --version` prints the version.
"""


def main() -> None:
    """Run the command that this process's arguments name, and end the process with its exit code."""
    run_command(lambda: run(sys.argv[1:]))


def run(argv: Sequence[str]) -> int | None:
    """Run a command, or list all; only the named command is imported.

    Args:
        argv: the command's name and its arguments.
    Returns: its exit code; None for 0.
    Raises: UserError when there is no such command, and whatever the command raises.
    """
    name, *rest = argv or [""]
    if name in ("-h", "--help"):
        print(_help())
        return 0
    if name == "--version":
        print(own_version())
        return 0
    modules = {command: module for command, module, _ in commands()}
    if name not in modules:
        raise _unknown(name, list(modules))
    # As with `python -m`, for what reads the arguments of the process.
    sys.argv = [f"rac-unet {name}", *rest]
    code: int | None = importlib.import_module(modules[name]).main(rest)
    return code


def commands() -> list[tuple[str, str, str]]:
    """Return name, module and one line of description of every command; none is imported.

    The description is the first line of the module's docstring, up to the command line in it.
    """
    found = []
    for package in _PACKAGES:
        spec = importlib.util.find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            for path in sorted(Path(folder).glob("[!_]*.py")):
                name = path.stem if package == _PACKAGES[0] else f"{package}.{path.stem}"
                found.append((name, f"{package}.{path.stem}", _first_line(path)))
    return sorted(found, key=lambda row: FIRST.index(row[0]) if row[0] in FIRST else len(FIRST))


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.readline().strip().strip('"').partition(": `python -m")[0].rstrip(".")


def _help() -> str:
    rows = commands()
    width = max(len(name) for name, _, _ in rows)
    return f"{_USAGE}\n" + "\n".join(f"  {name:<{width}}  {line}" for name, _, line in rows)


def _unknown(name: str, known: list[str]) -> UserError:
    import difflib

    if not name or name.startswith("-"):
        what = f"unknown option {name}" if name else "no command given"
        return UserError(f"{what}; `rac-unet --help` lists the commands", "usage")
    near = [each for each in known if each.rpartition(".")[2] == name]
    near = near or difflib.get_close_matches(name.replace("-", "_"), known, n=2)
    hint = f"; did you mean {' or '.join(near)}?" if near else ";"
    return UserError(f"unknown command {name!r}{hint} `rac-unet --help` lists all", "unknown_name")


if __name__ == "__main__":
    main()
