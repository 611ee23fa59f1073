// The live page: joins the stream, what is known of the market, and what is on the screen.
//
//   Stream ─ hello, rows, marks, status, reset ─> Market ─> what changed ─> one animation frame ─> chart, list, panels
//
// Nothing is drawn but in an animation frame that was asked for by a change: the chart at most 25 times a second, the list and the
// head four times, panels once. A hidden page draws nothing. A new run or a `reset` loads everything anew.

import { Chart } from "./chart.js";
import { attribute, choice, data, each, find, make, text } from "./dom.js";
import { change, clock, duration, moment, price, whole } from "./format.js";
import { SymbolList } from "./list.js";
import { Market } from "./market.js";
import { panels } from "./panels.js";
import { AVG, CLOSE, COUNT, HIGH, LOW, MINUTE, OPEN, VOLUME, VWAP, seek } from "./rows.js";
import { Stream } from "./stream.js";

const EVERY_MS = { chart: 40, list: 250, head: 250, order: 2000, panels: 250, table: 500, spoken: 20_000 };
const MOST_COMPARED = 6;
const still = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");

const market = new Market();
const chart = new Chart(find("chart"));
const list = new SymbolList(find("symbol-list"), { choose, shown: wantSparks });
const view = { mode: "line", range: 60, order: "movers", compare: false, hover: null, query: "" };
const due = new Map(); // what has changed -> when it may be drawn
const drawn = {}; // when each was last drawn
let palette = {}, font = "12px sans-serif", lineColors = [], frame = 0;

// --- when to draw -----------------------------------------------------------------------------------------------------------

function changed(...parts) {
  for (const part of parts) {
    if (!due.has(part)) due.set(part, Math.max(performance.now(), (drawn[part] ?? -Infinity) + EVERY_MS[part]));
  }
  frame ||= requestAnimationFrame(draw);
}

const drawers = { order: drawOrder, head: drawHead, chart: drawChart, list: drawList, panels: drawPanels, table: drawTable, spoken: speak };

function draw() {
  frame = 0;
  const now = performance.now();
  for (const [part, drawer] of Object.entries(drawers)) {
    if (!(due.get(part) <= now + 4)) continue; // frames come every 16 ms: rather a little early than a frame late
    due.delete(part);
    drawn[part] = now;
    drawer();
  }
  if (due.size === 0 || frame) return;
  const next = Math.min(...due.values()) - now;
  if (next < 34) frame = requestAnimationFrame(draw);
  else setTimeout(() => { frame ||= requestAnimationFrame(draw); }, next - 16);
}

// --- the stream -------------------------------------------------------------------------------------------------------------

const handlers = {
  hello({ id, status }) {
    market.takeStatus(status);
    if (id !== market.run) {
      market.run = id;
      load();
    }
    changed("panels", "chart", "list");
  },
  rows({ rows }) {
    rows.forEach((row) => market.takeRow(row));
    if (market.chosen.length === 0 && market.loaded) chooseFirst();
    const shown = rows.some(([symbol]) => market.chosen.includes(symbol));
    changed("list", "order", ...(shown ? ["chart", "head", "table", "spoken"] : []));
  },
  marks(marks) {
    market.takeMarks(marks);
    changed("chart", "head", "table");
  },
  status(status) {
    market.takeStatus(status);
    changed("panels");
  },
  reset: load,
};

let nextTry = 0;
function showConnection(state, wait) {
  nextTry = performance.now() + wait;
  data(document.body, "connection", state);
  connectionText();
}

function connectionText() {
  const state = document.body.dataset.connection, left = Math.max(0, Math.ceil((nextTry - performance.now()) / 1000));
  text(find("connection").lastElementChild, { live: "Live", connecting: "Connecting…", waiting: `Reconnecting in ${left} s`, refused: "Token needed: open /?token=…" }[state]);
}

/** Everything anew, from the server's memory; what the stream brings meanwhile is kept. */
async function load() {
  market.clear();
  try {
    await market.loadSymbols("");
    market.loaded = true;
    changed("order", "list");
    drawOrder();
    const wanted = fromAddress();
    if (market.chosen.length === 0 && wanted.length > 0) setChosen(wanted);
    else if (market.chosen.length === 0) chooseFirst();
    await market.loadHistory(market.chosen, "all");
    changed("chart", "head", "table", "list", "spoken");
  } catch (error) {
    trouble(error);
  }
}

/** A failed answer means the server is going or gone: the stream notices, and a new connection loads anew. */
function trouble(error) {
  console.info(`not loaded, tried again with the next connection: ${error.message}`);
  market.run = null;
  setTimeout(() => stream.restart(), 1000);
}

