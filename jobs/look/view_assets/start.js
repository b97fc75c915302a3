// Opens Neuroglancer's own client with the state of this graph, unless the address has one already (a page that is
// loaded again). The client is made to be led by a Python process over a stream of events; here it is led by its
// address alone, so that stream is one on which nothing ever comes.
"use strict";

window.EventSource = class {
  constructor() { setTimeout(() => this.onopen?.()); }
  close() {}
};

window.graphReady = (async () => {
  const text = await (await fetch("/start.json")).text();
  const start = JSON.parse(text.replaceAll("{origin}", location.origin));
  document.title = `graph ${start.graph}`;
  if (location.hash.length < 2) {
    history.replaceState(null, "", "#!" + encodeURIComponent(JSON.stringify(start.state)));
  }
  for (const name of start.styles) {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = name;
    document.head.append(link);
  }
  await Promise.all(start.scripts.map((name) => new Promise((loaded, failed) => {
    const script = document.createElement("script");
    script.async = false;  // in their order
    script.onload = loaded;
    script.onerror = () => failed(new Error(`${name} cannot be loaded`));
    script.src = name;
    document.head.append(script);
  })));
  // A layer that is just being made has no selection yet; the client trips over that where the pointer is in a panel.
  const values = window.viewer.layerSelectedValues;
  const get = values.get;
  values.get = (layer) => (layer.selectionState === undefined ? undefined : get.call(values, layer));
  return start;
})();
