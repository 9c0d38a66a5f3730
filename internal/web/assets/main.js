// The page: fetches the run as it stands, follows what happens to it, and shows it.

import { paint } from "./charts.js";
import * as f from "./format.js";
import { LossGraph, ofRanks, palette, RankGraph, RateGraph, split, SplitGraph } from "./graphs.js";
import { Layers } from "./layers.js";
import * as records from "./records.js";
import { Ring } from "./ring.js";
import { Run } from "./run.js";
import { follow } from "./stream.js";

const $ = (id) => document.getElementById(id);
const text = (id, value) => { if ($(id).textContent !== value) $(id).textContent = value; };

const page = {
  run: new Run(),
  live: false, // events are to come
  lost: false, // the connection is broken
  axis: localStorage.getItem("axis") || "tokens",
  ofRanks: "ranks", // or "links"
  recorded: [], // the list
  over: new Map(), // runs laid over, by id
};
const graphs = {
  loss: new LossGraph($("chart-loss")), rate: new RateGraph($("chart-rate")), split: new SplitGraph($("chart-split")),
  ranks: new RankGraph($("chart-ranks"), $("ranks-legend")),
};
const ring = new Ring($("ring"));
const layers = new Layers($("layers-card"), $("layers"), $("layers-hint"));

// Showing

let due = 0;
/** Shows everything soon, and no more than ten times a second. */
function changed() {
  if (due) return;
  due = setTimeout(() => requestAnimationFrame(() => { due = 0; show(); }), 100);
}

function show() {
  const { run } = page, pace = run.pace;
  showHeader(run);
  showFigures(run, pace);
  showSplit(run, pace);
  showLegend(run);
  graphs.loss.show(shown(), page.axis);
  graphs.rate.show(run);
  graphs.split.show(run);
  showRanks(run);
  layers.show(run);
  ring.show(run, page.live && !run.latest.done && !page.lost);
  showMembers(run);
  showEvents(run);
  if (run.series.length && !performance.getEntriesByName("first chart").length) performance.mark("first chart");
}

/** The run and those laid over it, each with its colour. */
const shown = () => [page.run, ...page.over.values()].map((run, i) => ({ run, color: palette[i % palette.length] }));

function showHeader(run) {
  const { started, view, done } = run.latest;
  const [kind, words] = standing(run);
  $("state").dataset.kind = kind;
  text("state", words);
  $("run").innerHTML = started ? `<b>${f.escape(run.label)}</b>${started.name ? ` &nbsp;${f.escape(run.id)}` : ""}` : "";
  document.title = started ? `${run.label} · Parallax` : "Parallax";
  const last = run.events.at(-1);
  text("sentence", done?.text ?? view?.reason ?? view?.text ?? last?.text ?? "Waiting for the first word from the run.");
  $("sentence").classList.toggle("bad", Boolean(done?.exit_code));
  const facts = [started?.parameters && `${f.unit(started.parameters)} parameters`, started?.flops_per_token && `${f.unit(started.flops_per_token, "FLOPs")} a token`, started?.data];
  text("facts", facts.filter(Boolean).join(" · "));
}

function standing(run) {
  const { view, done } = run.latest;
  if (done) return done.exit_code ? ["bad", done.status ?? `ended with ${done.exit_code}`] : ["done", done.status ?? "run is over"];
  if (page.lost) return ["bad", "connection lost, trying again"];
  if (!page.live) return ["wait", run.record?.status ?? "no run yet"];
  return view ? ["live", "training"] : ["wait", "waiting for nodes"];
}

