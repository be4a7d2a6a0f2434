"""The seven emotions, and every data source's own way of numbering them.

The original project lost its headline figure here: its classifier was alphabetical, its folders followed RAF-DB,
and nothing said so. In this project an emotion crosses every boundary as a *name*. This is the only module that
knows a number, and each numbering is named after the source it belongs to.
"""

from __future__ import annotations

from rac_unet.core.errors import UserError

# The order of the network's one-hot input: RAF-DB's own, so that the original's embedding rows keep their place.
EMOTIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")

# What a source writes -> emotion name; None marks a class that has no place among the seven.
SOURCE_LABELS: dict[str, dict[int, str | None]] = {
    # list_patition_label.txt and the Kaggle repack's folders 1..7
    "rafdb": dict(enumerate(EMOTIONS, start=1)),
    # folders 0..6 of the original project: RAF-DB's order, counted from zero
    "original_folders": dict(enumerate(EMOTIONS)),
    "affectnet": dict(
        enumerate(("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", None, None, None, None))
    ),
    "fer2013": dict(enumerate(("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"))),
    # the original's ResNet-18, whose classes torchvision's ImageFolder sorted by name
    "original_classifier": dict(enumerate(sorted(EMOTIONS))),
}

# What --numbering calls those that photos can be labelled with.
NUMBERINGS = {
    "rafdb": "rafdb", "zero_based": "original_folders", "affectnet": "affectnet", "fer2013": "fer2013",
    "alphabetical": "original_classifier",
}  # fmt: skip

# Names of the classes that are None above.
LEFT_OUT = {"affectnet": {7: "contempt", 8: "no emotion", 9: "uncertain", 10: "no face"}}

# Spellings people write in label files. Only unambiguous ones.
_SYNONYMS = {
    "surprised": "surprise", "afraid": "fear", "fearful": "fear", "disgusted": "disgust", "happy": "happiness",
    "sad": "sadness", "angry": "anger",
}  # fmt: skip


def parse_emotion(text: str) -> str:
    """Return the emotion's name for what a person wrote (`Happy`, ` happiness `).

    Raises: UserError naming the seven when the text is none of them; a bare digit is refused, since sources disagree.
    """
    name = str(text).strip().lower()
    name = _SYNONYMS.get(name, name)
    if name not in EMOTIONS:
        raise UserError(f"unknown emotion {str(text)!r}; use one of: {', '.join(EMOTIONS)}", "unknown_emotion")
    return name


def emotion_from_source(source: str, label: int) -> str | None:
    """Return the name for a source's own number; None for a class outside the seven (AffectNet's contempt).

    Raises: UserError when the source never uses that number.
    """
    table = SOURCE_LABELS[source]
    if label not in table:
        raise UserError(f"{source} has no label {label!r}; it uses {min(table)}..{max(table)}", "unknown_emotion")
    return table[label]


def emotion_id(name: str) -> int:
    """Position of an emotion in the network's one-hot input."""
    return EMOTIONS.index(name)


def parse_source_label(source: str, text: str) -> str:
    """The emotion's name for a source's own number as its files write it.

    Raises: UserError, worded to follow a photo's name, when it is no number of that source, or one of a class that
        has no place among the seven.
    """
    table, label = SOURCE_LABELS[source], as_number(text)
    if label not in table:
        reason = f"label {text.strip()!r} is none of this source's, {min(table)}..{max(table)}"
        raise UserError(reason, "unknown_emotion")
    if table[label] is None:
        raise UserError(f"{LEFT_OUT[source][label]} is none of the seven emotions", "unknown_emotion")
    return table[label]


def as_number(text: str) -> int | None:
    """The number in `3`, ` 3 ` or `3.0` (as data frames write it); None for anything else."""
    whole, _, fraction = text.strip().partition(".")
    return int(whole) if whole.isascii() and whole.isdigit() and not fraction.strip("0") else None
