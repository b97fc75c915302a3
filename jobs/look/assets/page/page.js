// The page: asks for the run now and then, for the map and a chunk as they are looked at, and shows what it is told.
import { drawCurves } from "./charts.js";
import { drawChunk, drawFailures } from "./chunk.js";
import { by, count, fill, make, measure, moment, say, show, span } from "./dom.js";
import { cursorChunk, cursorTo, drawMap, drawTable, moreRows, moveCursor, placeOf, setCursor, shownView } from "./map.js";

const LEAST = 2000;
const place = { layer: null, axis: "2", at: null, u: null, v: null, number: "", chunk: null };
let run = null;
let asked = 0;
let lastAsked = 0;
let timers = {};

function readHash() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(place)) if (given.has(name)) place[name] = given.get(name);
}

function writeHash() {
  const kept = Object.entries(place).filter(([, value]) => value !== null && value !== "");
  history.replaceState(null, "", `#${new URLSearchParams(Object.fromEntries(kept))}`);
}

async function ask(path, values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== "");
  const answer = await fetch(`/api/${path}?${new URLSearchParams(Object.fromEntries(given))}`);
  if (!answer.ok) throw new Error((await answer.text()).slice(0, 500));
  return answer.json();
}

function trouble(text) {
  show(by("trouble"), Boolean(text));
  say(by("trouble"), text);
}

function told(answer) {
  if (answer.slow_seconds) return `The services have not answered for ${span(answer.slow_seconds)}. This is what was known at ${moment(answer.seen_ms)}.`;
  if (answer.trouble) return `Nothing new can be seen (${answer.trouble}). This is what was known at ${moment(answer.seen_ms)}.`;
  return answer.starved ? "The reads of this hour are used up; the page goes on as soon as there are more." : "";
}

async function lookAtRun(again = false) {
  clearTimeout(timers.run);
  try {
    run = await ask("run", { again: again ? "1" : "" });
    drawRun();
    trouble(told(run));
  } catch (error) {
    trouble(`The command that serves this page does not answer (${error.message}). What is shown is as it was.`);
  }
  document.body.dataset.looks = String(++asked);
  timers.run = setTimeout(() => (document.hidden ? lookLater() : lookAtRun()), run && run.finished ? 10 * LEAST : LEAST);
}

function lookLater() {
  document.addEventListener("visibilitychange", () => lookAtRun(), { once: true });
}

async function lookAtMap(again = false) {
  clearTimeout(timers.map);
  const { chunk, ...wanted } = place;
  const asking = ++lastAsked;
  let next = LEAST;
  try {
    const answer = await ask("map", { ...wanted, again: again ? "1" : "" });
    // Answers come in any order: what another place was asked for meanwhile is not taken back.
    if (asking !== lastAsked) return;
    const before = shownView();
    const same = before !== null && JSON.stringify(before.slice) === JSON.stringify(answer.slice);
    Object.assign(place, { layer: String(answer.slice.layer), at: String(answer.slice.at), u: String(answer.slice.u), v: String(answer.slice.v) });
    writeHash();
    drawMap(answer, answer.number ? run.numbers[answer.number] : "", same);
    drawControls(answer);
    document.body.dataset.view = `${answer.slice.layer} ${answer.slice.axis} ${answer.slice.at} ${answer.slice.u} ${answer.slice.v} ${answer.number || ""}`;
    next = answer.next_seconds === null ? 30000 : Math.min(60000, Math.max(LEAST, answer.next_seconds * 1000));
  } catch (error) {
    if (shownView() === null) say(by("extent"), `The map cannot be shown: ${error.message}`);
  }
  if (asking !== lastAsked) return;
  document.body.dataset.maps = String(Number(document.body.dataset.maps || 0) + 1);
  timers.map = setTimeout(() => (document.hidden ? (timers.map = setTimeout(lookAtMap, 5000)) : lookAtMap()), next);
}

