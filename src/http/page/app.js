// The live page: joins the stream, what is known of the market, and what is on the screen.
//
//   Stream: hello, rows, marks, status, reset -> Market -> what changed -> one animation frame -> stage, list, panels
//
// Nothing is drawn but in an animation frame that a change asked for: the chart at most 25 times a second, the list and
// the head four times. A hidden page draws nothing. A new run or a `reset` loads everything anew.

import { FIRST_RANGE, hashOf, readAddress, writeAddress } from "./address.js";
import { INTERVALS, fits } from "./candles.js";
import { Detail, showSpan } from "./detail.js";
import { attribute, choice, data, find, text } from "./dom.js";
import { duration, moment, visible, whole } from "./format.js";
import { Groups, groupName } from "./groups.js";
import { listen } from "./hands.js";
import { SymbolList, areAll } from "./list.js";
import { Market, get, isRefused } from "./market.js";
import { Movers } from "./movers.js";
import { MOST_LINES, readPalette, theme, toggleTheme, watchTheme } from "./palette.js";
import { panels } from "./panels.js";
import { schedule } from "./schedule.js";
import { LEAST, MOST } from "./span.js";
import { Stage } from "./stage.js";
import { Stream } from "./stream.js";

const EVERY_MS = { order: 2000, head: 250, chart: 40, list: 250, panels: 250, movers: 1000, groups: 1000, table: 250, detail: 250, spoken: 20_000 };

const market = new Market();
const view = { mode: "line", range: FIRST_RANGE, from: null, to: null, interval: null, show: null, minute: null, explain: false, order: "movers",
  compare: false, hover: null, query: "" };
const stage = new Stage(market, view, { remove: (symbol) => choose(symbol, true), show: (names) => look("show", names) });
const detail = new Detail(stage, { close: () => openMinute(null), explain: explainMinute });
const list = new SymbolList(find("symbol-list"), find("search"),
  { choose, shown: wantSparks, recent: (entry) => market.recent(entry) });
const movers = new Movers((query) => get("/api/movers", query), () => market.settings.window_ms);
const groups = new Groups((query) => get("/api/groups", query), { loaded: () => {
  market.refreshGroups().then(() => {
    if (stage.isGroup || market.chosen.some((key) => groupName(key) !== null)) changed("chart", "head", "table", "detail");
  }).catch(trouble);
} });
let palette = readPalette();

// --- when to draw ----------------------------------------------------------------------------------------------------

const drawers = {
  order: drawOrder,
  list: drawList,
  panels: drawPanels,
  movers: () => movers.draw(market.settings.derived ?? [], `${market.run} ${market.marks.w}`, performance.now()),
  groups: () => groups.draw(market.settings.groups === true, `${market.run} ${market.marks.w}`, performance.now(),
    market.settings.window_ms),
  head: () => stage.head(),
  table: () => stage.table(),
  detail: () => {
    detail.draw();
    showSpan(stage);
  },
  spoken: () => stage.speak(),
  chart: () => { if (stage.draw(palette)) changed("chart"); },
};
const { changed, changedNow } = schedule(drawers, EVERY_MS);

function drawList() {
  const color = (share) => share > 0 ? palette.up : share < 0 ? palette.down : palette.muted;
  list.draw({ change: (entry) => market.change(entry), chosen: market.chosen, theme: theme(), color });
}

const byName = new Intl.Collator("en", { numeric: true }).compare;

function drawOrder() {
  const query = view.query.toLowerCase(), key = `${view.order} ${query}`, root = find("symbol-list");
  const found = new Map([...market.entries].filter(([symbol, entry]) => entry.known && groupName(symbol) === null && symbol.toLowerCase().includes(query)));
  let entries = [...found.values()];
  const ranks = { movers: (entry) => Math.abs(market.change(entry)) || 0, active: (entry) => market.activity(entry) };
  const rank = ranks[view.order], first = (a, b) => b[0] - a[0];
  if (rank) entries = entries.map((entry) => [rank(entry), entry]).sort(first).map(([, entry]) => entry);
  else entries.sort((a, b) => byName(a.symbol, b.symbol));
  // under a hand that is about to choose, rows keep their places
  const busy = root.matches(":hover, :focus-visible") && list.order === key && areAll(list.items, found);
  if (!busy) list.setItems(entries, key);
  find("symbol-none").hidden = entries.length > 0 || query === "";
  text(find("symbol-none"), `No symbol has “${visible(view.query)}” in its name.`);
  const held = whole(market.held), more = market.total - market.held;
  const many = query ? `${whole(entries.length)} of ${held} symbols`
    : `${held} symbols${more > 0 ? `, ${whole(more)} more by search` : ""}`;
  text(find("symbol-count"), `${many}: average, change over ${duration(market.span)}`);
}

