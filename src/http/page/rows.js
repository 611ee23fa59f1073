// A row: [symbol, minute, count, avg, open, high, low, close, volume, vwap, derived, exact volume]; without market columns
// the six before `derived` are missing or null. `derived` is an array of the columns of --derive, in their order; the exact
// volume is a text where the number would not say all of it. A symbol's rows are an array in the order of minutes.

export const SYMBOL = 0, MINUTE = 1, COUNT = 2, AVG = 3, OPEN = 4, HIGH = 5, LOW = 6, CLOSE = 7, VOLUME = 8, VWAP = 9,
  DERIVED = 10, EXACT_VOLUME = 11;

/** The state of the minute that begins at `minute`, as the server would write it. */
export function stateOf(minute, marks, settings) {
  if (marks.partial_before === null || minute < marks.partial_before) return "partial";
  const end = minute + settings.window_ms;
  if (marks.w === null || end > marks.w) return "open";
  return end + settings.lateness_ms <= marks.w ? "final" : "closed";
}

/** Where in `rows` (in order of minutes) the first row at or after `minute` is. */
export function seek(rows, minute) {
  let low = 0, high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle][MINUTE] < minute) low = middle + 1; else high = middle;
  }
  return low;
}

/** A row of the stream, which has the derived values behind the last column it has. */
export function fromStream(row) {
  const last = row.length - 1;
  if (last < DERIVED && Array.isArray(row[last])) {
    row[DERIVED] = row[last];
    row.fill(null, last, DERIVED);
  }
  return row;
}

/** A row of /api/minutes or /api/symbols; `derived` are the names of its derived columns. */
export function fromHistory(row, derived = []) {
  const number = (value) => value === null || value === undefined ? null : Number(value), { volume } = row;
  const all = [row.symbol, row.minute, row.count, row.avg,
    ...[row.open, row.high, row.low, row.close, volume, row.vwap].map(number)];
  const exact = typeof volume === "string" && String(Number(volume)) !== volume;
  if (derived.length > 0 || exact) all.push(derived.map((name) => row[name] ?? null));
  if (exact) all.push(volume);
  return all;
}

/** The derived value of a row in the column `at`; null where it has none. */
export const derivedOf = (row, at) => row[DERIVED]?.[at] ?? null;

/** Puts `row` in its place; the row that was there, or null. */
export function put(rows, row) {
  const at = rows.length === 0 || rows.at(-1)[MINUTE] < row[MINUTE] ? rows.length : seek(rows, row[MINUTE]);
  if (at < rows.length && rows[at][MINUTE] === row[MINUTE]) {
    const before = rows[at];
    rows[at] = row;
    return before;
  }
  rows.splice(at, 0, row);
  return null;
}

/** `rows` and `more`, both in order, as one; of a minute in both the row of `rows` stays where `keeps(it, the other)`. */
export function merge(rows, more, keeps) {
  const all = [];
  let i = 0;
  for (const row of more) {
    while (i < rows.length && rows[i][MINUTE] < row[MINUTE]) all.push(rows[i++]);
    const same = i < rows.length && rows[i][MINUTE] === row[MINUTE] ? rows[i++] : null;
    all.push(same !== null && keeps(same, row) ? same : row);
  }
  while (i < rows.length) all.push(rows[i++]);
  return all;
}
