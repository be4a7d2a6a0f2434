"""Check a data set of pairs: every file, every row, and that no photograph or person is in two splits.

python -m data_prep.check D            writes D/check/index.html and check.json; exit code 1 if there are faults
python -m data_prep.check D --fix      moves faulty rows and files to D/quarantine
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
        raise UserError(f"{root} is not finished; first run the command that prepares it again", "usage")
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
                f"{root} cannot be changed ({error.strerror}); copy it to a writable place, and use --fix there",
                "unwritable",
            ) from None
        if reasons:
            report = check_set(root, options.distance, options.workers)
    # Printed before the report is written, which can fail: finding the faults took minutes.
    print(_summary(report), flush=True)
    if moved is not None:
        rows, files = moved
        where = f"moved {rows:,} rows and {files:,} files to {root / FOLDER}; the remaining set was checked again"
        print(where if rows or files else "nothing to move")
    output = _write(report, [Path(given)] if given else [root / "check", *_elsewhere(root)])
    print(f"wrote {output / 'check.json'}\nwrote {output / 'index.html'}")
    return 1 if report.wrong else 0


def _elsewhere(root: Path) -> Iterator[Path]:
    """Yield folders for the report of a set that cannot be written to; none has other content."""
    here = Path.cwd() / f"check-{root.resolve().name}"
    if not here.exists() or (here / "check.json").is_file():
        yield here
    yield Path(tempfile.mkdtemp(prefix=f"check-{root.resolve().name}-"))


def _write(report: Report, folders: Iterable[Path]) -> Path:
    """Write check.json and the page to the first writable folder; return it.

    Raises: UserError when no folder is writable.
    """
    from data_prep.checks.check_page import write_page
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
        f"the report cannot be written to {', '.join(failed)}; give a writable folder with --output",
        "unwritable",
    )


def _summary(report: Report) -> str:
    lines = [f"{len(report.pairs):,} pairs, {report.pictures:,} different pictures of {report.pairs.image_size} px"]
    return "\n".join([*lines, *report.remarks(), _list(report)])


def _list(report: Report) -> str:
    if not report.wrong:
        return "no faults found"
    messages = report.messages()
    rest = len(messages) - _SHOWN
    lines = [f"{len(messages):,} fault{'s' * (len(messages) > 1)}:", *(f"  {words}" for words in messages[:_SHOWN])]
    return "\n".join(lines + [f"  ... and {rest:,} more, see check.json"] * (rest > 0))


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m data_prep.check",
        extras=("train",),
        description="Check a data set of pairs, and write a report with its statistics and example pictures.",
        epilog="Exit code 0: no faults; 1: faults were found and are listed; 2: the set cannot be checked.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("set", metavar="D", help="folder of a data set of pairs")
    parser.add_argument(
        "--fix",
        action="store_true",
        help="move faulty rows and files to D/quarantine (nothing is deleted); a photograph in two splits is removed "
        "from training",
    )
    parser.add_argument(
        "--distance",
        type=positive,
        default=64,
        metavar="BITS",
        help="compare two pictures closely if their hashes of 255 bits differ in at most this number of bits",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="folder of the report (default: D/check, or ./check-D if D is not writable)",
    )
    add_workers(parser)
    return parser


if __name__ == "__main__":
    run_command(main)
