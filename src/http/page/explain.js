// What /api/explain tells of a minute: what each sink holds beside the log, which offsets count, which records do not, when it was
// closed and final and by what, and its history. It is asked for when a reader opens it, for the server reads the log again for it,
// one minute at a time; where the server is at another one, it is asked again.

import { attribute, data, each, find, make, text } from "./dom.js";
import { clock, moment, visible, whole } from "./format.js";
import { get } from "./market.js";

const AGAIN_MS = 2000;

const time = (text) => clock(Date.parse(text), true);

/** By what a partition came to a time, in words: {by, offset, watermark} of the answer. */
export function passedBy({ by, offset, watermark }) {
  const at = watermark === null ? "" : time(watermark), before = offset === null ? "" : ` before offset ${whole(offset)}`;
  if (by === "record") return `offset ${whole(offset)}, of ${at}`;
  if (by === "record before") return `a record${before}`;
  if (by === "evidence") return `evidence of its end${before}, ${at}`;
  if (by === "not yet") return watermark === null ? "not yet" : `not yet: ${at}`;
  return "a record that is gone";
}

/** What is said of an explanation as a whole. */
export function summaryOf(told) {
  const { state, manifest, unverifiable, partitions, row } = told;
  const count = partitions.reduce((all, { records }) => all + records, 0);
  const what = unverifiable !== null ? `${unverifiable[0].toUpperCase()}${unverifiable.slice(1)}.`
    : row === null ? "No record counts." : `${whole(count)} ${count === 1 ? "record counts" : "records count"}.`;
  const last = told.final_last_by ?? told.closed_last_by, which = told.final_last_by === null ? "closed" : "final";
  const by = last === null ? "" : ` ${visible(last.partition)} was the last to make it ${which}, by a record stamped ` +
    `${moment(Date.parse(last.stamp), Date.parse(told.minute))} UTC.`;
  return `${state === null ? "Unknown" : `${state[0].toUpperCase()}${state.slice(1)}`} by manifest ${whole(manifest)}. ${what}${by}`;
}

/** Of each sink: what it is, its name, and what there is to say. */
export function sinksOf({ sinks, not_read_back: none }) {
  const cell = (value) => value === null ? "nothing" : visible(String(value));
  const all = sinks.map(({ sink, is, why, cells }) => {
    const wrong = cells.filter(({ differs }) => differs).map((one) => `${one.column} ${cell(one.sink)}, by the log ${cell(one.log)}`);
    return [is, sink, why ?? wrong.join("; ")];
  });
  return [...all, ...none.map((sink) => ["not compared", sink, "it cannot be read back"])];
}

/** Of each record that does not count: its reason, where it is, and why. And that there may be more, where dead letters are not there. */
export function uncountedOf({ uncounted, dead_letters_not_there: missing = null }) {
  const all = uncounted.map((one) => {
    const element = one.element === null ? "" : ` [${one.element}]`, at = one.event_time === null ? "" : `, event time ${time(one.event_time)}`;
    const value = one.value === null ? "" : `: ${visible(one.value)}`, why = one.why === "" ? "" : `; ${visible(one.why)}`;
    const exception = one.exception ? " (an exception)" : "";
    return [one.reason, `${visible(one.partition)}, offset ${whole(one.offset)}${element}${at}${value}${why}${exception}`];
  });
  return missing === null ? all : [...all, ["unknown", `whether there are more: ${visible(missing)}`]];
}

/** Of each version of the row, oldest first, and of the cuts that closed the minute and made it final. */
export function versionsOf({ history }) {
  if (history === null) return ["The state has no audit trail, so the history of this minute is unknown."];
  const when = ({ manifest, at }) => `manifest ${whole(manifest)}${at === null ? "" : `, ${moment(Date.parse(at), null)} UTC`}`;
  const versions = history.versions.map((one) => `${when(one)}: ${whole(one.count)} records, sum ${one.sum}${one.state === null ? "" : `, ${one.state}`}`);
  const passages = [["closed", history.closed], ["final", history.final]].filter(([, one]) => one !== null).map(([what, one]) => {
    const by = one.waited_for === null ? "" : `; W had waited for ${visible(one.waited_for)}${one.by_floor ? ", which was silent" : ""}`;
    return `${what} by ${when(one)}${one.first_known ? " or before" : ""}${by}`;
  });
  return [...versions, ...passages];
}

export class Explain {
  /** `toggle()` when a reader opens or closes it. */
  constructor(toggle) {
    this.asked = ""; // what was asked for; "" for nothing
    this.told = null;
    this.why = "";
    find("explain").addEventListener("click", () => toggle());
  }

  /** Shows what is known of `minute`, {symbol, minute: ms, state}, or of none: then there is nothing to open. */
  draw(minute, open) {
    const button = find("explain"), shown = open && minute !== null;
    button.hidden = minute === null;
    attribute(button, "aria-expanded", shown);
    find("explanation").hidden = !shown;
    if (!shown) {
      this.asked = "";
      return;
    }
    const asked = JSON.stringify(minute);
    if (asked !== this.asked) {
      const { symbol, minute: at } = minute;
      // What is told of the minute stays while it is asked for in its next state.
      if (this.told?.symbol !== symbol || Date.parse(this.told.minute) !== at) this.told = null;
      [this.asked, this.why] = [asked, ""];
      this.ask(asked, symbol, at);
    }
    this.show();
  }

  ask(asked, symbol, at) {
    const take = (told, why) => {
      if (this.asked !== asked) return;
      [this.told, this.why] = [told ?? this.told, why];
      this.show();
    };
    get("/api/explain", { symbol, minute: String(at) }).then((told) => take(told, ""), ({ status, message }) => {
      take(null, message);
      if (status === 503) setTimeout(() => { if (this.asked === asked) this.ask(asked, symbol, at); }, AGAIN_MS);
    });
  }

  show() {
    const { told, why } = this, loading = told === null && why === "";
    const note = loading ? "Reading the log…" : why === "" ? summaryOf(told) : `Not explained: ${visible(why)}.`;
    text(find("explain-note"), note);
    data(find("explain-note"), "bad", why !== "");
    attribute(find("explanation"), "aria-busy", loading);
    const item = () => make("li", "", make("span", "tag"), " ", make("bdi"));
    each(find("explain-sinks"), told === null ? [] : sinksOf(told), item, (line, [is, sink, what]) => {
      text(line.firstChild, is);
      data(line.firstChild, "bad", ["different", "missing", "extra"].includes(is));
      text(line.lastChild, `${visible(sink)}${what === "" ? "" : `: ${what}`}`);
    });
    find("explain-partitions").hidden = told === null;
    const cells = () => make("tr", "", make("th"), ...Array.from({ length: 4 }, () => make("td")));
    each(find("explain-partitions").tBodies[0], told?.partitions ?? [], cells, (line, one) => {
      const offsets = one.first === null ? "–" : `${whole(one.first)} to ${whole(one.last)}`;
      const words = [visible(one.partition), whole(one.records), offsets, passedBy(one.closed_by),
        `${passedBy(one.final_by)}${one.idle ? "; silent now" : ""}`];
      words.forEach((word, i) => text(line.children[i], word));
    });
    each(find("explain-uncounted"), told === null ? [] : uncountedOf(told), item, (line, [reason, what]) => {
      text(line.firstChild, reason);
      text(line.lastChild, what);
    });
    each(find("explain-history"), told === null ? [] : versionsOf(told), () => make("li", ""), (line, what) => text(line, what));
  }
}
