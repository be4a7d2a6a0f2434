"""The model card's YAML head, its tables and README's agree with the scores in results/."""

import csv
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "rac_unet" / "weights"
CARD = (WEIGHTS / "README.md").read_text(encoding="utf-8")
# Name in the card's head -> column of table.csv, row of the card's table, column of README's table.
METRICS = {
    "composite PSNR in dB": ("psnr_composite", "composite PSNR", "composite PSNR"),
    "hole PSNR in dB": ("psnr_hole", None, "hole PSNR"),
    "composite SSIM": ("ssim_composite", None, None),
    "composite MS-SSIM": ("ms_ssim_composite", None, None),
    "unit feature distance (SqueezeNet 1.1)": ("unit_feature_distance_composite", "unit feature distance", None),
    "map IoU": ("map_iou", "map IoU", "map IoU"),
    "emotion accuracy in %": ("reads", "emotion accuracy", "emotion accuracy"),
    "control accuracy in %": ("obeyed", "control accuracy", "control accuracy"),
}


@pytest.fixture(scope="module")
def head():
    _, head, _ = re.split(r"^---$", CARD, maxsplit=2, flags=re.M)
    return yaml.safe_load(head)


@pytest.fixture(scope="module")
def written(head):
    """Name -> number in the head, as it is written there."""
    loaded = {one["name"]: one["value"] for one in head["model-index"][0]["results"][0]["metrics"]}
    texts = dict(re.findall(r"name: ([^,}]+), value: ([\d.]+)}", CARD))
    assert set(texts) == set(loaded) and all(float(text) == loaded[name] for name, text in texts.items())
    return texts


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table(text, *words):
    """Return the rows of the first Markdown table whose heading has these words."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|") and all(word in line for word in words))
    end = next(i for i in range(start, len(lines) + 1) if i == len(lines) or not lines[i].startswith("|"))
    return [cells(line) for line in (lines[start], *lines[start + 2 : end])]


def test_the_head_has_what_hubs_read(head):
    assert head["license"] == "other" and head["license_name"] and (WEIGHTS / head["license_link"]).is_file()
    assert head["pipeline_tag"] == "image-to-image" and head["library_name"] == "keras"
    assert head["datasets"] and CARD.startswith("---\n")
    (model,) = head["model-index"]
    types = {metric["type"] for result in model["results"] for metric in result["metrics"]}
    # Every declared metric has a number.
    assert set(head["metrics"]) <= types
    for result in model["results"]:
        assert {"task", "dataset", "metrics"} <= set(result) and {"type", "name"} <= set(result["dataset"])


def test_the_heads_numbers_are_those_of_the_results(written):
    with (ROOT / "results/guidance/table.csv").open(newline="", encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["system"] == "Fourth edition")
    assert set(written) == set(METRICS)
    for name, text in written.items():
        digits = len(text.partition(".")[2])
        assert f"{float(row[METRICS[name][0]]):.{digits}f}" == text, name


def test_the_cards_table_has_the_same_numbers(written):
    heading, *rows = table(CARD, "first edition", "this network")
    ours = heading.index("this network")
    for name, (_, row, _) in METRICS.items():
        if row:
            (line,) = (line for line in rows if line[0].startswith(row))
            assert line[ours].split()[0] == written[name], name


def test_readmes_table_has_the_same_numbers(written):
    heading, row = table((ROOT / "README.md").read_text(encoding="utf-8"), "file", "hole PSNR")
    for name, (_, _, column) in METRICS.items():
        if column:
            assert row[heading.index(column)].split()[0] == written[name], name
