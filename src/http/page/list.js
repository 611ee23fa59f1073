// The list of symbols: any number of them in about twenty rows, which are moved and filled anew as it scrolls.
//
// A listbox for the keyboard and for screen readers: the focus stays on the list, or on the search that moves in it, and
// `aria-activedescendant` of both names the row.

import { attribute, make, style, text } from "./dom.js";
import { change, price, visible } from "./format.js";
import { AVG } from "./rows.js";
import { sparkline } from "./sparkline.js";

const ROW = 38; // CSS pixels, as in style.css

/** Whether `items` are all of `entries` (by symbol), in any order: not those of a market that was loaded anew since. */
export function areAll(items, entries) {
  return items.length === entries.size && items.every((entry) => entries.get(entry.symbol) === entry);
}

export class SymbolList {
  /**
   * `search` is the input beside it; `on.choose(symbol, add)` when a row is chosen, `on.shown(symbols)` when rows without
   * history come into view, `on.recent(entry)` gives the rows of a sparkline.
   */
  constructor(root, search, on) {
    this.root = root;
    this.search = search;
    this.on = on;
    this.spacer = root.firstElementChild;
    this.items = [];
    this.order = undefined;
    this.active = 0;
    this.rows = [];
    this.chosen = [];
    root.addEventListener("scroll", () => this.draw());
    root.addEventListener("keydown", (event) => this.key(event));
    root.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (!row) return;
      this.active = Number(row.dataset.at);
      this.pick(event.shiftKey || event.ctrlKey || event.metaKey);
    });
    new ResizeObserver(() => this.draw()).observe(root);
  }

  /** Shows `entries` as they are; the active symbol stays active while `order` (order and search) is the same. */
  setItems(entries, order) {
    const symbol = order === this.order ? this.items[this.active]?.symbol : undefined;
    const active = Math.max(0, entries.findIndex((entry) => entry.symbol === symbol));
    Object.assign(this, { items: entries, order, active });
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.root.clientHeight / ROW) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step !== undefined) this.move(step);
    else if (event.key === "Enter" || event.key === " ") this.pick(event.shiftKey);
    else return;
    event.preventDefault();
  }

  move(step) {
    this.active = Math.max(0, Math.min(this.items.length - 1, this.active + step));
    const top = this.active * ROW, { scrollTop, clientHeight } = this.root;
    if (top < scrollTop) this.root.scrollTop = top;
    else if (top + ROW > scrollTop + clientHeight) this.root.scrollTop = top + ROW - clientHeight;
    this.draw();
  }

  pick(add) {
    const entry = this.items[this.active];
    if (entry) this.on.choose(entry.symbol, add);
    this.draw();
  }

  create() {
    const row = make("div", "row", make("bdi", "name"), make("canvas", "spark"), make("span", "last"),
      make("span", "change"));
    row.setAttribute("role", "option");
    row.children[1].setAttribute("aria-hidden", "true");
    row.id = `option-${this.rows.length}`;
    this.root.append(row);
    this.rows.push(row);
    return row;
  }

  /** Draws what is in view; `facts` = {change(entry), chosen, color(share)}, kept for the calls between. */
  draw(facts = this.facts) {
    if (!facts) return;
    this.facts = facts;
    const first = Math.max(0, Math.floor(this.root.scrollTop / ROW) - 1);
    const many = Math.min(this.items.length - first, Math.ceil(this.root.clientHeight / ROW) + 3);
    style(this.spacer, "height", `${this.items.length * ROW}px`);
    while (this.rows.length < many) this.create();
    let activeId = "";
    this.rows.forEach((row, i) => {
      const at = first + i, entry = i < many ? this.items[at] : undefined;
      row.hidden = !entry;
      if (!entry) return;
      const [name, spark, price_, change_] = row.children, share = facts.change(entry), newest = entry.rows.at(-1);
      if (row.symbol !== entry.symbol) attribute(row, "data-symbol", row.symbol = entry.symbol);
      style(row, "transform", `translateY(${at * ROW}px)`);
      attribute(row, "data-at", at);
      attribute(row, "aria-posinset", at + 1);
      attribute(row, "aria-setsize", this.items.length);
      attribute(row, "aria-selected", facts.chosen.includes(entry.symbol));
      attribute(row, "data-active", at === this.active);
      if (at === this.active) activeId = row.id;
      text(name, visible(entry.symbol));
      text(price_, newest ? price(newest[AVG]) : "–");
      text(change_, change(share));
      attribute(change_, "data-direction", share > 0 ? "up" : share < 0 ? "down" : "none");
      const stamp = `${entry.version} ${facts.theme} ${spark.clientWidth}`;
      if (row.drawn !== entry || row.stamp !== stamp) {
        Object.assign(row, { drawn: entry, stamp });
        sparkline(spark, this.on.recent(entry), facts.color(share));
      }
    });
    for (const element of [this.root, this.search]) attribute(element, "aria-activedescendant", activeId);
    const wanting = this.items.slice(first, first + many).filter((entry) => entry.history === "none");
    if (wanting.length > 0) this.on.shown(wanting.map((entry) => entry.symbol));
  }
}
