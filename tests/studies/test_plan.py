"""The plan of a study: shared settings, allowed differences, and mistakes."""

from pathlib import Path

import pytest
import yaml

from rac_unet.studies.plan import options, read_plan, slug
from tests.refusals import refused

RESULTS = Path(__file__).resolve().parents[2] / "results"


def plan(**changes):
    values = {
        "title": "Two",
        "toys": {"count": 70, "mode": "ambiguous", "seed": 1},
        "classifier": {"filters": 4, "toys": {"count": 70, "seed": 2}},
        "settings": {
            "model": {"filters": 2, "image_size": 32},
            "loss": {"terms": {"l1": 1}},
            "training": {"epochs": 1},
        },
        "systems": {
            "A-UNET": {"model": {"name": "a_unet", "conditioned": False}},
            "RAC-UNET, SSIM": {"loss": {"terms": {"ssim": 2}}},
        },
    }
    return values | changes


@pytest.fixture
def write(tmp_path):
    def to_file(values):
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    return to_file


def test_systems_share_the_settings_they_do_not_change(write):
    found = read_plan(write(plan()), features="net.keras")
    a, b = found.systems["A-UNET"], found.systems["RAC-UNET, SSIM"]
    assert (a.model.name, a.model.filters, a.model.conditioned) == ("a_unet", 2, False)
    assert (b.model.name, b.model.filters, b.model.conditioned) == ("rac_unet", 2, True)
    assert a.loss.terms == {"l1": 1} and b.loss.terms == {"ssim": 2} and a.training == b.training
    assert a.loss.features == found.features == "net.keras"
    assert found.classifier == {"filters": 4} and found.classifier_toys == {"count": 70, "seed": 2}


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*/plan.yaml")), ids=lambda path: path.parent.name)
def test_the_plans_of_the_reports_compare_five_systems_fairly(path):
    """Each system differs from the one before in one thing."""
    found = read_plan(path)
    models = {name: (c.model.name, c.model.conditioned) for name, c in found.systems.items()}
    assert models == {
        "A-UNET": ("a_unet", False),
        "RA-UNET": ("ra_unet", False),
        "RAC-UNET, no label": ("rac_unet", False),
        "RAC-UNET": ("rac_unet", True),
        "RAC-UNET, perceptual": ("rac_unet", True),
    }
    *others, perceptual = found.systems.values()
    assert all(c.loss == others[0].loss and "ms_ssim_l1" in c.loss.terms for c in others)
    swapped = {"perceptual" if name == "ms_ssim_l1" else name for name in others[0].loss.terms}
    assert set(perceptual.loss.terms) == swapped and len({c.model.filters for c in found.systems.values()}) == 1


def test_names_for_folders_and_command_lines():
    assert slug("RAC-UNET, no label") == "rac-unet-no-label"
    assert options({"count": 5, "mode": "natural"}) == ["--count", "5", "--mode", "natural"]


@pytest.mark.parametrize(
    ("changes", "kind", "named"),
    [
        ({"system": {}}, "unknown_name", ["'system'", "'systems'"]),
        ({"systems": {}}, "bad_layout", ["systems: "]),
        ({"classifier": None}, "bad_layout", ["classifier: "]),
        ({"systems": {"A": {"training": {"epochs": 9}}}}, "unknown_name", ["systems.A", "'training'"]),
        ({"systems": {"A": {"model": {"nmae": "a_unet"}}}}, "unknown_name", ["systems.A", "'nmae'"]),
        ({"systems": {"A": {}, "a!": {}}}, "bad_value", ["A, a!"]),
        ({"settings": {"training": {"max_hours": 1}}}, "bad_value", ["settings", "training.max_hours"]),
        ({"toys": {"counts": 70}}, "unknown_name", ["toys", "'counts'"]),
        ({"toys": {"mode": "natural"}}, "bad_layout", ["toys", "count"]),
        ({"toys": {"count": 70}, "classifier": {"toys": {"count": 70}}}, "bad_value", ["classifier.toys", "seed"]),
    ],
)
def test_mistakes_are_named(write, changes, kind, named):
    path = write(plan(**changes))
    with refused(kind, path, *named):
        read_plan(path)
