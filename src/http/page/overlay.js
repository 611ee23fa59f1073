// Derived values beside the minutes: those that are prices are lines and bands over the plot, each switched by its name; the
// others are numbers.

import { MINUTE, derivedOf } from "./rows.js";

const PRICE = /^(?:sma|ema|ravg|rvwap|rhigh|rlow)\d+$/, BAND = /^(bb\d+)_(upper|lower)$/;
const FIRST = 4; // shown where nobody has chosen
const COLORS = [2, 3, 4, 5, 1]; // lines of the palette: the last is that of falling candles, and 0 that of averages

/** What can be drawn of the columns of --derive: [{name, columns: places, one of a line and two of a band, color, dashed}]. */
export function overlays(columns) {
  const all = new Map();
  columns.forEach((column, at) => {
    const name = PRICE.test(column) ? column : BAND.exec(column)?.[1];
    if (name === undefined) return;
    if (!all.has(name)) all.set(name, { name, columns: [] });
    all.get(name).columns.push(at);
  });
  return [...all.values()].map((one, n) => ({ ...one, color: COLORS[n % COLORS.length], dashed: n >= COLORS.length }));
}

/** The other columns, as [name, place]. */
export const numbersOf = (columns) => columns.map((column, at) => /** @type {[string, number]} */ ([column, at]))
  .filter(([column]) => !PRICE.test(column) && !BAND.test(column));

/** Which of them are drawn: those that `show` names, or the first ones where it is null. */
export const shownOf = (all, show) => show === null ? all.slice(0, FIRST) : all.filter(({ name }) => show.includes(name));

/** Calls `each` with all values of `shown` in the rows of `part`: the scale must hold them. */
export function eachValue({ rows, first, last }, shown, each) {
  for (const { columns } of shown) {
    for (const column of columns) {
      for (let i = first; i < last; i += 1) {
        const value = derivedOf(rows[i], column);
        if (value !== null) each(value);
      }
    }
  }
}

/** One line through the values of a column; it breaks where a row has none. `point(x, y, begins)`. */
function trace({ rows, first, last }, column, at, half, point) {
  let broken = true;
  for (let i = first; i < last; i += 1) {
    const value = derivedOf(rows[i], column);
    if (value !== null) point(at.x(rows[i][MINUTE] + half), at.y(value), broken);
    broken = value === null;
  }
}

/** The area between the two lines of a band, one piece for each stretch without a gap. */
function fillBand(c, part, [one, other], at, half) {
  let top = [], below = [];
  const fill = () => {
    if (top.length > 1) {
      c.beginPath();
      [...top, ...below.reverse()].forEach(([x, y]) => c.lineTo(x, y));
      c.fill();
    }
    [top, below] = [[], []];
  };
  for (let i = part.first; i < part.last; i += 1) {
    const row = part.rows[i], [a, b] = [derivedOf(row, one), derivedOf(row, other)];
    if (a === null || b === null) {
      fill();
      continue;
    }
    const x = at.x(row[MINUTE] + half);
    top.push([x, at.y(a)]);
    below.push([x, at.y(b)]);
  }
  fill();
}

/** Draws `view.overlays` of the rows of `part`. */
export function drawOverlays(c, part, view, at) {
  const half = view.settings.window_ms / 2;
  for (const { columns, color, dashed } of view.overlays) {
    c.strokeStyle = c.fillStyle = view.palette.lines[color];
    if (columns.length === 2) {
      c.globalAlpha = 0.1;
      fillBand(c, part, columns, at, half);
    }
    c.globalAlpha = columns.length === 2 ? 0.7 : 0.9;
    c.lineWidth = columns.length === 2 ? 1 : 1.4;
    c.setLineDash(dashed ? [7, 3] : []);
    for (const column of columns) {
      c.beginPath();
      trace(part, column, at, half, (x, y, begins) => begins ? c.moveTo(x, y) : c.lineTo(x, y));
      c.stroke();
    }
  }
  c.globalAlpha = 1;
  c.setLineDash([]);
}
