"""Stores for reports, what stands in a report, and how a browser shows it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import numpy as np
from stored_records import make_record

from edgeprof.records.store import Store

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def append(path, latency_model, subnets, *, threads=1, kind="onnx-fp32-b1"):
    """Append a measurement of each subnet, made under a state."""
    rng = np.random.default_rng(0)
    with Store(path) as opened:
        for subnet, latency_ms in zip(subnets, latency_model.predict(subnets), strict=True):
            record = make_record(latency_ms, rng)
            record["settings"]["threads"] = threads
            opened.append(
                record,
                job_key=f"{latency_model.device}-{subnet.id}-{threads}-{kind}",
                device=latency_model.device,
                subnet=subnet,
                model_kind=kind,
            )


def append_networks(path, device, networks, latencies_ms):
    """Append a measurement of each network, as a model file of its name, with its layers."""
    rng = np.random.default_rng(0)
    with Store(path) as store:
        for network, latency_ms in zip(networks, latencies_ms, strict=True):
            record = make_record(latency_ms, rng)
            key = network.name.encode().hex().ljust(64, "0")[:64]
            record["model"] |= {"path": f"zoo/{network.name}", "sha256": key}
            store.append(record, job_key=f"{device}-{key}", device=device, model_kind="onnx")
            store.append_network(key, network)


def section(page, name):
    """Return the HTML of a plot or a table of a page's text."""
    return re.split(r"</section>|</details>", page.split(f'id="{name}"')[1])[0]


def points_of(page, name):
    """Return what the script shows of each point of a plot: values and name."""
    names = json.loads(page.split("id=names>")[1].split("</script>")[0])
    found = []
    given = re.findall(r'data-n="([^"]*)" data-w="([^"]*)" data-v="([^"]*)"', section(page, name))
    for runs, wording, values in given:
        ends = [[int(end) for end in run.split("-")] for run in runs.split()]
        numbers = [n for first, *last in ends for n in range(first, (last or [first])[0] + 1)]
        for number, words in zip(numbers, html.unescape(values).split("|"), strict=True):
            said = html.unescape(wording).replace("{", "{{").replace("#", "{}")
            found.append((said.format(*words.split(" ")).replace("\xa0", " "), names[number]))
    return found


_CHECK = r"""
<script>
"use strict";
const channels = (text) => (text.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
const light = (text) => {
  const [r, g, b] = channels(text).map((c) => (c / 255 <= 0.03928
    ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if ((channels(colour)[3] ?? 1) > 0) return colour;
  }
  return "rgb(255, 255, 255)";
};
const look = () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
  const faint = [];
  const wide = [];
  for (const element of document.body.querySelectorAll("main *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    if (style.visibility === "hidden" || !box.width) continue;
    if (own) {
      const [a, b] = [light(style.color), light(ground(element))];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (contrast < 4.5) faint.push(`${element.textContent.slice(0, 40)}: ${contrast}`);
    }
    if (box.right > innerWidth + 1 && !element.closest(".scroll")) {
      wide.push(`${element.tagName} ${element.textContent.slice(0, 40)}: ${box.right}`);
    }
  }
  const drawings = [...document.querySelectorAll(".plot svg")];
  const drawn = drawings.filter((svg) => {
    const marks = [...svg.querySelectorAll(".dots, .line:not(.soft), .span")];
    const boxes = marks.map((mark) => mark.getBoundingClientRect());
    const sheet = svg.getBoundingClientRect();
    return sheet.width > 100 && sheet.height > 50 && boxes.some((b) => b.width + b.height > 0);
  });
  const svg = document.querySelector(".plot svg:has(path[data-n])");
  const tip = document.getElementById("tip");
  let keyboard = null;
  if (svg) {
    svg.focus();
    svg.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
    keyboard = tip.hidden ? null : tip.textContent;
    svg.blur();
  }
  const found = {
    width: innerWidth, dark: matchMedia("(prefers-color-scheme: dark)").matches,
    overflow: document.documentElement.scrollWidth - innerWidth, faint, wide,
    drawings: drawings.length, drawn: drawn.length, keyboard, hidden_again: tip.hidden,
    focusable: document.querySelectorAll("summary, a[href], [tabindex='0']").length,
  };
  parent.postMessage(JSON.stringify(found), "*");
};
addEventListener("load", look);
</script>
"""

LOOKS = [(width, theme) for width in (1400, 400) for theme in ("light", "dark")]
"""Width of the page in pixels, and what the reader's system prefers."""

_FRAME = """<iframe src="page.html" name="{width}-{theme}"
style="border: 0; width: {width}px; height: 2000px; color-scheme: {theme}"></iframe>"""

_FRAMES = """<!doctype html><meta charset="utf-8"><style>body {{ margin: 0; }}</style>
<script>addEventListener("message", (event) => {{
  const frames = [...document.querySelectorAll("iframe")];
  const found = document.createElement("pre");
  found.id = frames.find((frame) => frame.contentWindow === event.source).name;
  found.textContent = event.data;
  document.body.append(found);
}});</script>
{frames}"""


def looked_at(page, folder):
    """Return what a browser finds when it shows a page in each way of ``LOOKS``.

    Width and theme are those of a frame: a browser without a window is 500 px wide at least. One
    browser shows them all, since it takes seconds to start.
    """
    text = page.read_text(encoding="utf-8")
    (folder / "page.html").write_text(text.replace("</body>", f"{_CHECK}</body>"), "utf-8")
    frames = "".join(_FRAME.format(width=width, theme=theme) for width, theme in LOOKS)
    (folder / "frames.html").write_text(_FRAMES.format(frames=frames), encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder / 'profile'}",
            "--enable-logging=stderr",
            "--window-size=1400,2000",
            "--virtual-time-budget=20000",
            "--dump-dom",
            (folder / "frames.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    # --enable-logging=stderr prints what goes to the console.
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    found = {}
    for width, theme in LOOKS:
        said = done.stdout.split(f'<pre id="{width}-{theme}">')[1].split("</pre>")[0]
        found[width, theme] = {**json.loads(html.unescape(said)), "console": console}
    return found
