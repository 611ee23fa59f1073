// Views of the page over rows that are made up, so that each figure and each pixel is known: derived lines, candles, zoom, export,
// a minute's details, local time, wide screens. Called by page.mjs, with its `check` and `comes`.

const MIN = 60_000, START = Date.UTC(2026, 0, 5, 8), MANY = 300, DERIVED = ["sma5", "bb20_upper", "bb20_lower", "ema12", "rsi14", "stddev"];
const CHART = "chart";

/** Row `n` of the made-up symbol: a price that goes up and down, a volume whose sum no float has. */
function wave(n) {
  const value = 100 + Math.round(500 * Math.sin(n / 20)) / 100, last = 100 + Math.round(500 * Math.sin((n + 1) / 20)) / 100;
  return { minute: START + n * MIN, count: 3, sum: "300.1", avg: value, open: value, high: Math.max(value, last) + 0.05,
    low: Math.min(value, last) - 0.05, close: last, volume: "0.1", vwap: value, sma5: value + 1, bb20_upper: value + 3,
    bb20_lower: value - 3, ema12: value - 1, rsi14: n < 14 ? null : 61.25, stddev: 0.5 };
}

/** A server of one symbol; {asked: the queries for minutes, moved: those for movers, explained: for explanations} is filled as it goes. */
async function serve(tab, base, rows, more = {}) {
  const status = await (await fetch(new URL("/api/status", base))).json(), asked = [], moved = [], grouped = [], explained = [];
  status.settings = { ...status.settings, window_ms: MIN, lateness_ms: 10 * MIN, metrics: "market", derived: DERIVED, groups: false,
    ...more.settings };
  Object.assign(status, { w: rows.at(-1).minute + MIN / 2, partial_before: 0, ...more.status });
  const last = rows.at(-1), full = rows.map((row) => ({ symbol: "WAVE", state: "final", ...row }));
  const { minute, count, avg, volume, close } = last;
  const one = { symbol: "WAVE", minute, state: "open", last: close, avg, count, first_minute: rows[0].minute, first: avg, change: 0, volume };
  await tab.route("**/api/symbols?*", (route) => route.fulfill({ json: { symbols: [one], total: 1 } }));
  await tab.route("**/api/minutes?*", (route) => {
    const { searchParams } = new URL(route.request().url()), time = (name, none) => Number(searchParams.get(name) ?? none);
    asked.push(searchParams);
    const some = searchParams.getAll("symbol").includes("WAVE") ? full : [];
    return route.fulfill({ json: { next: null,
      rows: some.filter(({ minute }) => minute >= time("from", -Infinity) && minute < time("to", Infinity)) } });
  });
  await tab.route("**/api/explain?*", (route) => {
    explained.push(new URL(route.request().url()).searchParams);
    return more.explain(explained.length, (answer) => route.fulfill(answer));
  });
  await tab.route("**/api/movers?*", (route) => {
    moved.push(new URL(route.request().url()).searchParams);
    return route.fulfill({ json: more.movers });
  });
  await tab.route(/\/api\/groups(\/minutes)?\?/, (route) => {
    const { pathname, searchParams } = new URL(route.request().url());
    grouped.push(`${pathname} ${searchParams.getAll("group")}`);
    const [from, to] = [["from", -Infinity], ["to", Infinity]].map(([name, none]) => Number(searchParams.get(name) ?? none)), all = searchParams.has("group") ? more.groupRows(searchParams.get("group")) : [];
    return route.fulfill({ json: pathname.endsWith("minutes") ? { next: null, rows: all.filter(({ minute }) => minute >= from && minute < to) } : more.groups });
  });
  const event = (name, data) => `id: x-1\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
  await tab.route("**/api/stream", (route) => route.fulfill({ contentType: "text/event-stream",
    body: event("hello", { id: "x", status }) + event("marks", { w: status.w, partial_before: status.partial_before, line: null }) }));
  return { asked, moved, grouped, explained };
}

/** How many columns of the plot have a pixel in the colour of the style `name`. */
const columnsIn = (tab, name) => tab.evaluate(([id, color]) => {
  const canvas = /** @type {HTMLCanvasElement} */ (document.getElementById(id)), c = canvas.getContext("2d");
  const probe = document.body.appendChild(document.createElement("span"));
  probe.style.color = `var(--${color})`;
  const wanted = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
  probe.remove();
  const { data, width, height } = c.getImageData(0, 0, canvas.width - 75, Math.round(canvas.height * 0.75));
  let columns = 0;
  for (let x = 0; x < width; x += 1) {
    for (let y = 24; y < height; y += 1) {
      const at = 4 * (y * width + x);
      if (data[at + 3] < 90 || wanted.some((n, i) => Math.abs(data[at + i] - n) > 40)) continue;
      columns += 1;
      break;
    }
  }
  return columns;
}, [CHART, name]);

/** Waits until at least `least` columns have that colour: the scale settles with the first rows. */
async function seen(tab, name, least) {
  let columns = 0;
  for (let tries = 0; tries < 50 && columns < least; tries += 1) {
    columns = await columnsIn(tab, name);
    if (columns < least) await tab.waitForTimeout(100);
  }
  return columns;
}

const facts = (tab) => tab.evaluate((id) => ({ ...document.getElementById(id).dataset }), CHART);
const span = async (tab) => Object.values(await facts(tab).then(({ from, to }) => ({ from: Number(from), to: Number(to) })));
const readout = (tab) => tab.textContent("#readout");
const is = (tab, name, value) => tab.waitForFunction(([id, key, wanted]) => document.getElementById(id).dataset[key] === wanted,
  [CHART, name, String(value)]);

export async function views(browser, base, { check, comes }, shots = () => {}) {
  const open = async (hash, rows, options = {}, more = {}) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, timezoneId: "UTC", ...options });
    const tab = await context.newPage(), server = await serve(tab, base, rows, more);
    await tab.goto(`${base}${hash}`);
    return { context, tab, ...server };
  };
  const rows = Array.from({ length: MANY }, (_, n) => wave(n));
  for (const part of [derivedLines, candles, zooms, exports, details, explanations, movers, places, flats, groups]) {
    await part({ open, rows, check, comes, shots });
  }
}

/** That derived values are drawn, switched, and named by the address. */
async function derivedLines({ open, rows, check, comes, shots }) {
  const { context, tab } = await open("#s=WAVE&range=240", rows);
  await comes("derived lines are drawn", is(tab, "overlays", "sma5,bb20,ema12"));
  for (const line of ["line-2", "line-4"]) {
    const columns = await seen(tab, line, 600);
    check(columns >= 600, "each in its colour", `${line}, ${columns} columns`);
  }
  check(/rsi14 ?61\.25/.test(await readout(tab)) && /stddev ?0\.5/.test(await readout(tab)), "what is no price is a number", await readout(tab));
  check(/bb20100\.44 to 106\.44/.test(await tab.textContent("#derived")), "a switch has its value",
    await tab.textContent("#derived"));
  await shots(tab, "derived");
  await tab.click("#derived button:has-text('sma5')");
  await comes("a switch takes a line away", is(tab, "overlays", "bb20,ema12"));
  await comes("from the plot, too", tab.waitForTimeout(100));
  check(await columnsIn(tab, "line-2") === 0, "and no pixel of it stays");
  check(await tab.evaluate(() => location.hash) === "#s=WAVE&range=240&show=bb20,ema12", "the address says so", await tab.evaluate(() => location.hash));
  await tab.reload();
  await comes("and keeps it", is(tab, "overlays", "bb20,ema12"));
  await tab.goBack();
  await comes("Back shows it again", is(tab, "overlays", "sma5,bb20,ema12"));
  await tab.evaluate(() => { location.hash = "s=WAVE&show=none"; });
  await comes("none is a choice", is(tab, "overlays", ""));
  await context.close();
}

/** That candles are what their minutes say. */
async function candles({ open, rows, check, comes, shots }) {
  const { context, tab } = await open("#s=WAVE&shape=candles&range=240&interval=5m&show=none", rows);
  await comes("candles of 5 minutes are made", is(tab, "inView", 48));
  const last = rows.slice(-5), shown = await readout(tab), fixed = (value) => value.toFixed(2);
  const [high, low] = [Math.max(...last.map((row) => row.high)), Math.min(...last.map((row) => row.low))];
  for (const [name, value] of [["O", last[0].open], ["H", high], ["L", low], ["C", last[4].close]]) {
    check(shown.replaceAll(" ", "").includes(`${name}${fixed(value)}`), `${name} is of its minutes`, `${fixed(value)} in ${shown}`);
  }
  check(/ticks ?15/.test(shown) && /open/.test(shown), "ticks are added, and it is open while it fills", shown);
  check(/vol ?0\.50000/.test(shown), "and so are volumes", shown);
  check(await seen(tab, "up", 60) >= 60 && await seen(tab, "down", 60) >= 60, "they are drawn");
  await shots(tab, "candles");
  await tab.keyboard.press("i");
  await comes("`i` makes them longer", is(tab, "inView", 16));
  check(/interval=15m/.test(await tab.evaluate(() => location.hash)), "the address says so");
  await tab.click("#interval [data-value='1h']");
  await comes("an hour", is(tab, "inView", 5));
  await tab.click("#interval [data-value='1d']");
  await comes("a day", is(tab, "inView", 1));
  check(/ticks ?900/.test(await readout(tab)), "of all its minutes", await readout(tab));
  await tab.goBack();
  await comes("Back shows the one before", is(tab, "inView", 5));
  await context.close();
}

/** Wheel, drag and keys; the address; Back. */
async function zooms({ open, rows, check, comes }) {
  const { context, tab } = await open("#s=WAVE&range=240", rows), end = rows.at(-1).minute + MIN;
  await comes("four hours are in view", is(tab, "from", end - 240 * MIN));
  const box = await tab.locator("#chart").boundingBox(), middle = [box.x + (box.width - 70) / 2, box.y + 150];
  await tab.mouse.move(...middle);
  await tab.mouse.wheel(0, -300);
  await comes("the wheel comes closer", tab.waitForFunction(() => / standing|from=/.test(location.hash)));
  const [from, to] = await span(tab);
  check(to - from > 60 * MIN && to - from < 200 * MIN && to < end, "about the pointer", `${(to - from) / MIN} min`);
  check(Math.abs((from + to) / 2 - (end - 120 * MIN)) < 2 * MIN, "which stays where it was");
  await tab.mouse.down();
  await tab.mouse.move(middle[0] + 100, middle[1], { steps: 3 });
  await tab.waitForTimeout(600); // a hand that pauses makes no step of the history
  await tab.mouse.move(middle[0] + 200, middle[1], { steps: 3 });
  await tab.mouse.up();
  await comes("dragging moves", tab.waitForFunction(([id, before]) => Number(document.getElementById(id).dataset.from) < before, [CHART, from]));
  const moved = await span(tab);
  check(Math.abs((from - moved[0]) - 200 / (box.width - 70) * (to - from)) < MIN && Math.abs(moved[1] - moved[0] - (to - from)) < 1001,
    "by as much as the hand does, and no minute is opened");
  check(await tab.isHidden("#detail"), "for it was no click");
  await comes("the address has it", tab.waitForFunction((ms) => location.hash.includes(`from=${new Date(ms).toISOString().slice(0, 19)}Z`), moved[0]));
  await tab.reload();
  await comes("and shows the same again", is(tab, "from", moved[0]));
  await is(tab, "to", moved[1]);
  await tab.goBack();
  await comes("Back shows the one before", is(tab, "from", from));
  await tab.focus("#chart");
  await tab.keyboard.press("+");
  await comes("`+` comes closer", tab.waitForFunction(([id, before]) => {
    const { from: begins, to: ends } = document.getElementById(id).dataset;
    return Number(ends) - Number(begins) < before * 0.8;
  }, [CHART, to - from]));
  const [near] = await span(tab);
  await tab.keyboard.press("Shift+ArrowLeft");
  await comes("Shift and an arrow move", tab.waitForFunction(([id, before]) => Number(document.getElementById(id).dataset.from) < before, [CHART, near]));
  await tab.keyboard.press("0");
  await comes("`0` follows the newest again", is(tab, "from", end - 60 * MIN));
  await tab.keyboard.press("-");
  await comes("`-` goes farther", is(tab, "from", end - 84 * MIN));
  await comes("and follows, too", tab.waitForFunction(() => location.hash === "#s=WAVE&range=84"));
  await context.close();
}

/** That the links give what is in view. */
async function exports({ open, rows, check, comes }) {
  const begins = rows[30].minute, ends = rows[90].minute, named = [begins, ends].map((ms) => new Date(ms).toISOString());
  const { context, tab } = await open(`#s=WAVE&from=${named[0]}&to=${named[1]}`, rows);
  await comes("a span that an address names is in view", is(tab, "inView", 60));
  for (const [id, form] of [["export-csv", "csv"], ["export-json", null]]) {
    const { searchParams, pathname } = new URL(await tab.evaluate((name) => /** @type {any} */ (document.getElementById(name)).href, id));
    check(pathname === "/api/minutes" && searchParams.get("symbol") === "WAVE" && Number(searchParams.get("from")) === begins &&
      Number(searchParams.get("to")) === ends && searchParams.get("format") === form, `${id} has what is in view`, `${searchParams}`);
  }
  check(/2026-01-05 08:30 to 09:30 UTC/.test(await tab.textContent("#span-text")), "and it is said", await tab.textContent("#span-text"));
  await tab.click("#live");
  await comes("the newest are a click away", is(tab, "to", rows.at(-1).minute + MIN));
  await context.close();
}

