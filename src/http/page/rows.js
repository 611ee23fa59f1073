// A row, as the stream sends it: [symbol, minute, count, avg, open, high, low, close, volume, vwap]; without market
// columns the last six are missing. A symbol's rows are an array in the order of minutes.

export const SYMBOL = 0, MINUTE = 1, COUNT = 2, AVG = 3, OPEN = 4, HIGH = 5, LOW = 6, CLOSE = 7, VOLUME = 8, VWAP = 9;

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

/** A row of /api/minutes in the stream's shape. */
export function fromHistory(row) {
  const number = (value) => value === null || value === undefined ? null : Number(value);
  return [row.symbol, row.minute, row.count, row.avg,
    ...[row.open, row.high, row.low, row.close, row.volume, row.vwap].map(number)];
}

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
