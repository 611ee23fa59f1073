// The page's modules that need no browser: states, order of rows, memory, changes, the stream, the lateness advisor,
// numbers as text; and the API's document, where it says more than a Rust test can read.
//
//   node --test units.mjs      (Node 20.19 or newer)

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mock, test } from "node:test";
import { hashOf, readAddress, writeAddress } from "../../src/http/page/address.js";
import { advice, leastWithoutLoss, lifts, lostAt, settingsOf } from "../../src/http/page/advisor.js";
import { Candles, candle, intervalMs } from "../../src/http/page/candles.js";
import { wick } from "../../src/http/page/chart.js";
import { addDecimals } from "../../src/http/page/decimal.js";
import { figuresOf, minutesOf } from "../../src/http/page/detail.js";
import { passedBy, sinksOf, summaryOf, uncountedOf, versionsOf } from "../../src/http/page/explain.js";
import { bytes, change, clock, compact, duration, moment, percent, price, smallPercent,
  visible } from "../../src/http/page/format.js";
import { GROUP_COLUMNS, fromGroup, groupKey, groupName, named } from "../../src/http/page/groups.js";
import { FEW, KEPT, Market, SLACK, SPARK } from "../../src/http/page/market.js";
import { areAll } from "../../src/http/page/list.js";
import { changeColumn, headline, sidesOf } from "../../src/http/page/movers.js";
import { eachValue, numbersOf, overlays, shownOf } from "../../src/http/page/overlay.js";
import { AVG, CLOSE, COUNT, DERIVED, EXACT_VOLUME, HIGH, MINUTE, derivedOf, fromHistory, fromStream, put, seek,
  stateOf } from "../../src/http/page/rows.js";
import { banner, countedGap, eventsGap, evidence, isTakenApart, ledgerNote, lettersOf, lostOf, noMinute, noSymbol, noWatermark, noticesOf,
  offsetsOf, placeOf, readVital, tally, whose } from "../../src/http/page/sentences.js";
import { extentOf, pan, settle, zoom } from "../../src/http/page/span.js";
import { Stream } from "../../src/http/page/stream.js";

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

test("a group is no symbol, whatever both are called", () => {
  const names = ["A", "s=A", "é\u{1f980}", "\u{10000}"];
  for (const name of names) {
    assert.equal(groupName(groupKey(name)), name);
    assert.equal(groupName(name), null);
    const view = { ...readAddress("", 3), symbols: [name, groupKey(name)] };
    assert.deepEqual(readAddress(writeAddress(view), 3), view);
  }
  assert.deepEqual(readAddress("#g=A&s=A&g=&g=A", 3).symbols, [groupKey("A"), "A"]);
  assert.equal(writeAddress({ symbols: [groupKey("a b"), "A"], mode: "line", range: 60 }), "#g=a%20b&s=A");
  assert.equal(hashOf("?g=tech"), "#g=tech");
  assert.deepEqual([named(groupKey("A")), named("A"), named(groupKey("\u202e"))], ["A (group)", "A", "\\u202e (group)"]);
  const minutes = (keys) => minutesOf(keys, 1, 2, []).split("&from")[0];
  assert.deepEqual([["A", "B"], [groupKey("A"), groupKey("B")], [groupKey("A"), "B"]].map(minutes),
    ["/api/minutes?symbol=A&symbol=B", "/api/groups/minutes?group=A&group=B", "/api/minutes?symbol=B"]);
  const made = fromGroup({ group: "A", minute: MIN, count: 4, avg: 2.5, members: 2, listed: 3, weight: 1.5 });
  assert.deepEqual(numbersOf(GROUP_COLUMNS).map(([, at]) => derivedOf(made, at)), [2, 3, 1.5]);
  assert.deepEqual(overlays(GROUP_COLUMNS), []);
  // Members have other weights in each minute: a longer candle has the average of its last.
  assert.equal(candle([made, { ...made, length: made.length, [AVG]: 9 }].map((one) => Array.from(one)), 0)[AVG], 9);
});

test("groups are asked for by their names, count as no symbol and are lost with none", async () => {
  const asked = [], all = [1, 2, 3].map((n) => ({ group: "A", minute: n * MIN, count: 1, avg: n, members: 1, listed: 1, weight: 1 }));
  mock.method(globalThis, "fetch", async (url) => {
    const { pathname, searchParams } = new URL(url, "http://x"), from = Number(searchParams.get("from"));
    asked.push(`${pathname} ${searchParams.getAll("group")} ${searchParams.getAll("symbol")}`.trim());
    const rows = pathname === "/api/groups/minutes" ? all.filter(({ minute }) => minute >= from) : [];
    return { ok: true, json: async () => ({ rows, next: null }) };
  });
  const market = new Market(), key = groupKey("A"), minutes = () => market.entry(key).rows.map((one) => one[MINUTE] / MIN);
  market.takeRow(row(2 * MIN));
  market.choose([key, "A"]);
  await market.loadHistory([key, "A"], "all");
  assert.deepEqual(asked, ["/api/minutes  A", "/api/groups/minutes A"]);
  assert.deepEqual([market.held, minutes()], [1, [1, 2, 3]]);
  all.push({ ...all[0], minute: 4 * MIN });
  await market.refreshGroups();
  market.takeLost({ through: 2 * MIN });
  assert.deepEqual([minutes(), market.entry("A").rows.length, asked.length], [[1, 2, 3, 4], 0, 3]);
  mock.restoreAll();
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
  market.takeHistories([row(0, 4, 1)]);
  assert.equal(market.entries.get("A").rows[0][AVG], 2);
  market.takeHistories([row(0, 6, 3)]);
  assert.equal(market.entries.get("A").rows[0][AVG], 3);
  assert.equal(market.entries.get("A").corrected, null);
  market.settled = MIN;
  market.takeRow(row(0, 7, 4));
  assert.deepEqual([...market.entries.get("A").flashes.keys()], [0]);
  assert.equal(market.entries.get("A").corrected.before[COUNT], 6);
});

