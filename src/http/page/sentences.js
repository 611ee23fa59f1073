// What is said of a run in words: of a log that was not read, of records that do not count, of partitions, of the ledger.
// Pure functions of the server's status: each sentence must be true in every state that a run may be in.

import { compact, duration, several, smallPercent, visible, whole } from "./format.js";

const sum = (s, key) => s.partitions.reduce((all, p) => all + p[key], 0);

/** What became of events that do not count, where any did: "3 rejected, 2 skipped". */
function uncounted(s) {
  const terms = [["late", "late"], ["rejected", "rejected"], ["quarantined", "too far from the clock"],
    ["cleaned", "cleaned"], ["skipped", "skipped"], ["duplicate", "duplicate"]];
  return terms.map(([key, words]) => [sum(s, key), words]).filter(([n]) => n > 0)
    .map(([n, words]) => `${whole(n)} ${words}`).join(", ");
}

/** The records that were read, and their events where these are not the same: "3 records", "3 records with 30 events". */
function readWords(s) {
  const read = sum(s, "read"), events = sum(s, "events");
  return read === events ? several(read, "record") : `${several(read, "record")} with ${several(events, "event")}`;
}

/** What there is to say where no minute is open. */
export function noMinute(s) {
  if (s.partitions.length === 0) return "No partition is known yet.";
  if (sum(s, "read") === 0) return "Nothing has been read yet.";
  if (s.nothing_counts?.why === "skipped") return `${readWords(s)} read, and skipped.`;
  if (s.nothing_counts !== null) {
    const [first] = s.dead_letters.rejected;
    const most = first === undefined ? "" : ` Most often ${byReason(first)}, first ${visible(first.first)}.`;
    return `${readWords(s)} read, and none counts: ${uncounted(s)}.${most}`;
  }
  if (s.w === null) return "A partition has shown no event time yet, so no minute has ended.";
  return "Every minute that was read has ended in all partitions.";
}

/** What stands where a symbol's name would, while there is none. */
export function noSymbol(s) {
  if (s === null) return "–";
  if (sum(s, "read") === 0) return "Waiting for the first record";
  if (s.nothing_counts?.why === "skipped") return visible(s.nothing_counts.text.replace(/:.*/s, "").replace(/^n/, "N"));
  if (s.nothing_counts !== null) return "Nothing counts";
  return "No minute is in memory";
}

/** The headline and the sentence where something is wrong and nothing counts; null elsewhere. */
export function banner(s) {
  if (s.nothing_counts === null || s.nothing_counts.why === "skipped") return null;
  const text = visible(s.nothing_counts.text.replace(/^NOTHING COUNTS: /, ""));
  return { headline: "✗ NOTHING COUNTS", sentence: `${text[0].toUpperCase()}${text.slice(1)}.` };
}

/** What an operator should know for as long as it holds, one sentence each. */
export function noticesOf(s) {
  const trouble = s.source_trouble === null ? [] : [`The source does not read: ${s.source_trouble}`];
  const skipped = s.nothing_counts?.why === "skipped" ? [s.nothing_counts.text] : [];
  return [...trouble, ...skipped, ...s.concerns].map((one) => `! ${one[0].toUpperCase()}${one.slice(1)}.`);
}

/** What is said where W does not exist. */
export function noWatermark(s) {
  return s.partitions.some((p) => p.h !== null) ? "a partition has no event time yet" : "no event time yet";
}

/** A reason with its field and how often it was: "null ts ×3". */
export const byReason = (by) => `${by.reason}${by.field === null ? "" : ` ${visible(by.field)}`} ×${whole(by.count)}`;

