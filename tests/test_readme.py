"""The documents are true: commands are accepted, links lead somewhere, tables are those of the reports."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from rac_unet.core.config import preset_names

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = (
    "README.md",
    "data_prep/README.md",
    "kaggle_kernels/README.md",
    "results/README.md",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md"))),
)
TEXTS = {path: (ROOT / path).read_text(encoding="utf-8") for path in DOCUMENTS}
COMMANDS = list(
    dict.fromkeys(
        line
        for text in TEXTS.values()
        # Blocks within a list are indented.
        for block in re.findall(r"^ *```bash\n(.*?)```", text, re.S | re.M)
        for line in map(str.strip, re.sub(r"\\\n\s*", "", block).strip().splitlines())
    )
)


def test_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_there_are_commands():
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", COMMANDS)
def test_command_line_is_accepted(command, folder_with_runs):
    python, dash_m, module, *argv = shlex.split(command)
    assert (python, dash_m) == ("python", "-m")
    if module == "rac_unet.train":
        from rac_unet.training.arguments import parse

        parse(argv)
    else:
        importlib.import_module(module)._parser().parse_args(argv)


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make (\w+)`|^    make (\w+)", README, re.M):
        assert re.search(rf"^{''.join(target)}:", makefile, re.M), target


def test_every_preset_is_explained():
    for name in preset_names():
        assert f"| `{name}` |" in TEXTS["docs/training.md"]


def headings(path):
    """Anchors of a document's headings, as GitHub and GitLab make them."""
    text = re.sub(r"^ *```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S | re.M)
    return {
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)", text, re.M)
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_pictures_linked_files_and_headings_exist(name):
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[name]):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), target
        assert not anchor or anchor in headings(path), target


def test_readme_links_every_document():
    for name in DOCUMENTS[1:]:
        assert f"]({name})" in README


def test_every_command_of_data_prep_is_in_its_readme():
    for path in sorted((ROOT / "data_prep").glob("*.py")):
        if "__main__" in path.read_text(encoding="utf-8"):
            assert f"| `data_prep.{path.stem}` |" in TEXTS["data_prep/README.md"]


def test_tables_of_results_are_those_of_the_reports():
    """After `<!-- results/NAME/table.csv -->` every row and every figure is the report's, bold where it is best."""
    import pandas as pd

    from rac_unet.scoring.metric_table import COMPARED

    tables = [
        (name, *table)
        for name, document in TEXTS.items()
        for table in re.findall(r"<!-- (results/\S+/table\.csv) -->\n((?:\|.*\n)+)", document)
    ]
    # Every report has its table in the README of the results; the README of the project shows one of them.
    reports = {str(path.relative_to(ROOT)) for path in (ROOT / "results").rglob("table.csv")}
    assert {path for name, path, _ in tables if name == "results/README.md"} == reports
    assert [name for name, *_ in tables].count("README.md") == 1
    for name, path, text in tables:
        report = pd.read_csv(ROOT / path).set_index("system")
        head, _, *rows = ([cell.strip() for cell in line.strip("|\n ").split("|")] for line in text.splitlines())
        metrics = [next(m for m in COMPARED if m.title == heading.rstrip(" ↑↓")) for heading in head[1:]]
        assert set(report.index[report["kind"] == "network"]) <= {row[0] for row in rows}
        for system, *cells in rows:
            for metric, cell in zip(metrics, cells, strict=True):
                mean, low, high = (report.loc[system, metric.name + end] for end in ("", "_low", "_high"))
                value = "–" if pd.isna(mean) else metric.text(mean)
                if report.loc[system, f"{metric.name}_best"]:
                    value = f"**{value}**"
                expected = value if value == "–" else f"{value} [{metric.text(low)}, {metric.text(high)}]"
                assert cell == expected, (name, path, system, metric.title)
