// From when to when the chart goes. A view either follows the newest minute (`to` is null, and it is `range` windows long) or
// stands still from `from` to `to`. Pure functions of both.

export const LEAST = 10; // windows, or candles
/** The windows a view may be long, and how far it may begin before the newest: 30 days of minutes. */
export const MOST = 43_200;

/**
 * The view that {from, to} becomes: one that follows where it ends with the newest window or after it. `facts` = {end: of the
 * newest window, window, interval: ms}.
 */
export function settle({ from, to }, { end, window, interval }) {
  const unit = Math.max(1, Math.floor(window / 60)); // of an address that can be read: whole seconds of minutes
  const length = Math.min(Math.max(to - from, LEAST * interval), MOST * window), first = end - MOST * window;
  if (to > end - window / 2) return { range: Math.max(LEAST, Math.round(length / window)), from: null, to: null };
  const begins = Math.round(Math.max(first, from) / unit) * unit;
  return { range: null, from: begins, to: begins + Math.round(length / unit) * unit };
}

/** {from, to} that is `factor` times as long, with the time at `share` (0: left, 1: right) where it was. */
export function zoom({ from, to }, factor, share) {
  const at = from + (to - from) * share;
  return { from: at - (at - from) * factor, to: at + (to - at) * factor };
}

/** {from, to} moved by `ms`, but not beyond `end`. */
export function pan({ from, to }, ms, end) {
  const by = Math.min(ms, end - to);
  return { from: from + by, to: to + by };
}

/** What a view shows: {from, to} in ms; of one that follows what there is, from `begins` on, but LEAST candles at least. */
export function extentOf(view, { end, begins, window, interval }) {
  if (view.to !== null) return { from: view.from, to: view.to };
  const to = Math.ceil(end / interval) * interval, oldest = Math.floor(begins / interval) * interval;
  return { from: Math.min(Math.max(to - Math.max(view.range * window, interval), oldest), to - LEAST * interval), to };
}
