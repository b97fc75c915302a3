// Curves of a run over time, each with the same numbers as a table behind it.
import { by, draw, fill, make, measure, moment, say, show } from "./dom.js";

const WIDTH = 600;
const HEIGHT = 120;
const SHOWN = [["rate", "chunks a second"], ["tasks", "tasks at work"]];
let drawn = "";

export function drawCurves(curve) {
  show(by("no-history"), curve.length < 2);
  if (curve.length < 2) {
    say(by("no-history"), "There is no history of this run yet: it was begun by an older version, or has not been looked at by dispatch.");
    by("curves").replaceChildren();
    drawn = "";
    return;
  }
  const last = JSON.stringify(curve[curve.length - 1]) + curve.length;
  if (last === drawn) return;
  drawn = last;
  by("curves").replaceChildren(...SHOWN.map(([name, title]) => figure(curve, name, title)));
}

function figure(curve, name, title) {
  const values = curve.map((one) => one[name]);
  const most = Math.max(...values, 1e-9);
  const [first, final] = [curve[0].at_ms, curve[curve.length - 1].at_ms];
  const x = (ms) => (final > first ? ((ms - first) / (final - first)) * WIDTH : 0);
  const y = (value) => HEIGHT - 4 - (value / most) * (HEIGHT - 10);
  const path = curve.map((one, at) => `${at ? "L" : "M"}${x(one.at_ms).toFixed(1)} ${y(values[at]).toFixed(1)}`).join("");
  const now = `${title}: ${measure(values[values.length - 1])} now, ${measure(most)} at the most`;
  const told = `${now}, from ${moment(first)} to ${moment(final)}`;
  const image = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": told }, draw("path", { d: path }));
  const table = make("table");
  const rows = curve.slice(-100).reverse();
  const details = make("details", {}, make("summary", {}, `${title} as a table`), make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": title }, table));
  details.addEventListener("toggle", () => fill(table, ["until", title], rows.map((one) => [moment(one.at_ms), measure(one[name])])));
  return make("figure", {}, make("figcaption", { class: "small" }, now), image, details);
}
