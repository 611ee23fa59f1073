// The chosen symbols: head, chart, the line of figures under the pointer, and the table and sentence for screen
// readers.

import { Candles, intervalMs } from "./candles.js";
import { Chart } from "./chart.js";
import { attribute, data, each, find, make, text } from "./dom.js";
import { beside, change, clock, duration, moment, price, several, whole } from "./format.js";
import { GROUP_COLUMNS, groupName, named } from "./groups.js";
import { numbersOf, overlays, shownOf } from "./overlay.js";
import { AVG, CLOSE, COUNT, HIGH, LOW, MINUTE, OPEN, VOLUME, VWAP, derivedOf, seek } from "./rows.js";
import { noSymbol } from "./sentences.js";
import { extentOf } from "./span.js";

const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Stage {
  /**
   * `view`: {mode: "line" | "candles", range (windows), from, to, interval, show, hover: minute | null}, as address.js has
   * them. `on.remove(symbol)` ends a comparison with it, `on.show(names)` chooses derived lines.
   */
  constructor(market, view, on) {
    this.market = market;
    this.view = view;
    this.on = on;
    this.candles = new Map(); // symbol -> Candles
    this.chart = new Chart(find("chart"));
  }

  /** The first of the chosen symbols; undefined before there is one. */
  get entry() {
    return this.market.entries.get(this.market.chosen[0]);
  }

  get rows() {
    return this.entry?.rows ?? [];
  }

  /** Is a group the first that is chosen? */
  get isGroup() {
    const [first] = this.market.chosen;
    return first !== undefined && groupName(first) !== null;
  }

  /** The names of the derived values of the first that is chosen. */
  columns() {
    return this.isGroup ? GROUP_COLUMNS : this.market.settings.derived ?? [];
  }

  clock(minute) {
    return clock(minute, this.market.settings.window_ms < 60_000);
  }

  head() {
    const { market, entry } = this, row = this.rows.at(-1), share = entry ? market.change(entry) : NaN;
    const [chosen] = market.chosen, shown = chosen === undefined ? null : named(chosen);
    text(find("symbol"), shown ?? noSymbol(market.status ?? null));
    attribute(find("chart"), "aria-label", `Chart of ${market.chosen.map(named).join(", ")}; arrow keys read it minute by minute`);
    text(find("value"), row ? price(row[AVG]) : "");
    text(find("change"), row ? this.changed() : "");
    data(find("change"), "direction", share > 0 ? "up" : share < 0 ? "down" : "none");
    if (!document.hidden) document.title = row ? `${price(row[AVG])} ${shown} – minutely` : "minutely";
    const state = row ? market.state(row[MINUTE]) : "", so = state === "open" ? "so far" : `(${state})`;
    const none = entry?.known === false ? `no minute of this ${this.isGroup ? "group" : "symbol"} is here: it is not in the log, or older than what is kept`
      : "";
    text(find("about"), row ? `average of ${this.clock(row[MINUTE])} UTC ${so}, ${several(row[COUNT], "tick")}` : none);
    this.legend();
    this.correction(entry?.corrected);
    this.compared();
  }

  /** The change, and over how long it is: less than an hour where there are no rows so old. */
  changed() {
    const { market, entry } = this, over = entry.rows.at(-1)[MINUTE] - market.base(entry).minute;
    return `${change(market.change(entry))} over ${duration(over + market.settings.window_ms)}`;
  }

  legend() {
    const tallies = { final: 0, closed: 0, open: 0, partial: 0 };
    for (const row of this.rows) tallies[this.market.state(row[MINUTE])] += 1;
    for (const item of find("legend").children) text(item.lastElementChild, whole(tallies[item.dataset.state]));
  }

  correction(fix) {
    if (!fix) return text(find("correction"), "");
    const more = fix.row[COUNT] - fix.before[COUNT], by = more === 1 ? "a straggler" : `${whole(more)} stragglers`;
    const [was, is] = [price(fix.before[AVG]), price(fix.row[AVG])];
    const what = was === is ? `still ${is}, to the last digit shown` : `${was} → ${is}`;
    return text(find("correction"), `· ${this.clock(fix.row[MINUTE])} corrected by ${by}: ${what}`);
  }

  compared() {
    const { chosen } = this.market, many = chosen.length > 1;
    find("chosen").hidden = !many;
    each(find("chosen"), many ? chosen : [], () => {
      const button = make("button", "plain", make("i", "swatch"), make("bdi"), make("span", "", " ×"));
      button.type = "button";
      button.addEventListener("click", () => this.on.remove(button.symbol));
      return make("li", "", button);
    }, ({ firstChild: button }, symbol, i) => {
      button.symbol = symbol;
      const none = this.market.entries.get(symbol)?.known === false ? " (not here)" : "";
      text(button.children[1], named(symbol) + none);
      attribute(button, "aria-label", `Remove ${named(symbol)}`);
      attribute(button.firstChild, "data-color", i);
    });
  }

  /** What the limits of a view hang on: {end of the newest window, begin of the first, window, interval}, ms. */
  facts() {
    const { market, rows } = this, window = market.settings.window_ms;
    const newest = market.chosen.map((symbol) => market.entries.get(symbol)?.rows.at(-1)?.[MINUTE] ?? -Infinity);
    const end = Math.max(...newest) + window;
    const { interval, range, from, to } = this.view, length = to === null ? range * window : to - from;
    return { end, begins: rows.length > 0 ? rows[0][MINUTE] : end, window, interval: intervalMs(interval, window, length) };
  }

  /** From when to when the chart goes, ms: what the view says, or what there is of it. */
  extent() {
    return extentOf(this.view, this.facts());
  }

  /** The rows that are drawn of a symbol: its minutes, or candles made of them. */
  drawn(symbol) {
    const entry = this.market.entries.get(symbol), { window, interval } = this.facts();
    if (!entry || interval === window) return entry?.rows ?? [];
    if (!this.candles.has(symbol)) this.candles.set(symbol, new Candles());
    return this.candles.get(symbol).rows(entry, interval);
  }

  /** The derived lines that are drawn: of one symbol, for those of several would not be told apart. */
  overlays() {
    const { market, view } = this;
    return market.chosen.length === 1 ? shownOf(overlays(this.columns()), view.show) : [];
  }

  /** A button for each derived line, with its newest value or that under the pointer. */
  switches() {
    const { market, view } = this, all = market.chosen.length === 1 ? overlays(this.columns()) : [];
    const shown = shownOf(all, view.show), row = this.pointed(), root = find("derived");
    root.hidden = all.length === 0;
    each(root, all, () => {
      const button = make("button", "plain", make("i", "swatch"), make("span"), make("b"));
      button.type = "button";
      button.addEventListener("click", () => {
        const names = shownOf(overlays(market.settings.derived), view.show).map(({ name }) => name), { name } = button;
        this.on.show(names.includes(name) ? names.filter((other) => other !== name) : [...names, name]);
      });
      return make("li", "", button);
    }, ({ firstChild: button }, one) => {
      button.name = one.name;
      attribute(button, "aria-pressed", shown.includes(one));
      attribute(button, "title", `${one.name} of minutes: shown or not`);
      attribute(button.firstChild, "data-color", one.color);
      text(button.children[1], one.name);
      const values = row ? one.columns.map((at) => price(derivedOf(row, at))) : [];
      text(button.lastChild, values.reverse().join(" to ")); // the lower one first
    });
  }

  /** The row under the pointer, or the newest; undefined where there is none. */
  pointed() {
    const rows = this.drawn(this.market.chosen[0]), { hover } = this.view;
    if (hover === null) return rows.at(-1);
    const row = rows[seek(rows, hover)];
    return row?.[MINUTE] === hover ? row : undefined;
  }

  /** Draws the chart; true if something in it fades, so that it must be drawn again. */
  draw(palette) {
    const { market, view, rows, entry } = this, canvas = find("chart"), newest = rows.at(-1), extent = this.extent();
    for (const symbol of this.candles.keys()) if (!market.chosen.includes(symbol)) this.candles.delete(symbol);
    const relative = market.chosen.length > 1, hasMarket = market.settings.metrics === "market" && !this.isGroup;
    const flashes = entry ? market.flashes(entry, still.matches) : new Map();
    data(document.body, "metrics", market.settings.metrics);
    const series = market.chosen.map((symbol, i) =>
      ({ name: named(symbol), rows: this.drawn(symbol), color: palette.lines[i] }));
    const { interval } = this.facts(), shown = series[0]?.rows ?? [];
    const open = view.minute === null ? null : Math.floor(view.minute / interval) * interval;
    this.chart.draw({ ...extent, series, marks: market.marks, settings: { ...market.settings, window_ms: interval }, relative,
      flashes, overlays: this.overlays(),
      mode: hasMarket ? view.mode : "line", volume: hasMarket && !relative, hover: view.hover ?? open, palette,
      font: palette.font });
    data(canvas, "symbol", market.chosen[0] ?? "");
    data(canvas, "lastMinute", newest?.[MINUTE] ?? "");
    data(canvas, "lastValue", newest?.[AVG] ?? "");
    data(canvas, "state", newest ? market.state(newest[MINUTE]) : "");
    data(canvas, "points", rows.length);
    data(canvas, "from", extent.from);
    data(canvas, "to", extent.to);
    data(canvas, "inView", seek(shown, extent.to) - seek(shown, extent.from));
    data(canvas, "overlays", this.overlays().map(({ name }) => name).join());
    data(canvas, "draws", Number(canvas.dataset.draws ?? 0) + 1);
    this.readout();
    return flashes.size > 0;
  }

  /** The figures of the minute under the pointer, or of the newest: of the one symbol, or an average of each. */
  readout() {
    this.show(this.market.chosen.length > 1 ? this.comparison() : this.figures());
    this.switches();
  }

  show(parts) {
    each(find("readout"), parts, () => make("span", "", make("small"), make("b")), (item, [name, value]) => {
      text(item.firstChild, name);
      text(item.lastChild, value);
    });
  }

  /** What each compared symbol has, and how much that is from its first minute in view: what its line shows. */
  comparison() {
    const { market } = this, { hover } = this.view, { from } = this.extent();
    const newest = Math.max(...market.chosen.map((symbol) => this.drawn(symbol).at(-1)?.[MINUTE] ?? -Infinity));
    const minute = hover ?? newest;
    if (minute === -Infinity) return [];
    const parts = market.chosen.map((symbol) => {
      const rows = this.drawn(symbol), row = rows[seek(rows, minute)], base = rows[seek(rows, from)]?.[AVG];
      if (row?.[MINUTE] !== minute) return [named(symbol), "no tick"];
      return [named(symbol), `${price(row[AVG])} ${base ? change((row[AVG] - base) / Math.abs(base)).trim() : ""}`];
    });
    return [...this.when(minute), ...parts];
  }

  /** A minute in UTC and, where that is another, in the reader's time. */
  when(minute) {
    const { market } = this, seconds = market.settings.window_ms < 60_000, local = beside(minute, seconds);
    return [["", `${moment(minute, market.newest, seconds)} UTC`], ...(local === "" ? [] : [["", local]])];
  }

  figures() {
    const { market, rows } = this, { hover } = this.view, row = this.pointed(), parts = [], { window, interval } = this.facts();
    if (row) {
      parts.push(...this.when(row[MINUTE]), ["avg", price(row[AVG])]);
      if (typeof row[OPEN] === "number") {
        const prices = [["O", OPEN], ["H", HIGH], ["L", LOW], ["C", CLOSE], ["vwap", VWAP]];
        parts.push(...prices.map(([name, at]) => [name, price(row[at])]));
        parts.push(["vol", Number.isInteger(row[VOLUME]) ? whole(row[VOLUME]) : price(row[VOLUME])]);
      }
      parts.push(["ticks", whole(row[COUNT])], ["", market.state(row[MINUTE], interval)]);
      if (interval !== window) parts.push(["", `candle of ${duration(interval)}, derived values of its last minute`]);
      for (const [name, at] of numbersOf(this.columns())) {
        const value = derivedOf(row, at), isMany = this.isGroup && Number.isInteger(value);
        if (value !== null) parts.push([name, isMany ? whole(value) : price(value)]);
      }
    } else if (rows.length > 0) parts.push(["", `${this.clock(hover)} UTC: no tick`]);
    return parts;
  }

  /** Moves the cross-hair to the pointer (`x` from the chart's left edge), or by `step` minutes. */
  point(x) {
    this.view.hover = this.chart.minuteAt(x);
  }

  step(step) {
    const { view } = this, rows = this.drawn(this.market.chosen[0]);
    if (rows.length === 0) return;
    const first = seek(rows, this.extent().from), at = view.hover === null ? rows.length : seek(rows, view.hover);
    view.hover = rows[Math.max(first, Math.min(rows.length - 1, at + step))][MINUTE];
    this.readout();
    const said = [...find("readout").children].map((item) =>
      `${item.firstChild.textContent} ${item.lastChild.textContent}`);
    text(find("spoken"), said.join(", "));
  }

  /** The last ten minutes as a table off the screen: newest first, averages with all their digits. */
  table() {
    const cells = () => make("tr", "", make("th"), make("td"), make("td"), make("td"));
    each(find("minutes").tBodies[0], this.rows.slice(-10).reverse(), cells, (item, row) => {
      const state = this.market.state(row[MINUTE]);
      const values = [this.clock(row[MINUTE]), state, row[AVG], whole(row[COUNT])];
      data(item, "minute", row[MINUTE]);
      data(item, "state", state);
      values.forEach((value, i) => text(item.children[i], value));
    });
  }

  speak() {
    const { market, entry } = this, row = this.rows.at(-1);
    if (!row) return;
    const minute = `minute ${this.clock(row[MINUTE])} ${market.state(row[MINUTE])}`;
    text(find("spoken"), `${named(entry.symbol)}: average ${price(row[AVG])}, ${minute}, ${this.changed().trim()}`);
  }
}
