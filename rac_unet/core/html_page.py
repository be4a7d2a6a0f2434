"""Reports as self-contained HTML pages, for screens (light or dark), phones and print."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape

import cv2
import numpy as np

CSS = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5a6570; --paper: #fff; --line: #d8dde3; --panel: #f5f7f9;
  --good: #00664a; --bad: #a8320a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a7b0ba; --paper: #16191d; --line: #3a424b;
  --panel: #1f242a; --good: #4fd1a5; --bad: #ff9a6b; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem;
  margin: 0 auto; padding: 1.2rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
.verdict { font-size: 1.1rem; font-weight: 600; } .good { color: var(--good); } .bad { color: var(--bad); }
.soft, figcaption { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
table.wide td { white-space: nowrap; } table.wide th { min-width: 6rem; vertical-align: bottom; }
/* On a phone the names stay visible while the figures scroll. */
table.wide :is(td, th):first-child { position: sticky; left: 0; background: var(--paper); white-space: normal;
  min-width: clamp(6.5rem, 24vw, 14rem); }
h3 { font-size: .95rem; margin: 1.2rem 0 .4rem; }
td.text { min-width: 14rem; overflow-wrap: anywhere; }
.plot { width: 100%; max-width: 48rem; height: auto; background: #fff; border-radius: 6px; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(var(--wide, 10rem), 1fr)); gap: .6rem; }
.sheet figure { margin: 0; } .sheet img { width: 100%; height: auto; border-radius: 4px; display: block; }
code { background: var(--panel); padding: .1em .3em; border-radius: 3px; }
@media print { body { max-width: none; font-size: 11pt; }
  .scroll { overflow: visible; } table.wide { font-size: 7pt; width: 100%; }
  table.wide :is(td, th), table.wide :is(td, th):first-child { white-space: normal; min-width: 0;
    padding: .15rem .25rem; }
  figure, tr { break-inside: avoid; } h2 { break-after: avoid; } }
"""


def make_page(title: str, parts: Iterable[str]) -> str:
    """Return an HTML page.

    Args:
        title: plain text.
        parts: pieces of HTML, in order; empty ones are left out.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def plot(url: str | None, alternative: str) -> str:
    """Return the HTML of a plot as wide as the page; empty without a URL."""
    return f'<p><img class="plot" src="{url}" alt="{escape(alternative)}"></p>' if url else ""


def picture(url: str, alternative: str, caption: str) -> str:
    """Return the HTML of a picture in a sheet; `caption` is HTML."""
    image = f'<img src="{url}" alt="{escape(alternative)}" loading="lazy">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def new_figure(width: float, height: float, grid: str = "both"):
    """Return a matplotlib figure (size in inches) and its axes in the style of reports; `grid` is both, x or y."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Without pyplot, whose state belongs to the user's notebook.
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="0.9")
    axes.set_axisbelow(True)
    return figure, axes


def figure_url(figure) -> str:
    """Return a matplotlib figure as a PNG data URL."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def jpeg_url(image: np.ndarray, quality: int) -> str:
    """Return a BGR picture (H, W, 3) uint8 as a JPEG data URL."""
    content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    return "data:image/jpeg;base64," + base64.b64encode(content).decode()
