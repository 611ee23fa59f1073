// What the page knows of the market: the newest rows of each symbol, and the marks that give each its state.
//
// Memory is flat: the chosen symbols keep KEPT minutes, or as many as a view has asked for, others SPARK if they were ever in
// view, else a few; and beyond MOST symbols those that moved longest ago go. A row of history never replaces one that counts
// more ticks: the stream may have been faster than the answer.

import { fromGroup, groupName } from "./groups.js";
import { COUNT, MINUTE, OPEN, AVG, SYMBOL, VOLUME, fromHistory, fromStream, merge, put, seek, stateOf } from "./rows.js";

export const KEPT = 1440, SPARK = 60, FEW = 2, SLACK = 8; // SPARK: also what changes are over, as on the server
const MOST = 2000, FLASH_MS = 1600, PAGE_ROWS = 5000;
const MOST_NAMED = 256, MOST_ADDRESS = 8000; // symbols of one question, and letters of their names: the server takes thrice as many

/** The refusal of a question that will be refused again: 4xx, but for "too slow" and "too often". */
export const isRefused = ({ status }) => status >= 400 && status < 500 && status !== 408 && status !== 429;

/** What a server says of an answer that is not good: {status, message}. */
export async function failure(response) {
  const { error } = await response.json().catch(() => ({}));
  return Object.assign(new Error(error ?? `HTTP ${response.status}`), { status: response.status });
}

/** The answer of the server; throws what it says of one that is not good. */
export async function get(path, query) {
  const parameters = new URLSearchParams(query);
  const response = await fetch(`${path}?${parameters}`, { cache: "no-store" });
  if (!response.ok) throw await failure(response);
  return response.json();
}

/** `symbols` in parts that a question has room for. */
function parts(symbols) {
  const all = [];
  let room = 0;
  for (const symbol of symbols) {
    const long = encodeURIComponent(symbol).length;
    if (long > room || all.at(-1).length === MOST_NAMED) [room] = [MOST_ADDRESS, all.push([])];
    all.at(-1).push(symbol);
    room -= long;
  }
  return all;
}

const hasHistory = ({ history }) => history === "spark" || history === "all";

export class Market {
  constructor() {
    this.run = null;
    this.loaded = false; // the first answer of all symbols is there
    this.status = null;
    this.skew = 0; // the server's clock less ours, ms
    this.marks = { w: null, partial_before: null, line: null };
    this.settled = -Infinity; // W of a second ago: what comes for a minute before it is a straggler
    this.chosen = [];
    this.clear();
  }

  clear() {
    this.entries = new Map(); // by symbol, as `entry` makes them
    this.held = 0; // those of which there is a row
    this.total = 0; // and those that the server has
    this.newest = null; // the newest minute of any symbol
    this.generation = (this.generation ?? 0) + 1;
    this.settled = -Infinity;
  }

  get settings() {
    return this.status?.settings ?? { window_ms: 60_000, lateness_ms: 600_000, metrics: "avg" };
  }

  now() {
    return Date.now() + this.skew;
  }

  takeStatus(status) {
    this.status = status;
    this.skew = status.now - Date.now();
    this.settled = Math.max(this.settled, this.marks.w ?? -Infinity);
    this.marks = { w: status.w, partial_before: status.partial_before, line: status.line };
  }

  takeMarks(marks) {
    this.marks = marks;
  }

  /** Rows up to this minute may not be the newest any more: they go, as they went from the server's memory. */
  takeLost({ through }) {
    for (const [key, entry] of this.entries) {
      if (groupName(key) !== null) continue; // they come by another way
      if (entry.first !== null && entry.first.minute <= through) entry.first = null;
      const many = seek(entry.rows, through + 1);
      if (many === 0) continue;
      entry.rows.splice(0, many);
      this.touch(entry, -Infinity);
    }
  }

  /** What was lost may be in the server's sink: histories are asked for again when they are needed. */
  forgetHistories() {
    for (const entry of this.entries.values()) entry.history = "none";
  }

  /** The state of the minute, or of a candle of `length` ms, that begins at `minute`. */
  state(minute, length = this.settings.window_ms) {
    return stateOf(minute, this.marks, { ...this.settings, window_ms: length });
  }

  entry(symbol) {
    let entry = this.entries.get(symbol);
    if (!entry) {
      // `first`: {minute, avg} that the server measured its change from, which may be older than all rows here;
      // `history`: "none", "spark" or "all" of it was asked for, or the server refuses it ("refused"); `known`: true once
      // there was a row of it, false once the server has said that there is none; `flashes`: minute -> when a straggler corrected it;
      // `corrected`: the last such correction; `depth`: how many windows it keeps while it is chosen, `since`: from when on its
      // minutes were asked for; `stale`: the first minute that has changed since somebody made candles of it
      entry = { symbol, rows: [], first: null, version: 0, history: "none", known: null, flashes: new Map(), corrected: null,
        depth: KEPT, since: Infinity, stale: -Infinity };
      this.entries.set(symbol, entry);
      if (this.entries.size > MOST * 1.1) this.evict();
    }
    return entry;
  }