/** The dead letters by class, with the reasons: of records that are dropped there are none. */
export function tally(s) {
  const { reasons, dropped } = s.dead_letters, { late, rejected, quarantined, cleaned } = s.ledger;
  const words = (all, most = 3) => all.length === 0 ? ""
    : ` (${all.slice(0, most).map(byReason).join(", ")}${all.length > most ? ", …" : ""})`;
  const far = reasons.filter(({ reason }) => reason === "future" || reason === "past");
  const clean = reasons.filter(({ reason }) => ["session", "bounds", "outlier"].includes(reason));
  const bad = reasons.filter((by) => by.reason !== "late" && !far.includes(by) && !clean.includes(by));
  const gone = dropped && rejected > 0 ? " and dropped" : "";
  const past = far.some(({ reason }) => reason === "past") ? words(far) : "";
  if (late + rejected + quarantined + cleaned === 0) return "none";
  const others = cleaned > 0 ? `, ${whole(cleaned)} cleaned${words(clean)}` : "";
  return `${whole(late)} late, ${whole(rejected)} rejected${gone}${words(bad)}, ${whole(quarantined)} quarantined${past}${others}`;
}

/** How many events are no part of a minute because of what they are, and which share of all. */
export function lostOf({ events, late, rejected, quarantined, cleaned, read }) {
  const lost = late + rejected + quarantined + cleaned, unit = events === read ? "records" : "events";
  return { lost, share: events > 0 ? `${smallPercent(lost / events)} of all ${unit}` : `of all ${unit}` };
}

/** The place of a dead letter within its partition: an offset, and an element of its array. */
export const placeOf = (one) => one.element === null ? whole(one.offset) : `${whole(one.offset)} [${one.element}]`;

/** Whose event a dead letter is: its symbol, or the key of a record that cannot be decoded. */
export function whose(one) {
  if (one.symbol !== null) return visible(one.symbol);
  return one.key === null ? "–" : `key ${visible(one.key)}`;
}

/**
 * The dead letters of `symbol` among the newest: `within` from..to by their event time, and `near`, up to `window` ms before or
 * after it.
 */
export function lettersOf(s, symbol, from, to, window) {
  const mine = (s?.dead_letters.recent ?? []).filter((one) => one.symbol === symbol && one.event_time !== null);
  const within = (a, b) => mine.filter(({ event_time: at }) => at >= a && at < b);
  return { within: within(from, to), near: [...within(from - window, from), ...within(to, to + window)] };
}

/** A sign and words for what is known of a partition's silence (R8, R12). */
export function evidence(p, settings) {
  if (p.ended) return ["■", "ended"];
  if (p.waits_for !== null) return ["‖", `waits for ${p.waits_for}`];
  if (p.paused) return ["‖", "paused by alignment"];
  if (p.caught_up) return ["○", `idle: caught up, silent ${duration(p.silence_ms)}`];
  if (p.h === null && p.read === 0) return ["…", "nothing read yet"];
  if (p.h === null) return ["…", p.skipped === p.events ? "all skipped by --where" : "no valid record yet"];
  if (p.silence_ms >= settings.idle_ms) return ["!", `silent ${duration(p.silence_ms)}, end not proven`];
  return ["●", p.silence_ms < 1500 ? "reading" : `reading, ${duration(p.silence_ms)} ago`];
}

// --- ledger (R11) ----------------------------------------------------------------------------------------------------

export const eventsGap = (l) =>
  l.events - l.counted - l.late - l.rejected - l.quarantined - l.cleaned - l.skipped - l.duplicate;
export const countedGap = (l) => l.counted - l.held - l.retired;
/** Offsets that were passed, by what was there: next − start = read + gaps. */
export function offsetsOf(s) {
  const [next, start, read, gaps] = ["next", "start", "read", "gaps"].map((key) => sum(s, key));
  return { passed: next - start, read, gaps, gap: next - start - read - gaps };
}

/** Are records and events, or records and offsets, not the same, so that all equations are shown? */
export const isTakenApart = (s) => s.ledger.events !== s.ledger.read || offsetsOf(s).gaps !== 0;

/** What is said below the equations. */
export function ledgerNote({ keys, rounded, read, events }) {
  const what = read === events ? "Every record read" : "Every event of the records read";
  const more = rounded === 0 ? "" : ` ${several(rounded, "event")} had a number rounded.`;
  return `${what} is in exactly one place. ${several(keys, "minute")} of a symbol held.${more}`;
}

/** What the vital sign of the ledger says of how much was read. */
export const readVital = ({ read, events }) =>
  read === events ? `${compact(read)} records read` : `${compact(read)} records, ${compact(events)} events`;