test("a change is over the last sixty windows, whatever else is here, and the server's where rows are missing", () => {
  const market = new Market();
  market.status = { settings };
  for (const [minute, avg] of [[0, 1], [41, 2], [70, 4], [100, 3]]) market.takeRow(row(minute * MIN, 1, avg));
  const entry = market.entries.get("A"), now = () => market.change(entry);
  assert.equal(now(), 0.5);
  assert.deepEqual(market.recent(entry).map((one) => one[MINUTE] / MIN), [41, 70, 100]);
  market.takeRow(row(101 * MIN, 1, 3));
  assert.equal(now(), -0.25, "minute 41 is the 61st");
  entry.first = { minute: 43 * MIN, avg: 6 };
  assert.equal(now(), -0.5, "a row that is not here");
  entry.history = "spark";
  entry.first = { minute: 41 * MIN, avg: 6 };
  assert.equal(now(), -0.25, "which is over an hour old");
  entry.history = "none";
  assert.equal(now(), -0.5, "which stands in until the server says another, where no more rows are here");
  market.takeRow(row(101 * MIN, 2, 5));
  entry.first = { minute: 42 * MIN, avg: 0 };
  assert.ok(Number.isNaN(now()));
});

test("rows that may not be the newest go, and are asked for again", () => {
  const market = new Market();
  market.status = { settings };
  for (let minute = 0; minute < 9; minute += 1) {
    for (const symbol of ["A", "B"]) market.takeRow(row(minute * MIN, 1, 1 + minute, symbol));
  }
  const [a, b] = market.entries.values();
  b.rows.splice(0, 5);
  [a.first, b.first] = [2, 5].map((minute) => ({ minute: minute * MIN, avg: 1 }));
  a.history = "all";
  market.takeLost({ through: 4 * MIN });
  assert.deepEqual([a, b].map(({ rows }) => rows[0][MINUTE] / MIN), [5, 5]);
  assert.deepEqual([a.first, b.first?.minute], [null, 5 * MIN]);
  assert.deepEqual([market.base(a).minute, market.change(a)], [5 * MIN, 0.5]);
  market.takeLost({ through: 99 * MIN });
  assert.ok(Number.isNaN(market.change(a)) && a.history === "all");
  market.forgetHistories();
  assert.equal(a.history, "none");
});

test("an address names a view, and what it does not name is as at first", () => {
  const of = (hash) => readAddress(hash, 3);
  const first = { symbols: [], mode: "line", range: 60, from: null, to: null, interval: null, show: null, minute: null, explain: false };
  for (const view of [{ symbols: ["A"] }, { symbols: ["a&b=c", "é +%", "\ufffd"], mode: "candles", range: 1440 },
    { symbols: ["#"], range: 240 }, {}, { symbols: ["A"], from: Date.UTC(2026, 0, 5, 8), to: Date.UTC(2026, 0, 5, 9, 30, 0, 250) },
    { symbols: ["A"], interval: "5m", show: ["sma20", "bb20"], minute: 0 }, { symbols: ["A"], interval: "1d", show: [] },
    { symbols: ["A"], minute: 60_000, explain: true }]) {
    assert.deepEqual(of(writeAddress({ ...first, ...view })), { ...first, ...view });
  }
  assert.equal(writeAddress({ symbols: ["A", "B"], mode: "candles", range: 240 }), "#s=A&s=B&shape=candles&range=240");
  assert.equal(writeAddress({ ...first, symbols: ["A"], from: 0, to: 60_000, interval: "5m", show: ["sma20"] }),
    "#s=A&from=1970-01-01T00:00:00Z&to=1970-01-01T00:01:00Z&interval=5m&show=sma20");
  assert.deepEqual(of("#s=A&s=&s=A&s=B&s=C&s=D&shape=pie&range=7").symbols, ["A", "B", "C"]);
  for (const none of ["", "#", "#chart", "#range=x&shape=", "#range=7", "#range=43201", "#range=60.5", "#interval=7m&minute=x",
    "#from=2026-01-05T08:00:00Z", "#explain=1", "#from=60000&to=60000", "#from=2026-01-05&to=2026-01-06", "#from=x&to=y"]) {
    assert.deepEqual(of(none), first, none);
  }
  const { symbols, from, to } = of(hashOf("?symbol=A%26B&from=0&to=1970-01-01T01:00:00%2B00:30&token=secret"));
  assert.deepEqual([symbols, from, to], [["A&B"], 0, 30 * MIN], "a query is a view, too");
  assert.equal(hashOf("?token=secret"), "");
  assert.ok(!hashOf("?symbol=A&token=secret").includes("secret"));
});

test("decimals are added exactly", () => {
  assert.equal(addDecimals(["0.1", "0.2"]), "0.3");
  assert.equal(addDecimals([0.1, 0.2, 0.3]), "0.6");
  assert.equal(addDecimals(["12345678901234567890.000000000000000001", "-0.000000000000000001"]), "12345678901234567890");
  assert.equal(addDecimals(["-1.5", "1.25"]), "-0.25");
  assert.equal(addDecimals([1e21, 1e-7, "2.50"]), "1000000000000000000002.5000001");
  assert.equal(addDecimals([]), "0");
  assert.throws(() => addDecimals(["1,5"]), /no decimal: 1,5/);
  for (let n = 0; n < 200; n += 1) { // in any order, and as one number of integers says
    const cents = Array.from({ length: 20 }, () => Math.floor(Math.random() * 2e6) - 1e6);
    const total = cents.reduce((all, one) => all + one, 0), texts = cents.map((one) => (one / 100).toFixed(2));
    assert.equal(Number(addDecimals(texts)), total / 100, texts.join());
    assert.equal(addDecimals(texts), addDecimals(texts.toReversed()));
  }
});

