// The symbols that rose and fell most: of the newest final minute, by the first column chgN of --derive. Without one there is no list.

import { attribute, each, find, make, text } from "./dom.js";
import { change, duration, moment, price, visible } from "./format.js";

const TOP = 5, AGAIN_MS = 5000;

/** The column that changes are in, and over how many windows: {column, windows}, or null where there is none. */
export function changeColumn(derived) {
  const column = derived.find((name) => /^chg\d+$/.test(name));
  return column === undefined ? null : { column, windows: Number(column.slice(3)) };
}

/** Risers and fallers of an answer of /api/movers: what stands still is neither. */
export function sidesOf({ largest, smallest }) {
  return { risers: largest.filter(({ value }) => value > 0), fallers: smallest.filter(({ value }) => value < 0) };
}

/** "Risers and fallers over 5 min, 2026-01-05 09:41 UTC": the minute is null where there is none. */
export const headline = (length, minute) => `Risers and fallers over ${length}${minute === null ? "" : `, ${minute} UTC`}`;

export class Movers {
  /** `ask(query)` gives an answer of /api/movers; `window()` the length of a window, ms. */
  constructor(ask, window) {
    this.ask = ask;
    this.window = window;
    this.answer = null;
    this.why = "";
    this.asked = { of: "", at: -Infinity };
  }

  /** Shows the newest answer, and asks again once `stamp` (W, or a run) is another; `now`: ms. */
  draw(derived, stamp, now) {
    const of = changeColumn(derived), root = find("movers");
    root.hidden = of === null;
    if (of === null) return;
    const key = `${of.column} ${stamp}`;
    if (key !== this.asked.of && now - this.asked.at >= AGAIN_MS) this.load(of.column, key, now);
    this.show(of);
  }

  load(column, key, now) {
    const asked = { of: key, at: now };
    this.asked = asked;
    const take = (answer, why) => {
      if (this.asked !== asked) return;
      [this.answer, this.why] = [answer ?? this.answer, why];
      this.show(changeColumn([column]));
    };
    this.ask({ by: column, top: TOP }).then((answer) => take(answer, ""), ({ message }) => take(null, message));
  }

  show({ windows }) {
    const { answer, why } = this, { risers, fallers } = answer === null ? { risers: [], fallers: [] } : sidesOf(answer);
    const minute = answer?.minute ?? null;
    const window = this.window(), at = minute === null ? null : moment(minute, null, window < 60_000);
    text(find("movers-title"), headline(duration(windows * window), at));
    this.list("risers", risers);
    this.list("fallers", fallers);
    const said = why !== "" ? `Not loaded: ${why}.` : minute === null ? "No minute is final yet."
      : risers.length + fallers.length === 0 ? "No symbol has risen or fallen." : "";
    text(find("movers-note"), said);
    find("movers-note").hidden = said === "";
  }

  list(id, rows) {
    each(find(id), rows, () => make("li", "", make("a", "name", make("bdi")), make("span", "last"), make("span", "change")), (item, one) => {
      const [link, last, by] = item.children;
      attribute(link, "href", `#s=${encodeURIComponent(one.symbol)}`);
      text(link.firstChild, visible(one.symbol));
      text(last, price(one.avg));
      text(by, change(one.value));
      attribute(by, "data-direction", one.value > 0 ? "up" : "down");
    });
  }
}
