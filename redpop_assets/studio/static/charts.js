// Charts by Vega-Lite, interpreted instead of compiled, so that the page needs no permission to evaluate text.
// <figure data-chart><script type="application/json">{"wide": spec, "narrow": spec}</script><div class="canvas"></div></figure>
// A text that begins with -- is the CSS variable of that name, read again when light turns to dark.

const NARROW = 560; // pixels
const drawn = new Map();
let libraries;

export function drawCharts(root) {
  for (const figure of root.querySelectorAll?.("[data-chart]") ?? []) {
    if (!drawn.has(figure)) draw(figure);
  }
}

async function draw(figure) {
  drawn.set(figure, null);
  const [{ vega, vegaLite }, { expressionInterpreter }] = await (libraries ??= load());
  if (!figure.isConnected) return void drawn.delete(figure);
  const canvas = figure.querySelector(".canvas");
  const charts = JSON.parse(figure.querySelector("script").textContent);
  const isNarrow = figure.clientWidth < NARROW;
  const spec = (isNarrow && charts.narrow) || charts.wide || charts;
  const compiled = vegaLite.compile(coloured(spec), { config: coloured(CONFIG) }).spec;
  const runtime = vega.parse(compiled, null, { ast: true });
  drawn.get(figure)?.view.finalize();
  const view = new vega.View(runtime, { expr: expressionInterpreter, renderer: "canvas", container: canvas, hover: true, tooltip });
  drawn.set(figure, { view, isNarrow });
  await view.runAsync();
}

async function load() {
  await script("/static/vendor/vega.min.js");
  await script("/static/vendor/vega-lite.min.js");
  return [globalThis, await import("/static/vendor/vega-interpreter.js")];
}

function script(source) {
  return new Promise((resolve, reject) => {
    const element = document.createElement("script");
    Object.assign(element, { src: source, onload: resolve, onerror: reject });
    document.head.append(element);
  });
}

const CONFIG = {
  background: "transparent",
  font: "system-ui, sans-serif",
  view: { stroke: null },
  axis: { domain: false, ticks: false, grid: false, labelColor: "--soft", titleColor: "--soft", labelFontSize: 12, labelPadding: 6, titleFontWeight: "normal" },
  legend: { labelColor: "--soft", titleColor: "--soft", titleFontWeight: "normal", labelFontSize: 12, titleFontSize: 12 },
  bar: { color: "--accent" },
  line: { color: "--accent" },
  point: { color: "--accent", filled: true },
  rule: { color: "--edge" },
};

function coloured(part) {
  if (Array.isArray(part)) return part.map(coloured);
  if (part && typeof part === "object") return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, coloured(value)]));
  if (typeof part === "string" && part.startsWith("--")) return getComputedStyle(document.documentElement).getPropertyValue(part).trim();
  return part;
}

function tooltip(_handler, _event, item, value) {
  const text = value == null ? "" : typeof value === "object" ? Object.values(value).join(", ") : String(value);
  if (item?.context === undefined && _handler.element) _handler.element().title = text;
}

function again() {
  for (const figure of [...drawn.keys()]) {
    if (!figure.isConnected) {
      drawn.get(figure)?.view.finalize();
      drawn.delete(figure);
    } else draw(figure);
  }
}

let waiting;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(again, 150);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
