// Recorded runs: the list, and those that are laid over the run shown.

import { escape, date, unit } from "./format.js";
import { Run } from "./run.js";

async function get(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

export const list = () => get("/api/runs");
export const state = () => get("/api/state");
export const load = async (id) => Run.recorded(await get(`/api/runs/${encodeURIComponent(id)}`));

/** What the address says behind #: the run to show, and those laid over it. */
export function chosen() {
  const hash = new URLSearchParams(location.hash.slice(1));
  return { run: hash.get("run") ?? "", over: (hash.get("with") ?? "").split(",").filter(Boolean) };
}

/** The address of a choice. */
export function address({ run, over }) {
  const hash = new URLSearchParams();
  if (run) hash.set("run", run);
  if (over.length) hash.set("with", over.join(","));
  return `#${hash}`.replaceAll("%2C", ",");
}

/** Fills a list with check boxes; toggle is called with a run's id and whether it is wanted. */
export function choices(element, runs, shown, over, toggle, canOpen) {
  element.innerHTML = runs.filter((r) => r.run !== shown).map((r) => `<li><label>
    <input type="checkbox" value="${escape(r.run)}" ${over.includes(r.run) ? "checked" : ""}>
    <span>${escape(r.name || r.run)}</span>
    <em>${escape([r.mixer, r.optimizer, r.parameters ? `${unit(r.parameters)} parameters` : ""].filter(Boolean).join(" · "))}</em>
    <em>${canOpen ? `<a href="${escape(address({ run: r.run, over: [] }))}">open</a>` : ""} ${escape(date(r.started))}</em>
  </label></li>`).join("");
  element.onchange = (e) => toggle(e.target.value, e.target.checked);
}