async function lookAtChunk(move = false) {
  clearTimeout(timers.chunk);
  const wanted = place.chunk;
  if (wanted === null) return;
  try {
    const found = await ask("chunk", { chunk: wanted });
    if (wanted !== place.chunk) return;
    drawChunk(found, goTo);
    if (move) {
      by("chunk-title").focus();
      await bringIntoView(found);
    }
    document.body.dataset.chunk = found.chunk;
    if (found.state !== "done") timers.chunk = setTimeout(lookAtChunk, 4000);
  } catch (error) {
    say(by("chunk-title"), `Chunk ${place.chunk}`);
    by("about").replaceChildren(make("p", {}, error.message));
    document.body.dataset.chunk = "";
  }
}

function drawRun() {
  document.title = `${run.graph}: ${run.sentence || "run"}`;
  say(by("graph"), run.graph);
  say(by("sentence"), run.sentence || "looking …");
  const made = run.made_by ? `, by version ${run.made_by}` : "";
  say(by("kind"), `Run ${run.run}, begun ${moment(run.begun_ms)}${made}: ${run.kind}`);
  show(by("waiting"), run.waiting.length > 0);
  by("waiting").replaceChildren(...run.waiting.map((line) => make("li", {}, line)));
  drawLayers();
  say(by("cost"), run.cost);
  show(by("workers"), run.workers.length > 0);
  const workers = make("table");
  fill(workers, ["worker", "is at chunk", "since"], run.workers.map((one) => [one.worker, one.chunk, moment(one.since_ms)]), [0, 1, 2]);
  by("workers").replaceChildren(make("details", {}, make("summary", {}, `${count(run.workers.length)} worker${run.workers.length === 1 ? " has" : "s have"} been at a chunk for a while`), make("div", { class: "wide" }, workers)));
  drawCurves(run.curve);
  drawFailures(run.failures, goTo);
  say(by("reads"), `This page has read ${count(run.reads)} records; it reads ${count(run.reads_an_hour)} in an hour at the most. Last look: ${moment(run.seen_ms)}.`);
  if (by("layer").options.length !== run.layers.length) {
    by("layer").replaceChildren(...run.layers.map((one) => make("option", { value: one.layer }, name(one.layer))));
    by("number").replaceChildren(make("option", { value: "" }, "state"), ...Object.entries(run.numbers).map(([key, title]) => make("option", { value: key }, title)));
    if (place.layer !== null) by("layer").value = place.layer;
    by("number").value = place.number;
  }
}

const name = (layer) => ({ 0: "0 tables", 1: "1 cuts" })[layer] || String(layer);

function drawLayers() {
  const given = run.layers.some((one) => one.discarded);
  fill(by("layers"), ["layer", "", "done", "of", "queued", "failed", ...(given ? ["discarded"] : []), "chunks/s", "left"], run.layers.map((one) => [
    name(one.layer),
    make("progress", { max: one.total, value: one.done, "aria-label": `layer ${name(one.layer)}` }),
    count(one.done), count(one.total), count(one.queued), count(one.failed),
    ...(given ? [count(one.discarded)] : []),
    one.rate ? measure(one.rate) : "0", span(one.left_seconds),
  ]));
}

function drawControls(answer) {
  const { slice, box } = answer;
  by("layer").value = String(slice.layer);
  by("axis").value = String(slice.axis);
  by("number").value = answer.number || "";
  const at = by("at");
  at.min = box[0][slice.axis];
  at.max = box[1][slice.axis] - 1;
  at.value = slice.at;
  at.disabled = at.min === at.max;
  say(by("at-text"), `${slice.at} of ${box[0][slice.axis]} to ${box[1][slice.axis] - 1}`);
  const [first, second] = answer.across;
  by("left").disabled = slice.u <= box[0][first];
  by("right").disabled = slice.u + slice.width >= box[1][first];
  by("up").disabled = slice.v <= box[0][second];
  by("down").disabled = slice.v + slice.height >= box[1][second];
  const layers = run.layers.map((one) => one.layer);
  by("inside").disabled = !layers.includes(slice.layer - 1);
  by("outside").disabled = !layers.includes(slice.layer + 1);
  const [wide, high] = [box[1][first] - box[0][first], box[1][second] - box[0][second]];
  const whole = slice.width === wide && slice.height === high;
  const where = `${"xyz"[first]} ${slice.u} to ${slice.u + slice.width - 1} to the right, ${"xyz"[second]} ${slice.v} to ${slice.v + slice.height - 1} down`;
  say(by("extent"), whole ? `The whole slice: ${where}.` : `A window of a slice of ${count(wide)} x ${count(high)} chunks: ${where}.`);
}