test("a candle is made of its minutes, and only what has changed is made again", () => {
  const market = new Market(), candles = new Candles(), at = (minute, ...rest) => ["A", minute * MIN, ...rest];
  market.status = { settings };
  market.choose(["A"]);
  market.takeRow(at(9, 1, 7, 7, 7, 7, 7, 0.1, 7, [9]));
  market.takeRow(at(10, 2, 10, 9, 12, 8, 11, 0.1, 10, [10]));
  market.takeRow(at(12, 6, 14, 13, 15, 6, 14, 0.2, 13, [12, null]));
  market.takeRow(at(13, 1, 20, 16, 16, 16, 16, null, null, [13]));
  const entry = market.entries.get("A"), made = candles.rows(entry, 5 * MIN);
  assert.deepEqual(made.map((one) => one[MINUTE] / MIN), [5, 10]);
  assert.deepEqual(made[1].slice(0, 10), ["A", 10 * MIN, 9, (2 * 10 + 6 * 14 + 20) / 9, 9, 16, 6, 16, 0.3, (1 + 2.6) / 0.3].map((one, i) =>
    i === 9 ? made[1][9] : one));
  assert.ok(Math.abs(made[1][9] - 12) < 1e-9, "vwap by volumes");
  assert.deepEqual(made[1][10], [13], "derived values of its last minute");
  const [kept] = made;
  market.takeRow(at(14, 1, 20, 16, 99, 16, 17, "1", null, [14]));
  assert.equal(candles.rows(entry, 5 * MIN)[0], kept, "the one before stays as it is");
  assert.deepEqual([HIGH, CLOSE].map((column) => candles.rows(entry, 5 * MIN)[1][column]), [99, 17]);
  market.takeRow(at(9, 2, 8, 7, 9, 7, 9, 0.1, 7, [9]));
  assert.equal(candles.rows(entry, 5 * MIN)[0][HIGH], 9, "a straggler's minute");
  assert.equal(candles.rows(entry, 5 * MIN).length, 2);
  market.takeRow(["A", -1 * MIN, 1, 1, 1, 1, 1, 1, null, null]);
  assert.deepEqual(candles.rows(entry, 1440 * MIN).map((one) => one[MINUTE]), [-1440 * MIN, 0], "a day of UTC, before 1970 too");
  const exact = ["9007199254740993", "0.5"].map((volume, n) => fromHistory({ symbol: "A", minute: n, count: 1, avg: 1, open: 1, high: 1,
    low: 1, close: 1, vwap: 1, volume }));
  assert.equal(candle(exact, 0)[EXACT_VOLUME], "9007199254740993.5");
  assert.deepEqual([intervalMs("5m", MIN), intervalMs("1m", MIN), intervalMs("5m", 7 * MIN), intervalMs(null, 2000), intervalMs("1m", 2000)],
    [5 * MIN, MIN, 7 * MIN, 2000, MIN], "only what fits the window");
  assert.deepEqual([5000, 5001, 43_200, 999_999].map((many) => intervalMs(null, MIN, many * MIN) / MIN), [1, 5, 15, 1440],
    "and no more of them than can be seen");
  assert.equal(intervalMs("1h", MIN, 5001 * MIN), 60 * MIN);
});

test("candles are the same however their minutes came", () => {
  for (let n = 0; n < 100; n += 1) {
    const many = 40, order = Array.from({ length: many }, (_, minute) => minute).sort(() => Math.random() - 0.5);
    const market = new Market(), candles = new Candles(), value = () => Math.floor(Math.random() * 1000) / 100;
    market.status = { settings };
    market.choose(["A"]);
    for (const minute of [...order, ...order.slice(0, 9)]) {
      market.takeRow(["A", minute * MIN, 1, value(), value(), value(), value(), value(), value(), value(), [value()]]);
      if (Math.random() < 0.5) candles.rows(market.entries.get("A"), 5 * MIN);
    }
    const entry = market.entries.get("A"), made = structuredClone(candles.rows(entry, 5 * MIN));
    assert.deepEqual(made, structuredClone(new Candles().rows(entry, 5 * MIN)));
    assert.equal(made.reduce((all, one) => all + one[COUNT], 0), many);
  }
});

test("a view zooms about a place, moves, and follows the newest where it ends there", () => {
  const facts = { end: 1000 * MIN, begins: 0, window: MIN, interval: MIN }, of = (from, to) => ({ from: from * MIN, to: to * MIN });
  assert.deepEqual(zoom(of(100, 200), 0.5, 0), of(100, 150));
  assert.deepEqual(zoom(of(100, 200), 2, 0.5), of(50, 250));
  assert.deepEqual(pan(of(100, 200), 50 * MIN, facts.end), of(150, 250));
  assert.deepEqual(pan(of(900, 990), 50 * MIN, facts.end), of(910, 1000), "not beyond the newest");
  assert.deepEqual(settle(of(900, 1000), facts), { range: 100, from: null, to: null }, "it follows");
  assert.deepEqual(settle(of(100, 200), facts), { range: null, ...of(100, 200) }, "it stands still");
  assert.deepEqual(settle(of(100, 101), facts), { range: null, ...of(100, 110) }, "ten windows at least");
  assert.deepEqual(settle(of(990, 1100), { ...facts, interval: 60 * MIN }).range, 600, "or ten candles");
  assert.equal(settle(of(-99_000, 1000), facts).range, 43_200);
  assert.deepEqual(settle(of(-99_000, -98_000), facts), { range: null, ...of(-42_200, -41_200) }, "no further than is kept");
  assert.deepEqual(extentOf({ range: 60, to: null }, facts), of(940, 1000));
  assert.deepEqual(extentOf({ range: 60, to: null }, { ...facts, begins: 970 * MIN }), of(970, 1000), "what there is");
  assert.deepEqual(extentOf({ range: 60, to: null }, { ...facts, begins: 999 * MIN }), of(990, 1000));
  assert.deepEqual(extentOf({ range: 60, to: null }, { ...facts, interval: 15 * MIN }), of(855, 1005), "whole candles");
  assert.deepEqual(extentOf({ range: null, ...of(1, 2) }, facts), of(1, 2));
});

