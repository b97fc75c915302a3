// The map: a window of a slice as cells on a canvas. State is told by colour and by shape, a number by a scale.
import { by, count, fill, make, measure, say, show } from "./dom.js";

const COLOURS = ["unknown", "waiting", "open", "queued", "building", "done", "failed", "discarded"];
const SCALE = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
const ROWS = 200;
const canvas = by("canvas");
let view = null;
let cell = 8;
let cursor = null;
let range = null;
let tableRows = ROWS;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export const shownView = () => view;

export function chunkAt(u, v) {
  const coords = [0, 0, 0];
  coords[view.slice.axis] = view.slice.at;
  coords[view.across[0]] = u;
  coords[view.across[1]] = v;
  return `${view.slice.layer}/${coords.join("_")}`;
}

export function describe(at) {
  const slice = view.slice;
  const name = chunkAt(slice.u + (at % slice.width), slice.v + Math.floor(at / slice.width));
  if (view.states[at] < 0) return `${name} is no chunk of this run`;
  const number = view.values ? `, ${view.title}: ${measure(view.values[at])}` : "";
  return `chunk ${name}: ${view.names[view.states[at]]}${number}`;
}

export function drawMap(answer, title, keep) {
  view = { ...answer, title };
  if (!keep || cursor === null || cursor >= view.states.length) cursor = null;
  const { width, height } = view.slice;
  const room = canvas.parentElement.clientWidth;
  cell = Math.max(3, Math.min(36, Math.floor(Math.min(room / width, 640 / height))));
  const ratio = window.devicePixelRatio || 1;
  canvas.width = width * cell * ratio;
  canvas.height = height * cell * ratio;
  canvas.style.width = `${width * cell}px`;
  range = view.values ? rangeOf(view.values) : null;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const paint = Object.fromEntries([...COLOURS, "mark", "mark-on", "edge", "back", "text"].map((name) => [name, colour(name)]));
  view.states.forEach((state, at) => {
    if (state >= 0) drawCell(pen, paint, (at % width) * cell, Math.floor(at / width) * cell, cell, state, view.values ? view.values[at] : undefined);
  });
  drawCursor(pen, paint);
  canvas.setAttribute("aria-label", `map of layer ${view.slice.layer}, slice ${view.slice.at} across ${"xyz"[view.slice.axis]}, ${width} by ${height} chunks`);
  drawLegend(paint);
  drawTable();
}

function drawCell(pen, paint, x, y, size, state, value) {
  const gap = size > 6 ? 1 : size > 3 ? 0.5 : 0;
  const inside = size - gap;
  const name = COLOURS[state];
  if (value === undefined || name === "failed" || name === "discarded") {
    pen.fillStyle = paint[name];
    pen.fillRect(x, y, inside, inside);
    drawMark(pen, paint, name, x, y, inside);
    return;
  }
  pen.fillStyle = value === null ? paint.waiting : SCALE[step(value)];
  pen.fillRect(x, y, inside, inside);
  if (value === null) drawMark(pen, paint, "waiting", x, y, inside);
}

function drawMark(pen, paint, name, x, y, size) {
  pen.lineWidth = Math.max(1, size / 9);
  const line = (...points) => {
    pen.beginPath();
    points.forEach(([a, b], at) => (at ? pen.lineTo(x + a * size, y + b * size) : pen.moveTo(x + a * size, y + b * size)));
    pen.stroke();
  };
  pen.strokeStyle = paint.mark;
  pen.fillStyle = paint.mark;
  if (name === "failed") {
    line([0.2, 0.2], [0.8, 0.8]);
    line([0.8, 0.2], [0.2, 0.8]);
  } else if (name === "discarded") {
    pen.strokeStyle = paint["mark-on"];
    line([0.15, 0.5], [0.85, 0.5]);
  } else if (size < 7) {
    return;
  } else if (name === "queued") {
    pen.beginPath();
    pen.arc(x + size / 2, y + size / 2, Math.max(1, size / 7), 0, 7);
    pen.fill();
  } else if (name === "building") {
    pen.beginPath();
    pen.moveTo(x, y + size);
    pen.lineTo(x + size, y + size);
    pen.lineTo(x + size, y);
    pen.fill();
  } else if (name === "unknown" || name === "waiting" || name === "open") {
    pen.lineWidth = 1;
    pen.strokeStyle = paint.edge;
    pen.strokeRect(x + 0.5, y + 0.5, size - 1, size - 1);
    if (name === "unknown") line([0.1, 0.9], [0.9, 0.1]);
    if (name === "open") line([0.3, 0.5], [0.7, 0.5]);
  }
}

function drawCursor(pen, paint) {
  if (cursor === null) return;
  const x = (cursor % view.slice.width) * cell;
  const y = Math.floor(cursor / view.slice.width) * cell;
  pen.lineWidth = 2;
  pen.strokeStyle = paint.back;
  pen.strokeRect(x - 1, y - 1, cell + 2, cell + 2);
  pen.strokeStyle = paint.text;
  pen.strokeRect(x + 1, y + 1, cell - 2, cell - 2);
}

