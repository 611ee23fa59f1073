// How numbers and times are written. Times are UTC, as minutes are; a missing value is an en dash.

const NONE = "–";
const formats = new Map();
const MIN = 60_000, HOUR = 60 * MIN, DAY = 24 * HOUR;

/** `value` with exactly `digits` fractional digits and grouped thousands. */
export function fixed(value, digits) {
  if (!formats.has(digits)) {
    /** @type {Intl.NumberFormatOptions} */
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "negative" }; // no −0
    formats.set(digits, new Intl.NumberFormat("en", options));
  }
  return formats.get(digits).format(value).replace("-", "−");
}

/** A price: with `digits`, or as many as give five significant ones, but two at most from 10 on. */
export function price(value, digits) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  digits ??= size === 0 ? 2 : Math.max(0, Math.min(size >= 10 ? 2 : 10, 4 - Math.floor(Math.log10(size) - 1e-12)));
  if (size >= 1e9) return compact(value);
  return fixed(value, digits);
}

/** A count in full: 1,234,567. */
export function whole(value) {
  return value === null || value === undefined ? NONE : fixed(Math.round(value), 0);
}

/** A count in short, from `from` on, with a fraction below `wholes` units: 1.2 M. */
export function compact(value, from = 1e4, wholes = 100) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  for (const [unit, name] of /** @type {[number, string][]} */ ([[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])) {
    if (size >= unit && size >= from) return `${fixed(value / unit, size >= unit * wholes ? 0 : 1)} ${name}`;
  }
  return fixed(value, size >= 100 || Number.isInteger(value) ? 0 : 1);
}

/** A share: 0.0123 is 1.23 %. */
export function percent(share, digits = 2) {
  return Number.isFinite(share) ? `${fixed(share * 100, digits)} %` : NONE;
}

/** A share that keeps its meaning when it is tiny: 0.00004 is 0.004 %. */
export function smallPercent(share) {
  if (share === 0) return "0 %";
  return percent(share, Math.max(0, Math.min(7, -Math.floor(Math.log10(share * 100)))));
}

/** A change with its direction as a sign that needs no colour: ▲ 1.23 %. */
export function change(share) {
  if (!Number.isFinite(share)) return NONE;
  const text = percent(Math.abs(share));
  return text === "0.00 %" ? `  ${text}` : `${share > 0 ? "▲" : "▼"} ${text}`;
}

const two = (n) => String(n).padStart(2, "0");

/** 09:41, 09:41:07, or 2026-01-31. */
export function clock(ms, seconds = false, day = false) {
  if (ms === null || ms === undefined) return NONE;
  const t = new Date(ms);
  if (day) return `${t.getUTCFullYear()}-${two(t.getUTCMonth() + 1)}-${two(t.getUTCDate())}`;
  return `${two(t.getUTCHours())}:${two(t.getUTCMinutes())}${seconds ? `:${two(t.getUTCSeconds())}` : ""}`;
}

/** A time with its day unless that is the day of `now`. */
export function moment(ms, now, seconds = true) {
  if (ms === null || ms === undefined) return NONE;
  const day = clock(ms, false, true);
  return day === clock(now, false, true) ? clock(ms, seconds) : `${day} ${clock(ms, seconds)}`;
}

/** The time where the reader is: 15:11, with the day where it is another than that of UTC. */
export function localClock(ms, seconds = false) {
  const t = new Date(ms), day = t.getDate() !== t.getUTCDate() ? `${two(t.getMonth() + 1)}-${two(t.getDate())} ` : "";
  return `${day}${two(t.getHours())}:${two(t.getMinutes())}${seconds ? `:${two(t.getSeconds())}` : ""}`;
}

/** Is the reader's time that of UTC all year? */
export function isLocalUtc() {
  return [0, 6].every((month) => new Date(2026, month, 1).getTimezoneOffset() === 0);
}

/** The reader's time beside that of UTC, with its zone; "" where they are the same. */
export function beside(ms, seconds = false) {
  if (isLocalUtc()) return "";
  const minutes = -new Date(ms).getTimezoneOffset(), size = Math.abs(minutes);
  const zone = `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  return `${localClock(ms, seconds)} here (${zone})`;
}

/** A length of time in at most two units: 0.4 s, 12 s, 9 min 30 s, 3 h, 2 d 4 h. */
export function duration(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NONE;
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms < 1000) return ms < 100 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
  if (ms < MIN) return ms < 9950 && ms % 1000 !== 0 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 1000)} s`;
  /** @type {[number, string, number, string]} */
  const small = ms < HOUR ? [MIN, "min", 1000, "s"] : [HOUR, "h", MIN, "min"];
  /** @type {[number, string, number, string]} */
  const [unit, name, part, partName] = ms < DAY ? small : [DAY, "d", HOUR, "h"];
  const rest = Math.floor(ms % unit / part);
  return `${Math.floor(ms / unit)} ${name}${rest > 0 ? ` ${rest} ${partName}` : ""}`;
}

// What a reader cannot see, or takes for another place in the text: controls, formats (bidirectional ones, joiners), spaces
// that are no plain ones, separators, fillers, what is not assigned; spaces at either end. And a backslash that would look
// like one of these.
const UNSEEN =
  /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}|^ +| +$|\\(?=u[0-9a-f]{4}|u\{)/gu;

/** A name from outside (a symbol, a partition, a record) as it is shown: what cannot be seen is written as \u202e. */
export function visible(name) {
  const escape = (c) => {
    const hex = c.codePointAt(0).toString(16);
    return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex.padStart(4, "0")}`;
  };
  return String(name).replace(UNSEEN, (found) => [...found].map(escape).join(""));
}

/** A count with its noun: 1 record, 2 records. */
export const several = (n, noun) => `${whole(n)} ${noun}${n === 1 ? "" : "s"}`;

/** A size in bytes: 812 B, 1.2 kB, 34 MB. */
export function bytes(n) {
  if (n === null || n === undefined) return NONE;
  for (const [unit, name] of /** @type {[number, string][]} */ ([[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]])) {
    if (n >= unit) return `${fixed(n / unit, n >= unit * 100 ? 0 : 1)} ${name}`;
  }
  return `${n} B`;
}