function drawPanels() {
  const { status } = market;
  if (!status) return;
  const windowMs = status.settings.window_ms, many = status.partitions.length, lead = find("lead");
  const length = windowMs === 60_000 ? "one-minute" : duration(windowMs);
  text(lead, `Exact ${length} averages of ${whole(market.total)} symbols ` +
    `from ${many === 1 ? "1 partition" : `${whole(many)} partitions`} of ${visible(status.source)}`);
  attribute(lead, "title", `job ${status.job}, version ${status.version}, ${status.workers} workers, ` +
    `running for ${duration(market.now() - status.started)}`);
  for (const button of find("range").children) {
    text(button, duration(Number(button.dataset.value) * windowMs).replace(/^1 d$/, "24 h"));
  }
  for (const button of find("interval").children) {
    const ms = INTERVALS.find(([name]) => name === button.dataset.value)?.[1];
    button.hidden = button.disabled = ms !== undefined && !fits(ms, windowMs);
    text(button, duration(ms ?? windowMs));
  }
  text(find("order").firstElementChild, `Top movers, ${duration(market.span)}`);
  panels(status, market.now());
}

// --- the stream ------------------------------------------------------------------------------------------------------

const handlers = {
  hello({ id, status }) {
    market.takeStatus(status);
    if (id !== market.run) {
      market.run = id;
      load();
    }
    changedNow("panels", "head", "chart", "list");
  },
  rows({ rows }) {
    rows.forEach((row) => market.takeRow(row));
    if (market.chosen.length === 0 && market.loaded) chooseFirst();
    const shown = rows.some(([symbol]) => market.chosen.includes(symbol));
    changed("list", "order", ...(shown ? ["chart", "head", "table", "detail", "spoken"] : []));
  },
  marks(marks) {
    market.takeMarks(marks);
    changed("chart", "head", "table", "detail", "movers", "groups");
  },
  lost(rows) {
    market.takeLost(rows);
    changed("order", "list", "chart", "head", "table");
    clearTimeout(lost); // they may come in a row: a log is read faster than it can be shown
    lost = setTimeout(() => {
      market.forgetHistories();
      loadChosen();
      changed("list");
    }, 3000);
  },
  status(status) {
    market.takeStatus(status);
    changed("panels", "detail", "movers", "groups", ...(market.chosen.length === 0 ? ["head"] : [])); // why there is no symbol
  },
  reset: load,
};

let lost = 0, nextTry = 0, refused = null;
function showConnection(state, wait, refusal = null) {
  nextTry = performance.now() + wait;
  refused = refusal;
  data(document.body, "connection", state);
  if (state === "resting") document.title = "minutely (paused)"; // a tab's figure must not look like today's
  connectionText();
}

function connectionText() {
  const left = Math.max(0, Math.ceil((nextTry - performance.now()) / 1000));
  const token = refused?.status === 401;
  const words = { live: "Live", connecting: "Connecting…", waiting: `Reconnecting in ${left} s`,
    refused: token ? "Token needed" : "Refused", resting: "Paused" };
  text(find("connection").lastElementChild, words[document.body.dataset.connection]);
  const hint = token ? "Open this page with /?token=… once" : refused?.message ?? "Connect now";
  attribute(find("connection"), "title", hint);
}

/** Everything anew, from the server's memory; what the stream brings meanwhile is kept. */
async function load() {
  market.clear();
  try {
    await market.loadSymbols("");
    market.loaded = true;
    drawOrder();
    const { symbols } = readAddress(location.hash, MOST_LINES);
    if (market.chosen.length > 0) setChosen(market.chosen);
    else if (symbols.length > 0) showAddress();
    else chooseFirst();
  } catch (error) {
    trouble(error);
  }
}

let troubles = 0;
/**
 * A failed answer means that the server is going or gone: a new connection, later each time, loads all anew. A refusal is
 * told, for the same question will be refused again.
 */
