// How fast each node and its link were: points of bounded number, each a mean over
// some steps of a view. The server sends them so; here steps are added one by one, by
// the same rule: when there are too many points, each two become one.

const maxPoints = 256;
const quantities = ["tokens_per_s", "link_bytes_per_s"];

export class Rates {
  constructor(sent) {
    this.step = sent?.step ?? [];
    this.steps = sent?.steps ?? [];
    this.generation = sent?.generation ?? [];
    this.nodes = new Map((sent?.nodes ?? []).map((node, i) => [node, Object.fromEntries(quantities.map((q) => [q, sent[q][i]]))]));
  }

  get length() {
    return this.step.length;
  }

  /** Adds the step of an event, in which the members of a view took part. */
  add(e, view) {
    if (view?.generation !== e.generation) return;
    while (this.length && this.step.at(-1) >= e.step) this.drop();
    const links = new Map((e.links ?? []).map((l) => [l.rank, l]));
    const micro = e.tokens / Math.max(1, view.members.reduce((sum, m) => sum + m.slots.length, 0));
    this.step.push(e.step);
    this.steps.push(1);
    this.generation.push(e.generation);
    for (const { node } of view.members) {
      if (!this.nodes.has(node)) this.nodes.set(node, Object.fromEntries(quantities.map((q) => [q, Array(this.length - 1).fill(null)])));
    }
    for (const [node, told] of this.nodes) {
      const { rank } = view.members.find((m) => m.node === node) ?? {};
      const took = e.rank_seconds?.[rank], link = links.get(rank);
      told.tokens_per_s.push(took > 0 ? micro / took : null);
      told.link_bytes_per_s.push(link?.send > 0 ? link.bytes / link.send : null);
    }
    if (this.length > maxPoints) this.halve();
  }

  drop() {
    for (const c of [this.step, this.steps, this.generation]) c.pop();
    for (const told of this.nodes.values()) for (const q of quantities) told[q].pop();
  }

  /** Joins each two points; of two views the later one is kept. */
  halve() {
    const { step, steps, generation } = this, n = this.length;
    const places = Array.from({ length: Math.ceil(n / 2) }, (_, i) => [2 * i, Math.min(2 * i + 1, n - 1)]);
    const alone = ([a, b]) => a === b || generation[a] !== generation[b];
    for (const told of this.nodes.values()) {
      for (const q of quantities) told[q] = places.map((p) => (alone(p) ? told[q][p[1]] : mean(told[q], steps, ...p)));
    }
    this.steps = places.map((p) => (alone(p) ? steps[p[1]] : steps[p[0]] + steps[p[1]]));
    this.step = places.map(([, b]) => step[b]);
    this.generation = places.map(([, b]) => generation[b]);
  }
}

/** The mean of two values by the steps behind them; of one, where the other is not told. */
function mean(values, steps, a, b) {
  if (values[a] === null) return values[b];
  if (values[b] === null) return values[a];
  return (values[a] * steps[a] + values[b] * steps[b]) / (steps[a] + steps[b]);
}
