"""Decide from all labels of a list what its numbers mean; where two readings remain nothing is guessed."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable

from rac_unet.core.emotions import NUMBERINGS, SOURCE_LABELS, as_number, parse_emotion, parse_source_label
from rac_unet.core.errors import UserError

OPTION = "--numbering"


def add_numbering(parser: argparse.ArgumentParser) -> None:
    """The option that says what numbers mean."""
    parser.add_argument(
        OPTION, choices=tuple(NUMBERINGS), default=argparse.SUPPRESS,
        help="what numbers of labels or folders mean, where they can be read in two ways: "
        + "; ".join(map(describe_numbering, NUMBERINGS)),
    )  # fmt: skip


def describe_numbering(name: str) -> str:
    """`zero_based (0 surprise … 6 neutral)`."""
    table = SOURCE_LABELS[NUMBERINGS[name]]
    known = [number for number, emotion in table.items() if emotion]
    first, last = min(known), max(known)
    return f"{name} ({first} {table[first]} … {last} {table[last]})"


def choose_numbering(
    labels: Iterable[str], candidates: tuple[str, ...], given: str | None, where: str, default: str | None = None
) -> str | None:
    """The one numbering among the candidates that holds every number of a whole list.

    A number that no candidate has is a fault of its row. But a list without a numbering's first number may be counted
    from elsewhere: from 1 instead of 0, or with one beyond the last from 2 instead of 1.

    Args:
        labels: every label of the list as written; names of emotions among them are ignored.
        candidates: names of `NUMBERINGS` that the source is known to come in; none where that is not known.
        given: what the user chose; it is taken as it is.
        where: the list or folder, for messages.
        default: taken instead of refusing two readings.
    Returns: None where there is no number.
    Raises: UserError (`ambiguous`) when several candidates hold every number, or none of them does.
    """
    counts = Counter(number for label in labels if (number := as_number(label)) is not None)
    if given or not counts:
        return given
    tables = {name: SOURCE_LABELS[source] for name, source in NUMBERINGS.items()}
    known = {number for number in counts if any(number in tables[name] for name in candidates or tables)}
    holding = [name for name, table in tables.items() if known <= table.keys()]
    fitting = [name for name in candidates if name in holding]
    if len(fitting) == 1 and not _may_be_shifted(tables[fitting[0]], counts):
        return fitting[0]
    if default in holding:
        return default
    found = ", ".join(f"{number} ({counts[number]:,} x)" for number in sorted(counts)[:12])
    why = "can be read in more than one way" if holding else "fit none of the numberings that are known"
    readings = "; ".join(f"{OPTION} {describe_numbering(name)}" for name in holding or NUMBERINGS)
    raise UserError(
        f"{where}: its numbers {why}: {found}. Say what they mean: {readings}; or write names instead", "ambiguous"
    )


def _may_be_shifted(table: dict[int, str | None], counts: Counter[int]) -> bool:
    """Whether a list without a numbering's first number may be the same numbering counted from elsewhere."""
    first, last = min(table), max(number for number, emotion in table.items() if emotion)
    return first not in counts and (first == 0 or any(number > last for number in counts))


def read_label(text: str, numbering: str | None) -> str:
    """The emotion of a label: a number in a numbering, or a name.

    Raises: UserError, worded to follow a photo's name, when it is neither, or one of no emotion of the seven.
    """
    if numbering and not any(letter.isalpha() for letter in text):
        return parse_source_label(NUMBERINGS[numbering], text)
    return parse_emotion(text)