function showFigures(run, pace) {
  const { step, eval: evaluated, started } = run.latest, s = run.series, planned = run.planned;
  const at = step?.step ?? s.last("step") ?? 0;
  text("f-loss", f.loss(step ? step.loss : s.last("loss")));
  const validation = evaluated?.loss ?? run.evals.loss.at(-1);
  text("f-eval", f.loss(validation));
  text("f-eval-sub", f.known(validation) ? `perplexity ${f.unit(Math.exp(validation))}` : "none yet");
  text("f-step", String(at));
  text("f-step-sub", planned ? `of ${planned}, ${f.unit(s.last("tokens") ?? 0, "tokens")}` : "");
  figure("f-rate", pace?.rate, "tokens/s");
  text("f-rate-sub", pace && started?.flops_per_token ? f.unit(pace.rate * started.flops_per_token, "FLOP/s") : "");
  text("f-ring", pace ? f.percent(pace.ring, pace.took) : "–");
  text("f-ring-sub", pace ? `${f.unit(pace.wire, "B")} a step` : "");
  const left = planned && pace && !run.latest.done ? (planned - at) * pace.took : null;
  const spent = f.duration(s.last("seconds"));
  text("f-eta-name", left === null && pace ? "time in steps" : "time to go");
  text("f-eta", left === null && pace ? spent : f.duration(left));
  text("f-eta-sub", left === null ? "" : `${spent} so far`);
  $("progress").firstElementChild.style.transform = `scaleX(${planned ? at / planned : run.latest.done ? 1 : 0})`;
  $("progress").setAttribute("aria-valuemax", planned);
  $("progress").setAttribute("aria-valuenow", at);
}

function figure(id, value, name) {
  const [number, unit] = f.parts(value, name);
  const html = `${number} <small>${unit}</small>`;
  if ($(id).innerHTML !== html) $(id).innerHTML = html;
}

function showSplit(run, pace) {
  text("split-hint", pace ? `${f.duration(pace.took)} a step; seconds, by step` : "");
  text("rate-hint", run.series.stride > 1 ? `each point ${run.series.stride} steps` : "by step");
  if (!pace) return;
  const bar = $("split-bar");
  if (!bar.children.length) bar.innerHTML = split.map(([, color]) => `<div data-color="${color}"></div>`).join("");
  split.forEach(([name, color], i) => {
    bar.children[i].style.background = `var(--${color})`;
    bar.children[i].style.flexGrow = pace[name] / pace.took;
  });
  bar.setAttribute("aria-label", split.map(([name]) => `${name} ${f.percent(pace[name], pace.took)}`).join(", "));
  $("split-legend").innerHTML = split.map(([name, color]) => `<li><i data-dot="${color}"></i>${name} <b>${f.percent(pace[name], pace.took)}</b></li>`).join("");
  paint($("split-legend"));
}

/** Of one node alone all is said elsewhere. */
function showRanks(run) {
  $("ranks-card").hidden = run.rates.nodes.size < 2 || run.rates.length === 0;
  if ($("ranks-card").hidden) return;
  text("ranks-hint", ofRanks[page.ofRanks].hint);
  graphs.ranks.show(run, page.ofRanks);
}

let legend = "";
function showLegend(run) {
  const html = shown().map(({ run: r, color }) => {
    const kind = [r.record?.mixer ?? kindOf(r.id)?.mixer, r.record?.optimizer ?? kindOf(r.id)?.optimizer].filter(Boolean).join(", ");
    const remove = r === run ? "" : `<button type="button" data-remove="${f.escape(r.id)}" title="Take it away">×</button>`;
    return `<li><i data-dot="${color}"></i><b>${f.escape(r.label || "this run")}</b> ${f.escape(kind)} ${f.loss(r.series.last("loss"))}${remove}</li>`;
  }).join("") + (run.evals.step.length ? `<li><i class="hollow" data-dot="soft"></i>validation</li>` : "");
  const range = run.series.stride > 1 ? `range of each ${run.series.stride} steps` : "thin as measured";
  text("loss-hint", `nats per token${run.series.length > 80 ? `; ${range}, bold smoothed` : ""}`);
  if (html === legend) return;
  legend = html;
  $("legend").innerHTML = html;
  paint($("legend"));
}

const kindOf = (id) => page.recorded.find((r) => r.run === id);

let membersShown = "";
function showMembers(run) {
  const members = run.members, inside = members.filter((m) => m.inside).length;
  text("members-hint", inside ? `${inside} in the ring` : "");
  const html = members.map((m) => `<li class="${m.notice?.warning ? "bad" : m.inside ? "" : "off"}">
    <span class="no">${m.inside ? m.rank : "·"}</span><b>${f.escape(m.node)}</b>${where(m)}
    <span class="does">${f.escape(does(m, run))}</span></li>`).join("") || `<li><span></span><span class="hint">No node has come yet.</span></li>`;
  if (html === membersShown) return;
  membersShown = html;
  $("members").innerHTML = html;
}

