"""A report as one HTML file that needs nothing else: no script, no other file; it can be kept, sent and printed.

Invariants: pure; every text goes through `escape`, so what stands in it from outside is text. Pictures are SVG with
the same numbers in words or in a table beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from shared.look.histogram import Histogram
from shared.look.report import Heat, Report, Rows
from shared.look.slices import AXES
from shared.look.states import Look
from shared.look.verified import Verified
from shared.timestamps import duration

SCALE = (
    "#fff6cc",
    "#fde79b",
    "#f9cf6b",
    "#eeb14a",
    "#dd9038",
    "#c66f2e",
    "#a85127",
    "#863621",
    "#621f1a",
    "#3d0f12",
)
"""From few to many; it grows darker all the way, so that it is read in grey, too."""

OTHERS = {Look.FAILED: "#d55e00", Look.DISCARDED: "#4a4a4a"}
EMPTY = "#e8ebee"

STYLE = """
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #16191d; background: #fff;
  font: 15px/1.45 system-ui, sans-serif; }
h1 { margin: 0; } h2 { margin: 1.8rem 0 .4rem; font-size: 1.15rem; } h3 { margin: .8rem 0 .2rem; font-size: 1rem; }
.state { font-size: 1.15rem; margin: .3rem 0; } .small { color: #53606c; font-size: .85rem; } h1, td, dd, li, p {
overflow-wrap: anywhere; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .4rem 0; }
th, td { padding: .15rem .8rem .15rem 0; text-align: right; border-bottom: 1px solid #c9d0d7; vertical-align: top; }
th:first-child, td:first-child, .text { text-align: left; } .two { display: grid; grid-template-columns:
repeat(auto-fit, minmax(22rem, 1fr)); gap: 1rem 2rem; } figure { margin: 0; break-inside: avoid; } svg { display:
block; max-width: 100%; } details { margin: .2rem 0; } code { font-size: .85rem; } @media print { body { margin: 0;
max-width: none; font-size: 11px; } h2 { break-after: avoid; } table { break-inside: auto; }
  tr { break-inside: avoid; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


def printed(report: Report, when: str) -> str:
    """The file's text; `when` it is made."""
    parts = [
        f"<h1>{escape(report.graph)}</h1>",
        f'<p class="state">{escape(report.sentence)}</p>',
        _names(report.about),
        _section("Sizes", _names(report.sizes), *map(_paragraph, report.remarks), _table(report.layers)),
        _section(
            "Cost, beside what the plan said",
            _table(report.spent),
            _table(report.bill, 2),
            *map(_note, report.bill_notes),
        ),
        _section("Over time", *_curves(report.curve)),
        _section("Chunks", '<div class="two">' + "".join(map(_histogram, report.histograms)) + "</div>"),
        _section("Seconds a chunk, by place", *_heats(report.heat)),
        _section("Attempts and failures", *_attempts(report)),
        _section("Verification", *_verified(report)),
    ]
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.graph)}: report</title><style>{STYLE}</style></head><body>"
    )
    return f"{head}\n{''.join(parts)}\n{_note(f'Written {when}.')}</body></html>\n"


def _section(title: str, *parts: str) -> str:
    return f"\n<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _note(text: str) -> str:
    return f'<p class="small">{escape(text)}</p>'


