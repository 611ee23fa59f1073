// Drives the live page in a real Chromium against a server that is running, as a user would, and fails with what is
// wrong.
//
//   npm install --no-package-lock && node page.mjs http://127.0.0.1:8080/ [SHOTS]
//
// SHOTS is a folder for pictures at 1280 and 390 pixels, light and dark. From the environment: CHROMIUM
// (/usr/bin/chromium); PAGE_SYMBOL, a symbol the source holds and that would be harmful as markup (looked for with
// `q=<` otherwise); PAGE_STRAGGLER, one whose ticks often come for minutes that are closed; WAIT_S (90), the time in
// which a minute must become final: the server's window and lateness must be short (2 s and 4 s, say); PATIENCE (1), by
// how much longer than usual everything may take, for a machine that is busy. Chromium's sandbox is off for root alone.
// Prints a line for each thing that holds, and the time of the first paint (1 s at most, if nothing else runs: PATIENCE 1).

import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { visible } from "../../src/http/page/format.js";
import { views } from "./views.mjs";

const { chromium } = createRequire(import.meta.url)("playwright-core"); // so that it may be where NODE_PATH says
const [base = process.env.PAGE_URL, shots] = process.argv.slice(2);
const patience = Number(process.env.PATIENCE ?? 1), waitMs = 1000 * patience * Number(process.env.WAIT_S ?? 90);
const ORDER = { partial: 0, open: 0, closed: 1, final: 2 };
if (!base) {
  console.error("usage: node page.mjs URL [SHOTS]");
  process.exit(64);
}

function check(holds, what, detail = "") {
  if (!holds) throw new Error(`not so: ${what}${detail === "" ? "" : ` (${detail})`}`);
  console.log(`ok: ${what}${detail === "" ? "" : ` (${detail})`}`);
}

/** Waits for `waiting`, and says what did not come true in time. */
async function comes(what, waiting) {
  try {
    await waiting;
  } catch (error) {
    throw new Error(`not so: ${what} (${error.message.split("\n")[0]})`);
  }
  console.log(`ok: ${what}`);
}

/** A new tab that writes down every error, violation and dialog of the page into `troubles`. */
async function open(browser, options, troubles, url = base) {
  const context = await browser.newContext(options), tab = await context.newPage();
  tab.setDefaultTimeout(30_000 * patience);
  tab.on("pageerror", (error) => troubles.push(`error: ${error.message}`));
  tab.on("console", (message) => { if (message.type() === "error" ||
    message.type() === "warning") troubles.push(`console: ${message.text()}`); });
  tab.on("dialog", (dialog) => { troubles.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  tab.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) troubles.push(`foreign request: ${request.url()}`);
  });
  await tab.addInitScript(() => document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`CSP ${event.violatedDirective} ${event.blockedURI}`)));
  const answer = await tab.goto(url);
  if (!answer.ok()) throw new Error(`${base} answers ${answer.status()}`);
  await comes("the page is live", tab.waitForSelector("body[data-connection=live]", { timeout: 15_000 * patience }));
  await comes("there are minutes", tab.waitForFunction(() =>
    Number(document.getElementById("chart").dataset.points) > 1));
  return { context, tab, answer };
}

const chartFacts = (tab) => tab.evaluate(() => ({ ...document.getElementById("chart").dataset }));
/** The newest average becomes another. */
async function moves(tab) {
  const { lastValue } = await chartFacts(tab);
  await tab.waitForFunction((value) => document.getElementById("chart").dataset.lastValue !== value, lastValue,
    { timeout: 20_000 * patience });
}

const states = (tab) => tab.evaluate(() => [...document.querySelectorAll("#minutes tbody tr")].map((row) =>
  [Number(row.dataset.minute), row.dataset.state]));