test("risers and fallers are by the first change column, and what stands still is neither", () => {
  assert.deepEqual(changeColumn(["sma5", "chg15", "chg5"]), { column: "chg15", windows: 15 });
  assert.equal(changeColumn(["sma5", "xchg5", "chg"]), null);
  const rows = [0.5, 0, -0.25].map((value) => ({ symbol: String(value), value }));
  const { risers, fallers } = sidesOf({ largest: rows, smallest: rows.toReversed() });
  assert.deepEqual([risers, fallers].map((some) => some.map(({ symbol }) => symbol)), [["0.5"], ["-0.25"]]);
  assert.equal(headline("5 min", "2026-01-05 08:41"), "Risers and fallers over 5 min, 2026-01-05 08:41 UTC");
  assert.equal(headline("1 h", null), "Risers and fallers over 1 h");
});

test("derived columns are lines, bands or figures, and rows have them in one place", () => {
  const columns = ["sma5", "stddev", "ema12", "bb20_upper", "bb20_lower", "macd", "rvwap7", "rvolume5", "chg5"], all = overlays(columns);
  assert.deepEqual(all.map(({ name, columns: at }) => [name, at]), [["sma5", [0]], ["ema12", [2]], ["bb20", [3, 4]], ["rvwap7", [6]]]);
  assert.deepEqual(numbersOf(columns), [["stddev", 1], ["macd", 5], ["rvolume5", 7], ["chg5", 8]]);
  assert.deepEqual([null, [], ["bb20", "nope"]].map((show) => shownOf(all, show).length), [4, 0, 1]);
  assert.equal(shownOf(overlays(Array.from({ length: 9 }, (_, n) => `sma${n + 1}`)), null).length, 4);
  assert.deepEqual(fromStream(["A", 0, 1, 2, [3, null]])[DERIVED], [3, null], "without market columns");
  assert.deepEqual(fromStream(["A", 0, 1, 2, 3, 4, 5, 6, null, null, [7]])[DERIVED], [7]);
  assert.deepEqual(fromStream(["A", 0, 1, 2]), ["A", 0, 1, 2]);
  const history = fromHistory({ symbol: "A", minute: 0, count: 1, avg: 2, sma5: 3, macd: null }, ["sma5", "macd"]);
  assert.deepEqual([0, 1, 2].map((column) => derivedOf(history, column)), [3, null, null]);
  const seen = [], part = { rows: [history, row(1)], first: 0, last: 2 };
  eachValue(part, [{ columns: [0, 1] }], (value) => seen.push(value));
  assert.deepEqual(seen, [3]);
});

test("the minute that is open has exact figures and its dead letters", () => {
  const one = { count: 2, sum: "0.3", avg: 0.15, open: 0.1, high: 0.2, low: 0.1, close: 0.2, volume: "0.1", vwap: null, sma5: 1.5 };
  const of = (rows, derived = ["sma5"]) => Object.fromEntries(figuresOf(rows, derived));
  assert.deepEqual(of([one]), { ticks: "2", sum: "0.3", average: "0.15", open: "0.1", high: "0.2", low: "0.1", close: "0.2", volume: "0.1",
    vwap: "–", sma5: "1.5" });
  assert.deepEqual(of([one, { ...one, sum: "0.6", high: 9, close: 8, volume: "0.2", sma5: null }]), { "minutes with a row": "2", ticks: "4",
    sum: "0.9", open: "0.1", high: "9", low: "0.1", close: "8", volume: "0.3", sma5: "–" });
  assert.deepEqual(of([{ count: 1, sum: "1", avg: 1 }], []), { ticks: "1", sum: "1", average: "1" });
  const letter = (symbol, at) => ({ symbol, event_time: at });
  const recent = [letter("A", 59_999), letter("A", 60_000), letter("B", 60_000), letter("A", 119_999), letter("A", 120_000),
    letter("A", 180_000), letter("A", null), letter(null, 60_000)];
  const { within, near } = lettersOf({ dead_letters: { recent } }, "A", 60_000, 120_000, MIN);
  assert.deepEqual([within, near].map((some) => some.map((found) => found.event_time)), [[60_000, 119_999], [59_999, 120_000]]);
  assert.deepEqual(lettersOf(null, "A", 0, 1, 1), { within: [], near: [] });
  assert.equal(minutesOf(["A&B", "C"], 0, 60_000, [["format", "csv"]]), "/api/minutes?symbol=A%26B&symbol=C&from=0&to=60000&format=csv");
});

