// Which lines of which runs the three charts show.

import { Chart, css, entry, join, paint } from "./charts.js";
import * as f from "./format.js";
import { coarsen, smooth } from "./series.js";

/** Colours by the order in which runs were laid over each other: names in the style sheet. */
export const palette = ["accent", "amber", "green", "rose", "violet", "teal", "brown"];

/** What a step's time goes into, in the order in which it is piled up. */
export const split = [["compute", "compute"], ["ring", "ringwork"], ["wait", "wait"], ["update", "update"], ["other", "other"]];

const axisText = {
  tokens: (x) => f.unit(x, "tokens"),
  flops: (x) => f.unit(x, "FLOPs"),
  seconds: (x) => `${f.duration(x)} of steps`,
};

/** Loss and validation loss of several runs. */
export class LossGraph {
  constructor(element) {
    this.chart = new Chart(element, { describe: (_, x, values) => this.describe(x, values) });
  }

  /** Runs come with their colour's name: [{run, color}]. */
  show(runs, axis) {
    this.axis = axis;
    this.rows = [];
    const tables = [], lines = [], bands = [];
    const add = (xs, ys, row, line) => {
      tables.push([xs, ys]);
      lines.push({ color: css(row.color), label: row.name, ...line });
      this.rows.push(row);
    };
    for (const { run, color } of runs) {
      const xs = run.axis(axis), noisy = run.series.length > 80;
      if (run.series.stride > 1) { // a point is many steps: the range of their losses
        for (const c of ["loss_high", "loss_low"]) add(xs, run.series[c], { color, name: "" }, { width: 0 });
        bands.push({ series: [tables.length - 1, tables.length], fill: fade(color) });
      } else if (noisy) add(xs, run.series.loss, { color, name: "" }, { alpha: 0.22, width: 1 });
      add(xs, noisy ? smooth(run.series.loss) : run.series.loss, { color, name: run.label }, { width: 2 });
      const places = run.evals.step.map((s) => run.series.at(xs, s)), there = (_, i) => places[i] !== null;
      if (places.some((x) => x !== null)) {
        add(places.filter(there), run.evals.loss.filter(there), { color, name: `${run.label} validation`, hollow: true }, { width: 1.2, dash: [4, 4], points: true });
      }
    }
    const filled = tables.some(([xs]) => xs.length > 0);
    this.chart.show(filled ? join(tables) : [[]], lines, bands);
  }

  describe(x, values) {
    const rows = this.rows.map((r, i) => (r.name && f.known(values[i + 1]) ? entry(r.color, r.name, f.loss(values[i + 1]), r.hollow) : ""));
    return `<p>${axisText[this.axis](x)}</p>${rows.join("")}`;
  }
}

const fromZero = (_, low, high) => [0, (high || 1) * 1.08];

/** Tokens per second of one run. */
export class RateGraph {
  constructor(element) {
    this.chart = new Chart(element, {
      yRange: fromZero,
      describe: (_, x, [, rate]) => `<p>step ${x}</p>${entry("accent", "", f.unit(rate, "tokens/s"))}`,
    });
  }

  show(run) {
    this.chart.show(coarsen([run.series.step, run.series.tokens_per_s], 240), [{ label: "", color: css("accent"), fill: fade("accent"), width: 1.8 }]);
  }
}

/** The parts of a step, piled up. */
export class SplitGraph {
  constructor(element) {
    this.chart = new Chart(element, { yRange: fromZero, describe: (_, x, values) => this.describe(x, values) });
  }

  show(run) {
    const s = run.series;
    const other = s.took.map((t, i) => Math.max(0, t - s.compute[i] - s.ring[i] - s.wait[i] - s.update[i]));
    const [steps, ...each] = coarsen([s.step, s.compute, s.ring, s.wait, s.update, other], 160);
    const piled = each.reduce((all, c) => [...all, c.map((x, i) => x + (all.at(-1)?.[i] ?? 0))], []);
    this.each = each;
    this.steps = steps;
    // The highest first, so that each lower one covers what is not its own.
    const lines = [...split].reverse().map(([name, color]) => ({ label: name, color: css(color), fill: css(color), width: 0 }));
    this.chart.show([steps, ...piled.reverse()], lines);
  }

  describe(x) {
    const i = this.steps.indexOf(x);
    return `<p>step ${x}</p>${split.map(([name, color], k) => entry(color, name, f.duration(this.each[k][i]))).join("")}`;
  }
}

/** What the graph of the ranks can show of each node. */
export const ofRanks = {
  ranks: { quantity: "tokens_per_s", unit: "tokens/s", hint: "tokens per second of each while it computes" },
  links: { quantity: "link_bytes_per_s", unit: "B/s", hint: "bytes per second from each to the next while the link sends" },
};
const most = 7; // nodes, at most, that have a line each

/** How fast each node, or its link, was: a line each or, of many, the fastest, the middle and the slowest. */
export class RankGraph {
  constructor(element, legend) {
    this.chart = new Chart(element, { yRange: fromZero, describe: (_, x, values) => this.describe(x, values) });
    this.legend = legend;
  }

  show(run, choice) {
    const { quantity, unit } = ofRanks[choice], { nodes, step } = run.rates;
    this.unit = unit;
    const told = [...nodes].filter(([, t]) => t[quantity].some(f.known)).map(([node, t]) => [node, t[quantity]]);
    this.rows = told.length <= most
      ? told.map(([name, values], i) => ({ name, values, color: palette[i] }))
      : ordered(told, step.length);
    const columns = coarsen([step, ...this.rows.map((r) => r.values)], 80);
    this.steps = columns[0];
    this.chart.show(columns, this.rows.map((r) => ({ label: r.name, color: css(r.color), width: 1.6, gaps: true })));
    const html = this.rows.map((r) => entry(r.color, r.name, f.unit(r.values.at(-1), unit))).join("");
    if (this.legend.innerHTML !== html) {
      this.legend.innerHTML = html;
      paint(this.legend);
    }
  }

  describe(x, values) {
    return `<p>step ${x}</p>${this.rows.map((r, i) => (f.known(values[i + 1]) ? entry(r.color, r.name, f.unit(values[i + 1], this.unit)) : "")).join("")}`;
  }
}

/** The fastest, the middle and the slowest of many at each point; who is slowest in the end is named. */
function ordered(told, length) {
  const rows = [["fastest", "green"], ["middle", "accent"], ["slowest", "rose"]].map(([name, color]) => ({ name, color, values: [] }));
  let last = "";
  for (let i = 0; i < length; i++) {
    const here = told.filter(([, values]) => f.known(values[i])).sort((a, b) => b[1][i] - a[1][i]);
    [here[0], here[here.length >> 1], here.at(-1)].forEach((at, k) => rows[k].values.push(at ? at[1][i] : null));
    last = here.at(-1)?.[0] ?? last;
  }
  rows[2].name = `slowest, now ${last}`;
  return rows;
}

/** A colour, thin enough to lie under its line. */
const fade = (name) => `${css(name)}26`;
