// A line of the last hour, as small as a word.

import { fit } from "./chart.js";
import { AVG, MINUTE } from "./rows.js";

/** A line of the rows' averages in a small canvas. */
export function sparkline(canvas, rows, color) {
  const resized = fit(canvas), c = canvas.getContext("2d");
  if (!resized) c.clearRect(0, 0, canvas.width, canvas.height);
  if (rows.length < 2) return;
  let low = Infinity, high = -Infinity;
  for (const row of rows) {
    low = Math.min(low, row[AVG]);
    high = Math.max(high, row[AVG]);
  }
  const start = rows[0][MINUTE], span = rows.at(-1)[MINUTE] - start || 1, range = high - low || 1;
  const { width, height } = canvas, pad = height * 0.12;
  c.beginPath();
  for (const row of rows) {
    const x = 1 + (row[MINUTE] - start) / span * (width - 2);
    c.lineTo(x, height - pad - (row[AVG] - low) / range * (height - 2 * pad));
  }
  c.lineWidth = height / 15;
  c.lineJoin = "round";
  c.strokeStyle = color;
  c.stroke();
}
