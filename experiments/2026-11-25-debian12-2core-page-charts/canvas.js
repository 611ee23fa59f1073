// Our side: the page's own chart.js, with everything it draws beside lines (states, strip, axes, end labels).

import { Chart } from "./chart.js";
import { LINES, MINUTE_MS, POINTS, go, lines, trial } from "./lines.js";

const canvas = document.getElementById("chart"), chart = new Chart(canvas);
const palette = { grid: "#e7e9ee", rule: "#8a93a5", muted: "#5b6475", openBand: "#faf3e2", flash: "#f0b429",
  panel: "#fff", onColor: "#fff",
  areaTop: "#cfe0f5", areaBottom: "#fff", up: "#0b6fb8", down: "#b8500b", upSoft: "#9cc4e4", downSoft: "#e4b99c",
  final: "#245a8d", closed: "#245a8d", open: "#8a5a00", partial: "#6b7280" };
const wire = (line, name) => line.map(([minute, value]) => [name, minute, 20, value, null, null, null, null, null,
  null]);

function draw() {
  const newest = lines[0].at(-1)[0];
  chart.draw({
    series: lines.map((line, i) => ({ name: `S${i}`, rows: wire(line, `S${i}`),
      color: `hsl(${i * 360 / LINES} 60% 40%)` })),
    from: newest - (POINTS - 1) * MINUTE_MS, to: newest + MINUTE_MS, marks: { w: newest - MINUTE_MS / 2,
      partial_before: 0, line: null },
    settings: { window_ms: MINUTE_MS, lateness_ms: 10 * MINUTE_MS }, mode: "line", relative: false, volume: false,
      hover: null,
    flashes: new Map(), palette, font: "12px sans-serif",
  });
}

draw();
trial.firstChart = performance.now();
trial.drawn = () => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((byte) =>
  byte > 0);
go(draw);
