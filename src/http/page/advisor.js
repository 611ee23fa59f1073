// What another `--lateness` would have meant, from the histogram of how far records were behind their partition's
// watermark.
//
// A record is late iff (end of its window) + lateness <= watermark, and its window ends at most one window after it:
// one that was behind by less than the lateness was never lost. So the records in the buckets from `edge` on are the
// most that a lateness of `edge` would have lost. In the first bucket (behind <= 0, or less than the first edge)
// nothing is ever lost.

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