function trouble(error) {
  if (isRefused(error)) return notice(`The server refuses what this page asked: ${error.message}`);
  console.info(`not loaded, tried again with a new connection: ${error.message}`);
  setTimeout(() => {
    market.run = null;
    stream.restart();
  }, Math.min(30_000, 1000 * 2 ** troubles));
  troubles += 1;
  return undefined;
}

function notice(words) {
  text(find("notice"), words);
  find("notice").hidden = words === "";
}

const sparks = new Set(); // symbols whose sparkline is to be loaded
function wantSparks(symbols) {
  if (sparks.size === 0) {
    setTimeout(() => {
      const wanted = [...sparks].slice(0, 40);
      sparks.clear();
      market.loadHistory(wanted, "spark").catch(trouble).finally(() => changed("list"));
    }, 150);
  }
  symbols.forEach((symbol) => sparks.add(symbol));
}

// --- choosing --------------------------------------------------------------------------------------------------------

function choose(symbol, add) {
  const { chosen } = market;
  if (!add && !view.compare) setChosen([symbol], true);
  else if (!chosen.includes(symbol)) setChosen([...chosen.slice(0, MOST_LINES - 1), symbol], true);
  else if (chosen.length > 1) setChosen(chosen.filter((other) => other !== symbol), true);
}

/** Shows these symbols; `byHand`: somebody chose them. */
function setChosen(symbols, byHand = false) {
  market.choose(symbols);
  view.hover = null;
  notice("");
  const several = symbols.length > 1 || symbols.some((key) => groupName(key) !== null), candles = find("shape").lastElementChild;
  candles.disabled = several;
  attribute(candles, "title", several ? "Candles are of one symbol" : "Candles (k)");
  if (byHand) view.minute = null; // it was another symbol's
  shape.show(several ? "line" : view.mode);
  remember(byHand);
  loadChosen();
}

/** Writes the view into the address; what somebody chose is a new entry of the history, so that Back shows the one before. */
function remember(byHand) {
  const address = writeAddress({ symbols: market.chosen, ...view });
  if (address === location.hash) return;
  history[byHand ? "pushState" : "replaceState"](null, "", location.pathname + address);
}

/** Shows what the address names: at the start, after Back, and when somebody has changed it. */
function showAddress() {
  const { symbols, ...named } = readAddress(location.hash, MOST_LINES);
  if (symbols.length === 0) return remember(false); // a link within the page
  Object.assign(view, named, { compare: symbols.length > 1 });
  showChoices();
  attribute(find("compare"), "aria-pressed", view.compare);
  return setChosen(symbols);
}

function loadChosen() {
  const show = () => changedNow("chart", "head", "list", "table", "detail", "spoken");
  const load = market.loadHistory(market.chosen, "all").then(() => { troubles = 0; }).then(loadView);
  load.catch(trouble).finally(show);
  show();
}

/** What the view shows and the page has not: it may begin long before what is there at first. */
async function loadView() {
  const { end, window, interval } = stage.facts(), first = end - MOST * window;
  if (!Number.isFinite(end)) return;
  const from = view.to === null ? end - Math.max(view.range * window, LEAST * interval) : view.from;
  const old = view.to !== null && view.to <= first;
  if (old) notice(`This view ends before ${moment(first, null)} UTC, and the page goes back no further: see /api/minutes`);
  else await market.loadSince(market.chosen, Math.floor(Math.max(from, first) / interval) * interval);
}

function chooseFirst() {
  if (list.items.length === 0) drawOrder();
  if (list.items.length > 0) setChosen([list.items[0].symbol]);
}

let searching = 0;
function search(query) {
  view.query = query;
  find("search").value = query;
  find("symbol-list").scrollTop = 0;
  drawOrder(); // at once: Enter may be the next key
  changedNow("list");
  clearTimeout(searching);
  if (market.total <= market.entries.size) return;
  searching = setTimeout(() => { // not all are here: the server knows the others
    market.loadSymbols(query).then(() => changedNow("order", "list"), trouble);
  }, 200);
}

// --- hands -----------------------------------------------------------------------------------------------------------

const canvas = find("chart");
function look(part, value) {
  view[part] = value;
  remember(true);
  changedNow("chart", "detail");
}

const shape = choice(find("shape"), (value) => look("mode", value));
const range = choice(find("range"), (value) => {
  setView({ range: Number(value), from: null, to: null });
  remember(true);
});
const interval = choice(find("interval"), (value) => {
  look("interval", value === "" ? null : value);
  loadChosen();
});

