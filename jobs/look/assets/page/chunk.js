// One chunk: what is known of it, what it waits for, and what to type.
import { by, command, count, make, measure, moment, say } from "./dom.js";

const MOST = 40;

export function drawChunk(found, go) {
  say(by("chunk-title"), `Chunk ${found.chunk}: ${found.state}`);
  by("about").replaceChildren(...parts(found, go));
}

function parts(found, go) {
  const told = [];
  const facts = found.facts;
  if (facts) {
    told.push(list([
      ["done", moment(facts.ended_ms)],
      ["took", `${measure(facts.seconds)} s, ${measure(facts.cpu)} s of CPU`],
      ["memory", facts.peak_mb ? `${measure(facts.peak_mb)} MiB` : "not known"],
      ["attempt", count(facts.attempt)],
      ...(facts.why ? [["tried again after", facts.why]] : []),
      ["worker", facts.worker || "not known"],
      ["supervoxels", count(facts.supervoxels)],
      ["nodes", count(facts.nodes)],
      ["rows", count(facts.rows)],
      ["hand-off", `${count(facts.handoff_bytes)} bytes`],
    ]));
  } else if (found.state === "done") {
    told.push(make("p", { class: "small" }, "No numbers of it were noted: it was built by an older version, or its progress was rebuilt."));
  }
  if (found.at_work) told.push(list([["worker", found.at_work.worker], ["begun", moment(found.at_work.since_ms)]]));
  if (found.failure) told.push(...failure(found));
  if (found.waits_for.length) told.push(...waits(found, go));
  if (found.parent) told.push(make("h4", {}, "Is waited for by"), names(found.waited_for_by, go));
  told.push(make("h4", {}, "To type"), make("ul", {}, ...found.commands.map(command)));
  return told;
}

function failure(found) {
  const one = found.failure;
  return [
    list([
      ["failure", one.state],
      ["attempts", `${count(one.attempts)} of ${count(found.tries)} failed`],
      ["first", one.first || "not known"],
      ["last", one.when || "not known"],
      ["worker", one.worker || "not known"],
      ...one.started.map((started) => ["begun, not ended", started]),
    ]),
    make("p", {}, make("strong", {}, one.error), `: ${one.message}`),
    ...(one.traceback ? [make("details", { open: true }, make("summary", {}, "Traceback"), make("pre", { tabindex: "0" }, one.traceback))] : []),
  ];
}

function waits(found, go) {
  const open = found.waits_for.filter((one) => one.state !== "done");
  const told = [make("h4", {}, "Waits for")];
  if (!found.read) return [...told, make("p", { class: "small" }, "This was not read yet.")];
  const done = found.waits_for.length - open.length;
  told.push(make("p", { class: "small" }, `${count(done)} of ${count(found.waits_for.length)} are done`));
  for (const [title, child] of [["children", true], ["neighbours", false]]) {
    const those = open.filter((one) => one.child === child);
    if (those.length) told.push(make("p", { class: "small" }, title), names(those.map((one) => one.chunk), go, those.map((one) => one.state)));
  }
  const children = found.waits_for.filter((one) => one.child && one.state === "done");
  if (children.length) told.push(make("p", { class: "small" }, "children that are done"), names(children.map((one) => one.chunk), go));
  return told;
}

function names(chunks, go, states = []) {
  const shown = chunks.slice(0, MOST);
  const items = shown.map((name, at) => make("button", { type: "button", class: "chunk", onclick: () => go(name) }, states[at] ? `${name} ${states[at]}` : name));
  return make("p", {}, ...items, ...(chunks.length > MOST ? [` and ${count(chunks.length - MOST)} more`] : []));
}

function list(pairs) {
  return make("dl", {}, ...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

export function drawFailures(found, go) {
  const place = by("failures");
  const text = JSON.stringify(found);
  if (place.dataset.shown === text) return;
  place.dataset.shown = text;
  if (!found.causes.length) {
    place.replaceChildren(make("p", {}, "Nothing has failed."));
    return;
  }
  const notes = [];
  if (found.more) notes.push("There are more failures than are read for a page: these are some of them, scattered over the volume.");
  if (found.left_out) notes.push(`${count(found.left_out)} other causes are left out.`);
  place.replaceChildren(
    ...notes.map((note) => make("p", { class: "small" }, note)),
    make("ul", {}, ...found.commands.map(command)),
    ...found.causes.map((cause) => ofCause(cause, go)),
  );
}

function ofCause(cause, go) {
  const states = Object.entries(cause.states).map(([name, number]) => `${count(number)} ${name}`).join(", ");
  return make("div", { class: "cause" },
    make("h3", {}, `${cause.error || "begun and not ended"}: ${count(cause.count)} chunk${cause.count === 1 ? "" : "s"}`),
    make("p", {}, cause.text),
    make("p", { class: "small" }, `${states}; last ${cause.last || "not known"}${cause.holds_up ? `; ${count(cause.holds_up)} chunks above wait for it` : ""}`),
    names(cause.chunks, go),
    ...(cause.replay ? [make("ul", {}, command(["queue these again", cause.replay]))] : []),
  );
}