/** That a minute says all that is known of it. */
async function details({ open, rows, check, comes, shots }) {
  const at = rows[200].minute;
  const letter = { at, partition: "t/0", offset: 4711, element: null, reason: "late", field: null, expected: null, found: null, why: null,
    key: null, symbol: "WAVE", value: "<b>1</b>", event_time: at + 5000, raw: "{}" };
  const status = { dead_letters: { count: 2, dropped: false, reasons: [], rejected: [], recent: [letter, { ...letter, symbol: "OTHER" }] } };
  const { context, tab, asked } = await open(`#s=WAVE&range=240&minute=${new Date(at).toISOString()}`, rows, {}, { status });
  const detail = () => tab.textContent("#detail");
  await comes("an address opens a minute", tab.waitForFunction(() => /300\.1/.test(document.getElementById("detail").textContent)));
  check(/ticks3/.test(await detail()) && /statefinal/.test(await detail()) && /rsi1461\.25/.test(await detail()), "with its figures", await detail());
  check(/Of the newest 2 dead letters, 1 of this symbol and time, and 0/.test(await detail()) && /t\/0, offset 4,711, event time 11:20:05: <b>1<\/b>/.test(await detail()),
    "and its dead letters, as text");
  check(await tab.locator("#detail-letters li").count() === 1, "and no other symbol's");
  await shots(tab, "detail");
  await tab.click("#detail-close");
  await comes("it closes", tab.waitForSelector("#detail", { state: "hidden" }));
  check(!/minute=/.test(await tab.evaluate(() => location.hash)), "and leaves the address");
  await tab.click("#interval [data-value='5m']");
  await tab.focus("#chart");
  await tab.keyboard.press("ArrowLeft");
  await tab.keyboard.press("Enter");
  await comes("Enter opens a candle", tab.waitForFunction(() => /minutes with a row5/.test(document.getElementById("detail").textContent)));
  check(/sum1500\.5/.test(await detail()) && /volume0\.5/.test(await detail()), "with exact sums", await detail());
  const many = asked.length;
  await tab.waitForTimeout(600);
  check(asked.length === many, "which are not asked for again while nothing changes");
  await tab.goBack();
  await comes("Back closes it", tab.waitForSelector("#detail", { state: "hidden" }));
  await context.close();
}