// Numbers that are far from even are shown by their logarithms.
function rangeOf(values) {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  if (!known.length) return null;
  const [least, middle, most] = [known[0], known[known.length >> 1], known[known.length - 1]];
  return { least, most, log: least > 0 && most > 20 * middle };
}

function step(value) {
  const scale = range.log ? Math.log : (one) => one;
  const [low, high] = [scale(range.least), scale(range.most)];
  const share = high > low ? (scale(value) - low) / (high - low) : 0.5;
  return Math.min(SCALE.length - 1, Math.max(0, Math.floor(share * SCALE.length)));
}

function sample(paintCell) {
  const small = make("canvas", { width: 20, height: 20, "aria-hidden": "true" });
  paintCell(small.getContext("2d"));
  return small;
}

function drawLegend(paint) {
  const items = view.names
    .map((name, state) => ({ name, state, number: view.counts[name] || 0 }))
    .filter((one) => one.number && (!view.values || one.name === "failed" || one.name === "discarded"))
    .map((one) => make("li", { "data-state": one.name }, sample((pen) => drawCell(pen, paint, 1, 1, 18, one.state)), `${one.name}: ${count(one.number)}`));
  if (view.values) {
    const known = view.values.filter((value) => value !== null).length;
    if (range) {
      const strip = make("canvas", { width: 120, height: 16, "aria-hidden": "true" });
      const pen = strip.getContext("2d");
      SCALE.forEach((one, at) => { pen.fillStyle = one; pen.fillRect(at * 12, 0, 12, 16); });
      items.unshift(make("li", { "data-state": "scale" }, `${view.title}: ${measure(range.least)}`, strip, `${measure(range.most)}${range.log ? " (logarithmic)" : ""}`));
    }
    const missing = view.states.filter((state) => state >= 0).length - known;
    if (missing) items.push(make("li", { "data-state": "not known" }, sample((pen) => drawCell(pen, paint, 1, 1, 18, 1)), `not known: ${count(missing)}`));
  }
  by("legend").replaceChildren(...items);
  show(by("facts"), view.without_facts > 0);
  if (view.without_facts) say(by("facts"), `Of ${count(view.without_facts)} of the ${count(view.done)} done chunks in view no numbers were noted: they were built by an older version, or their progress was rebuilt.`);
}

export function drawTable() {
  if (!by("rows").open || !view) return;
  const places = view.states.map((_, at) => at).filter((at) => view.states[at] >= 0);
  const rows = places.slice(0, tableRows).map((at) => {
    const name = chunkAt(view.slice.u + (at % view.slice.width), view.slice.v + Math.floor(at / view.slice.width));
    const number = view.values ? [measure(view.values[at])] : [];
    return [make("button", { type: "button", class: "chunk", "data-chunk": name }, name), view.names[view.states[at]], ...number];
  });
  fill(by("chunks"), ["chunk", "state", ...(view.values ? [view.title] : [])], rows, [0, 1]);
  show(by("more"), places.length > tableRows);
}

export function moreRows() {
  tableRows += ROWS;
  drawTable();
}

export function moveCursor(right, down) {
  const { width, height } = view.slice;
  const at = cursor === null ? 0 : cursor;
  const u = Math.min(width - 1, Math.max(0, (at % width) + (cursor === null ? 0 : right)));
  const v = Math.min(height - 1, Math.max(0, Math.floor(at / width) + (cursor === null ? 0 : down)));
  setCursor(v * width + u);
}

export function setCursor(at) {
  cursor = at;
  say(by("cursor"), at === null ? "no chunk is chosen" : describe(at));
  drawMap(view, view.title, true);
}

export function cursorChunk() {
  if (cursor === null || view.states[cursor] < 0) return null;
  return chunkAt(view.slice.u + (cursor % view.slice.width), view.slice.v + Math.floor(cursor / view.slice.width));
}

export function placeOf(event) {
  const box = canvas.getBoundingClientRect();
  const u = Math.floor(((event.clientX - box.left) / box.width) * view.slice.width);
  const v = Math.floor(((event.clientY - box.top) / box.height) * view.slice.height);
  if (u < 0 || v < 0 || u >= view.slice.width || v >= view.slice.height) return null;
  return v * view.slice.width + u;
}

// Puts the cursor on a chunk, if it is in view; whether it is.
export function cursorTo(name) {
  const [layer, coords] = [Number(name.split("/")[0]), name.split("/")[1].split("_").map(Number)];
  const { slice, across } = view;
  const [u, v] = [coords[across[0]] - slice.u, coords[across[1]] - slice.v];
  const inside = layer === slice.layer && coords[slice.axis] === slice.at && u >= 0 && v >= 0 && u < slice.width && v < slice.height;
  if (inside) setCursor(v * slice.width + u);
  return inside;
}