test("a view that goes far back asks for what is missing, once, and keeps it", async () => {
  const market = new Market(), asked = [], end = 5000;
  market.status = { settings: { ...settings, derived: ["sma5"] } };
  mock.method(globalThis, "fetch", async (path) => {
    const { searchParams } = new URL(path, "http://x"), [from, to] = ["from", "to"].map((name) => Number(searchParams.get(name) ?? Infinity));
    asked.push([from, searchParams.get("to") === null ? null : to].map((ms) => ms === null ? null : ms / MIN));
    const last = searchParams.get("to") === null ? end * MIN : to - MIN, rows = [];
    for (let minute = Math.max(from, 0); minute <= last; minute += MIN) {
      rows.push({ symbol: "A", minute, count: 1, avg: 1, open: 1, high: 1, low: 1, close: 1, volume: "1", vwap: 1, sma5: minute / MIN });
    }
    return new Response(JSON.stringify({ rows, next: null }));
  });
  try {
    market.choose(["A"]);
    market.takeRow(row(end * MIN, 1, 1, "A"));
    await market.loadHistory(["A"], "all");
    const entry = market.entries.get("A");
    assert.ok(Math.abs(entry.rows.length - KEPT) <= SLACK);
    await market.loadSince(["A"], 1000 * MIN);
    await market.loadSince(["A"], 2000 * MIN);
    assert.deepEqual(asked, [[end - KEPT, null], [1000, end - KEPT]], "what is there is not asked for");
    assert.deepEqual([entry.rows[0][MINUTE] / MIN, entry.rows.length, derivedOf(entry.rows[7], 0)], [1000, end - 999, 1007]);
    for (let minute = end; minute < end + 100; minute += 1) market.takeRow(row(minute * MIN, 1, 1, "A"));
    assert.ok(entry.rows.length >= end - 999 && entry.rows.length < end - 999 + 2 * SLACK, "no more is kept");
    market.choose(["B"]);
    assert.ok(entry.rows.length <= SPARK + SLACK, "and none of it once another is chosen");
    market.choose(["A"]);
    await market.loadHistory(["A"], "all");
    await market.loadSince(["A"], 1000 * MIN);
    assert.equal(asked.length, 4, "it is asked for again");
  } finally {
    mock.restoreAll();
  }
});

test("a candle without height is drawn", () => {
  assert.deepEqual(wick(10, 30), { high: 10, low: 30 });
  assert.deepEqual(wick(20, 20), { high: 19.25, low: 20.75 });
  assert.deepEqual(wick(20, 21), { high: 19.75, low: 21.25 });
});

test("what cannot be seen in a name is shown, and all else stays as it is", () => {
  for (const plain of ["AAPL", "a b", "é\u{1f980}", "\ufffd", "日本", "العربية", "C:\\x", "<b>&amp;", "ﬁ"]) {
    assert.equal(visible(plain), plain);
  }
  for (const [name, shown] of [["A\u202eB", "A\\u202eB"], ["\u200b", "\\u200b"], ["A\u2066\u2069", "A\\u2066\\u2069"],
    ["A\ufeff", "A\\ufeff"], ["A\u00a0B", "A\\u00a0B"], [" A ", "\\u0020A\\u0020"], ["A\nB\u0085", "A\\u000aB\\u0085"],
    ["A\u2028", "A\\u2028"], ["A\u{e0041}", "A\\u{e0041}"], ["A\u3164", "A\\u3164"], ["A\u00ad", "A\\u00ad"],
    ["\\u202e", "\\u005cu202e"], ["A\ud800", "A\\ud800"]]) assert.equal(visible(name), shown);
});

test("a symbol that the server refuses is told and not asked for again, and the others come", async () => {
  const market = new Market(), asked = [], long = "L".repeat(3000);
  market.status = { settings };
  mock.method(globalThis, "fetch", async (path) => {
    const symbols = new URL(path, "http://x").searchParams.getAll("symbol");
    asked.push(symbols);
    if (symbols.includes("BAD")) return new Response(JSON.stringify({ error: "no such thing" }), { status: 400 });
    const rows = symbols.filter((symbol) => symbol !== "NOPE").map((symbol) => ({ symbol, minute: 0, count: 1, avg: 1 }));
    return new Response(JSON.stringify({ rows, next: null }));
  });
  try {
    market.takeRow(row(MIN, 1, 1, "A"));
    const symbols = ["A", "BAD", long, `${long}M`, `${long}N`, "NOPE"];
    await assert.rejects(market.loadHistory(symbols, "all"), { status: 400, message: "no such thing" });
    assert.ok(asked.every((some) => some.join("").length <= 8000), "no address is too long");
    assert.deepEqual(symbols.map((symbol) => market.entries.get(symbol).history),
      ["all", "refused", "all", "all", "all", "all"]);
    assert.deepEqual([market.entries.get("NOPE").known, market.entries.get(long).known, market.held, market.total],
      [false, true, 4, 4]);
    const before = asked.length;
    await market.loadHistory(symbols, "all");
    assert.equal(asked.length, before, "nothing is asked twice");
  } finally {
    mock.restoreAll();
  }
});

test("a list of what was loaded before is not the list of what is here", () => {
  const market = new Market();
  ["A", "B"].forEach((symbol) => market.takeRow(row(0, 1, 1, symbol)));
  const items = [...market.entries.values()].reverse();
  assert.ok(areAll(items, market.entries) && !areAll(items.slice(1), market.entries));
  market.clear();
  ["A", "B"].forEach((symbol) => market.takeRow(row(0, 1, 1, symbol)));
  assert.ok(!areAll(items, market.entries));
});

test("a hidden page gives its connection back, and goes on where it was when it is seen", async () => {
  const asked = [], states = [], heard = {};
  const turn = () => new Promise(setImmediate), hide = (hidden) => { document.hidden = hidden; heard.visibilitychange(); };
  globalThis.window = { addEventListener() {} };
  globalThis.document = { hidden: false, addEventListener: (name, hears) => { heard[name] = hears; } };
  mock.method(globalThis, "fetch", async (path, { headers, signal }) => {
    const body = new ReadableStream({ start(to) {
      to.enqueue(new TextEncoder().encode("id: run-7\nevent: marks\ndata: {}\n\n"));
      signal.addEventListener("abort", () => to.error(signal.reason));
    } });
    asked.push([headers["Last-Event-ID"], signal]);
    return new Response(body);
  });
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const until = async (state) => { for (let n = 0; n < 99 && states.at(-1) !== state; n += 1) await turn(); };
    new Stream("/api/stream", { event() {}, state: (state) => states.push(state) });
    await until("live");
    hide(true);
    mock.timers.tick(4999);
    hide(false);
    mock.timers.tick(4999);
    await turn();
    assert.ok(!asked[0][1].aborted && states.at(-1) === "live", "it was away for a moment");
    hide(true);
    mock.timers.tick(5000);
    await until("resting");
    assert.deepEqual([asked[0][1].aborted, states], [true, ["connecting", "live", "resting"]]);
    mock.timers.tick(60_000);
    await turn();
    assert.deepEqual([asked.length, states.at(-1)], [1, "resting"]);
    hide(false);
    await until("live");
    assert.deepEqual([asked.length, asked[1][0], states.at(-1)], [2, "run-7", "live"]);
  } finally {
    mock.timers.reset();
    mock.restoreAll();
  }
});