/** That a minute is explained when it is asked for, while it is read for, and when the server is busy or refuses; on a phone, too. */
async function explanations({ open, rows, check, comes, shots }) {
  const at = rows[200].minute, iso = (ms) => new Date(ms).toISOString(), evil = "<i>t</i>/0";
  const by = (name, offset) => ({ by: name, offset, watermark: iso(at + 60_000), stamp: null });
  const one = (partition, first, last, records) => ({ partition, records, first, last, next: 9000, idle: first === null,
    closed_by: by("record", 4720), final_by: first === null ? by("evidence", null) : by("record", 4999) });
  const told = { symbol: "WAVE", minute: iso(at), state: "final", end: iso(at + MIN), final_at: iso(at + 11 * MIN), manifest: 17, w: iso(at + 20 * MIN),
    unverifiable: null, row: { count: 3, sum: "300.1", avg: 100, state: "final" },
    sinks: [{ sink: "sqlite:m.db", is: "equal", why: null, cells: [] }, { sink: "csv:m.csv", is: "different", why: null,
      cells: [{ column: "avg", sink: 7, log: 100, differs: true }] }], not_read_back: [],
    partitions: [one(evil, 4711, 4713, 3), one("t/1", null, null, 0)], closed_last_by: null, final_last_by: null,
    uncounted: [{ partition: "t/0", offset: 4712, element: null, reason: "late", event_time: iso(at + 5000), value: "1", why: "<b>w</b>",
      exception: false, told_by: "log" }], more_uncounted: 0, history: null, records_read: 500 };
  let go = () => {};
  const explain = (turn, fulfill) => turn === 1 ? fulfill({ status: 503, json: { error: "another minute is being explained" } })
    : new Promise((resolve) => { go = () => resolve(fulfill({ json: told })); });
  const address = `#s=WAVE&range=240&minute=${iso(at)}`;
  const { context, tab, explained } = await open(address, rows, {}, { explain });
  const words = () => tab.textContent("#explanation");
  await comes("a minute can be explained", tab.waitForSelector("#explain", { state: "visible" }));
  check(explained.length === 0 && await tab.isHidden("#explanation"), "and is not before it is asked for");
  await tab.focus("#explain");
  await tab.keyboard.press("Enter");
  await comes("a server that is busy is told", tab.waitForFunction(() => /Not explained: another minute/.test(document.getElementById("explain-note").textContent)));
  check(/explain=1/.test(await tab.evaluate(() => location.hash)), "the address says it");
  check(await tab.getAttribute("#explain", "aria-expanded") === "true", "and so does the button");
  for (let tries = 0; tries < 100 && explained.length < 2; tries += 1) await tab.waitForTimeout(100);
  check(explained.length === 2 && explained[1].get("symbol") === "WAVE" && Number(explained[1].get("minute")) === at, "and asked again", `${explained[1]}`);
  go();
  await comes("the log's account is there", tab.waitForFunction(() => /Final by manifest 17. 3 records count/.test(document.getElementById("explain-note").textContent)));
  check(/4,711 to 4,713/.test(await words()) && /offset 4,999/.test(await words()) && /evidence of its end/.test(await words()), "with offsets and evidence", await words());
  check(/different.*avg 7, by the log 100/.test(await words()) && /equal/.test(await words()), "what a sink holds beside it");
  check(await tab.locator("#explanation i, #explanation b").count() === 0 && /<i>t<\/i>\/0/.test(await words()) && /<b>w<\/b>/.test(await words()), "as text");
  check(/history of this minute is unknown/.test(await words()), "and that its history is not known");
  await shots(tab, "explain");
  await tab.focus("#chart");
  await tab.keyboard.press("e");
  await comes("`e` closes it", tab.waitForSelector("#explanation", { state: "hidden" }));
  check(!/explain/.test(await tab.evaluate(() => location.hash)), "and the address does not say it any more");
  await tab.click("#interval [data-value='5m']");
  await comes("a candle of several minutes is not explained", tab.waitForSelector("#explain", { state: "hidden" }));
  await context.close();
  const refuse = (turn, fulfill) => fulfill({ status: 404, json: { error: "this run keeps no state" } });
  const phone = await open(`${address}&explain=1`, rows, { viewport: { width: 390, height: 844 } }, { explain: refuse });
  await comes("an address explains it; a refusal is told", phone.tab.waitForFunction(() =>
    /Not explained: this run keeps no state/.test(document.getElementById("explain-note").textContent)));
  await phone.tab.waitForTimeout(2500);
  check(phone.explained.length === 1, "and is not asked for again");
  await phone.context.close();
  const narrow = await open(`${address}&explain=1`, rows, { viewport: { width: 390, height: 844 } }, { explain: (turn, fulfill) => fulfill({ json: told }) });
  await comes("on a phone", narrow.tab.waitForFunction(() => /3 records count/.test(document.getElementById("explain-note").textContent)));
  check(await narrow.tab.evaluate(() => document.documentElement.scrollWidth) <= 390, "it is no wider than the screen");
  await shots(narrow.tab, "explain-390");
  await narrow.context.close();
}