function goTo(chunk) {
  place.chunk = chunk;
  writeHash();
  lookAtChunk(true);
}

// Shows the place of a chunk on the map, moving the window if it is elsewhere.
async function bringIntoView(found) {
  if (shownView() === null || cursorTo(found.chunk)) return;
  const { layer, axis, at, u, v } = found.view;
  await move({ layer: String(layer), axis: String(axis), at: String(at), u: String(u), v: String(v) });
  cursorTo(found.chunk);
}

function move(changes) {
  Object.assign(place, changes);
  return lookAtMap();
}

function pan(right, down) {
  const { u, v, width, height } = shownView().slice;
  move({ u: String(u + right * (width >> 1)), v: String(v + down * (height >> 1)) });
}

// The same place one layer further down (by 1) or up (by -1); layer 1 has the grid of layer 2.
function through(down) {
  const { layer, axis, at, u, v, width, height } = shownView().slice;
  const to = layer - down;
  if (!run.layers.some((one) => one.layer === to)) return;
  const factor = layer + to === 3 || to === 0 || layer === 0 ? 1 : down > 0 ? 2 : 0.5;
  const chosen = cursorChunk();
  const coords = chosen ? chosen.split("/")[1].split("_").map(Number) : null;
  const [first, second] = shownView().across;
  const [middleU, middleV] = coords ? [coords[first], coords[second]] : [u + width / 2, v + height / 2];
  const scaled = (middle, length) => String(Math.floor(middle * factor - length / 2));
  move({ layer: String(to), axis: String(axis), at: String(Math.floor(at * factor)), u: scaled(middleU, width), v: scaled(middleV, height) });
}

function listen() {
  by("controls").addEventListener("submit", (event) => event.preventDefault());
  by("layer").addEventListener("change", () => move({ layer: by("layer").value, at: null, u: null, v: null }));
  by("axis").addEventListener("change", () => move({ axis: by("axis").value, at: null, u: null, v: null }));
  by("at").addEventListener("input", () => { clearTimeout(timers.slide); timers.slide = setTimeout(() => move({ at: by("at").value }), 120); });
  by("number").addEventListener("change", () => move({ number: by("number").value }));
  for (const [id, right, down] of [["left", -1, 0], ["right", 1, 0], ["up", 0, -1], ["down", 0, 1]]) by(id).addEventListener("click", () => pan(right, down));
  by("inside").addEventListener("click", () => through(1));
  by("outside").addEventListener("click", () => through(-1));
  by("again").addEventListener("click", () => { lookAtRun(true); lookAtMap(true); lookAtChunk(); });
  by("rows").addEventListener("toggle", drawTable);
  by("more").addEventListener("click", moreRows);
  by("chunks").addEventListener("click", (event) => { if (event.target.dataset.chunk) goTo(event.target.dataset.chunk); });
  by("find").addEventListener("submit", (event) => { event.preventDefault(); if (by("name").value.trim()) goTo(by("name").value.trim()); });
  by("canvas").addEventListener("click", (event) => { const at = placeOf(event); if (at !== null) { setCursor(at); if (cursorChunk()) goTo(cursorChunk()); } });
  by("canvas").addEventListener("keydown", keys);
  window.addEventListener("resize", () => { if (shownView()) drawMap(shownView(), shownView().title, true); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (shownView()) drawMap(shownView(), shownView().title, true); });
}

function keys(event) {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (!shownView() || event.ctrlKey || event.metaKey || event.altKey) return;
  if (moves[event.key]) moveCursor(...moves[event.key]);
  else if (event.key === "Enter" && cursorChunk()) goTo(cursorChunk());
  else if (event.key === "PageUp" || event.key === "PageDown") move({ at: String(shownView().slice.at + (event.key === "PageUp" ? -1 : 1)) });
  else if (event.key === "+") through(1);
  else if (event.key === "-") through(-1);
  else return;
  event.preventDefault();
}

readHash();
listen();
await lookAtRun();
await lookAtMap();
await lookAtChunk();