test("a refusal is no lost connection: it is told, and asked again when somebody wants", async () => {
  const states = [], heard = {};
  let asked = 0;
  const turn = () => new Promise(setImmediate);
  globalThis.window = { addEventListener() {} };
  globalThis.document = { hidden: false, addEventListener: (name, hears) => { heard[name] = hears; } };
  mock.method(globalThis, "fetch", async () => {
    asked += 1;
    return new Response(JSON.stringify({ error: "not by that name" }), { status: asked === 1 ? 503 : 421 });
  });
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const until = async (state) => { for (let n = 0; n < 99 && states.at(-1)[0] !== state; n += 1) await turn(); };
    const stream = new Stream("/api/stream", { event() {},
      state: (state, wait, refusal) => states.push([state, refusal?.message]) });
    await until("waiting");
    mock.timers.tick(500);
    await until("refused");
    assert.deepEqual([asked, states.at(-1)], [2, ["refused", "not by that name"]]);
    mock.timers.tick(3_600_000);
    await turn();
    assert.equal(asked, 2, "not by itself");
    stream.now();
    await until("connecting");
    await until("refused");
    assert.equal(asked, 3);
  } finally {
    mock.timers.reset();
    mock.restoreAll();
  }
});

const none = { read: 0, gaps: 0, events: 0, counted: 0, late: 0, rejected: 0, quarantined: 0, cleaned: 0, skipped: 0,
  duplicate: 0, rounded: 0 };

/** The status of a run with partitions of these counts, as the server has it; `h`: they have an event time. */
function statusOf(all, { h = null, w = null, ...more } = {}) {
  const partitions = all.map((counts) => ({ ...none, start: 5, next: 5 + (counts.read ?? 0) + (counts.gaps ?? 0), h, ended: false,
    waits_for: null, paused: false, caught_up: false, silence_ms: 0, ...counts }));
  const ledger = { ...none };
  for (const of of partitions) for (const key of Object.keys(none)) ledger[key] += of[key];
  return { partitions, ledger: { ...ledger, held: ledger.counted, retired: 0, keys: 1, balances: true }, w, nothing_counts: null,
    source_trouble: null, concerns: [], dead_letters: { count: 0, dropped: false, reasons: [], rejected: [], recent: [] }, ...more };
}

test("what is said where no minute is open is true in every state of a run", () => {
  const by = { reason: "null", field: "ts", count: 4, first: "partition t/0, offset 7: ts: expected a number, found null", advice: "x" };
  const rejected = { count: 4, dropped: false, reasons: [], rejected: [by], recent: [] };
  const because = (why, text = "x") => ({ nothing_counts: { why, text } });
  const cases = [
    [statusOf([]), "No partition is known yet.", "Waiting for the first record"],
    [statusOf([{}, {}]), "Nothing has been read yet.", "Waiting for the first record"],
    [statusOf([{ read: 4, events: 4, rejected: 4 }, {}], { ...because("rejected"), dead_letters: rejected }),
      "4 records read, and none counts: 4 rejected. Most often null ts ×4, first partition t/0, offset 7: ts: expected a number, " +
        "found null.", "Nothing counts"],
    [statusOf([{ read: 4, events: 4, skipped: 4 }], because("skipped", "nothing matches --where: all 4 records")), "4 records read, and skipped.",
      "Nothing matches --where"],
    [statusOf([{ read: 1, events: 1, skipped: 1 }], because("skipped", "nothing is an event: the only record")), "1 record read, and skipped.",
      "Nothing is an event"],
    [statusOf([{ read: 1, events: 1, late: 1 }], { ...because("late"), h: 1, w: 1 }), "1 record read, and none counts: 1 late.",
      "Nothing counts"],
    [statusOf([{ read: 4, events: 4, quarantined: 4 }], because("quarantined")),
      "4 records read, and none counts: 4 too far from the clock.", "Nothing counts"],
    [statusOf([{ read: 4, events: 40, quarantined: 3, rejected: 2, skipped: 35 }], because("several")),
      "4 records with 40 events read, and none counts: 2 rejected, 3 too far from the clock, 35 skipped.", "Nothing counts"],
    [statusOf([{ read: 4, events: 4, counted: 4 }]), "A partition has shown no event time yet, so no minute has ended.",
      "No minute is in memory"],
    [statusOf([{ read: 4, events: 4, counted: 4 }], { h: 1, w: 1 }), "Every minute that was read has ended in all partitions.",
      "No minute is in memory"],
  ];
  for (const [status, sentence, title] of cases) {
    assert.equal(noMinute(status), sentence);
    assert.equal(noSymbol(status), title);
  }
  assert.equal(noSymbol(null), "–");
  assert.equal(noWatermark(statusOf([{}, {}])), "no event time yet");
  assert.equal(noWatermark(statusOf([{ h: 1 }, {}])), "a partition has no event time yet");
  const shown = statusOf([{}, { read: 3, events: 3, rejected: 3 }, { read: 3, events: 9, skipped: 9 }]).partitions;
  assert.deepEqual(shown.map((p) => evidence(p, { idle_ms: 9 })[1]), ["nothing read yet", "no valid record yet", "all skipped by --where"]);
});