/** That risers and fallers are there with a change column alone, are those of the server, and lead to their symbols. */
async function movers({ open, rows, check, comes, shots }) {
  const without = await open("#s=WAVE", rows);
  await comes("there are minutes", is(without.tab, "points", MANY));
  check(await without.tab.isHidden("#movers"), "without a change column there is no list of movers");
  await without.context.close();
  const evil = "<b>UP</b>", one = (symbol, value) => ({ symbol, value, avg: 100, count: 3 });
  const answer = { by: "chg5", minute: rows[200].minute, state: "final", rows: 4, with_value: 4,
    largest: [one(evil, 0.5), one("WAVE", 0.0123), one("STILL", 0)], smallest: [one("DOWN", -0.25), one("STILL", 0), one("WAVE", 0.0123)] };
  const { context, tab, moved } = await open("#s=NOPE", rows, {}, { settings: { derived: ["sma5", "chg5", "chg60"] }, movers: answer });
  await comes("risers and fallers are listed", tab.waitForFunction(() => document.querySelectorAll("#risers li, #fallers li").length === 3));
  check(moved.every((query) => query.get("by") === "chg5"), "by the first change column", `${moved[0]}`);
  const words = (id) => tab.evaluate((name) => [...document.querySelectorAll(`#${name} li`)].map((item) =>
    [...item.children].map((part) => part.textContent.trim()).join(" ")).join(", "), id);
  check(await words("risers") === `${evil} 100.00 ▲ 50.00 %, WAVE 100.00 ▲ 1.23 %`, "as text, with price and change", await words("risers"));
  check(await words("fallers") === "DOWN 100.00 ▼ 25.00 %", "and what stands still is neither", await words("fallers"));
  check(await tab.textContent("#movers-title") === "Risers and fallers over 5 min, 2026-01-05 11:20 UTC", "of a minute that is named",
    await tab.textContent("#movers-title"));
  await shots(tab, "movers");
  await tab.click("#risers a:has-text('WAVE')");
  await comes("a link leads to its symbol", is(tab, "points", MANY));
  check(await tab.textContent("#symbol") === "WAVE", "by its name");
  await tab.goBack();
  await comes("Back shows the one before", tab.waitForFunction(() => document.getElementById("symbol").textContent === "NOPE"));
  await context.close();
}

