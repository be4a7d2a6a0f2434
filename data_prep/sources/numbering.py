"""Determine the numbering of emotions from all labels of a list; ambiguous lists are refused."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable

from rac_unet.core.emotions import NUMBERINGS, SOURCE_LABELS, as_number, parse_emotion, parse_source_label
from rac_unet.core.errors import UserError

OPTION = "--numbering"


def add_numbering(parser: argparse.ArgumentParser) -> None:
    """Add the option for the numbering of emotions."""
    parser.add_argument(
        OPTION,
        choices=tuple(NUMBERINGS),
        default=argparse.SUPPRESS,
        help="numbering of emotions in labels or folder names, needed where it is ambiguous: "
        + "; ".join(map(describe_numbering, NUMBERINGS)),
    )


def describe_numbering(name: str) -> str:
    """Return a description such as `zero_based (0 surprise … 6 neutral)`."""
    table = SOURCE_LABELS[NUMBERINGS[name]]
    known = [number for number, emotion in table.items() if emotion]
    first, last = min(known), max(known)
    return f"{name} ({first} {table[first]} … {last} {table[last]})"


def choose_numbering(
    labels: Iterable[str], candidates: tuple[str, ...], given: str | None, where: str, default: str | None = None
) -> str | None:
    """Return the only candidate numbering that contains all numbers of a list.

    A number that is in no candidate is a fault of its row. A list without the first number of a numbering may be
    shifted: numbered from 1 instead of 0, or, with a number beyond the last, from 2 instead of 1.

    Args:
        labels: all labels of the list as written; names of emotions are ignored.
        candidates: names of `NUMBERINGS` in which the source is known to exist; empty if unknown.
        given: the user's choice, which is returned unchanged.
        where: the list or folder, for messages.
        default: numbering to use for an ambiguous list instead of refusing it.
    Returns: None if the list has no numbers.
    Raises: UserError (`ambiguous`) when several candidates, or none, contain all numbers.
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
    why = "are ambiguous" if holding else "are in none of the known numberings"
    readings = "; ".join(f"{OPTION} {describe_numbering(name)}" for name in holding or NUMBERINGS)
    raise UserError(
        f"{where}: its numbers {why}: {found}. Choose one of: {readings}; or use names instead", "ambiguous"
    )


def _may_be_shifted(table: dict[int, str | None], counts: Counter[int]) -> bool:
    """Return whether a list without the first number of a numbering may be a shifted version of it."""
    first, last = min(table), max(number for number, emotion in table.items() if emotion)
    return first not in counts and (first == 0 or any(number > last for number in counts))


def read_label(text: str, numbering: str | None) -> str:
    """Return the emotion of a label, which is a number in a numbering or a name.

    Raises: UserError, with a message that follows a photo's name, for other labels and classes outside the seven.
    """
    if numbering and not any(letter.isalpha() for letter in text):
        return parse_source_label(NUMBERINGS[numbering], text)
    return parse_emotion(text)
