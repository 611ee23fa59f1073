// All that the server has of one minute (or of the minutes of a candle), and the dead letters that would have belonged to it;
// and the links that export what is in view.
//
// The figures are asked of /api/minutes, for a row of the stream has no exact sum; asked again when the row has changed. Which
// records a minute was made of is not kept: explain.js asks for what the log says of them.

import { addDecimals } from "./decimal.js";
import { attribute, each, find, make, text } from "./dom.js";
import { Explain } from "./explain.js";
import { beside, clock, duration, moment, visible, whole } from "./format.js";
import { groupName, named } from "./groups.js";
import { seek, MINUTE } from "./rows.js";
import { lettersOf, placeOf } from "./sentences.js";

const AGAIN_MS = 1000;

/** The query for the minutes of these from `from` to `to`, ms, as `more` says: of the symbols, or of groups where all are groups. */
export function minutesOf(keys, from, to, more) {
  const symbols = keys.filter((key) => groupName(key) === null), groups = keys.map(groupName).filter((name) => name !== null);
  const query = symbols.length > 0 ? symbols.map((symbol) => ["symbol", symbol]) : groups.map((name) => ["group", name]);
  return `${symbols.length > 0 || groups.length === 0 ? "/api/minutes" : "/api/groups/minutes"}?${new URLSearchParams([...query, ["from", String(from)], ["to", String(to)], ...more])}`;
}

/** Name and text of each figure of `rows`, as /api/minutes has them: one row, or the minutes of a candle. */
export function figuresOf(rows, derived) {
  const last = rows.at(-1), first = rows[0], count = rows.reduce((all, row) => all + row.count, 0);
  const parts = [["ticks", whole(count)], ["sum", addDecimals(rows.map(({ sum }) => sum))]];
  if (rows.length === 1) parts.push(["average", String(last.avg)]);
  else parts.unshift(["minutes with a row", whole(rows.length)]);
  if (typeof last.open === "number") {
    const volumes = rows.map(({ volume }) => volume).filter((volume) => volume !== null);
    parts.push(["open", String(first.open)], ["high", String(Math.max(...rows.map(({ high }) => high)))],
      ["low", String(Math.min(...rows.map(({ low }) => low)))], ["close", String(last.close)],
      ["volume", volumes.length > 0 ? addDecimals(volumes) : "–"]);
    if (rows.length === 1) parts.push(["vwap", last.vwap === null ? "–" : String(last.vwap)]);
  }
  for (const name of derived) parts.push([name, last[name] === null || last[name] === undefined ? "–" : String(last[name])]);
  return parts;
}

export class Detail {
  /** `stage` is whose minute it is; `on.close()` when somebody closes it, `on.explain()` when it is to be explained, or no more. */
  constructor(stage, on) {
    this.stage = stage;
    this.asked = { key: "", at: 0 };
    this.rows = null;
    this.why = ""; // the server did not answer
    this.explain = new Explain(() => on.explain());
    find("detail-close").addEventListener("click", () => on.close());
  }

  /** Shows what is open in the view, or nothing. */
  draw() {
    const { stage } = this, { market, view } = stage, [symbol] = market.chosen, root = find("detail");
    root.hidden = view.minute === null || symbol === undefined;
    if (root.hidden) return this.explain.draw(null, false);
    const { window, interval } = stage.facts(), from = Math.floor(view.minute / interval) * interval, to = from + interval;
    const { rows } = stage, mine = rows.slice(seek(rows, from), seek(rows, to)), state = market.state(from, interval);
    const key = JSON.stringify([symbol, from, to, state, mine.map((row) => row.slice(MINUTE))]);
    this.ask(key, symbol, from, to);
    const local = beside(from, window < 60_000), long = interval === window ? "" : `, ${duration(interval)}`;
    text(find("detail-title"), `${named(symbol)}, ${moment(from, null, window < 60_000)} UTC${local === "" ? "" : `, ${local}`}${long}`);
    const derived = stage.columns();
    const parts = this.rows === null || this.rows.length === 0 ? [] : figuresOf(this.rows, derived);
    if (parts.length > 0) parts.unshift(["state", state]);
    each(find("detail").querySelector("dl"), parts, () => make("div", "", make("dt"), make("dd")), (item, [name, value]) => {
      text(item.firstChild, name);
      text(item.lastChild, value);
    });
    this.letters(symbol, from, to, window);
    this.explain.draw(interval === window ? { symbol, minute: from, state } : null, view.explain);
  }

