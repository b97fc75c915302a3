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
  // 400 ms after its state began to change the client writes it into the address, on a slow machine in the middle of
  // restoring it, where half of a layer breaks both. So no time passes for it until that is done.
  const now = Date.now;
  const begun = now();
  Date.now = () => begun;
  await Promise.all(start.scripts.map((name) => new Promise((loaded, failed) => {
    const script = document.createElement("script");
    script.async = false;  // in their order
    script.onload = loaded;
    script.onerror = () => failed(new Error(`${name} cannot be loaded`));
    script.src = name;
    document.head.append(script);
  }))).finally(() => { Date.now = now; });
  return start;
})();
