// A run as the page knows it: what the server's events add up to.

import { Rates } from "./rates.js";
import { Series } from "./series.js";

const maxEvents = 400;
const maxEvals = 2048;
const maxLooks = 128;

/** What is seen in a layer. */
export const quantities = ["correction", "entropy", "first_token", "rank_q", "rank_r", "rank_k"];
const noLooks = () => Object.fromEntries(["step", ...quantities].map((c) => [c, []]));

/** A list for each quantity, also where nothing was looked at. */
const looksOf = (told) => Object.fromEntries(Object.entries(noLooks()).map(([c, none]) => [c, told[c] ?? none]));

export class Run {
  constructor() {
    this.latest = {}; // the last event of each kind
    this.nodes = new Map(); // the last notice about each node
    this.events = []; // with their sentences, oldest first
    this.series = new Series();
    this.evals = { step: [], loss: [] };
    this.looks = noLooks();
    this.rates = new Rates();
    this.links = new Map(); // by rank: what went over the link to the next one, means of the last steps
  }

  /** From the answer of /api/state. */
  static of(state) {
    const run = new Run();
    for (const e of state.latest) run.latest[e.event] = e;
    for (const e of state.nodes) run.nodes.set(e.node, e);
    run.events = state.events;
    run.series = new Series(state.series);
    run.evals = state.evals;
    run.looks = looksOf(state.looks);
    run.rates = new Rates(state.rates);
    if (run.latest.step) run.addLinks(run.latest.step);
    return run;
  }

  /** From the answer of /api/runs/ID. */
  static recorded(r) {
    const run = new Run();
    run.record = r;
    run.events = r.events;
    run.series = new Series(r.series);
    run.evals = r.evals;
    run.looks = looksOf(r.looks);
    run.rates = new Rates(r.rates);
    for (const l of r.rates?.links ?? []) run.links.set(l.rank, l);
    run.latest.started = r;
    const view = r.events.findLast((e) => e.event === "view");
    if (view) run.latest.view = { ...view, members: r.members };
    if (r.finished) run.latest.done = { text: `${r.status}: ${r.reason}`, exit_code: r.status === "failed" ? 1 : 0, status: r.status };
    return run;
  }

  get id() {
    return this.latest.started?.run ?? "";
  }

  get label() {
    return this.latest.started?.name || this.id;
  }

  /** Steps of the whole run, 0 when unknown. */
  get planned() {
    return this.latest.started?.steps || this.latest.step?.steps || 0;
  }

  get slots() {
    return this.latest.view?.members.reduce((sum, m) => sum + slotsOf(m), 0) ?? 0;
  }

  apply(e) {
    if (e.event === "notice") {
      if (e.node) this.nodes.set(e.node, e);
    } else {
      if (e.event === "view") this.newView(e);
      this.latest[e.event] = e;
    }
    if (e.event === "step") {
      this.series.add(e);
      this.rates.add(e, this.latest.view);
      this.addLinks(e);
      return;
    }
    if (e.event === "eval") this.addEval(e);
    if (e.event === "diagnosis") this.addLook(e);
    this.events.push(e);
    if (this.events.length > 2 * maxEvents) this.events = this.events.slice(-maxEvents);
  }

  /** Forgets what was told of the view's members before it, and notes why others are members no more. */
  newView(e) {
    for (const { node } of this.latest.view?.members ?? []) this.nodes.set(node, { node, text: e.reason, warning: true });
    for (const { node } of e.members) this.nodes.delete(node);
  }

  addEval(e) {
    const { step, loss } = this.evals;
    while (step.length && step.at(-1) >= e.step) {
      step.pop();
      loss.pop();
    }
    step.push(e.step);
    loss.push(e.loss);
    if (step.length > maxEvals) {
      const odd = (_, i) => i % 2 === 1;
      this.evals = { step: step.filter(odd), loss: loss.filter(odd) };
    }
  }

  /** Takes a tenth of the newest step, and all of it where the ring is another. */
  addLinks(e) {
    const { links } = this;
    if (links.generation !== e.generation) {
      links.clear();
      links.generation = e.generation;
    }
    for (const l of e.links ?? []) {
      const known = links.get(l.rank);
      if (!known) links.set(l.rank, { ...l });
      else for (const c of ["bytes", "send", "receive"]) known[c] += (l[c] - known[c]) / 10;
    }
  }

  /** Adds a look into the layers, in place of those that the run went back over. */
  addLook(e) {
    const all = this.looks;
    const keep = (wanted) => { for (const c in all) all[c] = all[c].filter(wanted); };
    const before = all.step.filter((s) => s < e.step).length;
    keep((_, i) => i < before);
    all.step.push(e.step);
    for (const c of quantities) all[c].push(e.layers.map((l) => l[c]));
    const last = all.step.length - 1;
    if (last >= maxLooks) keep((_, i) => i % 2 === 1 || i === last);
  }

  /** The series' places on an axis: tokens, flops or seconds. */
  axis(name) {
    if (name !== "flops") return this.series[name];
    const each = this.latest.started?.flops_per_token ?? 0;
    return this.series.tokens.map((n) => n * each);
  }

  /** What a step takes now: the means of the last steps. */
  get pace() {
    const s = this.series, n = s.length;
    if (n === 0) return null;
    const from = Math.max(0, n - Math.max(1, Math.round(20 / s.stride)));
    const mean = (c) => s[c].slice(from).reduce((a, b) => a + b, 0) / (n - from);
    const pace = { took: mean("took"), compute: mean("compute"), ring: mean("ring"), wait: mean("wait"), update: mean("update"),
      wire: mean("wire_bytes"), rate: mean("tokens_per_s") };
    pace.other = Math.max(0, pace.took - pace.compute - pace.ring - pace.wait - pace.update);
    return pace;
  }

  /** Members by rank, and nodes that are not (or no longer) among them. */
  get members() {
    const all = (this.latest.view?.members ?? []).map((m) => ({ ...m, slots: slotsOf(m), notice: this.nodes.get(m.node), inside: true }));
    for (const [node, notice] of this.nodes) {
      if (!all.some((m) => m.node === node)) all.push({ node, notice, inside: false });
    }
    return all;
  }
}

/** Live events list a member's slots, the record has their number. */
const slotsOf = (m) => (Array.isArray(m.slots) ? m.slots.length : m.slots);
