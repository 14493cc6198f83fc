// Says what is under the pointer, or, with the arrow keys, which point of a plot is chosen.
"use strict";
{
  const names = JSON.parse(document.getElementById("names").textContent);
  const tip = document.getElementById("tip");
  const read = new Map();

  // The points of a drawing, from left to right, out of its paths.
  const pointsOf = (svg) => {
    if (!read.has(svg)) {
      const points = [];
      for (const path of svg.querySelectorAll("path[data-n], path[data-as]")) {
        const said = path.dataset.as ? document.getElementById(path.dataset.as) : path;
        const numbers = said.dataset.n.split(" ").flatMap((run) => {
          const [first, last = first] = run.split("-").map(Number);
          return Array.from({ length: last - first + 1 }, (_, i) => first + i);
        });
        const values = said.dataset.v.split("|");
        const places = path.getAttribute("d").matchAll(/M(\d+) (\d+)/g);
        [...places].forEach((place, i) => {
          const words = values[i].split(" ");
          const text = said.dataset.w.replace(/#/g, () => words.shift() ?? "");
          points.push({ x: +place[1], y: +place[2], text: `${text}\n${names[numbers[i]]}` });
        });
      }
      read.set(svg, points.sort((a, b) => a.x - b.x));
    }
    return read.get(svg);
  };

  const show = (svg, point) => {
    const box = svg.getBoundingClientRect();
    const x = box.left + (point.x / 1000) * box.width;
    const y = box.top + (point.y / 1000) * box.height;
    tip.textContent = point.text;
    tip.hidden = false;
    const left = Math.min(x + 12, innerWidth - tip.offsetWidth - 8);
    const above = y - tip.offsetHeight - 12;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${above > 4 ? above : y + 14}px`;
  };
  const hide = () => { tip.hidden = true; };

  const nearest = (svg, event) => {
    const box = svg.getBoundingClientRect();
    let best = null;
    let least = 24 ** 2;
    for (const point of pointsOf(svg)) {
      const dx = box.left + (point.x / 1000) * box.width - event.clientX;
      const dy = box.top + (point.y / 1000) * box.height - event.clientY;
      if (dx * dx + dy * dy < least) [best, least] = [point, dx * dx + dy * dy];
    }
    return best;
  };

  for (const svg of document.querySelectorAll(".plot svg")) {
    let chosen = -1;
    const look = (event) => {
      const point = nearest(svg, event);
      if (point) show(svg, point); else hide();
    };
    svg.addEventListener("pointermove", look);
    svg.addEventListener("pointerdown", look);
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", () => { chosen = -1; hide(); });
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const points = pointsOf(svg);
      if (event.key === "Escape") hide();
      if (!step || !points.length) return;
      event.preventDefault();
      chosen = (chosen + step + points.length) % points.length;
      show(svg, points[chosen]);
    });
  }
  document.addEventListener("scroll", hide, { passive: true });
}
