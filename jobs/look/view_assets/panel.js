// What is told of a voxel, a node or a chunk: asked of the server, written as text.
"use strict";

(async () => {
  const start = await window.graphReady;
  const viewer = window.viewer;
  const element = (id) => document.getElementById(id);
  element("graph").textContent = start.graph;

  const ask = async (path, signal) => {
    const answer = await fetch(path, { signal });
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  };
  const say = (text) => { element("said").textContent = text; };

  const write = (list, facts) => {
    list.replaceChildren();
    const row = (name, value, more) => {
      for (const [tag, text] of [["dt", name], ["dd", value], ["dd", more]]) {
        const cell = document.createElement(tag);
        cell.textContent = text ?? "";
        list.append(cell);
      }
    };
    if (facts.voxel) row("voxel", facts.voxel.join(", "), `chunk ${facts.chunk}`);
    if (facts.voxel && !facts.supervoxel) row("", "background", "");
    facts.chain.forEach((line, at) => {
      const last = at > 0 && at === facts.chain.length - 1;
      const name = line.layer === 1 ? "supervoxel" : last || facts.chain.length === 1 ? "root" : `layer ${line.layer}`;
      row(name, line.node, line.chunk ?? "");
    });
    if (facts.supervoxel && facts.root === null) row("root", "none: it is in no edge", "");
    if (facts.count) row("supervoxels", (facts.count.whole ? "" : "more than ") + facts.count.supervoxels, "");
    list.dataset.voxel = facts.voxel ?? "";
  };

  // The voxel that the pointer is on, as whole numbers; null outside of the volume.
  const pointed = () => {
    const { mouseState } = viewer;
    if (!mouseState.updateUnconditionally?.() && !mouseState.active) return null;
    const voxel = Array.from(mouseState.position.slice(0, 3), Math.floor);
    return voxel.every((at, axis) => at >= start.low[axis] && at < start.high[axis]) ? voxel : null;
  };
  const at = ([x, y, z], signal) => ask(`/at?x=${x}&y=${y}&z=${z}`, signal);

  let under = null, waiting = null, timer = null;
  viewer.mouseState.changed.add(() => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const voxel = viewer.mouseState.active ? pointed() : null;
      if (!voxel || String(voxel) === under) return;
      under = String(voxel);
      waiting?.abort();
      waiting = new AbortController();
      try {
        write(element("hovered"), await at(voxel, waiting.signal));
      } catch (error) {
        if (error.name !== "AbortError") say(error.message);
      }
    }, 80);
  });

  const group = (name) => viewer.layerManager.getLayerByName(name)?.layer?.displayState?.segmentationGroupState?.value;
  const layerName = (layer) => (layer >= start.top ? "roots" : layer === 1 ? "supervoxels" : `layer ${layer}`);

  const outline = (name, box) => {
    const kept = viewer.layerManager.getLayerByName("outlined")?.layer?.localAnnotations;
    if (!kept || !box) return;
    kept.clear();
    kept.add({
      type: 2, id: name, description: `chunk ${name}`, properties: [], relatedSegments: [],
      pointA: Float32Array.from(box[0]), pointB: Float32Array.from(box[1]),
    }, true);
  };
  const move = (voxel) => { viewer.position.value = Float32Array.from(voxel, (value) => value + 0.5); };

  const click = async (voxel) => {
    const facts = await at(voxel);
    write(element("clicked"), facts);
    if (!facts.root) return;
    facts.count = await ask(`/node/${facts.root}`);
    write(element("clicked"), facts);
  };

  let pressed = null;
  addEventListener("mousedown", (event) => { pressed = event.button === 0 ? [event.x, event.y] : null; }, true);
  addEventListener("click", (event) => {
    const still = pressed && Math.hypot(event.x - pressed[0], event.y - pressed[1]) < 4;
    if (!still || !event.target.closest(".neuroglancer-rendered-data-panel")) return;
    const voxel = pointed();
    if (voxel) click(voxel).catch((error) => say(error.message));
  }, true);

  const show = async (wanted) => {
    const chunk = wanted.match(/^(\d{1,2})[\s/]+(\d{1,8})[\s_]+(\d{1,8})[\s_]+(\d{1,8})$/);
    if (chunk) {
      const [, layer, ...coords] = chunk;
      const facts = await ask(`/chunk/${layer}/${coords.join("_")}`);
      outline(facts.chunk, facts.box);
      move(facts.box[0].map((low, axis) => Math.floor((low + facts.box[1][axis]) / 2)));
      return `chunk ${facts.chunk}, voxels ${facts.box[0].join(", ")} to ${facts.box[1].join(", ")}`;
    }
    if (!/^\d{1,20}$/.test(wanted)) throw new Error("an id, or a chunk as in 3/1_0_0");
    const facts = await ask(`/node/${wanted}`);
    for (const line of facts.chain) {
      const segments = group(layerName(line.node === facts.root && line.layer > 1 ? start.top : line.layer));
      segments?.visibleSegments.clear();
      segments?.visibleSegments.add(BigInt(line.node));
    }
    outline(facts.chunk, facts.box);
    write(element("clicked"), { ...facts, count: facts });
    element("clicked").dataset.voxel = "";
    const { voxel } = await ask(`/place/${wanted}`);
    if (!voxel) return "its voxels are not in the volume";
    move(voxel);
    return `${wanted} is at ${voxel.join(", ")}`;
  };
  element("go").addEventListener("submit", (event) => {
    event.preventDefault();
    say("looking for it …");
    show(element("wanted").value.trim()).then(say, (error) => say(error.message));
  });
  // Keys typed here are no commands for the viewer.
  for (const kind of ["keydown", "keyup", "keypress"]) {
    element("facts").addEventListener(kind, (event) => event.stopPropagation());
  }
  document.documentElement.dataset.ready = "yes";
})();
