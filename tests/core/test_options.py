"""Settings as options: how each type of value is written and refused, and what the help says."""

import argparse
import dataclasses
from typing import Literal

import pytest

from rac_unet.core.config import RunConfig
from rac_unet.core.config.options import add_settings
from rac_unet.core.errors import CommandParser
from tests.refusals import refused


@dataclasses.dataclass(frozen=True)
class Section:
    """A section of every type.

    Args:
        path: Folder, 100 % optional.
        name: A name, whose text goes
            on in a second line.
        count: A whole number.
        rate: A number.
        on: A switch.
        word: One of three words.
        mixed: A word or a switch.
        names: Several names.
        weights: Names with weights.
    """

    path: str | None = None
    name: str = "first"
    count: int = 3
    rate: float = 1e-4
    on: bool = True
    word: Literal["auto", "disk", "off"] = "auto"
    mixed: Literal["auto", True, False] = "auto"
    names: list[str] = dataclasses.field(default_factory=list)
    weights: dict[str, float] = dataclasses.field(default_factory=lambda: {"l1": 1.0})


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of one section."""

    part: Section = dataclasses.field(default_factory=Section)


def parser(config):
    made = CommandParser(prog="x")
    add_settings(made, config)
    return made


def value(key, text):
    return vars(parser(Config()).parse_args([f"--part.{key}={text}"]))[f"part.{key}"]


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("path", "pairs", "pairs"),
        # A path is no YAML: it may look like a number, a switch or a comment.
        ("path", "2026", "2026"),
        ("path", "off", "off"),
        ("path", "# a: [b", "# a: [b"),
        ("path", "None", "None"),
        ("path", "", ""),
        ("path", "null", None),
        # A name cannot be missing.
        ("name", "null", "null"),
        ("count", "16", 16),
        ("count", "-1", -1),
        ("rate", "3", 3.0),
        ("rate", "1e-4", 1e-4),
        ("rate", "2.5E3", 2500.0),
        ("on", "true", True),
        ("on", "False", False),
        ("on", "no", False),
        # YAML alone reads this one as false.
        ("word", "off", "off"),
        ("mixed", "auto", "auto"),
        ("mixed", "true", True),
        ("mixed", "False", False),
        ("names", "[runs/A, runs/B]", ["runs/A", "runs/B"]),
        ("names", '["runs/A"]', ["runs/A"]),
        ("names", "[]", []),
        ("weights", "{l1: 1, ssim: 1e-3}", {"l1": 1.0, "ssim": 0.001}),
        ("weights", '{"l1": 0.5}', {"l1": 0.5}),
        ("weights", "{}", {}),
    ],
)
def test_values(key, text, expected):
    found = value(key, text)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("key", "text", "named"),
    [
        ("count", "many", ["int", "'many'"]),
        ("count", "16.0", ["int", "16.0"]),
        ("count", "true", ["int", "True"]),
        ("count", "", ["int", "''"]),
        # The day does not exist, so that YAML cannot make a date of it.
        ("count", "2026-02-31", ["int", "'2026-02-31'"]),
        ("rate", "fast", ["number", "'fast'"]),
        ("rate", "nan", ["finite", "nan"]),
        ("rate", "true", ["number", "True"]),
        ("rate", "null", ["number", "None"]),
        ("on", "1", ["bool", "1"]),
        ("on", "maybe", ["bool", "'maybe'"]),
        ("word", "ram", ["auto, disk, off", "'ram'"]),
        ("word", "null", ["auto, disk, off", "None"]),
        ("mixed", "1", ["auto, true, false", "1"]),
        ("names", "runs/A", ["[runs/A, runs/B]", "'runs/A'"]),
        ("names", "[1]", ["[runs/A, runs/B]", "[1]"]),
        ("names", "[runs/A", ["[runs/A, runs/B]", "'[runs/A'"]),
        ("weights", "l1", ["{ms_ssim_l1: 1.0}", "'l1'"]),
        ("weights", "[l1]", ["{ms_ssim_l1: 1.0}", "['l1']"]),
        ("weights", "{l1: x}", ["part.weights.l1", "number", "'x'"]),
        ("weights", "{l1: 1", ["{ms_ssim_l1: 1.0}", "'{l1: 1'"]),
    ],
)
def test_refused_values(key, text, named):
    with refused("usage", f"part.{key}", *named):
        value(key, text)


def test_only_given_settings_are_in_the_namespace():
    words = ["--part.count", "1", "--part.rate=2", "--part.count", "4"]
    assert vars(parser(Config()).parse_args(words)) == {"part.count": 4, "part.rate": 2.0}


@pytest.mark.parametrize("words", [["--part.coun", "1"], ["--part", "{count: 1}"], ["--part.weights.l1", "1"]])
def test_a_setting_has_one_name(words):
    with refused("usage", words[0]):
        parser(Config()).parse_args(words)


def test_help_has_meaning_form_and_default(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = " ".join(parser(Config(Section(count=5, on=False))).format_help().split())
    for line in (
        "A section of every type: ",
        "--part.path PATH Folder, 100 % optional. --part.name",
        "--part.name NAME A name, whose text goes on in a second line. (default: first)",
        "--part.count COUNT A whole number. (default: 5)",
        "--part.rate RATE A number. (default: 0.0001)",
        "--part.on {true,false} A switch. (default: false)",
        "--part.word {auto,disk,off} One of three words. (default: auto)",
        "--part.mixed {auto,true,false} A word or a switch. (default: auto)",
        "--part.names [NAME, ...] Several names. --part.weights",
        "--part.weights {NAME: WEIGHT, ...} Names with weights. (default: {l1: 1.0})",
    ):
        assert line in text


def test_every_setting_of_a_run_is_explained():
    made = argparse.ArgumentParser()
    add_settings(made, RunConfig())
    silent = [action.dest for action in made._actions if "." in action.dest and len(action.help.split()) < 3]
    assert silent == [] and len(made._actions) > 40
