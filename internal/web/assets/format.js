// Numbers and times as a person reads them.

const prefixes = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

export const known = (x) => x !== null && x !== undefined && Number.isFinite(x);

const digits3 = (x) => x.toFixed(Math.abs(x) >= 100 ? 0 : Math.abs(x) >= 10 ? 1 : 2);

/** Three digits and a unit: "12.3 MB/s", and, where the unit is a word, "12.3 M tokens". */
export function unit(x, name = "") {
  if (!known(x)) return "–";
  const between = /^[a-z]{2}/.test(name) ? " " : "";
  for (const [scale, prefix] of prefixes) {
    if (Math.abs(x) >= scale) return `${digits3(x / scale)} ${prefix}${between}${name}`.trim();
  }
  return `${Number.isInteger(x) ? x : digits3(x)} ${name}`.trim();
}

/** unit, split in number and rest, for a large number with a small unit. */
export function parts(x, name) {
  const [number, ...rest] = unit(x, name).split(" ");
  return [number, rest.join(" ")];
}

/** A tick of an axis: as few digits as tell it from its neighbours. */
export function tick(x) {
  if (x === 0) return "0";
  for (const [scale, prefix] of prefixes) {
    if (Math.abs(x) >= scale) return `${+(x / scale).toPrecision(3)} ${prefix}`;
  }
  return String(+x.toPrecision(3));
}

export const loss = (x) => (known(x) ? x.toFixed(4) : "–");

export const percent = (part, whole) => (known(part) && whole > 0 ? `${Math.round((100 * part) / whole)} %` : "–");

/** "0.41 s", "73 s", "12 min", "3 h 05 min". */
export function duration(s) {
  if (!known(s)) return "–";
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min ${String(Math.floor(s % 60)).padStart(2, "0")} s`;
  return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} min`;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false });
export const time = (text) => clock.format(new Date(text));
export const date = (text) => day.format(new Date(text));

const entities = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Text made safe for HTML and its attributes. */
export const escape = (text) => String(text ?? "").replace(/[&<>"']/g, (c) => entities[c]);
