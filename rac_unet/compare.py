"""Compare systems scored on the same pairs: `python -m rac_unet.compare RUN_OR_FOLDER … --output results/NAME`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rac_unet.core.errors import CommandParser, UserError, run_command
from rac_unet.data.pair_checks import SPLITS


def main(argv: list[str] | None = None) -> int:
    """Read the evaluations, compare them, write the report."""
    args = _parser().parse_args(argv)

    from rac_unet.core.files.whole import replace_file, write_text
    from rac_unet.reports.comparison.details import paired_table
    from rac_unet.reports.comparison.report_page import comparison_page, markdown_table
    from rac_unet.reports.comparison.request_tables import requests_as_markdown
    from rac_unet.reports.comparison.systems import check_comparable, make_table, read_system

    systems = []
    for word in args.systems:
        path, _, name = word.partition("=")
        systems.append(read_system(Path(path), name or None, args.split))
    names = [system.name for system in systems]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"two systems have the name {twice[0]!r}; give names: FOLDER=NAME", "ambiguous")
    notes = check_comparable(systems)
    table = make_table(systems)
    output, title = args.output, args.title or args.output.resolve().name.replace("_", " ")
    replace_file(output / "table.csv", lambda file: table.to_csv(file, index=False, float_format="%.6g"))
    differences = paired_table(systems)
    replace_file(output / "differences.csv", lambda file: differences.to_csv(file, index=False, float_format="%.6g"))
    tables = markdown_table(table) + requests_as_markdown(systems)
    write_text(output / "table.md", tables)
    provenance = {system.name: system.provenance for system in systems}
    write_text(output / "provenance.json", json.dumps(provenance, indent=2) + "\n")
    write_text(output / "index.html", comparison_page(title, systems, table, notes))
    print(tables)
    for note in notes:
        print(f"note: {note}")
    for file in ("table.csv", "table.md", "differences.csv", "provenance.json", "index.html"):
        print(f"wrote    {output / file}")
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.compare",
        extras=("train",),
        description="Compare systems scored on the same pairs: tables with paired differences, and an HTML page.",
        epilog="example: python -m rac_unet.compare runs/A runs/B=ours --output results/mine",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "systems",
        nargs="+",
        metavar="RUN_OR_FOLDER",
        help="run directory or evaluation folder; FOLDER=NAME gives it a name",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", default=argparse.SUPPRESS, help="folder of the report"
    )
    parser.add_argument(
        "--split", choices=SPLITS, default="test", help="split whose evaluation to read from run directories"
    )
    parser.add_argument("--title", metavar="TEXT", help="heading (default: the folder's name)")
    return parser


if __name__ == "__main__":
    run_command(main)