/** A minute that is seen open, then closed, then final; and no minute ever goes back. */
async function life(tab) {
  const seen = new Map(), until = Date.now() + waitMs;
  while (Date.now() < until) {
    for (const [minute, state] of await states(tab)) {
      const past = seen.get(minute) ?? [];
      if (past.at(-1) === state) continue;
      if (ORDER[state] < ORDER[past.at(-1)]) throw new Error(`minute ${minute} went from ${past.at(-1)} to ${state}`);
      seen.set(minute, [...past, state]);
      if ([...past, state].join() === "open,closed,final") return new Date(minute).toISOString();
    }
    await tab.waitForTimeout(50);
  }
  throw new Error(`no minute went open, closed, final within ${waitMs} ms: ${JSON.stringify([...seen])}`);
}

/** That a symbol with markup in it is shown as it is written. */
async function hostile(tab) {
  const symbol = process.env.PAGE_SYMBOL ?? await tab.evaluate(async () =>
    (await (await fetch("/api/symbols?q=%3C&limit=1")).json()).symbols[0]?.symbol);
  if (symbol === undefined) return console.log("skipped: the source has no symbol with markup in it");
  await tab.fill("#search", symbol);
  const shown = visible(symbol);
  await comes("the search finds it", tab.waitForFunction((name) =>
    document.querySelector("#symbol-list .row:not([hidden]) .name")?.textContent === name, shown));
  await tab.press("#search", "Enter");
  await comes("its name is the title", tab.waitForFunction((name) =>
    document.getElementById("symbol").textContent === name, shown));
  const made = await tab.locator("main img, main script, main iframe, #symbol *, #symbol-list .name *").count();
  check(made === 0, "a symbol with markup is text", shown);
  check(!/\p{Bidi_Control}/u.test(await tab.title() + await tab.evaluate(() => document.body.innerText)),
    "and nothing turns the text around");
}

/** That an address is a view: of what it names, also of what is not there; and that Back shows the one before. */
async function links(browser, troubles) {
  const { context, tab } = await open(browser, { viewport: { width: 1280, height: 800 } }, troubles);
  const { symbols } = await tab.evaluate(async () => (await fetch("/api/symbols?limit=1000")).json());
  const [one, two] = symbols.map(({ symbol }) => symbol).filter((symbol) => /^[A-Z]+$/.test(symbol)).slice(0, 2);
  const shows = (what, id, wanted) => comes(what, tab.waitForFunction(([name, text]) =>
    document.getElementById(name).textContent.includes(text), [id, wanted]));
  const checked = () => tab.evaluate(() => ["shape", "range"].map((id) =>
    document.querySelector(`#${id} [aria-checked=true]`).dataset.value).join());
  const hash = () => tab.evaluate(() => location.hash);
  await tab.goto("about:blank");
  await tab.goto(`${base}#s=NOPE`);
  await shows("a symbol that is not here is told", "about", "no minute of this symbol is here");
  check(await tab.locator("#symbol-list .row[data-symbol=NOPE]:not([hidden])").count() === 0, "and not in the list");
  await tab.evaluate((symbol) => { location.hash = `s=${symbol}`; }, one);
  await shows("an address that is changed is followed", "symbol", one);
  await tab.keyboard.press("k");
  await tab.keyboard.press("3");
  check(await hash() === `#s=${one}&shape=candles&range=1440`, "the address names the view", await hash());
  await tab.reload();
  await shows("a view is there again when it is loaded again", "symbol", one);
  check(await checked() === "candles,1440", "with its shape and range", await checked());
  await tab.goBack();
  await comes("Back shows the one before", tab.waitForFunction(() =>
    document.querySelector("#range [aria-checked=true]").dataset.value === "60"));
  check(await checked() === "candles,60", "and no other", await checked());
  const linked = () => tab.evaluate(async () => {
    const { from, to, symbol } = document.getElementById("chart").dataset, link = document.getElementById("export-csv");
    const [head, ...rows] = (await (await fetch(link.getAttribute("href"))).text()).trim().split("\n").map((line) => line.split(","));
    const minutes = rows.map((row) => Date.parse(row[head.indexOf("minute")]));
    return { head: head.join(), rows: rows.length, symbols: [...new Set(rows.map((row) => row[head.indexOf("symbol")]))].join(), symbol,
      within: minutes.every((minute) => minute >= Number(from) && minute < Number(to)) };
  });
  let file = await linked();
  for (let tries = 1; !file.within && tries < 20; tries++) file = await linked(); // the view moves on while the file is fetched
  check(file.rows > 0 && file.within && file.symbols === file.symbol, "the CSV that is linked has what is in view", JSON.stringify(file));
  const derived = await tab.evaluate(async () => (await (await fetch("/api/status")).json()).settings.derived);
  check(derived.every((name) => file.head.includes(name)) && derived.includes("sma5"), "with the derived columns", derived.join());
  await comes("which are switches with values", tab.waitForFunction(() => /sma5[\d.,]+/.test(document.getElementById("derived").textContent)));
  await tab.goto(`${base}#s=${one}&s=${two}&shape=candles`);
  for (const symbol of [one, two]) await shows("the line of figures has each compared symbol", "readout", symbol);
  check(await checked() === "line,60" && await tab.isDisabled("#shape [data-value=candles]"),
    "which are lines and not candles", await checked());
  await tab.fill("#search", "zzzz");
  await comes("a search without an answer says so", tab.waitForSelector("#symbol-none:not([hidden])"));
  await context.close();
}

