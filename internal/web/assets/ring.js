// The ring, drawn: members where they stand, links from each to the next, and
// what goes over them.

import { duration, escape, unit } from "./format.js";

const height = 340, cy = height / 2;
const labelled = 6; // links, at most, that have their rates beside them
const slow = 2; // a link whose rate is less than the middle one by this factor stands out
const named = 12; // members, at most, that have their names beside them

/** Draws into an element, and changes only the rates while the members stay. */
export class Ring {
  constructor(element) {
    this.element = element;
    this.drawn = "";
  }

  show(run, live) {
    const members = run.members.filter((m) => m.inside);
    const picture = draw(members, run.latest.view?.generation, live);
    if (picture !== this.drawn) {
      this.drawn = picture;
      this.element.innerHTML = picture;
    }
    if (members.length > 1) this.showRates(run, members);
  }

  /** Writes what each link does while it sends or, where that is not told, its mean over the steps. */
  showRates(run, members) {
    const pace = run.pace;
    if (!pace) return;
    const speeds = members.map(({ rank }) => speed(run.links.get(rank)));
    const told = speeds.filter((s) => s > 0).sort((a, b) => a - b);
    const middle = told[told.length >> 1], mean = unit(pace.wire / members.length / pace.took, "B/s");
    for (const label of this.element.querySelectorAll(".rate")) {
      const own = speeds[label.dataset.rank];
      if (label.dataset.rank === undefined) label.textContent = told.length ? `${unit(told[0], "B/s")} to ${unit(told.at(-1), "B/s")}` : `each link ${mean}`;
      else label.textContent = own > 0 ? unit(own, "B/s") : mean;
    }
    for (const link of this.element.querySelectorAll(".edge")) {
      const { rank } = link.dataset, l = run.links.get(Number(rank));
      link.classList.toggle("slow", speeds[rank] < middle / slow);
      link.querySelector("title").textContent = l ? title(members, Number(rank), l, pace.took) : "";
    }
  }
}

/** Bytes a second while the link sends; 0 where nobody has told. */
const speed = (l) => (l && l.send > 0 ? l.bytes / l.send : 0);

function title(members, rank, l, took) {
  const next = members[(rank + 1) % members.length];
  return `${members[rank].node} to ${next.node}: ${unit(l.bytes, "B")} a step, sent in ${duration(l.send)} of ${duration(took)}; ` +
    `${next.node} waited ${duration(l.receive)} for what had begun to come`;
}

function draw(members, generation, live) {
  if (members.length === 0) return `<p class="hint">It forms when the nodes are ready.</p>`;
  const n = members.length;
  const width = n <= 4 ? 320 : 370, cx = width / 2;
  const size = n <= 6 ? 22 : n <= named ? 17 : 7;
  const radius = n <= 4 ? 108 : n <= named ? 116 : 140;
  const first = { 2: 180, 4: -135 }[n] ?? -90;
  const turn = (i) => (first + (360 * i) / n) * (Math.PI / 180);
  const place = (angle, r = radius) => [cx + r * Math.cos(angle), cy + r * Math.sin(angle)];
  const gap = (size + 7) / radius;
  let links = "", nodes = "";
  members.forEach((m, i) => {
    if (n > 1) links += link(turn(i) + gap, turn(i) + (2 * Math.PI) / n - gap, place, radius, n, i);
    nodes += node(m, turn(i), place, radius, size, n, live);
  });
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Ring of ${n} members" class="${live ? "live" : ""}">
    ${links}${nodes}
    <text class="centre" x="${cx}" y="${cy + 1}">${n} ${n === 1 ? "member" : "members"}</text>
    <text class="centre-sub" x="${cx}" y="${cy + 20}">${generation ? `generation ${generation}` : ""}</text>
    ${n > labelled ? `<text class="rate" x="${cx}" y="${cy + 36}"></text>` : ""}</svg>`;
}

function link(from, to, place, radius, n, rank) {
  const [x1, y1] = place(from), [x2, y2] = place(to);
  const far = to - from > Math.PI ? 1 : 0;
  const arc = `M${round(x1)} ${round(y1)}A${radius} ${radius} 0 ${far} 1 ${round(x2)} ${round(y2)}`;
  const degrees = (to * 180) / Math.PI + 90;
  const head = `<path class="head-of" d="M0 0l-8 -4.5v9z" transform="translate(${round(x2)} ${round(y2)}) rotate(${round(degrees)})"/>`;
  const middle = (from + to) / 2;
  const [lx, ly] = place(middle, radius - 17 * Math.abs(Math.sin(middle))); // clear of the names above and below
  const rate = n <= labelled ? `<text class="rate" data-rank="${rank}" x="${round(lx)}" y="${round(ly)}"></text>` : "";
  return `<g class="edge" data-rank="${rank}"><title></title><path class="link" d="${arc}"/><path class="flow" d="${arc}"/>${head}${rate}</g>`;
}

function node(m, angle, place, radius, size, n, live) {
  const [x, y] = place(angle);
  const kind = m.notice?.warning ? "bad" : live ? "" : "off";
  const rank = n <= named ? `<text class="rank" x="${round(x)}" y="${round(y)}">${m.rank}</text>` : "";
  return `<g class="node ${kind}"><title>${escape(`rank ${m.rank}: ${m.node} on ${m.host}, ${m.device}, ${m.slots} micro-batches a step`)}</title>
    <circle cx="${round(x)}" cy="${round(y)}" r="${size}"/>${rank}${n <= named ? label(m, angle, place, { ring: radius, size }, n) : ""}</g>`;
}

function label(m, angle, place, radius, n) {
  const [x, y] = n <= 4 ? beside(place(angle, radius.ring), Math.sin(angle), radius.size) : place(angle, radius.ring + radius.size + 9);
  const side = n <= 4 ? 0 : Math.cos(angle);
  const anchor = side > 0.3 ? "start" : side < -0.3 ? "end" : "middle";
  const lift = anchor === "middle" ? (Math.sin(angle) < -0.1 ? -16 : 12) : Math.sin(angle) > 0.5 ? 8 : -2;
  return `<text text-anchor="${anchor}" x="${round(x)}" y="${round(y + lift)}"><tspan class="name">${escape(shorten(m.node))}</tspan>` +
    `<tspan class="what" x="${round(x)}" dy="15">${n <= 4 ? `${escape(shorten(m.device))} · ` : ""}${m.slots} ${m.slots === 1 ? "slot" : "slots"}</tspan></text>`;
}

/** Above a node of the upper half, below one of the lower. */
const beside = ([x, y], up, size) => [x, up < -0.1 ? y - size - 9 : y + size + 9];

const shorten = (text) => (text.length > 13 ? `${text.slice(0, 12)}…` : text);
const round = (x) => Math.round(x * 10) / 10;
