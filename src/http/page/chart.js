// The chart: one canvas with lines or candles, volume, a strip with the state of every minute, and the time axis.
//
// Nothing is kept between two calls of `draw` but the vertical scale (so that it does not jitter) and the layout (so
// that a pointer can be turned into a minute). Who calls decides when: it draws at once and starts no timer.
//
// The states of a series' rows come in the order partial, final, closed, open, because each is a bound on the minute;
// so a line is at most four runs. Each has a dash or a pattern of its own besides its colour.

import { AXIS, drawTimes } from "./axis.js";
import { percent, price } from "./format.js";
import { drawOverlays, eachValue } from "./overlay.js";
import { AVG, CLOSE, HIGH, LOW, MINUTE, OPEN, VOLUME, seek, stateOf } from "./rows.js";

const TOP = 22, RIGHT = 70, STRIP = 12, GAP = 7, FLAT = 1.5; // CSS pixels
const DASH = { final: [], closed: [], open: [6, 5], partial: [1.5, 4] };
const STRENGTH = { final: 1, closed: 0.55, open: 1, partial: 0.7 };

/** The round step (1, 2 or 5 times a power of ten) that divides `range` into at most `most` parts. */
function niceStep(range, most) {
  const raw = range / most, power = 10 ** Math.floor(Math.log10(raw));
  return power * [1, 2, 5, 10].find((n) => n * power >= raw * 0.9999);
}

/** Sizes the canvas for the screen's pixels; true if that changed it (and so emptied it). */
export function fit(canvas) {
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width === width && canvas.height === height) return false;
  canvas.width = width;
  canvas.height = height;
  return true;
}

/** A name that there is room for beside the plot. */
const short = (name) => [...name].length > 10 ? `${[...name].slice(0, 9).join("")}…` : name;

/** From where to where a line goes that stands for all of a candle: one without height would not be drawn at all. */
export function wick(high, low) {
  const missing = Math.max(0, FLAT - (low - high)) / 2;
  return { high: high - missing, low: low + missing };
}

