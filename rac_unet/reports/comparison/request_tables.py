"""Tables of a comparison about requested emotions: accuracies of each judge, and plausibility of each request."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.text_grid import markdown
from rac_unet.reports.comparison.systems import System
from rac_unet.scoring.emotions.judges import OTHER, describe_guides
from rac_unet.scoring.metric_table import CONTROL_ACCURACY


@dataclass(frozen=True)
class _Table:
    title: str
    note: str
    head: list[str]
    rows: list[list[str]]


def requests_as_html(systems: list[System]) -> str:
    """Return the tables as HTML; empty if no evaluation has their values."""
    parts = []
    for table in _tables(systems):
        head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
        rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
        parts.append(
            f"<h2>{escape(table.title)}</h2><p class='soft'>{escape(table.note)}</p>"
            f'<div class="scroll"><table class="wide"><tr>{head}</tr>{rows}</table></div>'
        )
    return "".join(parts)


def requests_as_markdown(systems: list[System]) -> str:
    """Return the tables as Markdown; empty if no evaluation has their values."""
    return "".join(
        f"\n{table.title}\n\n{markdown(table.head, table.rows)}\n{table.note}\n" for table in _tables(systems)
    )


def _tables(systems: list[System]) -> list[_Table]:
    return [table for table in (_judges(systems), _plausibility(systems)) if table]


def _judges(systems: list[System]) -> _Table | None:
    """Return a row per system and judge; None if each has one independent judge, which the main table shows."""
    rows, notes = [], []
    for system in systems:
        for section in _sections(system.metrics):
            judge = section["emotion"].get("classifier", {})
            marks = describe_guides(judge)
            notes += [mark for mark in marks if mark not in notes]
            reads, control = section["emotion"], section.get("control", {})
            by_asked = control.get("by_asked", {})
            rows.append(
                [
                    system.name,
                    judge.get("name", "?") + " (!)" * _shares(judge),
                    *(
                        _percent(reads.get(who, {}).get(key))
                        for who in ("truth", "network")
                        for key in ("accuracy", "mean_class_accuracy")
                    ),
                    _percent(control.get(CONTROL_ACCURACY)),
                    *(_percent(by_asked.get(name)) for name in EMOTIONS),
                ]
            )
    if not notes and not any(system.metrics.get("other_judges") for system in systems):
        return None
    head = [
        "system",
        "judge",
        "truth: emotion accuracy %",
        "truth: mean of classes %",
        "emotion accuracy % ↑",
        "mean of classes % ↑",
        "control accuracy % ↑",
        *EMOTIONS,
    ]
    note = (
        "Emotion accuracy of each judge on the ground truth and on composites with the right label; control accuracy "
        "is the share of requested emotions that it reads: the mean of all seven, then each."
    )
    return _Table("Judges", " ".join([note, *(f"(!) {mark}." for mark in notes)]), head, rows)


def _plausibility(systems: list[System]) -> _Table | None:
    rows = []
    for system in systems:
        found = system.metrics.get("plausibility")
        if found:
            asked = found.get("by_asked", {})
            rows.append(
                [
                    system.name,
                    _distance(found.get("floor")),
                    _distance(found["right_label"]),
                    *(_request(asked.get(name)) for name in EMOTIONS),
                    f"{found['n']:,}",
                ]
            )
    if not rows:
        return None
    return _Table(
        "Plausibility",
        "Fréchet distance of features of the lower faces from those of the ground truth of the same photographs, in "
        "per cent of its variance, lower is better; of each request with its ratio to the right label's. The floor is "
        "the distance of two halves of the ground truth without a person in common.",
        ["system", "floor", "right label ↓", *EMOTIONS, "n"],
        rows,
    )


def _sections(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in (metrics, *metrics.get("other_judges", [])) if "emotion" in each]


def _shares(judge: dict[str, Any]) -> bool:
    return any(guide["data"] != OTHER or guide["started_from"] for guide in judge.get("guides", []))


def _percent(value: float | dict[str, float] | None) -> str:
    value = value.get("mean") if isinstance(value, dict) else value
    return "–" if value is None else f"{100 * value:.1f}"


def _distance(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _request(found: dict[str, float] | None) -> str:
    if not found:
        return "–"
    return _distance(found["distance"]) + (f" ({found['ratio']:.2f})" if found["ratio"] else "")