/** That groups are listed where there are some, that a click shows one like a symbol of its own, in the address, and beside one. */
async function groups({ open, rows, check, comes, shots }) {
  const without = await open("#s=WAVE", rows);
  await comes("there are minutes", is(without.tab, "points", MANY));
  check(await without.tab.isHidden("#groups") && without.grouped.length === 0, "without --groups there is no list, and no question");
  await without.context.close();
  const evil = "<b>tech</b>", last = rows[MANY - 12].minute;
  const one = (group, change, members) => ({ group, minute: last, avg: 100.5, count: 9, first_minute: rows[0].minute, first: 100, change,
    members, listed: 3, weight: 2.5 });
  // One is called as the symbol.
  const groupRows = (group) => rows.slice(0, -11).map(({ minute, avg }) => ({ group, minute, state: "final", count: 9, sum: "904.5",
    avg: avg + 7, members: 2, listed: 3, weight: 2.5 }));
  const answer = { groups: [one("WAVE", 0.005, 2), one(evil, -0.25, 3)], total: 5 };
  const { context, tab, grouped } = await open("#s=WAVE", rows, {}, { settings: { groups: true }, groups: answer, groupRows });
  await comes("groups are listed", tab.waitForFunction(() => document.querySelectorAll("#group-list li").length === 2));
  const words = await tab.evaluate(() => [...document.querySelectorAll("#group-list li")].map((item) =>
    [...item.children].map((part) => part.textContent.trim()).join(" ")).join(", "));
  check(words === `WAVE 2 of 3 100.50 ▲ 0.50 %, ${evil} 3 of 3 100.50 ▼ 25.00 %`, "as text, with members, average and change", words);
  check(/^3 more/.test(await tab.textContent("#groups-note")), "and how many more there are", await tab.textContent("#groups-note"));
  await shots(tab, "groups");
  await tab.click("#group-list a:has-text('WAVE')");
  await comes("a click shows the group's line", is(tab, "points", MANY - 11));
  check(new URL(tab.url()).hash.startsWith("#g=WAVE") && await tab.textContent("#symbol") === "WAVE (group)", "by its name, in the address", tab.url());
  check(grouped.includes("/api/groups/minutes WAVE"), "of the server's rows of it", grouped.join());
  check(/finalmembers2listed3weight2\.5/.test(await readout(tab)), "with its figures", await readout(tab));
  check(await tab.isDisabled("#shape button[data-value=candles]") && await tab.isHidden("#derived"), "and no candles or derived lines");
  check(/groups\/minutes\?group=WAVE&from=\d+&to=\d+&format=csv$/.test(await tab.getAttribute("#export-csv", "href")), "to be exported",
    await tab.getAttribute("#export-csv", "href"));
  await tab.locator("#chart").click({ position: { x: 250, y: 150 } });
  await comes("a click opens a minute of it", tab.waitForFunction(() => /sum/.test(document.querySelector("#detail dl").textContent)));
  check(/sum904\.5.*members2listed3weight2\.5$/.test(await tab.textContent("#detail dl")), "with its exact figures", await tab.textContent("#detail dl"));
  await tab.goto(`${tab.url().split("#")[0]}#g=${encodeURIComponent(evil)}&s=WAVE`);
  await comes("a group is compared with a symbol", tab.waitForFunction(() => document.querySelectorAll("#chosen li").length === 2));
  check(await tab.textContent("#chosen li:first-child bdi") === `${evil} (group)`, "as text", await tab.textContent("#chosen"));
  const lists = await tab.locator("#symbol-list .row:not([hidden])").count();
  check(lists === 1, "and the list of symbols has no group", `${lists}`);
  await tab.goBack();
  await comes("Back shows the one before", tab.waitForFunction(() => document.getElementById("symbol").textContent === "WAVE (group)"));
  await context.close();
}

