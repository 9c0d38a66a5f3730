// What was seen in the layers: of each quantity a picture with a column for every
// look and a row for every layer, the first layer at the bottom.

import { css } from "./charts.js";
import { known } from "./format.js";

const pictures = [
  ["correction", "Correction", "× softmax", "size of what the probe adds, as a multiple of the size of softmax attention's output"],
  ["entropy", "Attention's entropy", "nats", "mean over positions and heads"],
  ["first_token", "Weight on the first token", "", "attention's, mean over positions and heads"],
  ["rank_q", "Stable rank of W_Q", "", "squared Frobenius norm over squared spectral norm"],
  ["rank_r", "Stable rank of W_R", "", "squared Frobenius norm over squared spectral norm"],
  ["rank_k", "Stable rank of W_K", "", "squared Frobenius norm over squared spectral norm"],
];

const digits = (x) => (known(x) ? (Math.abs(x) >= 100 ? x.toFixed(0) : x.toPrecision(3)) : "–");

/** Draws into an element, which it hides where nothing was seen. */
export class Layers {
  constructor(card, element, hint) {
    Object.assign(this, { card, element, hint, shape: "" });
  }

  show(run) {
    const looks = run.looks, n = looks.step.length;
    this.card.hidden = n === 0;
    if (n === 0) return;
    const shape = `${run.id} ${n} ${looks.step[n - 1]} ${document.documentElement.dataset.theme}`;
    if (shape === this.shape) return;
    this.shape = shape;
    this.hint.textContent = `step ${looks.step[0]} to ${looks.step[n - 1]}, the first layer at the bottom`;
    const seen = pictures.filter(([name]) => looks[name].some((look) => look.some(known)));
    this.element.replaceChildren(...seen.map((p) => picture(looks, ...p)));
  }
}

function picture(looks, name, title, unit, meaning) {
  const values = looks[name], all = values.flat().filter(known);
  const low = all.reduce((a, b) => Math.min(a, b)), high = all.reduce((a, b) => Math.max(a, b));
  const figure = document.createElement("figure"), caption = document.createElement("figcaption");
  const canvas = document.createElement("canvas"), range = document.createElement("p");
  caption.textContent = title;
  caption.title = meaning;
  const rest = `${digits(low)} to ${digits(high)} ${unit}`.trim();
  range.textContent = rest;
  paint(canvas, values, low, high);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${title}, ${meaning}: ${rest}`);
  canvas.onpointermove = (e) => {
    const box = canvas.getBoundingClientRect(), layers = values[0].length;
    const look = cell(e.clientX - box.left, box.width, values.length), layer = layers - 1 - cell(e.clientY - box.top, box.height, layers);
    range.textContent = `step ${looks.step[look]}, layer ${layer}: ${digits(values[look][layer])} ${unit}`;
  };
  canvas.onpointerleave = () => { range.textContent = rest; };
  figure.append(caption, canvas, range);
  return figure;
}

const cell = (at, size, cells) => Math.max(0, Math.min(cells - 1, Math.floor((at / size) * cells)));

/** A pixel for each value; the style sheet stretches the canvas. */
function paint(canvas, values, low, high) {
  const layers = Math.max(...values.map((look) => look.length));
  canvas.width = values.length;
  canvas.height = layers;
  const context = canvas.getContext("2d"), image = context.createImageData(values.length, layers);
  const from = channels(css("grid")), to = channels(css("accent"));
  values.forEach((look, x) => look.forEach((value, layer) => {
    const at = 4 * ((layers - 1 - layer) * values.length + x), share = high > low ? (value - low) / (high - low) : 1;
    for (let c = 0; c < 3; c++) image.data[at + c] = from[c] + share * (to[c] - from[c]);
    image.data[at + 3] = known(value) ? 255 : 0;
  }));
  context.putImageData(image, 0, 0);
}

/** Red, green and blue of "#rrggbb". */
const channels = (color) => [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