/** That candles without height are seen however narrow they are, and that what the server refuses is told. */
async function flat(browser) {
  const status = await (await fetch(new URL("/api/status", base))).json(), windowMs = 60_000, many = 240;
  status.settings = { ...status.settings, window_ms: windowMs, lateness_ms: windowMs, metrics: "market" };
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } }), tab = await context.newPage();
  let refused = 0;
  const rows = Array.from({ length: many }, (_, n) => n).map((n) => [n * windowMs, n % 20 === 0 ? 101 : 100]).map(([minute, v]) =>
    ({ symbol: "FLAT", minute, state: "final", count: 1, sum: String(v), avg: v, open: v, high: v, low: v, close: v,
      volume: "0", vwap: null }));
  const symbols = ["FLAT", "BAD"].map((symbol) => ({ symbol, minute: rows.at(-1).minute, state: "final", last: 100, avg: 100,
    count: 1, first_minute: 0, first: 100, change: 0, volume: "0" }));
  await tab.route("**/api/symbols?*", (route) => route.fulfill({ json: { symbols, total: symbols.length } }));
  await tab.route("**/api/minutes?*", (route) => new URL(route.request().url()).searchParams.getAll("symbol").includes("BAD")
    ? (refused += 1, route.fulfill({ status: 400, json: { error: "no such parameter" } }))
    : route.fulfill({ json: { rows, next: null } }));
  await tab.route("**/api/stream", (route) => route.fulfill({ contentType: "text/event-stream",
    body: `id: x-1\nevent: hello\ndata: ${JSON.stringify({ id: "x", status })}\n\n` }));
  await tab.goto(`${base}#s=FLAT&shape=candles&range=240`);
  await comes("there are flat candles", tab.waitForFunction((n) =>
    Number(document.getElementById("chart").dataset.points) === n, many));
  await comes("each is drawn", tab.waitForFunction((least) => {
    const canvas = document.getElementById("chart"), c = canvas.getContext("2d");
    const probe = document.body.appendChild(document.createElement("span"));
    probe.style.color = "var(--up)";
    const [r, g, b] = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
    probe.remove();
    const { data, width, height } = c.getImageData(0, 0, canvas.width - 75, Math.round(canvas.height * 0.8));
    let columns = 0;
    for (let x = 0; x < width; x += 1) {
      for (let y = 0; y < height; y += 1) {
        const at = 4 * (y * width + x), far = (n, v) => Math.abs(data[at + n] - v) > 60;
        if (data[at + 3] < 40 || far(0, r) || far(1, g) || far(2, b)) continue;
        columns += 1;
        break;
      }
    }
    return columns >= least;
  }, many));
  await comes("what the server refuses is told", tab.waitForSelector("#notice:not([hidden])"));
  const notice = await tab.textContent("#notice");
  check(/refuses/.test(notice) && /no such parameter/.test(notice), "with its reason", notice);
  const asked = refused;
  await comes("the page goes on", tab.waitForFunction((draws) =>
    Number(document.getElementById("chart").dataset.draws) > draws, Number((await chartFacts(tab)).draws)));
  check(refused === asked, "and does not ask again", `${refused}`);
  check(await tab.locator("#symbol-list .row[data-symbol=FLAT]").count() === 1, "and the rest stays");
  await context.close();
}