let sparksWanted = new Set();
function wantSparks(symbols) {
  if (sparksWanted.size === 0) {
    setTimeout(() => {
      const wanted = [...sparksWanted].slice(0, 40);
      sparksWanted = new Set();
      market.loadHistory(wanted, "spark").then(() => changed("list"), trouble);
    }, 150);
  }
  symbols.forEach((symbol) => sparksWanted.add(symbol));
}

// --- choosing ---------------------------------------------------------------------------------------------------------------

function choose(symbol, add) {
  const { chosen } = market;
  if (!add && !view.compare) setChosen([symbol]);
  else if (!chosen.includes(symbol)) setChosen([...chosen.slice(0, MOST_COMPARED - 1), symbol]);
  else if (chosen.length > 1) setChosen(chosen.filter((other) => other !== symbol));
}

function setChosen(symbols) {
  market.choose(symbols);
  view.hover = null;
  history.replaceState(null, "", `#${symbols.map((symbol) => `s=${encodeURIComponent(symbol)}`).join("&")}`);
  market.loadHistory(symbols, "all").then(() => changed("chart", "head", "table", "list"), trouble);
  for (const part of ["head", "list", "table", "spoken"]) delete drawn[part];
  changed("chart", "head", "list", "table", "spoken");
}

const fromAddress = () => new URLSearchParams(location.hash.slice(1)).getAll("s").slice(0, MOST_COMPARED);

function chooseFirst() {
  if (list.items.length === 0) drawOrder();
  const first = list.items[0];
  if (first) setChosen([first.symbol]);
}

let searching = 0;
find("search").addEventListener("input", (event) => {
  view.query = event.target.value.trim();
  find("symbol-list").scrollTop = 0;
  list.active = 0;
  drawOrder();
  changed("list");
  clearTimeout(searching);
  if (market.total > market.entries.size || list.items.length === 0) { // not all are here: the server knows
    searching = setTimeout(() => market.loadSymbols(view.query).then(() => { drawOrder(); changed("list"); }, trouble), 200);
  }
});
find("search").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") list.move(event.key === "ArrowDown" ? 1 : -1);
  else if (event.key === "Enter") list.pick(event.shiftKey);
  else if (event.key === "Escape") {
    event.target.value = view.query = "";
    drawOrder();
    changed("list");
    find("symbol-list").focus();
  } else return;
  event.preventDefault();
});

// --- drawing ----------------------------------------------------------------------------------------------------------------

const compareNames = new Intl.Collator("en", { numeric: true }).compare;

function drawOrder() {
  const query = view.query.toLowerCase();
  let entries = [...market.entries.values()];
  if (query) entries = entries.filter(({ symbol }) => symbol.toLowerCase().includes(query));
  const by = { movers: (entry) => Math.abs(market.change(entry)) || 0, active: (entry) => market.activity(entry) }[view.order];
  if (by) entries = entries.map((entry) => [by(entry), entry]).sort((a, b) => b[0] - a[0]).map(([, entry]) => entry);
  else entries.sort((a, b) => compareNames(a.symbol, b.symbol));
  const root = find("symbol-list"), busy = root.matches(":hover, :focus") && list.items.length === entries.length && drawn.sorted === `${view.order} ${query}`;
  if (!busy) list.setItems(entries); // under a hand that is about to choose, rows keep their places
  drawn.sorted = `${view.order} ${query}`;
  const held = market.entries.size, more = market.total - held;
  text(find("symbol-count"), query ? `${whole(entries.length)} of ${whole(held)} symbols` : `${whole(held)} symbols${more > 0 ? `, ${whole(more)} more by search` : ""}`);
}

function drawList() {
  list.draw({ change: (entry) => market.change(entry), chosen: market.chosen, theme: themeName(),
    color: (share) => share > 0 ? palette.up : share < 0 ? palette.down : palette.muted });
}

const primary = () => market.entries.get(market.chosen[0]);
const shortWindow = () => market.settings.window_ms < 60_000;

function drawHead() {
  const entry = primary(), row = entry?.rows.at(-1), { status } = market;
  text(find("symbol"), market.chosen[0] ?? (status ? "Waiting for the first record" : "–"));
  text(find("value"), row ? price(row[AVG]) : "");
  const share = entry ? market.change(entry) : NaN;
  text(find("change"), row ? change(share) : "");
  data(find("change"), "direction", share > 0 ? "up" : share < 0 ? "down" : "none");
  if (row) {
    const state = market.state(row[MINUTE]);
    text(find("about"), `average of ${clock(row[MINUTE], shortWindow())} UTC ${state === "open" ? "so far" : `(${state})`}, ${whole(row[COUNT])} ticks`);
  } else text(find("about"), "");
  document.title = row ? `${price(row[AVG])} ${market.chosen[0]} – minutely` : "minutely";
  const tallies = { final: 0, closed: 0, open: 0, partial: 0 };
  for (const one of entry?.rows ?? []) tallies[market.state(one[MINUTE])] += 1;
  for (const item of find("legend").children) {
    text(item.lastElementChild, whole(tallies[item.dataset.state]));
    data(item, "none", tallies[item.dataset.state] === 0);
  }
  const fix = entry?.corrected;
  if (!fix) text(find("correction"), "");
  else {
    const more = fix.row[COUNT] - fix.before[COUNT];
    text(find("correction"), `· ${clock(fix.row[MINUTE], shortWindow())} corrected by ${more === 1 ? "a straggler" : `${whole(more)} stragglers`}: ` +
      `${price(fix.before[AVG])} → ${price(fix.row[AVG])}`);
  }
  drawChosen();
}