  /** Asks for the rows, unless these are here. */
  ask(key, symbol, from, to) {
    const now = performance.now(), other = this.asked.key !== key;
    if (!other || (this.rows !== null && this.asked.of === `${symbol} ${from} ${to}` && now - this.asked.at < AGAIN_MS)) return;
    if (this.asked.of !== `${symbol} ${from} ${to}`) this.rows = null;
    const asked = { key, of: `${symbol} ${from} ${to}`, at: now };
    this.asked = asked;
    const take = (rows, why) => {
      if (this.asked !== asked) return;
      [this.rows, this.why] = [rows ?? this.rows, why];
      this.draw();
    };
    fetch(minutesOf([symbol], from, to, [["limit", "10000"]]), { cache: "no-store" })
      .then(async (answer) => {
        const { rows, error } = await answer.json();
        take(answer.ok ? rows : null, answer.ok ? "" : error ?? `HTTP ${answer.status}`);
      }).catch(({ message }) => take(null, message));
  }

  letters(symbol, from, to, window) {
    const { status } = this.stage.market, { within, near } = lettersOf(status, symbol, from, to, window), all = [...within, ...near];
    const none = this.rows?.length === 0 ? "No record counts in this minute. " : this.why === "" ? "" : `Not loaded: ${this.why}. `;
    const newest = `the newest ${whole(status?.dead_letters.recent.length ?? 0)} dead letters`;
    const many = all.length === 0 ? `None of ${newest} is of this symbol and time.`
      : `Of ${newest}, ${whole(within.length)} of this symbol and time, and ${whole(near.length)} of the windows beside it.`;
    const letters = groupName(symbol) === null ? many : "Made of the final rows of its members; dead letters are of symbols.";
    text(find("detail-note"), `${none}${letters}`);
    each(find("detail-letters"), all, () => make("li", "", make("span", "tag"), " ", make("bdi")), (item, one) => {
      text(item.firstChild, one.reason);
      const what = one.found ?? one.value ?? "";
      text(item.lastChild, `${visible(one.partition)}, offset ${placeOf(one)}, event time ${clock(one.event_time, true)}` +
        `${what === "" ? "" : `: ${visible(what)}`}`);
    });
  }
}

/** Says what is in view, and where it can be had as a file. */
export function showSpan(stage) {
  const { market, view } = stage, { from, to } = stage.extent(), { window, interval } = stage.facts();
  find("span").hidden = !Number.isFinite(from);
  if (find("span").hidden) return;
  const seconds = window < 60_000, day = clock(from, false, true) === clock(to, false, true);
  const ends = day ? clock(to, seconds) : moment(to, null, seconds);
  text(find("span-text"), `${moment(from, null, seconds)} to ${ends} UTC, ${duration(to - from)}` +
    `${interval === window ? "" : ` in candles of ${duration(interval)}`}.`);
  const rows = stage.drawn(market.chosen[0]), none = rows.length > 0 && seek(rows, from) === seek(rows, to);
  text(find("span-none"), none ? "No minute of this time is here." : "");
  find("live").hidden = view.to === null;
  attribute(find("export-csv"), "href", minutesOf(market.chosen, from, to, [["format", "csv"]]));
  attribute(find("export-json"), "href", minutesOf(market.chosen, from, to, [["limit", "10000"]]));
  attribute(find("export-json"), "title", "The rows in view, at most 10,000: `next` says where more begin");
}