test("that nothing counts is a banner where it is trouble, and a notice where --where skips the log", () => {
  const text = "NOTHING COUNTS: all 4 records that were read were rejected: null \u202e ×4";
  const loud = statusOf([], { nothing_counts: { why: "rejected", text }, concerns: ["topic 'a' may be compacted"] });
  assert.deepEqual(banner(loud), { headline: "✗ NOTHING COUNTS",
    sentence: "All 4 records that were read were rejected: null \\u202e ×4." });
  assert.deepEqual(noticesOf(loud), ["! Topic 'a' may be compacted."]);
  const calm = statusOf([], { nothing_counts: { why: "skipped", text: "nothing matches --where: all 4 records" } });
  assert.equal(banner(calm), null);
  assert.deepEqual(noticesOf(calm), ["! Nothing matches --where: all 4 records."]);
  assert.equal(banner(statusOf([])), null);
  assert.deepEqual(noticesOf(statusOf([], { source_trouble: "no broker" })), ["! The source does not read: no broker."]);
});

test("the ledger's equations are shown where records are taken apart, and tell what they lack", () => {
  const plain = statusOf([{ read: 4, events: 4, counted: 3, late: 1 }]);
  assert.deepEqual([eventsGap(plain.ledger), countedGap(plain.ledger), offsetsOf(plain).gap, isTakenApart(plain)], [0, 0, 0, false]);
  assert.equal(ledgerNote(plain.ledger), "Every record read is in exactly one place. 1 minute of a symbol held.");
  assert.deepEqual(lostOf(plain.ledger), { lost: 1, share: "25 % of all records" });
  const apart = statusOf([{ read: 4, gaps: 2, events: 40, counted: 20, rejected: 1, skipped: 18, duplicate: 1, rounded: 2 }]);
  assert.deepEqual([eventsGap(apart.ledger), offsetsOf(apart), isTakenApart(apart)],
    [0, { passed: 6, read: 4, gaps: 2, gap: 0 }, true]);
  assert.equal(ledgerNote(apart.ledger),
    "Every event of the records read is in exactly one place. 1 minute of a symbol held. 2 events had a number rounded.");
  assert.equal(readVital(apart.ledger), "4 records, 40 events");
  assert.deepEqual(lostOf(apart.ledger), { lost: 1, share: "3 % of all events" }, "skipped and duplicate events are not lost");
  assert.deepEqual(lostOf(statusOf([]).ledger), { lost: 0, share: "of all records" });
  assert.equal(eventsGap({ ...apart.ledger, skipped: 17 }), 1);
  assert.ok(isTakenApart(statusOf([{ read: 1, events: 1, counted: 1, gaps: 1 }])), "gaps");
});

test("dead letters are told with reasons, element and key", () => {
  const of = (reasons, counts, dropped = false) =>
    tally(statusOf([counts], { dead_letters: { reasons, dropped, rejected: [], recent: [], count: 0 } }));
  const reason = (name, count, field = null) => ({ reason: name, field, count });
  assert.equal(of([], {}), "none");
  assert.equal(of([reason("late", 2), reason("future", 1), reason("null", 3, "ts"), reason("json", 1)],
    { late: 2, quarantined: 1, rejected: 4 }), "2 late, 4 rejected (null ts ×3, json ×1), 1 quarantined");
  assert.equal(of([reason("future", 1), reason("past", 2), ...["json", "shape", "twice", "type"].map((name) => reason(name, 1))],
    { quarantined: 3, rejected: 4 }, true),
    "0 late, 4 rejected and dropped (json ×1, shape ×1, twice ×1, …), 3 quarantined (future ×1, past ×2)");
  assert.equal(of([reason("session", 2), reason("outlier", 3), reason("json", 1)], { cleaned: 5, rejected: 1 }),
    "0 late, 1 rejected (json ×1), 0 quarantined, 5 cleaned (session ×2, outlier ×3)");
  assert.deepEqual([placeOf({ offset: 4711, element: null }), placeOf({ offset: 4711, element: 0 })], ["4,711", "4,711 [0]"]);
  assert.deepEqual([{ symbol: "A", key: "B" }, { symbol: null, key: "A\u202e" }, { symbol: null, key: null }].map(whose),
    ["A", "key A\\u202e", "–"]);
});

test("the API's document takes the times that the server takes", () => {
  const document = JSON.parse(readFileSync(new URL("../../src/http/openapi.json", import.meta.url)));
  const { anyOf, examples } = document.components.schemas.Time, pattern = new RegExp(anyOf[1].pattern, "u");
  const takes = (text) => pattern.test(text);
  for (const example of examples) assert.ok(Number.isInteger(example) || takes(example), example);
  const days = (year) => Array.from({ length: 12 * 31 }, (_, n) => [year, Math.floor(n / 31) + 1, n % 31 + 1]);
  for (const [year, month, day] of [1824, 1900, 1999, 2000, 2024, 2100, 2115].flatMap(days)) {
    const is = new Date(Date.UTC(year, month - 1, day)).getUTCMonth() === month - 1;
    const text = `${year}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}T00:00:00Z`;
    assert.equal(takes(text), is, text);
  }
  for (const bad of ["2026-01-01T00:00Z", "2026-01-01 00:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00",
    "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00Z[UTC]", "1823-12-31T00:00:00Z", "2116-01-01T00:00:00Z"]) {
    assert.ok(!takes(bad), bad);
  }
});

test("the advisor counts what may have been lost, never less", () => {
  const { settings: tried, records } = settingsOf({ edges_ms: [1000, 2000, 5000], counts: [100, 7, 2, 1] });
  assert.equal(records, 110);
  assert.deepEqual(tried.map(({ lateness_ms, lost }) => [lateness_ms, lost]), [[1000, 10], [2000, 3], [5000, 1]]);
  assert.equal(leastWithoutLoss(tried), null);
  assert.equal(leastWithoutLoss(settingsOf({ edges_ms: [1000, 2000, 5000], counts: [1, 1, 0,
    0] }).settings).lateness_ms, 2000);
});