def _list(texts: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def _names(rows: Rows) -> str:
    """Names and values."""
    cells = "".join(
        f'<tr><td>{escape(name)}</td><td class="text">{escape(value)}</td></tr>' for name, value in rows
    )
    return f"<table>{cells}</table>" if rows else ""


def _table(rows: Rows, texts: int = 1) -> str:
    """A table with its heading first; so many columns are texts."""
    if len(rows) < 2:
        return ""
    heading, *others = rows

    def line(tag: str, row: Sequence[str]) -> str:
        kinds = (' class="text"' if at < texts else "" for at in range(len(row)))
        return (
            "<tr>"
            + "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, row, strict=True))
            + "</tr>"
        )

    body = "".join(line("td", row) for row in others)
    return f"<table><thead>{line('th', heading)}</thead><tbody>{body}</tbody></table>"


def _histogram(found: Histogram) -> str:
    title = f"<figcaption><h3>{escape(found.title)}</h3></figcaption>{_note(found.of)}"
    if not found.bars:
        return f"<figure>{title}</figure>"
    rows = "".join(
        f'<rect x="92" y="{16 * at + 2}" width="{200 * count / found.most:.1f}" height="12" fill="#0b6cb0"/>'
        f'<text x="86" y="{16 * at + 12}" text-anchor="end">{_between(low, high, found.whole)}</text>'
        f'<text x="{96 + 200 * count / found.most:.1f}" y="{16 * at + 12}">{count:,}</text>'
        for at, (low, high, count) in enumerate(found.bars)
    )
    size = f'width="360" height="{16 * len(found.bars) + 4}" font-size="10" font-family="sans-serif"'
    return f'<figure>{title}<svg {size} role="img" aria-label="{escape(found.title)}">{rows}</svg></figure>'


def _between(low: float, high: float, whole: bool) -> str:
    """What a bar counts; of whole numbers the first and the last."""
    last = high - 1 if whole else high
    return _number(low) if last == low else f"{_number(low)} to {_number(last)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _curves(curve: Sequence[Mapping[str, Any]]) -> list[str]:
    if len(curve) < 2:
        return [
            _note(
                "There is no history of this run: it was begun by an older version, or dispatch never looked at it."
            )
        ]
    found = (
        _curve(curve, name, title) for name, title in (("rate", "Chunks a second"), ("tasks", "Tasks at work"))
    )
    return ['<div class="two">' + "".join(found) + "</div>"]


def _curve(curve: Sequence[Mapping[str, Any]], name: str, title: str) -> str:
    first, last = curve[0]["at_ms"], curve[-1]["at_ms"]
    most = max(one[name] for one in curve)
    width = max(1, last - first)
    points = " ".join(
        f"{400 * (one['at_ms'] - first) / width:.1f},{96 - 90 * one[name] / (most or 1):.1f}" for one in curve
    )
    told = f"{title}: {_number(most)} at the most, over {duration(width / 1000, 1)}"
    line = f'<polyline points="{points}" fill="none" stroke="#0b6cb0" stroke-width="1.5"/>'
    frame = '<rect width="400" height="100" fill="#f3f5f7"/>'
    return (
        f'<figure><figcaption class="small">{escape(told)}</figcaption>'
        f'<svg viewBox="0 0 400 100" role="img" aria-label="{escape(told)}">{frame}{line}</svg></figure>'
    )


def _heats(heats: Sequence[Heat]) -> list[str]:
    known = [value for heat in heats for value in heat.seconds if value is not None]
    if not known:
        return [_note("What chunks took was not noted.")]
    most = max(known)
    width = heats[0].view.width
    side = max(3, min(18, 620 // width))
    layer = heats[0].view.layer
    told = (
        f"Layer {layer}, from 0 s (light) to {_number(most)} s (dark), each slice with x to the right and y down. "
        "Grey: not done, or not known; orange: failed; black: given up."
    )
    strip = "".join(
        f'<rect x="{16 * at}" width="16" height="10" fill="{colour}"/>' for at, colour in enumerate(SCALE)
    )
    legend = f'<svg width="160" height="10" aria-hidden="true">{strip}</svg>'
    return [
        _note(told),
        legend,
        '<div style="display:flex;flex-wrap:wrap;gap:12px">',
        *(_heat(one, most, side) for one in heats),
        "</div>",
    ]


def _heat(heat: Heat, most: float, side: int) -> str:
    """A slice; the cells of one colour are one path."""
    paths: dict[str, list[str]] = {}
    for at, (state, seconds) in enumerate(zip(heat.states, heat.seconds, strict=True)):
        if state is None:
            continue
        colour = OTHERS.get(state, EMPTY)
        if state is Look.DONE and seconds is not None:
            colour = SCALE[min(len(SCALE) - 1, int(len(SCALE) * seconds / (most or 1)))]
        x, y = at % heat.view.width, at // heat.view.width
        paths.setdefault(colour, []).append(f"M{x} {y}h.94v.94h-.94z")
    cells = "".join(f'<path d="{"".join(cells)}" fill="{colour}"/>' for colour, cells in paths.items())
    width, height = heat.view.width, heat.view.height
    told = f"{AXES[heat.view.axis]} = {heat.view.at}"
    size = f'width="{width * side}" height="{height * side}" viewBox="0 0 {width} {height}"'
    picture = f'<svg {size} role="img" aria-label="{told}">{cells}</svg>'
    return f'<figure><figcaption class="small">{told}</figcaption>{picture}</figure>'


def _attempts(report: Report) -> list[str]:
    parts = [_paragraph(report.attempts)]
    rows: Rows = [("why it was tried again", "chunks", "such as")]
    rows += [(one.why, f"{one.count:,}", ", ".join(one.chunks)) for one in report.retried]
    parts.append(_table(rows))
    causes = report.failures["causes"]
    if not causes:
        return [*parts, _paragraph("No chunk has failed and is not done.")]
    rows = [("what failed", "chunks", "state", "such as")]
    for cause in causes:
        states = ", ".join(f"{count:,} {name}" for name, count in cause["states"].items())
        rows.append(
            (f"{cause['error']}: {cause['text']}", f"{cause['count']:,}", states, ", ".join(cause["chunks"][:20]))
        )
    if report.failures["more"]:
        parts.append(_note("There are more failures than these, which are some of them."))
    return [*parts, _table(rows), _list(f"{what}: {typed}" for what, typed in report.failures["commands"])]


def _verified(report: Report) -> list[str]:
    found: Verified | None = report.verified
    if found is None:
        return [
            _paragraph(
                f"No verification of this graph is known; make verify GRAPH={report.graph} checks its whole table."
            )
        ]
    parts = []
    if not found.current:
        parts.append(_paragraph("This is of another run of the graph."))
    compared = ", ".join(found.compared)
    rows = ", ".join(f"layer {layer}: {count:,}" for layer, count in sorted(found.rows.items()))
    if found.violations:
        parts.append(_paragraph(f"Violations in the table: {found.violations:,}; the first:"))
        parts.append(_list(found.first))
    else:
        parts.append(_paragraph(f"The table agrees with {compared}."))
    return [*parts, _note(f"Rows by {rows}. {found.when[:19]}")]
