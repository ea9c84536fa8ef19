"use strict";
// Values under the pointer or the arrow keys, lines and single runs that come and go. Without it the page is complete.
(() => {
  const source = document.getElementById("data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const hidden = new Set();
  let showRuns = false;
  const MOST_RUNS = 12; // values of single runs that are listed for a line

  const text = (value) => {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    return value.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 4);
  };
  const svg = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const add = (parent, name, content, className) => {
    const element = document.createElement(name);
    if (content !== undefined) element.textContent = content;
    if (className) element.className = className;
    parent.append(element);
    return element;
  };
  // The place of the last of these steps that is not beyond `step`, or the one after it if that is nearer.
  const nearest = (steps, step) => {
    let low = 0, high = steps.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (steps[middle] <= step) low = middle; else high = middle - 1;
    }
    return low + 1 < steps.length && steps[low + 1] - step < step - steps[low] ? low + 1 : low;
  };

  const panels = [...document.querySelectorAll("figure[data-panel]")].map((figure) => {
    const panel = data.panels[figure.dataset.panel];
    const image = figure.querySelector("svg");
    const box = figure.querySelector(".values");
    const [left, top, right, bottom] = panel.box;
    const x = (step) => left + (right - left) * step / panel.last;
    const y = (value) => bottom - (bottom - top) * (value - panel.low) / (panel.high - panel.low);
    const cross = svg("path", { class: "cross off" });
    image.append(cross);
    image.setAttribute("tabindex", "0");
    box.setAttribute("aria-live", "polite");
    let current = null;

    const steps = () => [...new Set(panel.lines.filter((line) => !hidden.has(line.line))
      .flatMap((line) => data.grids[line.grid]))].sort((one, other) => one - other);
    const leave = () => {
      current = null;
      box.hidden = true;
      cross.classList.add("off");
    };
    const show = (step) => {
      const all = steps();
      if (!all.length) return leave();
      current = all[nearest(all, step)];
      cross.setAttribute("d", `M${x(current).toFixed(1)} ${top}V${bottom}`);
      cross.classList.remove("off");
      box.replaceChildren();
      add(box, "b", `step ${current.toLocaleString("en")}`);
      for (const line of panel.lines) {
        const grid = data.grids[line.grid];
        if (hidden.has(line.line) || current > grid[grid.length - 1]) continue;
        const at = nearest(grid, current);
        const { name, colour } = data.lines[line.line];
        const row = add(box, "div", undefined, `c${colour}`);
        add(row, "i");
        const n = line.n.length ? line.n[at] : line.runs;
        const interval = line.low[at] === null ? "" : ` [${text(line.low[at])}, ${text(line.high[at])}]`;
        row.append(`${name}: ${text(line.value[at])}${interval}, n = ${n}`);
        if (grid[at] !== current) row.append(` (at ${grid[at].toLocaleString("en")})`);
        if (!showRuns || !line.single) continue;
        const known = line.single.map(([run, number, values]) => {
          const own = data.grids[number];
          return current > own[own.length - 1] ? null : `${run}: ${text(values[nearest(own, current)])}`;
        }).filter((value) => value !== null);
        const more = known.length > MOST_RUNS ? `, and ${known.length - MOST_RUNS} more` : "";
        add(row, "small", known.slice(0, MOST_RUNS).join(", ") + more);
      }
      box.hidden = false;
      // In the half of the panel where the line is not.
      const far = x(current) < (left + right) / 2;
      box.style.left = far ? "auto" : "0";
      box.style.right = far ? "0" : "auto";
    };
    const point = (event) => {
      const frame = image.getBoundingClientRect();
      const place = (event.clientX - frame.left) / frame.width * image.viewBox.baseVal.width;
      show(Math.min(Math.max((place - left) / (right - left), 0), 1) * panel.last);
    };
    image.addEventListener("pointermove", point);
    image.addEventListener("pointerdown", point);
    image.addEventListener("pointerleave", leave);
    image.addEventListener("blur", leave);
    image.addEventListener("keydown", (event) => {
      const all = steps();
      const at = current === null ? -1 : all.indexOf(current);
      const to = { ArrowRight: at + 1, ArrowLeft: at < 0 ? all.length - 1 : at - 1, Home: 0, End: all.length - 1 }[event.key];
      if (event.key === "Escape") leave();
      if (to === undefined) return;
      event.preventDefault();
      show(all[Math.min(Math.max(to, 0), all.length - 1)]);
    });

    const drawRuns = () => {
      for (const line of panel.lines) {
        const group = svg("g", { class: `runs c${data.lines[line.line].colour}`, "data-line": line.line });
        for (const [, number, values] of line.single || []) {
          const own = data.grids[number];
          let path = "", begun = false;
          values.forEach((value, index) => {
            if (value !== null) path += `${begun ? "L" : "M"}${x(own[index]).toFixed(1)} ${y(value).toFixed(1)}`;
            begun = value !== null;
          });
          group.append(svg("path", { class: "run", d: path }));
        }
        image.insertBefore(group, image.querySelector("g[data-line]"));
      }
    };
    return { image, leave, drawRuns };
  });

  const update = () => {
    for (const { image, leave, drawRuns } of panels) {
      leave();
      if (showRuns && !image.querySelector(".runs")) drawRuns();
      for (const group of image.querySelectorAll("g[data-line]")) {
        const off = hidden.has(Number(group.dataset.line)) || (group.classList.contains("runs") && !showRuns);
        group.classList.toggle("off", off);
      }
    }
  };
  for (const button of document.querySelectorAll("button[data-line]")) {
    button.disabled = false;
    button.addEventListener("click", () => {
      const line = Number(button.dataset.line);
      if (!hidden.delete(line)) hidden.add(line);
      button.setAttribute("aria-pressed", String(!hidden.has(line)));
      update();
    });
  }
  const single = document.getElementById("single");
  single.hidden = !data.panels.some((panel) => panel.lines.some((line) => line.single && line.runs > 1));
  single.addEventListener("click", () => {
    showRuns = !showRuns;
    single.setAttribute("aria-pressed", String(showRuns));
    update();
  });
  document.getElementById("hint").hidden = false;
})();
