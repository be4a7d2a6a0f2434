"""Every command the READMEs show is one that its program understands."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from rac_unet.core.config import preset_names

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = (
    "README.md", "data_prep/README.md", "kaggle_kernels/README.md",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md"))),
)  # fmt: skip
TEXTS = {path: (ROOT / path).read_text(encoding="utf-8") for path in DOCUMENTS}
COMMANDS = [
    line
    for text in TEXTS.values()
    for block in re.findall(r"```bash\n(.*?)```", text, re.S)
    for line in block.replace("\\\n", " ").strip().splitlines()
]


def test_there_are_commands():
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", COMMANDS)
def test_command_line_is_accepted(command, beside_a_run):
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
        assert f"| `{name}` |" in README


def test_pictures_and_linked_files_exist():
    for path, text in TEXTS.items():
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert target.startswith("https://") or (ROOT / path).parent.joinpath(target).exists(), target


def test_every_command_of_data_prep_is_in_its_readme():
    for path in sorted((ROOT / "data_prep").glob("*.py")):
        if "__main__" in path.read_text(encoding="utf-8"):
            assert f"| `data_prep.{path.stem}` |" in TEXTS["data_prep/README.md"]


def test_tables_of_results_are_those_of_the_reports():
    """After `<!-- results/NAME/table.csv -->` every row and every figure is the report's, bold where it is best."""
    import pandas as pd

    from rac_unet.scoring.figures import FIGURES

    tables = re.findall(r"<!-- (results/\S+/table\.csv) -->\n((?:\|.*\n)+)", README)
    assert tables
    for path, text in tables:
        report = pd.read_csv(ROOT / path).set_index("system")
        head, _, *rows = ([cell.strip() for cell in line.strip("|\n ").split("|")] for line in text.splitlines())
        figures = [next(f for f in FIGURES if f.heading == name.rstrip(" ↑↓")) for name in head[1:]]
        assert set(report.index[report["kind"] == "network"]) <= {row[0] for row in rows}
        for system, *cells in rows:
            for figure, cell in zip(figures, cells, strict=True):
                mean, low, high = (report.loc[system, figure.column + end] for end in ("", "_low", "_high"))
                value = "–" if pd.isna(mean) else figure.text(mean)
                if report.loc[system, f"{figure.column}_best"]:
                    value = f"**{value}**"
                expected = value if value == "–" else f"{value} [{figure.text(low)}, {figure.text(high)}]"
                assert cell == expected, (path, system, figure.heading)