export class Chart {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.scale = null; // {low, high, key}
    this.layout = null;
    this.patterns = new Map(); // colour -> hatching
  }

  /**
   * Draws `view`: {series: [{name, rows, color}], from, to, marks, settings, mode: "line" | "candles", relative,
   * volume, hover: minute | null, flashes: Map(minute -> 0..1), overlays: of the first series, palette, font}. Times in
   * ms; with `relative`, lines show the change since the first row in view. Needs one series at least; rows may be empty.
   * Rows are of windows of `settings.window_ms`, which is that of a candle where they are candles.
   */
  draw(view) {
    const { canvas, context: c } = this;
    fit(canvas);
    const ratio = canvas.width / Math.max(1, canvas.clientWidth);
    const width = canvas.clientWidth, height = canvas.clientHeight;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, height);
    c.font = view.font;
    c.lineJoin = "round";
    if (width < 60 || height < 80 || !(view.to > view.from)) return;
    const bottom = height - AXIS - STRIP - GAP, right = width - RIGHT;
    const span = view.to - view.from, slot = right * view.settings.window_ms / span;
    const at = { right, bottom, slot, width, height, x: (t) => (t - view.from) / span * right };
    const parts = view.series.map((series) => this.visible(series, view));
    const volumeTop = view.volume ? bottom - (bottom - TOP) * 0.17 : bottom;
    this.fitScale(parts, view, [view.mode, view.relative, ...view.series.map((series) => series.name)].join("\n"));
    const { low, high } = this.scale;
    const plotBottom = view.volume ? volumeTop - 8 : bottom;
    at.y = (value) => plotBottom - (value - low) / (high - low) * (plotBottom - TOP);
    at.plotBottom = plotBottom;
    this.layout = { from: view.from, span, right, window: view.settings.window_ms };

    const tags = this.tags(parts, view, at);
    this.grid(view, at, tags);
    this.flashes(view, at);
    this.regions(view, at);
    if (view.volume) this.volume(parts[0], view, at, volumeTop);
    const candles = view.mode === "candles" && !view.relative;
    if (candles) this.candles(parts[0], view, at);
    drawOverlays(c, parts[0], view, at); // over candles, which are wide, and under a line
    if (!candles) parts.forEach((part) => this.line(part, view, at, parts.length === 1));
    this.ends(tags, view, at);
    this.strip(parts[0], view, at);
    this.cross(parts, view, at);
  }

  /** The minute under a pointer, `x` in CSS pixels from the canvas's left edge; null outside the plot. */
  minuteAt(x) {
    const l = this.layout;
    if (!l || x < 0 || x > l.right) return null;
    return Math.floor((l.from + x / l.right * l.span) / l.window) * l.window;
  }

  visible({ name, rows, color }, view) {
    const first = seek(rows, view.from), last = seek(rows, view.to);
    const base = view.relative && first < last ? rows[first][AVG] : null;
    const value = base === null ? (row) => row[AVG] : (row) => base === 0 ? 0 : (row[AVG] - base) / Math.abs(base);
    return { name, rows, color, first, last, value };
  }

  /** Keeps the scale while the data fills most of it, else fits it anew with some air. */
  fitScale(parts, view, key) {
    let low = Infinity, high = -Infinity;
    const candles = view.mode === "candles" && !view.relative;
    for (const { rows, first, last, value } of parts) {
      for (let i = first; i < last; i += 1) {
        const row = rows[i], v = value(row);
        const down = candles && row[LOW] !== null ? row[LOW] : v, up = candles && row[HIGH] !== null ? row[HIGH] : v;
        if (down < low) low = down;
        if (up > high) high = up;
      }
    }
    eachValue(parts[0], view.overlays, (v) => {
      if (v < low) low = v;
      if (v > high) high = v;
    });
    if (low > high) [low, high] = [0, 1];
    if (low === high) [low, high] = [low - Math.abs(low) * 0.001 - 1e-9, high + Math.abs(high) * 0.001 + 1e-9];
    const old = this.scale, range = high - low;
    if (old && old.key === key && low >= old.low && high <= old.high && range > (old.high - old.low) * 0.7) return;
    this.scale = { low: low - range * 0.08, high: high + range * 0.1, key };
  }

  grid(view, at, tags) {
    const { context: c } = this, { low, high } = this.scale, { palette } = view;
    const step = niceStep(high - low, Math.max(2, (at.plotBottom - TOP) / 38));
    const digits = Math.max(0, Math.min(12, -Math.floor(Math.log10(step) + 1e-9)));
    c.textBaseline = "middle";
    c.textAlign = "left";
    c.lineWidth = 1;
    c.strokeStyle = palette.grid;
    c.fillStyle = palette.muted;
    c.beginPath();
    for (let n = Math.ceil(low / step); n * step <= high; n += 1) {
      const y = Math.round(at.y(n * step)) + 0.5;
      if (y < TOP) continue;
      c.moveTo(0, y);
      c.lineTo(at.right, y);
      if (tags.some((tag) => Math.abs(tag.y - y) < 15)) continue;
      const label = view.relative ? percent(n * step, Math.max(0, digits - 2)) : price(n * step, digits);
      c.fillText(label, at.right + 10, y);
    }
    c.stroke();
    drawTimes(c, view, at);
  }

  flashes(view, at) {
    const { context: c } = this;
    c.fillStyle = view.palette.flash;
    for (const [minute, strength] of view.flashes) {
      if (minute < view.from || minute >= view.to) continue;
      c.globalAlpha = 0.35 * strength;
      const wide = Math.max(at.slot, 6), x = at.x(minute) + (at.slot - wide) / 2;
      c.fillRect(x, TOP, wide, at.height - AXIS - TOP + 2);
    }
    c.globalAlpha = 1;
  }

  /** Above the plot: from where to where minutes are final, closed and open; the bounds are hairlines. */
  regions(view, at) {
    const { context: c } = this, { palette, marks, settings } = view;
    if (marks.w === null) return;
    const start = (t) => Math.floor(t / settings.window_ms) * settings.window_ms; // the first minute that ends after t
    const partial = marks.partial_before ?? Infinity;
    const bounds = [["partial", -Infinity, partial], ["final", partial, start(marks.w - settings.lateness_ms)],
      ["closed", Math.max(partial, start(marks.w - settings.lateness_ms)), start(marks.w)],
      ["open", Math.max(partial, start(marks.w)), Infinity]];
    c.textBaseline = "middle";
    for (const [name, begins, ends] of bounds) {
      const x0 = Math.max(0, at.x(Math.max(begins, view.from))), x1 = Math.min(at.right, at.x(Math.min(ends, view.to)));
      if (x1 <= x0) continue;
      if (name === "open") {
        c.fillStyle = palette.openBand;
        c.fillRect(x0, TOP - 4, x1 - x0, at.bottom - TOP + 4);
      }
      c.fillStyle = palette.muted;
      const wide = c.measureText(name).width;
      if (x1 - x0 > wide + 8) {
        c.textAlign = "center";
        c.fillText(name, (x0 + x1) / 2, 9);
      } else if (name === "open") {
        c.textAlign = "left"; // the right margin has room
        c.fillText(name, Math.max(x0, Math.min(x0 + 4, at.width - wide)), 9);
      }
      if (begins > view.from && begins < view.to) {
        c.strokeStyle = palette.rule;
        c.setLineDash([2, 3]);
        c.beginPath();
        c.moveTo(Math.round(x0) + 0.5, 4);
        c.lineTo(Math.round(x0) + 0.5, at.bottom);
        c.stroke();
        c.setLineDash([]);
      }
    }
  }

  /** Calls `each(state, i, j)` for the runs of rows i..j (exclusive) in one state. */
  runs(part, view, each) {
    let i = part.first;
    while (i < part.last) {
      const state = stateOf(part.rows[i][MINUTE], view.marks, view.settings);
      let low = i + 1, high = part.last; // the states come in order, so the end of a run is found by halving
      while (low < high) {
        const middle = (low + high) >> 1;
        if (stateOf(part.rows[middle][MINUTE], view.marks, view.settings) === state) low = middle + 1;
        else high = middle;
      }
      each(state, i, low);
      i = low;
    }
  }

  line(part, view, at, alone) {
    const { context: c } = this, { rows, value } = part, half = view.settings.window_ms / 2;
    if (part.first === part.last) return;
    const point = (i) => [at.x(rows[i][MINUTE] + half), at.y(value(rows[i]))];
    if (alone) {
      c.beginPath();
      for (let i = part.first; i < part.last; i += 1) c.lineTo(...point(i));
      c.lineTo(at.x(rows[part.last - 1][MINUTE] + half), at.plotBottom);
      c.lineTo(at.x(rows[part.first][MINUTE] + half), at.plotBottom);
      const fade = c.createLinearGradient(0, TOP, 0, at.plotBottom);
      fade.addColorStop(0, view.palette.areaTop);
      fade.addColorStop(1, view.palette.areaBottom);
      c.fillStyle = fade;
      c.fill();
    }
    c.strokeStyle = part.color;
    this.runs(part, view, (state, i, j) => {
      c.globalAlpha = STRENGTH[state];
      c.setLineDash(DASH[state]);
      c.lineCap = state === "partial" ? "round" : "butt";
      c.lineWidth = state === "final" && alone ? 2.25 : 1.75;
      c.beginPath();
      // a segment has the state of its end
      for (let n = Math.max(part.first, i - 1); n < j; n += 1) c.lineTo(...point(n));
      c.stroke();
    });
    c.setLineDash([]);
    c.globalAlpha = 1;
    const [x, y] = point(part.last - 1);
    const state = stateOf(rows[part.last - 1][MINUTE], view.marks, view.settings);
    if (alone) {
      c.fillStyle = part.color;
      c.globalAlpha = 0.18;
      c.beginPath();
      c.arc(x, y, 8, 0, 7);
      c.fill();
      c.globalAlpha = 1;
    }
    c.beginPath();
    c.arc(x, y, alone ? 4 : 3, 0, 7);
    c.fillStyle = state === "open" ? part.color : view.palette.panel; // a live dot is full
    c.strokeStyle = part.color;
    c.lineWidth = 1.5;
    c.fill();
    c.stroke();
  }

  candles(part, view, at) {
    const { context: c } = this, { palette } = view, wide = Math.min(18, at.slot * 0.64);
    this.runs(part, view, (state, i, j) => {
      c.globalAlpha = STRENGTH[state];
      c.lineWidth = wide < 3 ? Math.max(1, wide) : 1.25;
      for (let n = i; n < j; n += 1) {
        const row = part.rows[n];
        if (row[OPEN] === null) continue;
        const up = row[CLOSE] >= row[OPEN], x = at.x(row[MINUTE]) + at.slot / 2;
        const top = at.y(Math.max(row[OPEN], row[CLOSE]));
        const body = Math.max(1, at.y(Math.min(row[OPEN], row[CLOSE])) - top);
        c.strokeStyle = c.fillStyle = up ? palette.up : palette.down;
        c.setLineDash([]);
        c.beginPath();
        const { high, low } = wick(at.y(row[HIGH]), at.y(row[LOW]));
        c.moveTo(x, high);
        c.lineTo(x, wide < 3 ? low : top);
        if (wide >= 3) {
          c.moveTo(x, top + body);
          c.lineTo(x, low);
        }
        c.stroke();
        if (wide < 3) continue;
        if (!up) c.fillRect(x - wide / 2, top, wide, body); // down is full, up is hollow
        c.setLineDash(state === "open" ? [3, 2] : state === "partial" ? [1, 2] : []);
        c.strokeRect(x - wide / 2, top, wide, body);
      }
    });
    c.globalAlpha = 1;
    c.setLineDash([]);
  }

  volume(part, view, at, top) {
    const { context: c } = this, { rows } = part, wide = Math.max(1, Math.min(18, at.slot * 0.64));
    let most = 0;
    for (let i = part.first; i < part.last; i += 1) if (rows[i][VOLUME] > most) most = rows[i][VOLUME];
    if (most === 0) return;
    for (let i = part.first; i < part.last; i += 1) {
      const row = rows[i], tall = Math.max(0, row[VOLUME] ?? 0) / most * (at.bottom - top);
      c.fillStyle = row[CLOSE] >= row[OPEN] ? view.palette.upSoft : view.palette.downSoft;
      c.fillRect(at.x(row[MINUTE]) + (at.slot - wide) / 2, at.bottom - tall, wide, tall);
    }
  }

  /**
   * What stands right of the plot: the newest value of each line (the names if there are several), never over one
   * another.
   */
  tags(parts, view, at) {
    const tags = [];
    for (const part of parts) {
      if (part.first === part.last) continue;
      const row = part.rows[part.last - 1], candles = view.mode === "candles" && !view.relative && row[CLOSE] !== null;
      const v = candles ? row[CLOSE] : part.value(row);
      tags.push({ y: at.y(v), color: part.color, text: parts.length > 1 ? short(part.name) : price(v) });
    }
    tags.sort((a, b) => a.y - b.y);
    tags.forEach((tag, i) => { tag.y = Math.max(tag.y, i === 0 ? TOP : tags[i - 1].y + 19); });
    return tags;
  }

  ends(tags, view, at) {
    const { context: c } = this;
    c.textAlign = "left";
    c.textBaseline = "middle";
    for (const { y, color, text } of tags) {
      c.fillStyle = color;
      c.beginPath();
      c.roundRect(at.right + 3, y - 9, RIGHT - 3, 18, 4);
      c.fill();
      c.fillStyle = view.palette.onColor;
      c.fillText(text, at.right + 9, y + 0.5, RIGHT - 12);
    }
  }

  /** A cell for every minute: final is full, closed half full, open an outline, partial hatched. */
  strip(part, view, at) {
    const { context: c } = this, { palette } = view, top = at.bottom + GAP;
    const gap = at.slot > 4 ? 1.5 : 0, { window_ms: windowMs } = view.settings;
    this.runs(part, view, (state, i, j) => {
      for (let n = i; n < j; n += 1) {
        const begin = part.rows[n][MINUTE];
        let end = begin + windowMs; // minutes too narrow to be told apart are one cell, or they would shimmer
        while (gap === 0 && n + 1 < j && part.rows[n + 1][MINUTE] === end) [n, end] = [n + 1, end + windowMs];
        const x = at.x(begin) + gap / 2, wide = Math.max(0.5, at.x(end) - at.x(begin) - gap);
        c.fillStyle = state === "partial" ? this.hatch(palette.partial) : palette[state];
        if (state === "open" && wide > 3) {
          c.strokeStyle = palette.open;
          c.lineWidth = 1.5;
          c.strokeRect(x + 0.75, top + 0.75, wide - 1.5, STRIP - 1.5);
        } else if (state === "closed") {
          c.fillRect(x, top + STRIP / 2, wide, STRIP / 2);
          c.globalAlpha = 0.3;
          c.fillRect(x, top, wide, STRIP / 2);
          c.globalAlpha = 1;
        } else {
          c.fillRect(x, top, wide, STRIP);
        }
      }
    });
  }

  hatch(color) {
    if (!this.patterns.has(color)) {
      const tile = Object.assign(document.createElement("canvas"), { width: 5, height: 5 }), c = tile.getContext("2d");
      c.strokeStyle = color;
      c.lineWidth = 1.4;
      for (const x of [-5, 0, 5]) {
        c.moveTo(x - 1, 6);
        c.lineTo(x + 6, -1);
      }
      c.stroke();
      this.patterns.set(color, this.context.createPattern(tile, "repeat"));
    }
    return this.patterns.get(color);
  }

  cross(parts, view, at) {
    const { context: c } = this, { hover, palette } = view;
    if (hover === null || hover < view.from || hover >= view.to) return;
    const x = at.x(hover) + at.slot / 2;
    c.strokeStyle = palette.muted;
    c.lineWidth = 1;
    c.beginPath();
    c.moveTo(Math.round(x) + 0.5, TOP - 4);
    c.lineTo(Math.round(x) + 0.5, at.height - AXIS);
    c.stroke();
    for (const part of parts) {
      const row = part.rows[seek(part.rows, hover)];
      if (!row || row[MINUTE] !== hover || (view.mode === "candles" && !view.relative)) continue;
      c.fillStyle = part.color;
      c.beginPath();
      c.arc(x, at.y(part.value(row)), 3.5, 0, 7);
      c.fill();
    }
  }
}
