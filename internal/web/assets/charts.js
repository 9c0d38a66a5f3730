// The charts, on uPlot. Colours come from the style sheet, so a chart is made anew
// when the theme changes.

import uPlot from "./lib/uplot/uPlot.esm.js";
import { escape, tick } from "./format.js";

export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/**
 * A chart in an element. Its lines are {label, color, fill, dash, points, width,
 * gaps}; describe(u, x, values) makes the tip's HTML.
 */
export class Chart {
  constructor(element, { describe, yRange, xTime }) {
    this.element = element;
    this.describe = describe;
    this.yRange = yRange;
    this.xTime = xTime;
    this.shape = "";
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(element);
  }

  size() {
    return { width: this.element.clientWidth, height: this.element.clientHeight };
  }

  /**
   * Shows data, as uPlot takes it, in lines, and fills the bands between two of them:
   * {series: [upper, lower], fill}. Makes the chart anew when those differ.
   */
  show(data, lines, bands = []) {
    const shape = JSON.stringify([lines, bands]) + document.documentElement.dataset.theme;
    if (data[0].length === 0) {
      this.clear();
      return;
    }
    if (shape === this.shape) {
      this.plot.setData(data);
      return;
    }
    this.clear();
    this.element.replaceChildren();
    this.shape = shape;
    this.plot = new uPlot({ ...this.options(lines), bands }, data, this.element);
  }

  clear() {
    this.plot?.destroy();
    this.plot = null;
    this.shape = "";
    this.element.innerHTML = `<p class="empty">Nothing to draw yet</p>`;
  }

  options(lines) {
    const axis = {
      stroke: css("soft"), font: `12px ${css("sans")}`, ticks: { show: false }, border: { show: false },
      grid: { stroke: css("grid"), width: 1 }, values: (_, ticks) => ticks.map(tick),
    };
    return {
      ...this.size(), legend: { show: false }, padding: [10, 12, 0, 0],
      scales: { x: { time: false }, y: { range: this.yRange } },
      axes: [{ ...axis, grid: { show: false }, space: 70, size: 30, gap: 6 }, { ...axis, size: 50, gap: 6, space: 38 }],
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false }, dataIdx: nearest },
      series: [{}, ...lines.map(line)],
      plugins: [this.tip()],
    };
  }

  /** The small box beside the cursor. */
  tip() {
    const box = document.createElement("div");
    box.className = "tip";
    box.hidden = true;
    const hide = () => { box.hidden = true; };
    return { hooks: {
      init: (u) => { u.over.append(box); u.over.addEventListener("mouseleave", hide); },
      setCursor: (u) => {
        const { left, top, idx } = u.cursor;
        if (idx === null || idx === undefined || left < 0) return hide();
        box.innerHTML = this.describe(u, u.data[0][idx], u.cursor.idxs.map((i, k) => (i === null || i === undefined ? null : u.data[k][i])));
        paint(box);
        box.hidden = false;
        const right = left > u.over.clientWidth - box.offsetWidth - 24;
        box.style.left = `${right ? left - box.offsetWidth - 14 : left + 14}px`;
        box.style.top = `${Math.max(0, Math.min(top - 20, u.over.clientHeight - box.offsetHeight))}px`;
      },
    } };
  }
}

function line(l) {
  return {
    label: l.label, stroke: l.color, width: l.width ?? 1.6, fill: l.fill, dash: l.dash, alpha: l.alpha ?? 1, spanGaps: !l.gaps,
    points: l.points ? { show: true, size: 7, width: 1.6, stroke: l.color, fill: css("card") } : { show: false },
  };
}

/** The place of the value that is nearest to the cursor in its own line: lines of several runs have no common places. */
function nearest(u, series, hovered) {
  const values = u.data[series];
  if (series === 0 || (values[hovered] ?? null) !== null) return hovered;
  for (let away = 1; away < values.length; away++) {
    if ((values[hovered - away] ?? null) !== null) return hovered - away;
    if ((values[hovered + away] ?? null) !== null) return hovered + away;
  }
  return null;
}

/** A line of a tip. */
export const entry = (color, name, value, hollow = false) =>
  `<p><i class="${hollow ? "hollow" : ""}" data-dot="${escape(color)}"></i>${escape(name)} <b>${escape(value)}</b></p>`;

/** Gives the dots in an element their colours: a policy forbids them in the HTML. */
export function paint(element) {
  for (const dot of element.querySelectorAll("[data-dot]")) dot.style.setProperty("--dot", `var(--${dot.dataset.dot})`);
}

export const join = (tables) => uPlot.join(tables);
