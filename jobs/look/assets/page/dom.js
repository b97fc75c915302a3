// Elements and texts. What comes from outside only ever becomes text: nothing here reads markup.
const SVG = "http://www.w3.org/2000/svg";

export const by = (id) => document.getElementById(id);

export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.map((child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
  return element;
}

export function draw(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, shown) {
  element.hidden = !shown;
}

// Puts rows of a table in place of those that are there: the first row is the heading.
export function fill(table, heading, rows, texts = [0]) {
  const kind = (at) => (texts.includes(at) ? { class: "text" } : {});
  table.replaceChildren(
    make("thead", {}, make("tr", {}, ...heading.map((text, at) => make("th", { scope: "col", ...kind(at) }, text)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, at) => make("td", kind(at), cell))))),
  );
}

export const count = (number) => Math.round(number).toLocaleString("en-US");

export function measure(number) {
  if (number === null || number === undefined) return "not known";
  if (Math.abs(number) < 1) return number.toLocaleString("en-US", { maximumSignificantDigits: 2 });
  return number.toLocaleString("en-US", { maximumFractionDigits: Number.isInteger(number) ? 0 : Math.abs(number) < 10 ? 2 : 1 });
}

// As shared/timestamps.py says spans.
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "-";
  if (seconds < 90) return `${seconds.toFixed(0)} s`;
  if (seconds < 5400) return `${(seconds / 60).toFixed(0)} min`;
  return `${(seconds / 3600).toLocaleString("en-US", { maximumFractionDigits: 1, minimumFractionDigits: 1 })} h`;
}

export const moment = (ms) => (ms ? new Date(ms).toISOString().slice(0, 19).replace("T", " ") + " UTC" : "not known");

export const command = (pair) => make("li", {}, `${pair[0]}: `, make("code", {}, pair[1]));
