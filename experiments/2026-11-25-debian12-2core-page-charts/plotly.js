// Their side: plotly.js as it is shipped, lines alone, without hover or mode bar, which costs it least; `react` is its
// way to redraw with changed data. (scattergl would need WebGL for each chart, and compiles its functions by eval.)

import { LINES, go, lines, trial } from "./lines.js";

const Plotly = window.Plotly, place = document.getElementById("chart");
const layout = { width: 1200, height: 600, showlegend: false, margin: { l: 10, r: 70, t: 10, b: 30 },
  yaxis: { side: "right" }, xaxis: { type: "date" } };
const traces = () => lines.map((line, i) => ({ type: "scatter", mode: "lines", x: line.map(([minute]) => minute),
  y: line.map(([, value]) => value),
  line: { width: 1.75, color: `hsl(${i * 360 / LINES}, 60%, 40%)`, simplify: true }, hoverinfo: "skip" }));

await Plotly.newPlot(place, traces(), layout, { staticPlot: true });
trial.firstChart = performance.now();
trial.drawn = () => place.querySelectorAll(".scatterlayer .trace path").length === LINES;
go(() => { Plotly.react(place, traces(), layout, { staticPlot: true }); });