function drawChosen() {
  const many = market.chosen.length > 1;
  find("chosen").hidden = !many;
  each(find("chosen"), many ? market.chosen : [], () => {
    const button = make("button", "plain", make("i", "swatch"), make("bdi"), make("span", "", " ×"));
    button.type = "button";
    button.addEventListener("click", () => choose(button.symbol, true));
    return make("li", "", button);
  }, (item, symbol, i) => {
    const button = item.firstChild;
    button.symbol = symbol;
    text(button.children[1], symbol);
    attribute(button, "aria-label", `Remove ${symbol}`);
    attribute(button.firstChild, "data-color", i);
  });
}

function extent(rows) {
  const { window_ms: windowMs } = market.settings, ends = market.chosen.map((symbol) => market.entries.get(symbol)?.rows.at(-1)?.[MINUTE] ?? -Infinity);
  const to = Math.max(...ends) + windowMs, begins = rows.length > 0 ? rows[0][MINUTE] : to;
  return { from: Math.min(Math.max(to - view.range * windowMs, begins), to - 10 * windowMs), to };
}

function drawChart() {
  const canvas = find("chart"), entry = primary();
  const rows = entry?.rows ?? [], relative = market.chosen.length > 1;
  const flashes = entry ? market.flashes(entry, still.matches) : new Map();
  const hasMarket = market.settings.metrics === "market";
  data(document.body, "metrics", market.settings.metrics);
  if (rows.length > 0) {
    chart.draw({ ...extent(rows), series: market.chosen.map((symbol, i) => ({ name: symbol, rows: market.entries.get(symbol)?.rows ?? [], color: lineColors[i] })),
      marks: market.marks, settings: market.settings, mode: hasMarket ? view.mode : "line", relative, volume: hasMarket && !relative, hover: view.hover, flashes, palette, font });
  }
  const newest = rows.at(-1);
  data(canvas, "symbol", market.chosen[0] ?? "");
  data(canvas, "lastMinute", newest?.[MINUTE] ?? "");
  data(canvas, "lastValue", newest?.[AVG] ?? "");
  data(canvas, "state", newest ? market.state(newest[MINUTE]) : "");
  data(canvas, "points", rows.length);
  canvas.dataset.draws = String(Number(canvas.dataset.draws ?? 0) + 1);
  drawReadout(rows);
  if (flashes.size > 0) changed("chart");
}

function drawReadout(rows) {
  const row = view.hover === null ? rows.at(-1) : rows[seek(rows, view.hover)];
  const parts = !row || (view.hover !== null && row[MINUTE] !== view.hover) ? [["", "no tick in this minute"]] : [
    ["", `${moment(row[MINUTE], market.newest, shortWindow())} UTC`], ["avg", price(row[AVG])],
    ...(row[OPEN] === null || row[OPEN] === undefined ? [] : [["O", price(row[OPEN])], ["H", price(row[HIGH])], ["L", price(row[LOW])], ["C", price(row[CLOSE])],
      ["vwap", price(row[VWAP])], ["vol", whole(row[VOLUME])]]),
    ["ticks", whole(row[COUNT])], ["", market.state(row[MINUTE])]];
  if (rows.length === 0) parts.length = 0;
  each(find("readout"), parts, () => make("span", "", make("small"), make("b")), (item, [name, value]) => {
    text(item.firstChild, name);
    text(item.lastChild, value);
  });
}

function drawTable() {
  const rows = (primary()?.rows ?? []).slice(-10).reverse();
  each(find("minutes").tBodies[0], rows, () => make("tr", "", make("th"), make("td"), make("td"), make("td")), (item, row) => {
    const state = market.state(row[MINUTE]);
    data(item, "minute", row[MINUTE]);
    data(item, "state", state);
    [clock(row[MINUTE], shortWindow()), state, String(row[AVG]), whole(row[COUNT])].forEach((value, i) => text(item.children[i], value));
  });
}

