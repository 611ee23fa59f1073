// What another `--lateness` would have meant, from the histogram of how far records were behind their partition's
// watermark.
//
// A record is late iff (end of its window) + lateness <= watermark, and its window ends at most one window after it:
// one that was behind by less than the lateness was never lost. So the records in the buckets from `edge` on are the
// most that a lateness of `edge` would have lost. In the first bucket (behind <= 0, or less than the first edge)
// nothing is ever lost.

import { compact, duration, several, smallPercent } from "./format.js";

/** For each edge: {lateness_ms, lost (at most, records)}; and the number of records. */
export function settingsOf({ edges_ms, counts }) {
  let beyond = 0;
  const settings = [];
  for (let i = edges_ms.length - 1; i >= 0; i -= 1) {
    beyond += counts[i + 1] ?? 0;
    settings.unshift({ lateness_ms: edges_ms[i], lost: beyond });
  }
  return { settings, records: beyond + (counts[0] ?? 0) };
}

/** The least setting of the histogram that would have lost nothing; null if even the greatest might have. */
export function leastWithoutLoss(settings) {
  return settings.find(({ lost }) => lost === 0) ?? null;
}

/** How many of `records` a lateness of `ms`, which need be no edge, may have lost: never less than it did. */
export function lostAt(settings, records, ms) {
  return settings.findLast(({ lateness_ms: edge }) => edge <= ms)?.lost ?? records;
}

/** What is said of the lateness that is set now, `now` ms. */
export function advice(settings, records, now) {
  const best = leastWithoutLoss(settings), beyond = lostAt(settings, records, now), of = compact(records);
  if (records === 0) return "No valid record has been read since the run began.";
  if (best === null) return `Some of ${of} records were over ${duration(settings.at(-1).lateness_ms)} behind: none fits all.`;
  if (beyond > 0) {
    return `Up to ${several(beyond, "record")} of ${of} came more than the setting of ${duration(now)} behind; ` +
      `a lateness of ${duration(best.lateness_ms)} would have lost none.`;
  }
  if (best.lateness_ms === now) return `The setting of ${duration(now)} fits: some of ${of} records came nearly as late.`;
  return `A lateness of ${duration(best.lateness_ms)} would have lost none of ${of} records, and minutes would be final ` +
    `${duration(now - best.lateness_ms)} sooner.`;
}

/** What the setting that is tried would mean. */
export function outcome({ lateness_ms: ms, lost }, records, now) {
  const loss = lost === 0 ? "Loses nothing"
    : `Loses at most ${several(lost, "record")} (${smallPercent(lost / records)})`;
  const other = `${duration(Math.abs(ms - now))} ${ms < now ? "sooner" : "later"} than now (${duration(now)})`;
  const delay = ms === now ? "as now" : other;
  return `${loss}; minutes are final ${duration(ms)} after they end, ${delay}.`;
}

/**
 * How far to lift the number over each bar of a histogram, px, so that none is over the one before: `bars` = [{tall (px),
 * text}], `pitch` px from one to the next.
 */
export function lifts(bars, pitch) {
  const SIGN = 6.2, LINE = 12; // px, of style.css's .count
  let before = null;
  return bars.map(({ tall, text }) => {
    const low = before, wide = text.length * SIGN;
    const free = (at) => low === null || low.wide + wide <= 2 * pitch || Math.abs(low.at - at) >= LINE;
    const lift = [0, LINE, 2 * LINE].find((up) => free(tall + up)) ?? 0;
    before = text === "" ? null : { at: tall + lift, wide };
    return lift;
  });
}
