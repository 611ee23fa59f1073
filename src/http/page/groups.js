// Groups of --groups. The stream has rows of symbols alone, so those of groups are asked for as W moves: the newest of each for the
// list, and of those that are chosen what has come since. All are final.
//
// What is chosen is a key: a symbol, or a group's name behind the second half of a surrogate pair. No text of the server begins so, so no
// symbol is taken for a group that is called the same.

import { attribute, each, find, make, text } from "./dom.js";
import { change, moment, price, several, visible, whole } from "./format.js";

const HALF = "\udc00", MOST = 200, AGAIN_MS = 2000;

/** The columns of a group's row behind its average. */
export const GROUP_COLUMNS = ["members", "listed", "weight"];

export const groupKey = (name) => `${HALF}${name}`;

/** The name of the group that a key is of; null where it is a symbol. */
export const groupName = (key) => key.startsWith(HALF) ? key.slice(1) : null;

/** What is chosen, as it is shown. */
export function named(key) {
  const name = groupName(key);
  return name === null ? visible(key) : `${visible(name)} (group)`;
}

/** A row of /api/groups/minutes, as rows.js has them. */
export const fromGroup = (row) => [groupKey(row.group), row.minute, row.count, row.avg, null, null, null, null, null, null,
  GROUP_COLUMNS.map((name) => row[name])];

export class Groups {
  /** `ask(query)` gives an answer of /api/groups; `on.loaded()` is told that there is a newer one. */
  constructor(ask, on) {
    this.ask = ask;
    this.on = on;
    this.answer = null;
    this.why = "";
    this.asked = { of: "", at: -Infinity };
  }

  /** Shows the newest answer where there are groups, and asks again once `stamp` (W, or a run) is another; `now`: ms. */
  draw(there, stamp, now, windowMs) {
    find("groups").hidden = !there;
    if (!there) return;
    if (stamp !== this.asked.of && now - this.asked.at >= AGAIN_MS) this.load(stamp, now, windowMs);
    this.show(windowMs);
  }

  load(stamp, now, windowMs) {
    const asked = { of: stamp, at: now };
    this.asked = asked;
    const take = (answer, why) => {
      if (this.asked !== asked) return;
      [this.answer, this.why] = [answer ?? this.answer, why];
      this.show(windowMs);
      if (answer !== null) this.on.loaded();
    };
    this.ask({ limit: MOST }).then((answer) => take(answer, ""), ({ message }) => take(null, message));
  }

  show(windowMs) {
    const { groups, total } = this.answer ?? { groups: [], total: 0 }, seconds = windowMs < 60_000;
    const parts = () => make("li", "", make("a", "name", make("bdi")), make("span", "there"), make("span", "last"), make("span", "change"));
    each(find("group-list"), groups, parts, (item, one) => {
      const [link, there, last, by] = item.children;
      attribute(item, "title", `${moment(one.minute, null, seconds)} UTC, ${several(one.count, "tick")}`);
      attribute(link, "href", `#g=${encodeURIComponent(one.group)}`);
      text(link.firstChild, visible(one.group));
      text(there, `${whole(one.members)} of ${whole(one.listed)}`);
      text(last, price(one.avg));
      text(by, change(one.change ?? NaN));
      attribute(by, "data-direction", one.change > 0 ? "up" : one.change < 0 ? "down" : "none");
    });
    const more = total - groups.length;
    const said = this.why !== "" ? `Not loaded: ${this.why}.` : groups.length === 0 ? "No minute of a group is final yet."
      : more > 0 ? `${whole(more)} more are in /api/groups.` : "";
    text(find("groups-note"), said);
    find("groups-note").hidden = said === "";
  }
}
