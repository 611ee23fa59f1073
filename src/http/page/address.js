// The address of a view: which symbols, as what, how long or from when to when, in which candles, with which lines. What is
// shown first needs no word in it.

import { groupKey, groupName } from "./groups.js";
import { INTERVALS } from "./candles.js";
import { LEAST, MOST } from "./span.js";

export const FIRST_RANGE = 60; // windows
const WORDS = ["s", "symbol", "g", "shape", "range", "from", "to", "interval", "show", "minute", "explain"];

/** A time as RFC 3339, without the milliseconds that it does not have. */
const iso = (ms) => new Date(ms).toISOString().replace(".000Z", "Z");

/** A time that an address names, ms: RFC 3339, or milliseconds since 1970; null where it is neither. */
function time(text) {
  if (text === null || text === "") return null;
  const ms = /^-?\d+$/.test(text) ? Number(text) : /^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/i.test(text) ? Date.parse(text) : NaN;
  return Math.abs(ms) <= 8.64e15 ? ms : null;
}

/** What `hash` names, as `writeAddress` takes it; `most` symbols and groups (by their keys) at most, each once. */
export function readAddress(hash, most) {
  const named = new URLSearchParams(hash.replace(/^#/, "")), range = Number(named.get("range"));
  const keys = [...named].filter(([, value]) => value !== "").flatMap(([word, value]) =>
    word === "s" || word === "symbol" ? [value] : word === "g" ? [groupKey(value)] : []);
  const symbols = [...new Set(keys)];
  const [from, to] = ["from", "to"].map((word) => time(named.get(word))), still = from !== null && to !== null && from < to;
  const show = named.get("show"), minute = time(named.get("minute"));
  return { symbols: symbols.slice(0, most), mode: named.get("shape") === "candles" ? "candles" : "line",
    range: Number.isInteger(range) && range >= LEAST && range <= MOST ? range : FIRST_RANGE,
    from: still ? from : null, to: still ? to : null,
    interval: INTERVALS.some(([name]) => name === named.get("interval")) ? named.get("interval") : null,
    show: show === null ? null : show.split(",").filter((name) => /^[a-z0-9]+$/.test(name) && name !== "none"),
    minute, explain: minute !== null && named.get("explain") === "1" };
}

/**
 * The hash of a view: {symbols, mode, range: windows up to the newest, from and to: ms, or null where it follows the newest,
 * interval: name or null, show: names of derived lines, or null for those that are shown first, minute: the one that is open,
 * explain: it is explained, too}.
 */
export function writeAddress({ symbols, mode, range, from = null, to = null, interval = null, show = null, minute = null,
  explain = false }) {
  const word = (key, group = groupName(key)) => group === null ? `s=${encodeURIComponent(key)}` : `g=${encodeURIComponent(group)}`;
  const words = symbols.map((key) => word(key));
  if (mode !== "line") words.push(`shape=${mode}`);
  if (to !== null) words.push(`from=${iso(from)}`, `to=${iso(to)}`);
  else if (range !== FIRST_RANGE) words.push(`range=${range}`);
  if (interval !== null) words.push(`interval=${interval}`);
  if (show !== null) words.push(`show=${show.length > 0 ? show.join(",") : "none"}`);
  if (minute !== null) words.push(`minute=${iso(minute)}`, ...(explain ? ["explain=1"] : []));
  return `#${words.join("&")}`;
}

/** The hash for a query such as `?symbol=AAPL&interval=5m`; "" where it names no view (a token alone). */
export function hashOf(query) {
  const named = [...new URLSearchParams(query)].filter(([word]) => WORDS.includes(word));
  return named.length === 0 ? "" : `#${named.map(([word, value]) => `${word}=${encodeURIComponent(value)}`).join("&")}`;
}