  /** There is a row of it. */
  found(entry) {
    if (entry.known !== true && groupName(entry.symbol) === null) this.held += 1;
    entry.known = true;
    this.total = Math.max(this.total, this.held);
  }

  evict() {
    const moved = (entry) => entry.rows.at(-1)?.[MINUTE] ?? 0;
    const old = [...this.entries.values()].sort((a, b) => moved(a) - moved(b));
    for (const entry of old.slice(0, this.entries.size - MOST)) {
      if (this.chosen.includes(entry.symbol)) continue;
      this.entries.delete(entry.symbol);
      if (entry.known === true && groupName(entry.symbol) === null) this.held -= 1;
    }
  }

  /** The rows of `entry` have changed from `minute` on. */
  touch(entry, minute) {
    entry.version += 1;
    entry.stale = Math.min(entry.stale, minute);
  }

  /** A row of the stream. */
  takeRow(given) {
    const row = fromStream(given), entry = this.entry(row[SYMBOL]), before = put(entry.rows, row);
    this.touch(entry, row[MINUTE]);
    this.found(entry);
    if (this.newest === null || row[MINUTE] > this.newest) this.newest = row[MINUTE];
    const straggler = before && before[COUNT] !== row[COUNT] && row[MINUTE] + this.settings.window_ms <= this.settled;
    if (straggler && this.chosen.includes(row[SYMBOL])) {
      entry.flashes.set(row[MINUTE], performance.now());
      entry.corrected = { before, row };
    }
    if (before === null) this.trim(entry);
  }

  trim(entry) {
    const unseen = hasHistory(entry) ? SPARK : FEW, most = this.chosen.includes(entry.symbol) ? entry.depth : unseen;
    if (entry.rows.length <= most + SLACK) return;
    entry.rows.splice(0, entry.rows.length - most);
    entry.stale = -Infinity;
  }

  choose(symbols) {
    const before = this.chosen;
    this.chosen = symbols;
    for (const symbol of before) {
      const entry = this.entries.get(symbol);
      if (!entry || symbols.includes(symbol)) continue;
      entry.history = entry.history === "all" ? "spark" : entry.history;
      Object.assign(entry, { depth: KEPT, since: Infinity });
      entry.flashes.clear();
      this.trim(entry);
    }
  }

  /** How strongly each minute of `entry` that a straggler just corrected is lit, 1 to 0; forgets those that are out. */
  flashes(entry, still) {
    const lit = new Map();
    for (const [minute, at] of entry.flashes) {
      const age = (performance.now() - at) / FLASH_MS;
      if (age >= 1) entry.flashes.delete(minute);
      else lit.set(minute, still ? 1 : 1 - age);
    }
    return lit;
  }

  /** How long sparklines are, and changes are over at most, ms of event time. */
  get span() {
    return SPARK * this.settings.window_ms;
  }

  /** The rows of the last windows of `entry`, the newest included: what its sparkline shows. */
  recent({ rows }) {
    return rows.length === 0 ? rows : rows.slice(seek(rows, rows.at(-1)[MINUTE] + this.settings.window_ms - this.span));
  }

  /**
   * {minute, avg} that the change of `entry` is measured from, null without rows: the first of its recent rows. So it
   * hangs on the symbol's rows alone, not on when this page came; where they are not all here, the server's stands in.
   */
  base(entry) {
    const [row] = this.recent(entry), { first, rows } = entry;
    if (!row) return null;
    const oldest = rows.at(-1)[MINUTE] + this.settings.window_ms - this.span;
    const given = first !== null && first.minute < row[MINUTE] && (first.minute >= oldest || !hasHistory(entry));
    return given ? first : { minute: row[MINUTE], avg: row[AVG] };
  }

  /** From the average of that to the newest, as a share. */
  change(entry) {
    const base = this.base(entry);
    return base === null || base.avg === 0 ? NaN : (entry.rows.at(-1)[AVG] - base.avg) / Math.abs(base.avg);
  }

  activity(entry) {
    const row = entry.rows.at(-1);
    return row ? (row[MINUTE] === this.newest ? 1e15 : 0) + (row[VOLUME] ?? row[COUNT]) : 0;
  }

  /**
   * The symbols that match `query`, from the server: all of them for a page that has just come, or one that searches.
   */
  async loadSymbols(query) {
    const { generation } = this;
    const { symbols, total } = await get("/api/symbols", { q: query, limit: MOST });
    if (generation !== this.generation) return;
    if (query === "") this.total = total;
    for (const one of symbols) {
      const entry = this.entry(one.symbol);
      this.found(entry);
      entry.first = { minute: one.first_minute, avg: one.first };
      if (this.newest === null || one.minute > this.newest) this.newest = one.minute;
      if (entry.rows.length === 0) {
        entry.rows.push(fromHistory({ ...one, close: one.last }));
        this.touch(entry, one.minute);
      }
    }
  }

