// Coarser candles, made of minutes in the browser: open, high, low and close are of the minutes' own, the volume is added
// exactly, as decimals. A candle is a row like a minute, with the derived values of its last minute, so all that draws minutes
// draws candles; its state follows from the marks by the same rule, with the interval for the window.
//
// Candles begin at whole multiples of their interval since 1970: days are days of UTC.
//
// An average over several minutes is the mean of theirs, weighted by counts, and a vwap likewise by volumes: in floats, so the
// last digit may differ from that of the exact quotient, which only the server has. Of a group it is that of its last minute: which
// weights the others had is not known here.

import { addDecimals } from "./decimal.js";
import { groupName } from "./groups.js";
import { AVG, CLOSE, COUNT, DERIVED, EXACT_VOLUME, HIGH, LOW, MINUTE, OPEN, SYMBOL, VOLUME, VWAP, seek } from "./rows.js";

const MIN = 60_000, MOST_DRAWN = 5000;
/** Name and length in ms of what the page offers. */
export const INTERVALS = /** @type {[string, number][]} */ ([["1m", MIN], ["5m", 5 * MIN], ["15m", 15 * MIN], ["1h", 60 * MIN],
  ["1d", 1440 * MIN]]);

/** Can candles of `ms` be made of windows of `windowMs`? */
export const fits = (ms, windowMs) => ms > windowMs && ms % windowMs === 0;

/**
 * The length in ms of the candles that a view of `length` ms is drawn in: of the interval with this name, or of the window where
 * there is none, or it does not fit. A view of more than MOST_DRAWN has longer ones, for a screen has not so many pixels.
 */
export function intervalMs(name, windowMs, length = 0) {
  const named = INTERVALS.find(([known]) => known === name)?.[1], fitting = INTERVALS.map(([, ms]) => ms).filter((ms) => fits(ms, windowMs));
  const chosen = fitting.includes(named) ? named : windowMs;
  return [windowMs, ...fitting].find((ms) => ms >= chosen && length / ms <= MOST_DRAWN) ?? Math.max(chosen, fitting.at(-1) ?? 0);
}

/** A sum of `value(row)` weighted by `weight(row)` over the sum of weights; null without any. */
function mean(rows, value, weight) {
  let above = 0, below = 0;
  for (const row of rows) {
    if (row[value] === null || row[value] === undefined || !(row[weight] > 0)) continue;
    above += row[value] * row[weight];
    below += row[weight];
  }
  return below > 0 ? above / below : null;
}

/** One candle that begins at `start`, of `rows`: one at least, in order. */
export function candle(rows, start) {
  const priced = rows.filter((row) => typeof row[OPEN] === "number"), last = rows.at(-1);
  const volumes = rows.filter((row) => typeof row[VOLUME] === "number").map((row) => row[EXACT_VOLUME] ?? row[VOLUME]);
  const made = [];
  made[SYMBOL] = last[SYMBOL];
  made[MINUTE] = start;
  made[COUNT] = rows.reduce((all, row) => all + row[COUNT], 0);
  made[AVG] = rows.length === 1 || groupName(last[SYMBOL]) !== null ? last[AVG] : mean(rows, AVG, COUNT);
  made[OPEN] = priced.length > 0 ? priced[0][OPEN] : null;
  made[HIGH] = priced.length > 0 ? priced.reduce((most, row) => Math.max(most, row[HIGH]), -Infinity) : null;
  made[LOW] = priced.length > 0 ? priced.reduce((least, row) => Math.min(least, row[LOW]), Infinity) : null;
  made[CLOSE] = priced.length > 0 ? priced.at(-1)[CLOSE] : null;
  const volume = volumes.length > 0 ? addDecimals(volumes) : null;
  made[VOLUME] = volume === null ? null : Number(volume);
  made[VWAP] = rows.length === 1 ? last[VWAP] ?? null : mean(rows, VWAP, VOLUME);
  made[DERIVED] = last[DERIVED];
  if (volume !== null && String(made[VOLUME]) !== volume) made[EXACT_VOLUME] = volume;
  return made;
}

/** The candles of one symbol, kept from draw to draw: those before the first minute that has changed are not made again. */
export class Candles {
  constructor() {
    this.made = [];
    this.of = { entry: null, interval: 0 };
  }

  /** Those of `entry` (whose `stale` is the first minute that has changed, and becomes Infinity), with `interval` ms. */
  rows(entry, interval) {
    if (this.of.entry !== entry || this.of.interval !== interval) {
      this.of = { entry, interval };
      entry.stale = -Infinity;
    }
    if (entry.stale === Infinity) return this.made;
    const begin = Math.floor(entry.stale / interval) * interval, { rows } = entry;
    this.made.length = entry.stale === -Infinity ? 0 : seek(this.made, begin);
    let i = entry.stale === -Infinity ? 0 : seek(rows, begin);
    while (i < rows.length) {
      const start = Math.floor(rows[i][MINUTE] / interval) * interval, end = seek(rows, start + interval);
      this.made.push(candle(rows.slice(i, end), start));
      i = end;
    }
    entry.stale = Infinity;
    return this.made;
  }
}