test("a setting that is no edge of the histogram does not fit while it loses records", () => {
  const of = (counts) => settingsOf({ edges_ms: [5, 10, 15, 30, 60].map((n) => n * MIN), counts });
  const { settings: tried, records } = of([100, 0, 0, 3, 4, 0]);
  assert.deepEqual([0, 5, 20, 30, 60].map((n) => lostAt(tried, records, n * MIN)), [107, 7, 7, 4, 0]);
  assert.equal(advice(tried, records, 20 * MIN),
    "Up to 7 records of 107 came more than the setting of 20 min behind; a lateness of 1 h would have lost none.");
  assert.match(advice(...Object.values(of([100, 0, 0, 3, 0, 0])), 30 * MIN), /^The setting of 30 min fits/);
  assert.match(advice(...Object.values(of([100, 0, 0, 3, 0, 0])), 40 * MIN), /^A lateness of 30 min .* 10 min sooner/);
});

test("numbers over the bars are lifted where they would be over one another", () => {
  const bar = (tall, text) => ({ tall, text });
  assert.deepEqual(lifts([bar(90, "2.8M"), bar(80, "433k"), bar(95, "1.2k")], 22), [0, 24, 24]);
  assert.deepEqual(lifts([bar(90, "2.8M"), bar(60, "433k"), bar(60, "7"), bar(0, ""), bar(61, "1.2k")], 22),
    [0, 0, 0, 0, 0]);
  assert.deepEqual(lifts([bar(90, "2.8M"), bar(90, "433k"), bar(90, "433k")], 22), [0, 12, 0]);
  assert.deepEqual(lifts([bar(90, "2.8M"), bar(90, "433k")], 40), [0, 0]);
});

test("numbers and times as text", () => {
  assert.deepEqual([0.5, 12.3456, 1234.5678, -37.63, 0.00012345, null].map((value) => price(value)),
    ["0.50000", "12.35", "1,234.6", "−37.63", "0.00012345", "–"]);
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

test("an explanation is told in words", () => {
  const at = "2026-01-05T08:51:00.250000000Z", by = (one) => passedBy({ offset: null, watermark: null, ...one });
  assert.equal(by({ by: "record", offset: 4711, watermark: at }), "offset 4,711, of 08:51:00");
  assert.equal(by({ by: "record before", offset: 5 }), "a record before offset 5");
  assert.equal(by({ by: "evidence", watermark: at }), "evidence of its end, 08:51:00");
  assert.equal(by({ by: "evidence", offset: 7, watermark: at }), "evidence of its end before offset 7, 08:51:00");
  assert.deepEqual([by({ by: "not yet" }), by({ by: "not yet", watermark: at })], ["not yet", "not yet: 08:51:00"]);
  assert.equal(by({ by: "unknown" }), "a record that is gone");
  const told = { state: "final", manifest: 1234, unverifiable: null, row: {}, minute: "2026-01-05T08:40:00Z", closed_last_by: null,
    final_last_by: null, partitions: [{ records: 1 }, { records: 0 }] };
  assert.equal(summaryOf(told), "Final by manifest 1,234. 1 record counts.");
  const last = { partition: "t/1", stamp: "2026-01-06T00:00:01.5Z" };
  assert.equal(summaryOf({ ...told, state: null, row: null, partitions: [], final_last_by: last }),
    "Unknown by manifest 1,234. No record counts. t/1 was the last to make it final, by a record stamped 2026-01-06 00:00:01 UTC.");
  assert.match(summaryOf({ ...told, closed_last_by: last }), /the last to make it closed/);
  assert.equal(summaryOf({ ...told, unverifiable: "no longer verifiable: gone" }), "Final by manifest 1,234. No longer verifiable: gone.");
  const cells = [{ column: "avg", sink: 1.5, log: 2, differs: true }, { column: "low", sink: null, log: 1, differs: true },
    { column: "sum", sink: "3", log: "3", differs: false }];
  assert.deepEqual(sinksOf({ sinks: [{ sink: "a", is: "different", why: null, cells }, { sink: "b", is: "not compared", why: "w", cells: [] }],
    not_read_back: ["stdout:"] }), [["different", "a", "avg 1.5, by the log 2; low nothing, by the log 1"], ["not compared", "b", "w"],
    ["not compared", "stdout:", "it cannot be read back"]]);
  const one = { partition: "t/0", offset: 12, element: null, reason: "late", event_time: at, value: "1.50", why: "its floor was x", exception: true };
  assert.deepEqual(uncountedOf({ uncounted: [one, { ...one, element: 3, event_time: null, value: null, why: "", exception: false }] }),
    [["late", "t/0, offset 12, event time 08:51:00: 1.50; its floor was x (an exception)"], ["late", "t/0, offset 12 [3]"]]);
  assert.deepEqual(uncountedOf({ uncounted: [], dead_letters_not_there: "dead letters before byte 7" }),
    [["unknown", "whether there are more: dead letters before byte 7"]]);
  assert.match(versionsOf({ history: null })[0], /unknown/);
  const history = { since: 2, since_at: at, versions: [{ manifest: 9, at: null, count: 3, sum: "4.5", state: "open" }],
    closed: { manifest: 12, at, waited_for: "t/0", by_floor: true, first_known: false }, final: null };
  assert.deepEqual(versionsOf({ history }), ["manifest 9: 3 records, sum 4.5, open",
    "closed by manifest 12, 2026-01-05 08:51:00 UTC; W had waited for t/0, which was silent"]);
  assert.match(versionsOf({ history: { ...history, closed: null, final: { ...history.closed, waited_for: null, first_known: true } } })[1], /^final by .* or before$/);
});