/** What a member runs on; its hardware in full where one points at it. */
function where(m) {
  const words = [m.host, m.device, m.hardware].filter(Boolean).join(" · ");
  return words && `<span class="what" title="${f.escape(words)}">${f.escape(words)}</span>`;
}

/** What a member does, in words. */
function does(m, run) {
  const told = m.notice?.text.replace(`${m.node}: `, "");
  if (m.notice?.warning || !m.inside) return told;
  const work = `${m.slots} of ${run.slots} micro-batches a step`;
  return page.live && !run.latest.done ? `computes ${work}` : `computed ${work}`;
}

let newest = null;
function showEvents(run) {
  const events = run.events.filter((e) => e.text).slice(-300).reverse();
  text("events-hint", events.length ? "newest first" : "");
  if (events[0] === newest && $("events").childElementCount === events.length) return;
  newest = events[0];
  $("events").innerHTML = events.map((e) => `<li class="${f.escape(e.event)} ${e.warning ? "warning" : ""}"><time datetime="${f.escape(e.time)}">${f.time(e.time)}</time><i></i><span>${f.escape(e.text)}</span></li>`).join("");
}

// Choosing

function chooseAxis(axis) {
  page.axis = axis;
  localStorage.setItem("axis", axis);
  for (const b of $("axis").children) b.setAttribute("aria-checked", String(b.dataset.axis === axis));
  changed();
}

function chooseOfRanks(choice) {
  page.ofRanks = choice;
  for (const b of $("of-ranks").children) b.setAttribute("aria-checked", String(b.dataset.of === choice));
  changed();
}

async function layOver(id, wanted) {
  if (!wanted) page.over.delete(id);
  else if (id !== page.run.id && !page.over.has(id)) {
    try {
      page.over.set(id, await records.load(id));
    } catch {
      return; // it was removed from the record
    }
  }
  history.replaceState(null, "", records.address({ run: records.chosen().run, over: [...page.over.keys()] }));
  showChoices();
  changed();
}

function showChoices() {
  const others = page.recorded.filter((r) => r.run !== page.run.id);
  $("runs").hidden = others.length === 0;
  records.choices($("run-list"), others, page.run.id, [...page.over.keys()], layOver, !page.live);
}

$("axis").addEventListener("click", (e) => e.target.dataset.axis && chooseAxis(e.target.dataset.axis));
$("of-ranks").addEventListener("click", (e) => e.target.dataset.of && chooseOfRanks(e.target.dataset.of));
$("legend").addEventListener("click", (e) => e.target.dataset.remove && layOver(e.target.dataset.remove, false));
$("runs").addEventListener("toggle", () => $("runs").open && refreshList());
$("theme").addEventListener("click", () => {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
  changed();
});

async function refreshList() {
  page.recorded = await records.list();
  showChoices();
}

// Beginning

let end = () => {};

async function begin() {
  end();
  const [state, recorded] = await Promise.all([records.state(), records.list()]);
  page.recorded = recorded;
  page.live = state.live;
  page.run = state.live ? Run.of(state) : new Run();
  if (state.live) {
    end = follow(state.cursor, { event: take, lost: () => lost(true), back: () => lost(false), reset: begin });
    if (page.run.latest.done) end();
  } else {
    const id = records.chosen().run || page.recorded[0]?.run;
    if (id) page.run = await records.load(id);
  }
  page.over.clear();
  for (const id of records.chosen().over) await layOver(id, true);
  showChoices();
  changed();
}

function take(e) {
  page.run.apply(e);
  if (e.event === "started") showChoices();
  if (e.event === "done") end();
  changed();
}

function lost(isLost) {
  page.lost = isLost && !page.run.latest.done;
  changed();
}

function tryToBegin() {
  begin().catch(() => {
    lost(true);
    setTimeout(tryToBegin, 3000);
  });
}

addEventListener("hashchange", tryToBegin);
chooseAxis(page.axis);
chooseOfRanks(page.ofRanks);
tryToBegin();
