"""docs/commands.md has every command with every option as it is in the source."""

import re

from tests.commands_page import MARKER, PAGE, commands, reference


def test_the_reference_is_up_to_date(monkeypatch):
    # Neither the terminal nor the machine may show in it.
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("HOME", "/nowhere/at/all")
    by_hand, marker, rest = PAGE.read_text(encoding="utf-8").partition(MARKER)
    assert marker and by_hand
    assert rest == reference(), "run: python -m tests.commands_page"
    assert "/nowhere" not in rest


def test_every_command_has_its_row_and_a_section():
    by_hand, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKER)
    linked = set(re.findall(r"\]\(#([a-z0-9_]+)\)", by_hand))
    assert linked == {name.replace(".", "") for name in commands()}
    assert re.findall(r"^## (\S+)$", rest, re.M) == commands()