function speak() {
  const entry = primary(), row = entry?.rows.at(-1);
  if (row) text(find("spoken"), `${entry.symbol}: average ${price(row[AVG])}, minute ${clock(row[MINUTE], shortWindow())} ${market.state(row[MINUTE])}, ${change(market.change(entry)).trim()}`);
}

function drawPanels() {
  const { status } = market;
  if (!status) return;
  const names = status.partitions.length === 1 ? "1 partition" : `${status.partitions.length} partitions`;
  text(find("lead"), `Exact one-${status.settings.window_ms === 60_000 ? "minute" : "window"} averages of ${whole(market.total)} symbols from ${names} of ${status.source}`);
  find("lead").title = `job ${status.job}, version ${status.version}, ${status.workers} workers, running for ${duration(market.now() - status.started)}`;
  for (const button of find("range").children) text(button, duration(Number(button.dataset.value) * status.settings.window_ms).replace(/^1 d$/, "24 h"));
  panels(status, market.now());
}

setInterval(() => {
  connectionText();
  if (!document.hidden) changed("panels");
}, 1000);

// --- hands ------------------------------------------------------------------------------------------------------------------

const checkShape = choice(find("shape"), (value) => { view.mode = value; changed("chart"); });
const checkRange = choice(find("range"), (value) => { view.range = Number(value); changed("chart"); });
choice(find("order"), (value) => {
  view.order = value;
  find("symbol-list").scrollTop = 0;
  drawOrder();
  changed("list");
});

function setShape(value) {
  view.mode = value;
  checkShape(value);
  changed("chart");
}

function toggleCompare() {
  view.compare = !view.compare;
  attribute(find("compare"), "aria-pressed", view.compare);
  if (!view.compare && market.chosen.length > 1) setChosen(market.chosen.slice(0, 1));
}

find("compare").addEventListener("click", toggleCompare);
find("connection").addEventListener("click", () => stream.now());
find("help").addEventListener("click", () => find("keys").showModal());
find("setting").addEventListener("input", (event) => { event.target.touched = true; delete drawn.panels; changed("panels"); });

function hover(minute) {
  view.hover = minute;
  changed("chart");
}

find("chart").addEventListener("pointermove", (event) => hover(chart.minuteAt(event.clientX - find("chart").getBoundingClientRect().left)));
find("chart").addEventListener("pointerleave", () => hover(null));
find("chart").addEventListener("blur", () => hover(null));
find("chart").addEventListener("keydown", (event) => {
  const rows = primary()?.rows ?? [], step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
  if (step === undefined || rows.length === 0) return;
  event.preventDefault();
  const first = seek(rows, extent(rows).from), at = view.hover === null ? rows.length : seek(rows, view.hover);
  hover(rows[Math.max(first, Math.min(rows.length - 1, at + step))][MINUTE]);
  drawReadout(rows);
  text(find("spoken"), find("readout").innerText);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input[type=search]") || find("keys").open) return;
  const range = find("range").children[Number(event.key) - 1];
  if (event.key === "/") find("search").focus();
  else if (event.key === "?") find("keys").showModal();
  else if (event.key === "t") toggleTheme();
  else if (event.key === "c") toggleCompare();
  else if (event.key === "k" && market.settings.metrics === "market") setShape(view.mode === "line" ? "candles" : "line");
  else if (range) {
    view.range = Number(range.dataset.value);
    checkRange(range.dataset.value);
    changed("chart");
  } else return;
  event.preventDefault();
});

// --- theme ------------------------------------------------------------------------------------------------------------------

const themeName = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");

function toggleTheme() {
  const next = themeName() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("minutely-theme", next);
  } catch { /* no storage: it lasts as long as the page */ }
  readPalette();
}

/** The canvas's colours are those of style.css, resolved by the browser. */
function readPalette() {
  const probe = make("span");
  document.body.append(probe);
  const color = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  palette = { grid: color("grid"), rule: color("rule-strong"), muted: color("muted"), openBand: color("open-band"), flash: color("flash"), panel: color("panel"),
    onColor: color("on-color"), areaTop: color("area-top"), areaBottom: color("area-bottom"), up: color("up"), down: color("down"), upSoft: color("up-soft"),
    downSoft: color("down-soft"), final: color("final"), closed: color("final"), open: color("open"), partial: color("partial") };
  lineColors = Array.from({ length: MOST_COMPARED }, (_, i) => color(`line-${i}`));
  probe.remove();
  font = `12px ${getComputedStyle(document.body).fontFamily}`;
  changed("chart", "list");
}

find("theme").addEventListener("click", toggleTheme);
dark.addEventListener("change", readPalette);
new ResizeObserver(() => changed("chart")).observe(find("chart"));
readPalette();

const stream = new Stream("/api/stream", {
  event: (name, body) => handlers[name]?.(body),
  state: showConnection,
});