  /**
   * The minutes of `symbols` that the page may show and has not: all that it keeps ("all"), or a sparkline's ("spark").
   * A symbol that the server refuses is not asked for again; that is thrown once all others are here.
   */
  async loadHistory(symbols, depth) {
    const wanted = symbols.filter((symbol) => ![depth, "all", "refused"].includes(this.entry(symbol).history));
    if (wanted.length === 0 || this.newest === null) return;
    wanted.forEach((symbol) => { this.entry(symbol).history = depth; });
    const groups = wanted.filter((key) => groupName(key) !== null);
    const all = [...parts(wanted.filter((key) => groupName(key) === null)), ...groups.map((key) => [key])];
    let refusal = null;
    for (const [n, some] of all.entries()) {
      try {
        await this.loadSome(some, depth);
      } catch (error) {
        refusal = error;
        if (isRefused(error)) continue;
        all.slice(n + 1).flat().forEach((symbol) => { this.entry(symbol).history = "none"; });
        break;
      }
    }
    if (refusal !== null) throw refusal;
  }

  /** The minutes from `from` on (ms) of chosen symbols that have less: a view goes so far back. */
  async loadSince(symbols, from) {
    const { window_ms: windowMs } = this.settings, { generation } = this;
    const less = symbols.map((symbol) => this.entry(symbol)).filter(({ history, since }) => history === "all" && from < since);
    for (const entry of less) {
      const to = entry.since;
      entry.since = from;
      entry.depth = Math.max(entry.depth, Math.ceil((this.newest - from) / windowMs) + 1);
      try {
        await this.loadRows([entry.symbol], from, to);
      } catch (error) {
        if (generation === this.generation) entry.since = Math.max(entry.since, to);
        throw error;
      }
    }
  }

  /** What has come of the chosen groups since they were loaded. */
  async refreshGroups() {
    for (const key of this.chosen.filter((one) => groupName(one) !== null)) {
      const { history, rows } = this.entry(key);
      const from = rows.at(-1)?.[MINUTE] ?? this.newest - KEPT * this.settings.window_ms;
      if (history === "all" && this.newest !== null) await this.loadRows([key], from, Infinity);
    }
  }

  /** The minutes from `from` to `to` (not included), ms, of all that are wanted: symbols, or one group. */
  async loadRows(wanted, from, to) {
    const { generation } = this, derived = this.settings.derived ?? [], group = groupName(wanted[0]);
    const path = group === null ? "/api/minutes" : "/api/groups/minutes";
    const names = group === null ? wanted.map((symbol) => ["symbol", symbol]) : [["group", group]];
    let cursor = null;
    do {
      const query = [...names, ["from", from], ["limit", PAGE_ROWS]];
      if (to !== Infinity) query.push(["to", to]);
      if (cursor !== null) query.push(["cursor", cursor]);
      const { rows, next } = await get(path, query);
      if (generation !== this.generation) return;
      this.takeHistories(rows.map((row) => group === null ? fromHistory(row, derived) : fromGroup(row)));
      cursor = next ?? null;
    } while (cursor !== null);
  }

  async loadSome(wanted, depth) {
    const { generation } = this;
    const from = this.newest - (depth === "all" ? KEPT : SPARK) * this.settings.window_ms;
    try {
      if (depth === "all") wanted.forEach((symbol) => { this.entry(symbol).since = from; });
      await this.loadRows(wanted, from, Infinity);
      if (generation !== this.generation) return;
      wanted.forEach((symbol) => { this.entry(symbol).known ??= false; });
    } catch (error) {
      if (generation !== this.generation) return;
      if (isRefused(error) && wanted.length > 1) { // one of them alone may be the reason
        let last = null;
        for (const symbol of wanted) await this.loadSome([symbol], depth).catch((other) => { last = other; });
        if (last === null) return;
        throw last;
      }
      // asked again when it is needed again, unless that is in vain
      wanted.forEach((symbol) => { this.entry(symbol).history = isRefused(error) ? "refused" : "none"; });
      throw error;
    }
  }

  /** Rows of /api/minutes, in the order of minutes. */
  takeHistories(rows) {
    const newer = (before, row) => before[COUNT] > row[COUNT] || (before[COUNT] === row[COUNT] && before[OPEN] !== null);
    const bySymbol = new Map();
    for (const row of rows) {
      if (!bySymbol.has(row[SYMBOL])) bySymbol.set(row[SYMBOL], []);
      bySymbol.get(row[SYMBOL]).push(row);
    }
    for (const [symbol, some] of bySymbol) {
      const entry = this.entry(symbol);
      entry.rows = merge(entry.rows, some, newer);
      this.found(entry);
      this.touch(entry, some[0][MINUTE]);
      this.trim(entry);
    }
  }
}
