"""Join JavaScript modules to one script that any page or worker can run.

The modules of `static/` import each other by relative paths and export what they declare; nothing else of the module
syntax is supported. They are put into one function, each after those that it imports, so their top-level names must
differ.
"""

from __future__ import annotations

import re
from pathlib import Path

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w.]+)";\n', re.M)
_EXPORT = re.compile(r"^export (?=(async function|function|class|const|let) )", re.M)
_DECLARED = re.compile(r"^(?:async function|function|class|const|let) (\w+)", re.M)


def bundle(folder: Path, entry: str) -> str:
    """Return one script with the module `entry` of a folder and all that it imports.

    Raises: ValueError when a module uses other module syntax, or when two modules declare the same name.
    """
    parts: dict[str, str] = {}
    _collect(folder, entry, parts, ())
    owners: dict[str, str] = {}
    for name, text in parts.items():
        for declared in _DECLARED.findall(text):
            if owners.setdefault(declared, name) != name:
                raise ValueError(f"{owners[declared]} and {name} both declare {declared}")
    body = "".join(f"// {name}\n{text}" for name, text in parts.items())
    return f'(() => {{\n"use strict";\n{body}}})();\n'


def _collect(folder: Path, name: str, parts: dict[str, str], path: tuple[str, ...]) -> None:
    if name in path:
        raise ValueError(f"modules import each other: {' -> '.join((*path, name))}")
    if name in parts:
        return
    text = (folder / name).read_text(encoding="utf-8")
    for imported in _IMPORT.findall(text):
        _collect(folder, imported, parts, (*path, name))
    text = _EXPORT.sub("", _IMPORT.sub("", text))
    if other := re.search(r"^(import|export)\b.*", text, re.M):
        raise ValueError(f"{name}: unsupported module syntax: {other.group()}")
    parts[name] = text
