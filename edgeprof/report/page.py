"""One HTML file that needs nothing else: tables as HTML, plots as JSON, plotly.js packed inside.

Owns: the page. plotly.js (MIT licence) comes from the installed ``plotly`` package; compressed, it
makes the file a third of its size, and every browser since 2023 unpacks it by itself.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Sequence
from datetime import datetime, timezone

from edgeprof.base.extras import optional
from edgeprof.report.figure import Figure
from edgeprof.report.plotly_figure import to_plotly
from edgeprof.report.tables import Table

_STYLE = """
:root { --ink: #1c2733; --soft: #5b6876; --line: #dfe4ea; --accent: #0072b2; --alarm: #fdecea; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #f6f8fa;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 26px; margin: 0; }
h2 { font-size: 18px; margin: 0 0 2px; }
.lead, .caption { color: var(--soft); margin: 2px 0 12px; }
nav { margin: 12px 0 18px; }
nav a { color: var(--accent); margin-right: 16px; text-decoration: none; white-space: nowrap; }
.cards { display: flex; flex-wrap: wrap; gap: 12px; margin-bottom: 18px; }
.card { background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 10px 18px;
  min-width: 128px; }
.card b { display: block; font-size: 24px; font-weight: 600; }
.card span { color: var(--soft); }
section { background: #fff; border: 1px solid var(--line); border-radius: 8px;
  padding: 18px 20px; margin-bottom: 18px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: left; padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; font-variant-numeric: tabular-nums; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
tr.alarm td { background: var(--alarm); }
footer { color: var(--soft); font-size: 13px; }
"""

_SCRIPT = """
(async () => {
  const packed = document.getElementById("plotly").textContent.trim();
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.appendChild(script);
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const config = { responsive: true, displaylogo: false };
  for (const [id, figure] of Object.entries(figures)) {
    await Plotly.newPlot(id, figure.data, figure.layout, config);
  }
  document.body.dataset.drawn = Object.keys(figures).length;
})();
"""


def render_page(
    *,
    lead: str,
    cards: Sequence[tuple[str, str]],
    tables: Sequence[Table],
    figures: Sequence[Figure],
) -> str:
    """Return the page.

    Raises:
        MissingDependency: without plotly.
    """
    now = datetime.now(timezone.utc)
    parts = [_table_section(table) for table in tables]
    plots = [_figure_section(figure) for figure in figures]
    data = json.dumps({f.id: to_plotly(f) for f in figures}, allow_nan=False)
    data = data.replace("<", r"\u003c")  # else a name could end the script element, or hide its end
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            f"<title>edgeprof report</title><style>{_STYLE}</style></head><body><main>",
            f'<h1>edgeprof report</h1><p class="lead">{html.escape(lead)}</p>',
            f"<div class=cards>{''.join(_card(*card) for card in cards)}</div>",
            f"<nav>{' '.join(_link(figure) for figure in figures)}</nav>",
            *parts,
            *plots,
            f"<footer>Written by edgeprof on {now:%Y-%m-%d %H:%M} UTC.</footer></main>",
            f'<script type="application/json" id="figures">{data}</script>',
            f'<script type="text/plain" id="plotly">{_packed_plotly()}</script>',
            f"<script>{_SCRIPT}</script></body></html>\n",
        ]
    )


def _packed_plotly() -> str:
    with optional("a report"):
        from plotly.offline import get_plotlyjs

    # Without a time stamp inside, equal reports are equal files.
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()


def _card(value: str, what: str) -> str:
    return f"<div class=card><b>{html.escape(value)}</b><span>{html.escape(what)}</span></div>"


def _link(figure: Figure) -> str:
    return f'<a href="#section-{figure.id}">{html.escape(figure.title)}</a>'


def _table_section(table: Table) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.columns)
    rows = "".join(
        f"<tr{' class=alarm' if index in table.alarming else ''}>"
        + "".join(f"<td>{html.escape(text)}</td>" for text in row)
        + "</tr>"
        for index, row in enumerate(table.rows)
    )
    return (
        f'<section><h2>{html.escape(table.title)}</h2><p class="caption">'
        f"{html.escape(table.caption)}</p><div class=scroll><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _figure_section(figure: Figure) -> str:
    return (
        f'<section id="section-{figure.id}"><h2>{html.escape(figure.title)}</h2>'
        f'<p class="caption">{html.escape(figure.caption)}</p>'
        f'<div id="{figure.id}"></div></section>'
    )