/** That risers and fallers of the newest final minute come, and that a link shows one of them. */
async function movers(tab) {
  const column = await tab.evaluate(async () => (await (await fetch("/api/status")).json()).settings.derived.find((name) => /^chg/.test(name)));
  if (column === undefined) return console.log("skipped: the run has no change column");
  const there = () => document.querySelectorAll("#risers li, #fallers li").length > 0;
  await comes("risers or fallers are listed", tab.waitForFunction(there, null, { timeout: waitMs }));
  const { largest, state } = await tab.evaluate(async (by) => (await fetch(`/api/movers?by=${by}&top=1000`)).json(), column);
  check(state === "final" && largest.length > 1 && largest.every(({ value }, n) => n === 0 || value <= largest[n - 1].value),
    "and the server's are of a final minute, the largest first", `${largest.length} rows`);
  const symbol = await tab.evaluate(() => {
    const link = /** @type {HTMLAnchorElement} */ (document.querySelector("#risers a, #fallers a"));
    link.click();
    return link.textContent;
  });
  await comes("a link shows its symbol", tab.waitForFunction((name) => document.getElementById("symbol").textContent === name, symbol));
}

/** That the newest rows of groups come, and that a link shows one of them, which grows as minutes become final. */
async function groups(tab) {
  const there = await tab.evaluate(async () => (await (await fetch("/api/status")).json()).settings.groups);
  if (!there) return console.log("skipped: the run has no groups");
  await comes("groups are listed", tab.waitForFunction(() => document.querySelectorAll("#group-list li").length > 0, null, { timeout: waitMs }));
  const name = await tab.evaluate(() => {
    const link = /** @type {HTMLAnchorElement} */ (document.querySelector("#group-list a"));
    link.click();
    return link.textContent;
  });
  await comes("a link shows its group", tab.waitForFunction((wanted) =>
    document.getElementById("symbol").textContent === `${wanted} (group)`, name));
  const points = () => Number(document.getElementById("chart").dataset.points);
  await comes("with its minutes", tab.waitForFunction(() => Number(document.getElementById("chart").dataset.points) > 1, null, { timeout: waitMs }));
  const many = await tab.evaluate(points);
  await comes("and more come", tab.waitForFunction((before) =>
    Number(document.getElementById("chart").dataset.points) > before, many, { timeout: waitMs }));
  return undefined;
}

/** That a tick for a closed minute corrects it, and that the page says so. */
async function corrected(tab) {
  const symbol = process.env.PAGE_STRAGGLER;
  if (symbol === undefined) return console.log("skipped: no symbol is said to have stragglers");
  await tab.fill("#search", symbol);
  await tab.press("#search", "Enter");
  await comes("a straggler corrects a closed minute", tab.waitForFunction(() =>
    /\d+ corrected by .*stragglers?: \S+ → \S+$/.test(document.getElementById("correction").textContent), null,
      { timeout: waitMs }));
  console.log(`    ${await tab.textContent("#correction")}`);
}

