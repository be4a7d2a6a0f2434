"""The report page of `data_prep.check`, a self-contained HTML file."""

from __future__ import annotations

from html import escape
from pathlib import Path

import pandas as pd

from data_prep.checks.plots import emotion_plot, hidden_plot, picture_url, rows_to_show, style_plot
from data_prep.checks.report import Report, Same
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.files.whole import write_file
from rac_unet.core.html_page import make_page, picture, plot

_MAX_FAULTS, _MAX_SAME = 200, 24


def write_page(path: Path, report: Report) -> None:
    """Write the report as one self-contained page."""
    name = report.pairs.root.resolve().name
    parts = [
        f"<h1>Data set <code>{escape(name)}</code></h1>",
        _verdict(report),
        _faults(report),
        _same("The same photograph in two splits", report.leaks, report),
        "<h2>Emotions</h2>",
        _table(report.counts("emotion", "split"), "emotion", totals=True),
        plot(
            emotion_plot(report), "Bars: pairs of each emotion in train, val and test; the table above has the figures"
        ),
        _weights(report),
        "<h2>Masks</h2>",
        plot(
            style_plot(report), "Bars: share of each mask style in train, val and test; the table below has the counts"
        ),
        _table(report.counts("mask_style", "split"), "mask style"),
        _held_out(report),
        _hidden(report),
        "<h2>Sources</h2>",
        _table(report.counts("source", "emotion"), "source", totals=True),
        *(_sheet(report, emotion) for emotion in EMOTIONS),
        _same("The same photograph twice in one split", report.twins, report),
        f'<p class="soft">Fingerprint of the data: <code>{report.pairs.fingerprint[:16]}</code>. All of this, and '
        "all faults, are in <code>check.json</code>. Faces are personal data: you are responsible for having the right "
        "to use this set, under the licences of its sources. What a network paints under a mask is plausible, not "
        "true.</p>",
    ]
    write_file(path, make_page(f"{name}: data set check", parts).encode())


def _verdict(report: Report) -> str:
    count = len(report.messages())
    words = f"{count:,} fault{'s' * (count > 1)} found." if report.wrong else "No faults found."
    kind = "bad" if report.wrong else "good"
    people = report.pairs.frame["identity"].nunique()
    facts = (
        f"{len(report.pairs):,} pairs of {report.pictures:,} different pictures of {people:,} identities, "
        f"{report.pairs.image_size} x {report.pairs.image_size} pixels."
    )
    remarks = "".join(f"<li>{escape(remark)}</li>" for remark in report.remarks())
    checked = (
        "Checked: all images are complete and of one size; where nothing is hidden, masked and unmasked are equal bit "
        "for bit; emotions and splits are valid; no identity and no photograph is in two splits."
    )
    return (
        f'<p class="verdict {kind}">{words}</p><p>{facts}</p>'
        + (f"<ul>{remarks}</ul>" if remarks else "")
        + f'<p class="soft">{checked}</p>'
    )


def _faults(report: Report) -> str:
    messages = report.messages()
    if not messages:
        return ""
    rows = "".join(f'<tr><td class="text">{escape(words)}</td></tr>' for words in messages[:_MAX_FAULTS])
    rest = len(messages) - _MAX_FAULTS
    more = f'<p class="soft">… and {rest:,} more in check.json</p>' if rest > 0 else ""
    fix = '<p class="soft"><code>python -m data_prep.check D --fix</code> moves these to a quarantine folder.</p>'
    return f'<h2>Faults</h2><div class="scroll"><table>{rows}</table></div>{more}{fix}'


def _same(title: str, found: list[Same], report: Report) -> str:
    if not found:
        return ""
    frame, figures = report.pairs.frame, []
    shown = [report.pairs.paths("unmasked"), report.pairs.paths("masked")]
    for same in found[:_MAX_SAME]:
        url = picture_url(*(shown[0][row] or shown[1][row] for row in same[:2]))
        names = [
            f"{frame['key'].iloc[row]} ({frame['split'].iloc[row]}, {frame['emotion'].iloc[row]})" for row in same[:2]
        ]
        caption = escape(" = ".join(names)) + f", {same.distance} bits apart" + ", mirrored" * same.mirrored
        if url:
            figures.append(picture(url, "two pictures of the same photograph", caption))
    more = f", of which {_MAX_SAME} are shown" if len(found) > _MAX_SAME else ""
    return f'<h2>{title}</h2><p class="soft">{len(found):,}{more}.</p><div class="sheet">{"".join(figures)}</div>'


def _sheet(report: Report, emotion: str) -> str:
    frame, figures = report.pairs.frame, []
    masked, unmasked = report.pairs.paths("masked"), report.pairs.paths("unmasked")
    count = int((frame["emotion"] == emotion).sum())
    for row in rows_to_show(report, emotion):
        url = picture_url(*(path for path in (masked[row], unmasked[row]) if path))
        split, style, source = (frame[column].iloc[row] for column in ("split", "mask_style", "source"))
        if url:
            figures.append(
                picture(url, f"masked and unmasked face, {emotion}, {split}", escape(f"{split} · {style} · {source}"))
            )
    sheet = f'<div class="sheet">{"".join(figures)}</div>' if figures else ""
    return f'<h2>{emotion.capitalize()} <span class="soft">{count:,} pairs</span></h2>{sheet}'


def _weights(report: Report) -> str:
    weights, train = report.pairs.weights, (report.pairs.frame["split"] == "train").to_numpy()
    if not train.any() or (weights[train] == 1).all():
        return ""
    emotions = report.pairs.frame["emotion"].to_numpy(object)
    shown = {emotion: float(weights[train & (emotions == emotion)].sum()) for emotion in EMOTIONS}
    total = sum(shown.values())
    cells = "".join(
        f"<tr><td>{emotion}</td><td>{100 * value / total:.1f} %</td></tr>" for emotion, value in shown.items()
    )
    return (
        "<p>Training pairs have weights. Shares of the emotions in an epoch:</p>"
        f'<div class="scroll"><table><tr><th>emotion</th><th>share</th></tr>{cells}</table></div>'
    )


def _held_out(report: Report) -> str:
    frame = report.pairs.frame
    trained = set(frame["mask_style"][frame["split"] == "train"])
    held_out = sorted(set(frame["mask_style"][frame["split"] == "test"]) - trained)
    if not held_out or not trained:
        return ""
    return f"<p>Held out for the test split: {escape(', '.join(held_out))}.</p>"


def _hidden(report: Report) -> str:
    share = report.hidden_share()
    if not share:
        return ""
    words = f"Mean hidden share: {100 * share['mean']:.1f} % of a picture (5 % to 95 %: {100 * share['p5']:.0f} to "
    return f"<p>{words}{100 * share['p95']:.0f} %).</p>" + plot(
        hidden_plot(report), "Histogram of the hidden share of a picture, by split"
    )


def _table(counts: pd.DataFrame, name: str, totals: bool = False) -> str:
    columns = [*counts.columns, *(["all"] if totals else [])]
    head = "".join(f"<th>{escape(str(column))}</th>" for column in (name, *columns))
    lines = []
    for label, row in counts.iterrows():
        cells = [*row.tolist(), *([int(row.sum())] if totals else [])]
        lines.append(f"<tr><td>{escape(str(label))}</td>" + "".join(f"<td>{int(c):,}</td>" for c in cells) + "</tr>")
    if totals and len(counts) > 1:
        sums = [*counts.sum().tolist(), int(counts.to_numpy().sum())]
        lines.append("<tr><th>all</th>" + "".join(f"<th>{int(c):,}</th>" for c in sums) + "</tr>")
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(lines)}</table></div>'
