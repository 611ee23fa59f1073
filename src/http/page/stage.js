// The chosen symbols: head, chart, the line of figures under the pointer, and the table and sentence for screen
// readers.

import { Chart } from "./chart.js";
import { attribute, data, each, find, make, text } from "./dom.js";
import { change, clock, duration, moment, price, several, visible, whole } from "./format.js";
import { AVG, CLOSE, COUNT, HIGH, LOW, MINUTE, OPEN, VOLUME, VWAP, seek } from "./rows.js";
import { noSymbol } from "./sentences.js";

const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Stage {
  /**
   * `view`: {mode: "line" | "candles", range (minutes), hover: minute | null}. `remove(symbol)` ends a comparison with
   * it.
   */
  constructor(market, view, remove) {
    this.market = market;
    this.view = view;
    this.remove = remove;
    this.chart = new Chart(find("chart"));
  }

  /** The first of the chosen symbols; undefined before there is one. */
  get entry() {
    return this.market.entries.get(this.market.chosen[0]);
  }

  get rows() {
    return this.entry?.rows ?? [];
  }

  clock(minute) {
    return clock(minute, this.market.settings.window_ms < 60_000);
  }

  head() {
    const { market, entry } = this, row = this.rows.at(-1), share = entry ? market.change(entry) : NaN;
    const [chosen] = market.chosen, shown = chosen === undefined ? null : visible(chosen);
    text(find("symbol"), shown ?? noSymbol(market.status ?? null));
    attribute(find("chart"), "aria-label", `Chart of ${market.chosen.map(visible).join(", ")}; arrow keys read it minute by minute`);
    text(find("value"), row ? price(row[AVG]) : "");
    text(find("change"), row ? this.changed() : "");
    data(find("change"), "direction", share > 0 ? "up" : share < 0 ? "down" : "none");
    if (!document.hidden) document.title = row ? `${price(row[AVG])} ${shown} – minutely` : "minutely";
    const state = row ? market.state(row[MINUTE]) : "", so = state === "open" ? "so far" : `(${state})`;
    const none = entry?.known === false ? "no minute of this symbol is here: it is not in the log, or older than what is kept"
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
      button.addEventListener("click", () => this.remove(button.symbol));
      return make("li", "", button);
    }, ({ firstChild: button }, symbol, i) => {
      button.symbol = symbol;
      const none = this.market.entries.get(symbol)?.known === false ? " (not here)" : "";
      text(button.children[1], visible(symbol) + none);
      attribute(button, "aria-label", `Remove ${visible(symbol)}`);
      attribute(button.firstChild, "data-color", i);
    });
  }

  /** From when to when the chart goes, ms: the range, or what there is of it, but ten minutes at least. */
  extent() {
    const { market, rows } = this, windowMs = market.settings.window_ms;
    const newest = market.chosen.map((symbol) => market.entries.get(symbol)?.rows.at(-1)?.[MINUTE] ?? -Infinity);
    const to = Math.max(...newest) + windowMs, begins = rows.length > 0 ? rows[0][MINUTE] : to;
    return { from: Math.min(Math.max(to - this.view.range * windowMs, begins), to - 10 * windowMs), to };
  }

  /** Draws the chart; true if something in it fades, so that it must be drawn again. */
  draw(palette) {
    const { market, view, rows, entry } = this, canvas = find("chart"), newest = rows.at(-1);
    const relative = market.chosen.length > 1, hasMarket = market.settings.metrics === "market";
    const flashes = entry ? market.flashes(entry, still.matches) : new Map();
    data(document.body, "metrics", market.settings.metrics);
    const series = market.chosen.map((symbol, i) =>
      ({ name: visible(symbol), rows: market.entries.get(symbol)?.rows ?? [], color: palette.lines[i] }));
    this.chart.draw({ ...this.extent(), series, marks: market.marks, settings: market.settings, relative, flashes,
      mode: hasMarket ? view.mode : "line", volume: hasMarket && !relative, hover: view.hover, palette,
      font: palette.font });
    data(canvas, "symbol", market.chosen[0] ?? "");
    data(canvas, "lastMinute", newest?.[MINUTE] ?? "");
    data(canvas, "lastValue", newest?.[AVG] ?? "");
    data(canvas, "state", newest ? market.state(newest[MINUTE]) : "");
    data(canvas, "points", rows.length);
    data(canvas, "draws", Number(canvas.dataset.draws ?? 0) + 1);
    this.readout();
    return flashes.size > 0;
  }

  /** The figures of the minute under the pointer, or of the newest: of the one symbol, or an average of each. */
  readout() {
    this.show(this.market.chosen.length > 1 ? this.comparison() : this.figures());
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
    const newest = Math.max(...market.chosen.map((symbol) => market.entries.get(symbol)?.rows.at(-1)?.[MINUTE] ?? -Infinity));
    const minute = hover ?? newest;
    if (minute === -Infinity) return [];
    const parts = market.chosen.map((symbol) => {
      const rows = market.entries.get(symbol)?.rows ?? [], row = rows[seek(rows, minute)], base = rows[seek(rows, from)]?.[AVG];
      if (row?.[MINUTE] !== minute) return [visible(symbol), "no tick"];
      return [visible(symbol), `${price(row[AVG])} ${base ? change((row[AVG] - base) / Math.abs(base)).trim() : ""}`];
    });
    return [["", `${moment(minute, market.newest, market.settings.window_ms < 60_000)} UTC`], ...parts];
  }

  figures() {
    const { market, rows } = this, { hover } = this.view, row = hover === null ? rows.at(-1) : rows[seek(rows, hover)];
    const parts = [];
    if (row && (hover === null || row[MINUTE] === hover)) {
      const minute = moment(row[MINUTE], market.newest, market.settings.window_ms < 60_000);
      parts.push(["", `${minute} UTC`], ["avg", price(row[AVG])]);
      if (typeof row[OPEN] === "number") {
        const prices = [["O", OPEN], ["H", HIGH], ["L", LOW], ["C", CLOSE], ["vwap", VWAP]];
        parts.push(...prices.map(([name, at]) => [name, price(row[at])]));
        parts.push(["vol", whole(row[VOLUME])]);
      }
      parts.push(["ticks", whole(row[COUNT])], ["", market.state(row[MINUTE])]);
    } else if (rows.length > 0) parts.push(["", `${this.clock(hover)} UTC: no tick`]);
    return parts;
  }

  /** Moves the cross-hair to the pointer (`x` from the chart's left edge), or by `step` minutes. */
  point(x) {
    this.view.hover = this.chart.minuteAt(x);
  }

  step(step) {
    const { rows, view } = this;
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
    text(find("spoken"), `${visible(entry.symbol)}: average ${price(row[AVG])}, ${minute}, ${this.changed().trim()}`);
  }
}