/** Local time, wide screens, a symbol that is not there. */
async function places({ open, rows, check, comes, shots }) {
  const there = await open("#s=WAVE", rows, { timezoneId: "Asia/Kolkata", viewport: { width: 2560, height: 1440 } });
  await comes("there is a chart", is(there.tab, "points", MANY));
  check(/12:59 UTC/.test(await readout(there.tab)) && /18:29 here \(UTC\+05:30\)/.test(await readout(there.tab)), "local time is beside UTC",
    await readout(there.tab));
  const box = await there.tab.locator("#chart").boundingBox(), wide = await there.tab.evaluate(() => document.documentElement.scrollWidth);
  check(box.width > 2000 && box.height > 700 && wide <= 2560, "a wide screen is used", `${Math.round(box.width)} x ${Math.round(box.height)}`);
  await shots(there.tab, "wide");
  await there.context.close();
  const utc = await open("?symbol=NOPE&interval=5m", rows);
  await comes("a symbol that a query names and that is not here is told", utc.tab.waitForFunction(() =>
    /no minute of this symbol is here/.test(document.getElementById("about").textContent)));
  check(await utc.tab.evaluate(() => location.search + location.hash) === "#s=NOPE&interval=5m", "and the query is a view",
    await utc.tab.evaluate(() => location.search + location.hash));
  check(await utc.tab.textContent("#symbol") === "NOPE", "by its name");
  await utc.tab.evaluate(() => { location.hash = "s=WAVE"; });
  await comes("and another can be chosen", is(utc.tab, "points", MANY));
  await utc.tab.evaluate(() => { location.hash = "s=WAVE&from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z"; });
  await comes("a time that the page does not go back to is told", utc.tab.waitForFunction(() =>
    /goes back no further/.test(document.getElementById("notice").textContent)));
  // (The chart is drawn by the next frame.)
  await comes("and that nothing is in view", utc.tab.waitForFunction(() =>
    /No minute of this time/.test(document.getElementById("span").textContent)));
  await utc.tab.keyboard.press("0");
  await comes("`0` leaves it", is(utc.tab, "points", MANY));
  const said = () => utc.tab.evaluate(() => ["notice", "span-none"].map((id) => document.getElementById(id).textContent));
  await comes("and what was said of it", utc.tab.waitForFunction(() => document.getElementById("notice").offsetParent === null &&
    document.getElementById("span-none").textContent === "").catch(async (why) => { throw new Error(`${why}: ${await said()}`); }));
  check(!/here/.test(await readout(utc.tab)), "in UTC there is no second time", await readout(utc.tab));
  await utc.context.close();
}

/** That 300 minutes which are all the same are seen, as candles and as a line, at any price. */
async function flats({ open, rows, check, comes, shots }) {
  for (const price of [100, 0, 1e-9, 2.5e11]) {
    const same = rows.map((row) => ({ ...row, avg: price, open: price, high: price, low: price, close: price, vwap: price }));
    const { context, tab } = await open("#s=WAVE&shape=candles&range=1440&show=none", same, {}, { settings: { derived: [] } });
    await comes("there are flat minutes", is(tab, "inView", MANY));
    const columns = await seen(tab, "up", 250);
    check(columns >= 250, `${MANY} flat candles at ${price} are drawn`, `${columns} columns`);
    if (price === 100) await shots(tab, "flat");
    await tab.keyboard.press("k");
    check(await seen(tab, "final", 600) >= 600, "and as a line");
    await context.close();
  }
}
