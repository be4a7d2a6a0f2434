"""The seven emotions, and the label numbers of each data source.

The original project's main figure was wrong because its classifier numbered emotions alphabetically and its folders
as RAF-DB does. In this project emotions are passed by *name*. Only this module converts numbers, and each numbering
is named after its source.
"""

from __future__ import annotations

from rac_unet.core.errors import UserError

# The order of the network's one-hot input: as in RAF-DB, so that the rows of the original's embedding keep their order.
EMOTIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")

# Source -> label number -> emotion name; None marks a class outside the seven.
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

# Values of --numbering -> source.
NUMBERINGS = {
    "rafdb": "rafdb",
    "zero_based": "original_folders",
    "affectnet": "affectnet",
    "fer2013": "fer2013",
    "alphabetical": "original_classifier",
}

# Names of the classes marked None above.
LEFT_OUT = {"affectnet": {7: "contempt", 8: "no emotion", 9: "uncertain", 10: "no face"}}

# Other unambiguous spellings in label files.
_SYNONYMS = {
    "surprised": "surprise",
    "afraid": "fear",
    "fearful": "fear",
    "disgusted": "disgust",
    "happy": "happiness",
    "sad": "sadness",
    "angry": "anger",
}


def parse_emotion(text: str) -> str:
    """Return the emotion of a label as users write it (`Happy`, ` happiness `).

    Raises: UserError listing the seven for any other text; numbers are refused, since sources number differently.
    """
    name = str(text).strip().lower()
    name = _SYNONYMS.get(name, name)
    if name not in EMOTIONS:
        raise UserError(f"unknown emotion {str(text)!r}; use one of: {', '.join(EMOTIONS)}", "unknown_emotion")
    return name


def emotion_from_source(source: str, label: int) -> str | None:
    """Return the emotion of a source's label number; None for a class outside the seven (AffectNet's contempt).

    Raises: UserError when the source does not use that number.
    """
    table = SOURCE_LABELS[source]
    if label not in table:
        raise UserError(f"{source} has no label {label!r}; it uses {min(table)}..{max(table)}", "unknown_emotion")
    return table[label]


def emotion_id(name: str) -> int:
    """Return the position of an emotion in the network's one-hot input."""
    return EMOTIONS.index(name)


def parse_source_label(source: str, text: str) -> str:
    """Return the emotion of a source's label number as its files write it.

    Raises: UserError, with a message that follows a photo's name, when the source does not use that number, or uses it
        for a class outside the seven.
    """
    table, label = SOURCE_LABELS[source], as_number(text)
    if label not in table:
        reason = f"label {text.strip()!r} is not a label of this source, {min(table)}..{max(table)}"
        raise UserError(reason, "unknown_emotion")
    if table[label] is None:
        raise UserError(f"{LEFT_OUT[source][label]} is not one of the seven emotions", "unknown_emotion")
    return table[label]


def as_number(text: str) -> int | None:
    """Parse `3`, ` 3 ` or `3.0` (as data frames write it); None for any other text."""
    whole, _, fraction = text.strip().partition(".")
    return int(whole) if whole.isascii() and whole.isdigit() and not fraction.strip("0") else None
