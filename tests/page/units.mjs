// The page's modules that need no browser: states, order of rows, memory, the lateness advisor, numbers as text.
//
//   node --test units.mjs      (Node 20.19 or newer)

import assert from "node:assert/strict";
import { test } from "node:test";
import { leastWithoutLoss, settingsOf } from "../../src/http/page/advisor.js";
import { bytes, change, clock, compact, duration, moment, percent, price,
  smallPercent } from "../../src/http/page/format.js";
import { FEW, KEPT, Market, SLACK, SPARK } from "../../src/http/page/market.js";
import { AVG, COUNT, MINUTE, put, seek, stateOf } from "../../src/http/page/rows.js";

const MIN = 60_000, settings = { window_ms: MIN, lateness_ms: 10 * MIN };
const row = (minute, count = 1, avg = 1, symbol = "A") => [symbol, minute, count, avg, 1, 1, 1, 1, 1, 1];

test("a minute is open until W has passed its end, closed until W has passed its end and the lateness", () => {
  const at = (w, partialBefore = 0) => stateOf(5 * MIN, { w, partial_before: partialBefore }, settings);
  assert.equal(at(null), "open");
  assert.equal(at(6 * MIN - 1), "open");
  assert.equal(at(6 * MIN), "closed");
  assert.equal(at(16 * MIN - 1), "closed");
  assert.equal(at(16 * MIN), "final");
  assert.equal(at(16 * MIN, 5 * MIN), "final");
  assert.equal(at(16 * MIN, 5 * MIN + 1), "partial");
  assert.equal(at(16 * MIN, null), "partial");
});

test("rows stay in the order of minutes, one for each", () => {
  const rows = [];
  for (const minute of [3, 1, 2, 5, 2, 4, 5]) put(rows, row(minute, minute * 10));
  assert.deepEqual(rows.map((one) => one[MINUTE]), [1, 2, 3, 4, 5]);
  assert.equal(put(rows, row(4, 41))[COUNT], 40);
  assert.equal(rows[seek(rows, 4)][COUNT], 41);
  assert.equal(seek(rows, 6), 5);
});

test("memory is flat: the chosen keep a day, those seen an hour, others little, and symbols are not without end", () => {
  const market = new Market(), symbols = ["A", "B", "C"];
  market.choose(["A"]);
  market.entry("A").history = "all";
  market.entry("B").history = "spark";
  for (let minute = 0; minute < 3 * KEPT; minute += 1) {
    for (const symbol of symbols) market.takeRow(row(minute * MIN, 1, 1, symbol));
  }
  const kept = () => symbols.map((symbol) => market.entries.get(symbol).rows.length);
  const within = (most, found) => assert.ok(found >= most && found <= most + SLACK, `${found} of ${most}`);
  [KEPT, SPARK, FEW].forEach((most, i) => within(most, kept()[i]));
  for (const symbol of symbols) assert.equal(market.entries.get(symbol).rows.at(-1)[MINUTE], (3 * KEPT - 1) * MIN);
  market.choose(["B"]);
  within(SPARK, kept()[0]);
  for (let n = 0; n < 10_000; n += 1) market.takeRow(row(3 * KEPT * MIN, 1, 1, `S${n}`));
  assert.ok(market.entries.size <= 2200 && market.entries.has("B"));
});

test("history never takes the place of a newer row of the stream, and a straggler is noticed", () => {
  const market = new Market();
  market.status = { settings };
  market.choose(["A"]);
  market.takeRow(row(0, 5, 2));
  market.takeHistory(row(0, 4, 1));
  assert.equal(market.entries.get("A").rows[0][AVG], 2);
  market.takeHistory(row(0, 6, 3));
  assert.equal(market.entries.get("A").rows[0][AVG], 3);
  assert.equal(market.entries.get("A").corrected, null);
  market.settled = MIN;
  market.takeRow(row(0, 7, 4));
  assert.deepEqual([...market.entries.get("A").flashes.keys()], [0]);
  assert.equal(market.entries.get("A").corrected.before[COUNT], 6);
});

test("the advisor counts what may have been lost, never less", () => {
  const { settings: tried, records } = settingsOf({ edges_ms: [1000, 2000, 5000], counts: [100, 7, 2, 1] });
  assert.equal(records, 110);
  assert.deepEqual(tried.map(({ lateness_ms, lost }) => [lateness_ms, lost]), [[1000, 10], [2000, 3], [5000, 1]]);
  assert.equal(leastWithoutLoss(tried), null);
  assert.equal(leastWithoutLoss(settingsOf({ edges_ms: [1000, 2000, 5000], counts: [1, 1, 0,
    0] }).settings).lateness_ms, 2000);
});

test("numbers and times as text", () => {
  assert.deepEqual([0.5, 12.3456, 1234.5678, -37.63, 0.00012345, null].map((value) => price(value)),
    ["0.50000", "12.346", "1,234.6", "−37.630", "0.00012345", "–"]);
  assert.deepEqual([0, 999, 9999, 12_345, 1.5e6, 2e9].map((value) => compact(value)), ["0", "999", "9,999", "12.3 k",
    "1.5 M", "2.0 G"]);
  assert.deepEqual([40, 400, 4000, 4200, 61_000, 7_200_000, 93_600_000, null].map(duration),
    ["40 ms", "0.4 s", "4 s", "4.2 s", "1 min 1 s", "2 h", "1 d 2 h", "–"]);
  assert.equal(clock(Date.UTC(2026, 0, 31, 9, 5, 7), true), "09:05:07");
  assert.equal(moment(Date.UTC(2023, 0, 31, 9, 5), Date.UTC(2026, 0, 1), false), "2023-01-31 09:05");
  assert.deepEqual([0.0123, -0.0123, 0].map(change), ["▲ 1.23 %", "▼ 1.23 %", "  0.00 %"]);
  assert.equal(percent(-0.5, 0), "−50 %");
  assert.deepEqual([0, 0.5, 0.00012, 0.0000034].map(smallPercent), ["0 %", "50 %", "0.01 %", "0.0003 %"]);
  assert.deepEqual([812, 1234, 34_000_000].map(bytes), ["812 B", "1.2 kB", "34.0 MB"]);
});