function showChoices() {
  range.show(view.to === null ? view.range : "");
  interval.show(view.interval ?? "");
}

let moved = 0;
/** Another span of time: shown at once, loaded once the hand rests, and remembered unless it holds on: a drag is one step of the history, however slow. */
function setView(span, held = false) {
  Object.assign(view, span);
  notice(""); // what was said of the one before
  showChoices();
  changedNow("chart", "detail");
  clearTimeout(moved);
  moved = setTimeout(() => {
    if (!held) remember(true);
    loadChosen();
  }, 250);
}

/** Explains the minute that is open from its log, or ends that. */
function explainMinute() {
  if (view.minute !== null && !find("explain").hidden) look("explain", !view.explain);
}

/** Shows all that is known of a minute, or ends that. */
function openMinute(minute) {
  if (minute === null || minute === view.minute) view.explain = false;
  look("minute", minute === view.minute ? null : minute);
  if (minute === null) canvas.focus();
}

function nextInterval() {
  const buttons = [...find("interval").children].filter(({ hidden }) => !hidden);
  const at = buttons.findIndex((button) => button.dataset.value === (view.interval ?? ""));
  interval.pick(buttons[(at + 1) % buttons.length].dataset.value);
}
choice(find("order"), (value) => {
  view.order = value;
  find("symbol-list").scrollTop = 0;
  changedNow("order", "list");
});

function toggleCompare() {
  view.compare = !view.compare;
  attribute(find("compare"), "aria-pressed", view.compare);
  if (!view.compare && market.chosen.length > 1) setChosen(market.chosen.slice(0, 1), true);
}

function hover(move) {
  move();
  changed("chart");
}

function themed() {
  palette = readPalette();
  changedNow("chart", "list");
}

find("search").addEventListener("input", (event) => search(event.target.value));
find("search").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") list.move(event.key === "ArrowDown" ? 1 : -1);
  else if (event.key === "Enter") list.pick(event.shiftKey);
  else if (event.key === "Escape") {
    search("");
    find("symbol-list").focus();
  } else return;
  event.preventDefault();
});
find("compare").addEventListener("click", toggleCompare);
find("connection").addEventListener("click", () => stream.now());
find("help").addEventListener("click", () => find("keys").showModal());
find("setting").addEventListener("input", (event) => {
  event.target.touched = true;
  changedNow("panels");
});
find("live").addEventListener("click", () => keys[0]());
const zoom = listen(stage, { view: setView, hover, open: openMinute });

const keys = {
  "/": () => find("search").focus(),
  "?": () => find("keys").showModal(),
  c: toggleCompare,
  k: () => { if (market.chosen.length < 2) shape.pick(view.mode === "line" ? "candles" : "line"); },
  t: () => { toggleTheme(); themed(); },
  i: nextInterval,
  e: explainMinute,
  "+": zoom.closer,
  "=": zoom.closer, // the key of + without Shift
  "-": zoom.farther,
  0: () => range.pick(FIRST_RANGE),
  1: () => range.pick(60),
  2: () => range.pick(240),
  3: () => range.pick(1440),
};
document.addEventListener("keydown", (event) => {
  const typing = /** @type {Element} */ (event.target).matches("input[type=search]") || find("keys").open;
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  keys[event.key]();
});

// a token has done its work, and a view has one place
if (location.search) history.replaceState(null, "", location.pathname + (location.hash || hashOf(location.search)));
watchTheme(themed);
window.addEventListener("popstate", () => { if (market.loaded) showAddress(); });
new ResizeObserver(() => changed("chart")).observe(canvas);
let asked = { minute: null, at: 0 };
setInterval(() => { // ages grow
  connectionText();
  if (document.hidden) return;
  changed("panels");
  const now = performance.now();
  if (!market.loaded || asked.minute === market.newest || now - asked.at < 10_000) return;
  asked = { minute: market.newest, at: now }; // a change of what is out of view is measured anew with each minute
  if ([...market.entries.values()].some(({ history }) => history === "none" || history === "refused")) {
    market.loadSymbols("").then(() => changed("order"), trouble);
  }
}, 1000);
const stream = new Stream("/api/stream", { event: (name, body) => handlers[name]?.(body), state: showConnection });
