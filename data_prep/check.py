"""Check a data set of pairs: every file, every row, and that nothing of the test split was seen in training.

python -m data_prep.check D            writes D/check/index.html and check.json; exit code 1 if something is wrong
python -m data_prep.check D --fix      moves what is wrong to D/quarantine
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.making.arguments import add_workers, positive
from rac_unet.core.errors import CommandParser, UserError, run_command

if TYPE_CHECKING:
    from data_prep.checks.report import Report

_SHOWN = 20


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)

    from data_prep.checks.quarantine import FOLDER, move_rows, rows_to_go
    from data_prep.checks.report import check_set
    from rac_unet.core.files.output_folder import JOURNAL_FILE
    from rac_unet.data.pairs import PAIRS_FILE
    from rac_unet.data.records import refuse_records

    root = Path(options.set)
    if root.name == PAIRS_FILE and root.is_file():
        root = root.parent
    refuse_records(root)
    if options.fix and (root / JOURNAL_FILE).exists():
        raise UserError(f"{root} is not finished; run the command that prepares it again first", "usage")
    given = getattr(options, "output", None)
    report = check_set(root, options.distance, options.workers)
    moved = None
    if options.fix:
        reasons = rows_to_go(report.pairs.frame, report.faults, report.leak_files())
        if reasons:
            print(_list(report), flush=True)
        try:
            moved = move_rows(root, reasons)
        except OSError as error:
            raise UserError(
                f"{root} cannot be changed ({error.strerror}); copy it where it can be written to, and use --fix there",
                "unwritable",
            ) from None
        if reasons:
            report = check_set(root, options.distance, options.workers)
    # Before anything is written, which can fail: the faults took minutes to find.
    print(_summary(report), flush=True)
    if moved is not None:
        rows, files = moved
        where = f"moved {rows:,} rows and {files:,} files to {root / FOLDER}; what remains was checked again"
        print(where if rows or files else "nothing to move")
    output = _write(report, [Path(given)] if given else [root / "check", *_elsewhere(root)])
    print(f"wrote {output / 'check.json'}\nwrote {output / 'index.html'}")
    return 1 if report.wrong else 0


def _elsewhere(root: Path) -> Iterator[Path]:
    """Folders for the report of a set that cannot be written to, none of them holding anything else."""
    here = Path.cwd() / f"check-{root.resolve().name}"
    if not here.exists() or (here / "check.json").is_file():
        yield here
    yield Path(tempfile.mkdtemp(prefix=f"check-{root.resolve().name}-"))


def _write(report: Report, folders: Iterable[Path]) -> Path:
    """Write check.json and the page into the first folder where that is possible; returns it.

    Raises: UserError when it is possible in none of them.
    """
    from data_prep.checks.page import write_page
    from rac_unet.core.files.whole import write_file

    failed = []
    for folder in folders:
        try:
            content = json.dumps(report.as_dict(), indent=1, ensure_ascii=False) + "\n"
            write_file(folder / "check.json", content.encode())
            write_page(folder / "index.html", report)
        except OSError as error:
            failed.append(f"{folder} ({error.strerror})")
        else:
            if failed:
                print(f"note: {', '.join(failed)} cannot be written to")
            return folder
    raise UserError(
        f"the report cannot be written to {', '.join(failed)}; name a folder that can be written to with --output",
        "unwritable",
    )


def _summary(report: Report) -> str:
    lines = [f"{len(report.pairs):,} pairs, {report.pictures:,} different pictures of {report.pairs.image_size} px"]
    return "\n".join([*lines, *report.remarks(), _list(report)])


def _list(report: Report) -> str:
    if not report.wrong:
        return "nothing is wrong"
    told = report.messages()
    rest = len(told) - _SHOWN
    lines = [f"{len(told):,} fault{'s' * (len(told) > 1)}:", *(f"  {words}" for words in told[:_SHOWN])]
    return "\n".join(lines + [f"  ... and {rest:,} more, see check.json"] * (rest > 0))


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m data_prep.check",
        description="Check a data set of pairs and draw a page that shows what is in it.",
        epilog="Exit code 0: nothing is wrong; 1: something is, and is listed; 2: it cannot be checked.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("set", metavar="D", help="folder of a data set of pairs")
    parser.add_argument(
        "--fix", action="store_true",
        help="move what is wrong to D/quarantine (nothing is deleted); of a photograph in two splits, training loses",
    )  # fmt: skip
    parser.add_argument(
        "--distance", type=positive, default=64, metavar="BITS",
        help="how far two pictures' hashes of 255 bits may be apart for them to be compared more closely",
    )  # fmt: skip
    parser.add_argument(
        "--output",
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="where the page and the JSON go (default: D/check, or ./check-D where D cannot be written to)",
    )
    add_workers(parser)
    return parser


if __name__ == "__main__":
    run_command(main)