/** That a page whose connection is cut says so, comes back by itself, and goes on: through a proxy that can be cut. */
async function reconnects(browser) {
  const { hostname, port } = new URL(base), sockets = new Set(), troubles = [];
  let cut = false;
  const proxy = createServer((socket) => {
    if (cut) return socket.destroy();
    const server = connect(Number(port || 80), hostname);
    for (const [one, other] of [[socket, server], [server, socket]]) {
      sockets.add(one);
      one.on("error", () => other.destroy()).on("close", () => other.destroy()).pipe(other);
    }
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const { context, tab } = await open(browser, {}, troubles, `http://127.0.0.1:${proxy.address().port}/`);
  cut = true;
  for (const socket of sockets) socket.destroy();
  await comes("a cut connection is noticed", tab.waitForSelector("body[data-connection=waiting]",
    { timeout: 10_000 * patience }));
  check(/Reconnecting/.test(await tab.textContent("#connection")), "and shown", await tab.textContent("#connection"));
  await tab.waitForTimeout(2000); // more than one try fails
  cut = false;
  await comes("the page comes back by itself", tab.waitForSelector("body[data-connection=live]",
    { timeout: 40_000 * patience }));
  await comes("and goes on", moves(tab));
  await context.close();
  for (const socket of sockets) socket.destroy();
  proxy.close();
}

/** That a page which nobody sees gives its connection back, and goes on when it is seen. */
async function rests(browser, troubles) {
  const { context, tab } = await open(browser, {}, troubles);
  const hide = (hidden) => tab.evaluate((now) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => now });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  await hide(true);
  await comes("a hidden page rests", tab.waitForSelector("body[data-connection=resting]"));
  check(/paused/.test(await tab.title()), "and says so", await tab.title());
  await hide(false);
  await comes("one that is seen again is live", tab.waitForSelector("body[data-connection=live]"));
  await comes("and goes on", moves(tab));
  await context.close();
}

/** What is shown when things are amiss: by a stream that is made up, for no run here is so. */
async function amiss(browser) {
  const status = await (await fetch(new URL("/api/status", base))).json();
  const context = await browser.newContext(), tab = await context.newPage();
  const unread = status.partitions.map((p) => ({ ...p, h: null, next: p.start, read: 0, events: 0, gaps: 0, counted: 0, late: 0 }));
  let run = "one", told = { ...status, state: null, checkpoint: null, concerns: ["topic 'ticks' may be compacted"], w: null,
    partitions: unread, open_minute: null,
    sinks: [{ name: "influxdb", begun: 3, stored: 3, line: null, trouble: null, unwritable: 512 }] };
  await tab.route("**/api/symbols?*", (route) => route.fulfill({ json: { symbols: [], total: 0 } }));
  await tab.route("**/api/stream", (route) => told === null ? route.abort() : route.fulfill({
    contentType: "text/event-stream",
    body: `id: ${run}-1\nevent: hello\ndata: ${JSON.stringify({ id: run, status: told })}\n\n` }));
  await tab.goto(base);
  const says = (what, id, text) => comes(what, tab.waitForFunction(([name, wanted]) =>
    document.getElementById(name).textContent.includes(wanted), [id, text]));
  await says("an empty log is waited for", "symbol", "Waiting for the first record");
  await says("that no state is kept is said", "checkpoint-age", "none kept");
  await says("and at the top", "saved", "none kept");
  await says("what an operator should know of the source is a notice", "notices", "Topic 'ticks' may be compacted.");
  await says("points that were refused are told", "sinks", "512 points refused, see unwritable.jsonl");
  await says("that nothing was read is said of a log that was not read", "why-sentence", "Nothing has been read yet.");
  check(await tab.isHidden("#alarm") && await tab.isHidden("#nothing"), "no alarm yet");
  const rejected = { reason: "null", field: "/t", count: 812, first: "partition t/0, offset 7: /t: found <b>no</b> such field",
    advice: "--time-field says which field that is" };
  const none = unread.map((p) => ({ ...p, next: p.start + 7, read: 7, events: 7, rejected: 7, skipped: 0, quarantined: 0 }));
  told = { ...told, partitions: none, dead_letters: { ...status.dead_letters, rejected: [rejected] }, nothing_counts: { why: "rejected",
    text: `NOTHING COUNTS: all 812 records that were read were rejected: null /t ×812, first ${rejected.first}` } };
  await comes("that nothing counts is a banner", tab.waitForSelector("#nothing:not([hidden])"));
  await says("with a headline", "nothing-headline", "NOTHING COUNTS");
  await says("with the reason and the first example, as text", "nothing-sentence", "null /t ×812, first partition t/0, offset 7: /t: found <b>no");
  await says("and it does not say that nothing was read", "why-sentence", "and none counts:");
  await says("nor that a record is waited for", "symbol", "Nothing counts");
  const size = await tab.evaluate(() => document.getElementById("nothing").getBoundingClientRect());
  check(size.width > 300 && size.top < 300, "where it cannot be overlooked", `${size.width} px wide, ${size.top} px from the top`);
  told = { ...told, nothing_counts: { why: "skipped", text: "nothing matches --where: all 7 records that were read are skipped" } };
  await comes("a log that --where skips is no alarm", tab.waitForSelector("#nothing", { state: "hidden" }));
  await says("but a notice", "notices", "Nothing matches --where");
  told = { ...told, nothing_counts: null, partitions: status.partitions,
    ledger: { ...status.ledger, events: status.ledger.events + 1, balances: false } };
  await comes("a ledger that does not balance is seen", tab.waitForSelector("#ledger[data-balances=false]"));
  told = null;
  await comes("its run goes", tab.waitForSelector("body[data-connection=waiting]"));
  await comes("what it said turns grey, but for the ledger", tab.waitForFunction(() =>
    ["ledger", "balance", "partitions"].filter((id) => getComputedStyle(document.getElementById(id)).filter !== "none")
      .join() === "partitions"));
  check(await tab.isVisible("#alarm"), "and the alarm stays red");
  [run, told] = ["two", { ...status, concerns: [] }];
  await comes("another run takes its place", tab.waitForSelector("#ledger[data-balances=true]"));
  await says("and does not hide what was", "alarm", "1 record missing");
  check(await tab.isVisible("#alarm"), "which stays");
  check(await tab.isHidden("#notices"), "a notice goes with what it said");
  await context.close();
}

/** That what the server alone has comes from there: changes of symbols of which not all rows are here, lost rows. */
async function measures(browser) {
  const status = await (await fetch(new URL("/api/status", base))).json(), minute = status.settings.window_ms;
  const context = await browser.newContext(), tab = await context.newPage();
  let asked = 0, more = "";
  await tab.route("**/api/symbols?*", (route) => {
    asked += 1; // the first minute leaves the hour, and the next had twice its average
    const symbols = Array.from({ length: 60 }, (_, n) => ({ symbol: `S${n}`, minute, state: "open", last: 1, avg: 1, count: 1,
      first_minute: 0, first: asked, change: 1 / asked - 1, volume: null }));
    return route.fulfill({ json: { symbols, total: symbols.length } });
  });
  await tab.route("**/api/minutes?*", (route) => route.fulfill({ json: { rows: [], next: null } }));
  await tab.route("**/api/stream", (route) => route.fulfill({ contentType: "text/event-stream",
    body: `id: x-1\nevent: hello\ndata: ${JSON.stringify({ id: "x", status })}\n\n${more}` }));
  await tab.goto(base);
  const list = (text) => tab.waitForFunction((wanted) =>
    document.querySelector("#symbol-list .row .change")?.textContent.trim() === wanted, text);
  await comes("the list has changes", list("0.00 %"));
  await comes("which are measured anew", list("▼ 50.00 %"));
  more = `id: x-2\nevent: lost\ndata: ${JSON.stringify({ through: minute })}\n\n`;
  await comes("rows that were lost go", list("–"));
  more = "";
  await comes("and are asked for again", tab.waitForRequest(/\/api\/minutes\?/));
  await context.close();
}

/** What is wrong with the histogram: a bar that is not as tall as it should be, numbers over one another. */
const faultyBars = (tab) => tab.evaluate(() => {
  const box = (node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return range.getBoundingClientRect();
  };
  const bars = [...document.querySelectorAll("#bars .bar")], faults = [];
  for (const bar of bars) {
    const [label, column, edge] = bar.children, { height, bottom } = column.getBoundingClientRect();
    const wrong = Math.abs(height - parseFloat(column.style.height)) > 0.5 ||
      Math.abs(bottom - edge.getBoundingClientRect().top) > 0.5;
    if (wrong) faults.push(`${label.textContent}: ${height} px to ${bottom}`);
  }
  const labels = bars.map((bar) => bar.firstChild).filter((label) => label.textContent !== "").map(box);
  const over = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3;
  labels.forEach((a, i) => { if (labels.slice(i + 1).some((b) => over(a, b))) faults.push(`label ${i} is covered`); });
  return bars.length < 2 ? "no bars" : faults.join("; ");
});

async function main() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: process.getuid() === 0 ? ["--no-sandbox"] : [] });
  const troubles = [];
  try {
    const { context, tab, answer } = await open(browser, { viewport: { width: 1280, height: 800 } }, troubles);
    const policy = answer.headers()["content-security-policy"] ?? "";
    check(/script-src 'self'/.test(policy) && !/unsafe/.test(policy), "a strict Content-Security-Policy is sent");
    const paint = await tab.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime
      ?? Infinity);
    check(patience === 1 ? paint <= 1000 : paint < Infinity, "the first paint", `${Math.round(paint)} ms`);

    const before = await chartFacts(tab);
    check(await tab.evaluate(() => {
      const canvas = document.getElementById("chart");
      return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte > 0);
    }), "the chart is drawn");
    await comes("the newest average moves", moves(tab));
    await comes("the line grows by a minute", tab.waitForFunction((minute) =>
      Number(document.getElementById("chart").dataset.lastMinute) > minute, Number(before.lastMinute),
        { timeout: waitMs }));
    const born = await life(tab);
    check(true, "a minute goes open, closed, final", born);
    const shown = await tab.evaluate(async () => {
      const { symbol } = document.getElementById("chart").dataset,
        row = document.querySelector("#minutes tbody tr[data-state=final]"),
        // (before anything is awaited: then the line may be another minute's)
        seen = [row.dataset.state, row.children[2].textContent].join(" ");
      const query = new URLSearchParams({ symbol, from: row.dataset.minute, limit: 1 });
      const { rows } = await (await fetch(`/api/minutes?${query}`)).json();
      return [seen, [rows[0].state, rows[0].avg].join(" ")];
    });
    check(shown[0] === shown[1], "a final average on the page is the server's", shown.join(" = "));

    await comes("the ledger is said to balance", tab.waitForSelector("#ledger[data-balances=true]",
      { timeout: 5000 * patience }));
    const ledger = await tab.evaluate(() =>
      Object.fromEntries([...document.querySelectorAll("#ledger [data-term]")].map((cell) =>
      [cell.dataset.term, Number(cell.textContent.replaceAll(",", ""))])));
    check(ledger.events > 0 && ledger.events === ledger.counted + ledger.late + ledger.rejected + ledger.quarantined &&
      ledger.counted === ledger.held + ledger.retired &&
      await tab.isHidden("#alarm"), "and its figures add up", `${ledger.events} records`);
    const speaks = await tab.evaluate(() =>
      [...document.querySelectorAll("output, [aria-live], [role=status], [role=alert], [role=log]")].map(({ id }) => id));
    check(speaks.sort().join() === "alarm,explain-note,nothing-headline,notices,spoken", "nothing else speaks by itself", speaks.join());
    const changed = await tab.textContent("#change");
    check(/ over \d/.test(changed), "a change says over how long it is", changed);
    check((await tab.textContent("#why-sentence")).trim().length > 5, "why a minute is open is said",
      await tab.textContent("#why-sentence"));
    check(await tab.locator("#partitions tbody tr").count() > 0 &&
      await tab.locator("#partitions tr[data-holds-w=true]").count() === 1, "one partition holds W");

    await tab.press("body", "/");
    check(await tab.evaluate(() => document.activeElement.id) === "search", "`/` goes to the search");
    const { symbols } = await tab.evaluate(async () => (await fetch("/api/symbols?limit=1000")).json());
    const wanted = symbols.at(-1).symbol;
    await tab.keyboard.insertText(wanted.toLowerCase());
    await comes("search narrows the list", tab.waitForFunction((name) => {
      const rows = [...document.querySelectorAll("#symbol-list .row:not([hidden])")];
      return rows.length > 0 && rows.every((row) => row.dataset.symbol.toLowerCase().includes(name));
    }, wanted.toLowerCase()));
    const named = await tab.evaluate(() => {
      const id = document.getElementById("search").getAttribute("aria-activedescendant");
      return [document.getElementById(id)?.dataset.active, document.querySelector("#symbol-list .row").dataset.symbol];
    });
    check(named[0] === "true", "and says which row Enter chooses", named[1]);
    await tab.press("#search", "Enter");
    await comes("Enter chooses", tab.waitForFunction(() =>
      Number(document.getElementById("chart").dataset.points) > 1 &&
      document.getElementById("symbol").textContent === document.querySelector("#symbol-list .row").dataset.symbol));
    await hostile(tab);
    await corrected(tab);
    await movers(tab);
    await groups(tab);
    await tab.fill("#search", "");
    await tab.press("#search", "Escape");
    await tab.press("#symbol-list", "Home");
    await tab.press("#symbol-list", "ArrowDown");
    await tab.press("#symbol-list", "Enter");
    await comes("arrows and Enter choose in the list", tab.waitForFunction(() =>
      document.querySelector("#symbol-list .row[data-active=true]")?.getAttribute("aria-selected") === "true"));
    await tab.press("#symbol-list", "?");
    check(await tab.isVisible("#keys"), "`?` shows the help");
    await tab.press("#keys", "Escape");
    const back = () => tab.evaluate(() => getComputedStyle(document.body).backgroundColor), was = await back();
    await tab.press("body", "t");
    check(await back() !== was, "`t` changes the theme");
    await tab.reload();
    check(await back() !== was, "the theme is kept");
    await tab.waitForSelector("body[data-connection=live]");

    await context.close();
    await reconnects(browser);
    await rests(browser, troubles);
    await amiss(browser);
    await measures(browser);
    await links(browser, troubles);
    await flat(browser);
    await views(browser, base, { check, comes });

    for (const width of [1280, 390]) {
      for (const colorScheme of ["light", "dark"]) {
        const one = await open(browser, { viewport: { width, height: width === 390 ? 844 : 800 }, colorScheme },
          troubles);
        await one.tab.waitForTimeout(1500); // for the eye alone: lines in the list
        const wide = await one.tab.evaluate(() => document.documentElement.scrollWidth);
        check(wide <= width, `nothing is wider than ${width} pixels, ${colorScheme}`, `${wide}`);
        const faults = await faultyBars(one.tab);
        check(faults === "", "the histogram's bars are as they should be", faults);
        if (shots) {
          mkdirSync(shots, { recursive: true });
          await one.tab.screenshot({ path: join(shots, `page-${width}-${colorScheme}.png`), fullPage: true });
        }
        await one.context.close();
      }
    }
    check(troubles.length === 0, "no error, no violation, no request elsewhere", troubles.slice(0, 5).join("; "));
  } catch (error) {
    for (const trouble of troubles.slice(0, 10)) console.error(`seen: ${trouble}`);
    throw error;
  } finally {
    await browser.close();
  }
}

try {
  await main();
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
