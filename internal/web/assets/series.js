// A run's steps for the charts: columns of bounded length. The server sends them
// so; here steps are added one by one, by the same rule: when there are too many
// points, each two become one.

const maxPoints = 2048;
const means = ["loss", "took", "compute", "ring", "wait", "update", "wire_bytes"];
const ranges = { loss_low: Math.min, loss_high: Math.max };
const columns = ["step", "tokens", "seconds", "tokens_per_s", ...means, ...Object.keys(ranges)];

export class Series {
  constructor(sent = { stride: 1 }) {
    this.stride = sent.stride;
    for (const c of columns) this[c] = sent[c] ?? [];
    this.open = null; // counts of the last point, while steps are still added to it
  }

  get length() {
    return this.step.length;
  }

  last(column) {
    return this[column][this.length - 1];
  }

  /** Adds the step of an event; one that is there already replaces it and all behind it. */
  add(e) {
    while (this.length > 0 && this.last("step") >= e.step) this.drop();
    if (!this.open || this.open.steps >= this.stride) this.begin();
    const i = this.length - 1, o = this.open, s = e.seconds;
    o.steps++;
    o.trained += e.tokens;
    o.took += s.total;
    this.step[i] = e.step;
    this.tokens[i] += e.tokens;
    this.seconds[i] += s.total;
    this.tokens_per_s[i] = o.took > 0 ? o.trained / o.took : null;
    const values = { took: s.total, compute: s.compute, ring: s.reduce, wait: s.wait, update: s.update, wire_bytes: e.wire_bytes };
    for (const c in values) this[c][i] += (values[c] - this[c][i]) / o.steps;
    if (e.loss === null) return;
    for (const c in ranges) this[c][i] = o.losses ? ranges[c](this[c][i], e.loss) : e.loss;
    this.loss[i] = (this.loss[i] ?? 0) + (e.loss - (this.loss[i] ?? 0)) / ++o.losses;
  }

  drop() {
    for (const c of columns) this[c].pop();
    this.open = null;
  }

  begin() {
    if (this.length >= maxPoints) this.halve();
    const tokens = this.last("tokens") ?? 0, seconds = this.last("seconds") ?? 0;
    for (const c of columns) this[c].push(c.startsWith("loss") ? null : 0);
    this.tokens[this.length - 1] = tokens;
    this.seconds[this.length - 1] = seconds;
    this.open = { steps: 0, trained: 0, took: 0, losses: 0 };
  }

  halve() {
    const n = this.length >> 1;
    for (const c of columns) {
      const merge = c in ranges ? among(ranges[c]) : c === "step" || c === "tokens" || c === "seconds" ? (a, b) => b : mean;
      this[c] = Array.from({ length: n }, (_, i) => merge(this[c][2 * i], this[c][2 * i + 1]));
    }
    this.stride *= 2;
  }

  /** Where a step lies on an axis; null when it is not among the points. */
  at(axis, step) {
    let low = 0, high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.step[middle] < step) low = middle + 1;
      else high = middle;
    }
    return low < this.length ? axis[low] : null;
  }
}

function mean(a, b) {
  if (a === null) return b;
  return b === null ? a : (a + b) / 2;
}

/** Chooses between two values, where both are there. */
const among = (choose) => (a, b) => (a === null ? b : b === null ? a : choose(a, b));

/** Averages columns down to at most n points; the first column gives their places. */
export function coarsen(columns, n) {
  const length = columns[0].length;
  if (length <= n) return columns;
  const bounds = Array.from({ length: n }, (_, i) => [Math.floor((i * length) / n), Math.floor(((i + 1) * length) / n)]);
  return columns.map((c, k) => bounds.map(([from, to]) => {
    if (k === 0) return c[to - 1];
    const values = c.slice(from, to).filter((x) => x !== null);
    return values.length ? values.reduce((a, b) => a + b) / values.length : null;
  }));
}

/**
 * Means over about a fortieth of the points, as many before as behind each, so that
 * the curve lags nowhere; towards the ends over fewer.
 */
export function smooth(values) {
  const reach = Math.max(2, Math.round(values.length / 80));
  const sums = [0], counts = [0];
  for (const x of values) {
    sums.push(sums.at(-1) + (x ?? 0));
    counts.push(counts.at(-1) + (x === null ? 0 : 1));
  }
  return values.map((x, i) => {
    const half = Math.min(reach, i, values.length - 1 - i), from = i - half, to = i + half + 1;
    return x === null ? null : (sums[to] - sums[from]) / (counts[to] - counts[from]);
  });
}
