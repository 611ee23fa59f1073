// Everything on the page that comes from the server's status: vital signs, why a minute is open, partitions, ledger,
// lateness advisor, dead letters, checkpoint and sinks. Called when a status came, and once a second because ages grow.

import { advice, leastWithoutLoss, lifts, outcome, settingsOf } from "./advisor.js";
import { attribute, data, each, find, make, style, text } from "./dom.js";
import { bytes, clock, compact, duration, moment, several, smallPercent, visible, whole } from "./format.js";

const SHOWN_PARTITIONS = 64, SHOWN_LETTERS = 50, DAY_MS = 86_400_000;

const put = (id, value) => text(find(id), value);
const past = (ms) => duration(Math.max(0, ms));
const body = (id) => find(id).querySelector("tbody");

/** Shows `status`; `now` is the server's clock. */
export function panels(status, now) {
  for (const panel of [notices, vitals, why, partitions, ledger, lateness, letters, storage]) panel(status, now);
}

// --- notices ---------------------------------------------------------------------------------------------------------

/** What keeps the source from reading, and what an operator should know for as long as it holds. */
function notices(s) {
  const trouble = s.source_trouble === null ? [] : [`The source does not read: ${s.source_trouble}`];
  const all = [...trouble, ...s.concerns];
  each(find("notices"), all, () => make("li"), (item, one) => text(item, `! ${one[0].toUpperCase()}${one.slice(1)}.`));
  find("notices").hidden = all.length === 0;
}

// --- vital signs -----------------------------------------------------------------------------------------------------

function vital(id, value, note, mood = "") {
  const [, main, small] = find(id).children;
  text(main, value);
  text(small, note);
  data(find(id), "mood", mood);
}

const notSaved = (s) => s.state === null ? "none kept" : "none yet"; // --state none

function vitals(s, now) {
  const newest = Math.max(...s.partitions.map((p) => p.h ?? -Infinity)), age = now - newest;
  const paused = s.partitions.filter((p) => p.paused).length, idle = s.partitions.filter((p) => p.caught_up).length;
  const also = paused > 0 ? `, ${whole(paused)} paused` : idle > 0 ? `, ${whole(idle)} idle` : "";
  vital("throughput", `${compact(s.records_per_s)}/s`, `records, ${several(s.partitions.length, "partition")}${also}`);
  if (age > DAY_MS && age < Infinity) vital("freshness", "Replay", `events of ${clock(newest, false, true)}`);
  else vital("freshness", past(age), "age of the newest event");
  if (s.w === null) vital("watermark", "–", "no event time yet");
  else vital("watermark", moment(s.w, newest), `${past(newest - s.w)} behind the newest`);
  const good = balances(s.ledger), { read, late, rejected, quarantined } = s.ledger, lost = late + rejected +
    quarantined;
  vital("balance", good ? "✓ Balances" : "✗ Does not balance", `${compact(read)} records read`, good ? "good" : "bad");
  vital("lost", whole(lost), read > 0 ? `${smallPercent(lost / read)} of all records` : "of all records");
  const c = s.checkpoint, limit = Math.max(15_000, 10 * s.settings.checkpoint_interval_ms);
  if (c === null) vital("saved", notSaved(s), s.state === null ? "--state none" : "");
  else {
    const stale = now - c.at > limit && s.records_per_s > 0;
    vital("saved", `${past(now - c.at)} ago`, `${bytes(c.bytes)}, number ${whole(c.seq)}`, stale ? "bad" : "");
  }
}

// --- why is this minute still open? ----------------------------------------------------------------------------------

/** What there is to say where no partition has shown an event time, or not all of them. */
function unread(s) {
  const sum = (key) => s.partitions.reduce((all, p) => all + p[key], 0), read = sum("read");
  if (read === 0) return "Nothing has been read yet.";
  const some = s.partitions.some((p) => p.h !== null), [most] = s.dead_letters.rejected;
  if (some) return "A partition has shown no event time yet.";
  const why = most === undefined ? "" : ` First: ${most.first}.`;
  return `${several(read, "record")} read, none of them valid: ${whole(sum("rejected"))} rejected.${why}`;
}

const byReason = (by) => `${by.reason}${by.field === null ? "" : ` ${by.field}`} ×${whole(by.count)}`;

function why(s, now) {
  find("suspicion").hidden = s.suspicion === null;
  put("suspicion", `⚠ ${s.suspicion}`);
  const open = s.open_minute, windowMs = s.settings.window_ms;
  data(find("why"), "open", open !== null);
  if (open === null) {
    put("why-title", "No minute is open");
    put("why-sentence", s.w === null ? unread(s)
      : "Every minute that was read has ended in all partitions.");
    return;
  }
  put("why-title", `Why is ${moment(open.minute, now, windowMs < 60_000)} still open?`);
  const first = visible(open.why).replace(/^[a-z](?=[a-z]* )/, (letter) => letter.toUpperCase());
  put("why-sentence", /[.!?]$/.test(first) ? first : `${first}.`);
  const into = s.w === null ? 0 : Math.max(0, Math.min(windowMs, s.w - open.minute));
  style(find("why").querySelector(".meter i"), "transform", `scaleX(${(into / windowMs).toFixed(4)})`);
  put("why-progress", s.w === null ? "W does not exist yet: a partition has shown no event time"
    : `W is ${duration(into)} into it; ${past(open.minute + windowMs - s.w)} of event time to go`);
  const paused = s.partitions.some((p) => p.name === open.partition && p.paused);
  put("why-partition", visible(open.partition ?? "–"));
  put("why-offset", whole(open.offset));
  put("why-time", moment(open.event_time, now));
  put("why-since", typeof open.since_ms === "number" ? `${duration(open.since_ms)} ago` : "–");
  put("why-paused", paused ? "paused by alignment" : "not paused");
  data(find("why-paused"), "mood", paused ? "bad" : "");
}

// --- partitions ------------------------------------------------------------------------------------------------------

/** A sign and words for what is known of a partition's silence (R8, R12). */
function evidence(p, settings) {
  if (p.ended) return ["■", "ended"];
  if (p.waits_for !== null) return ["‖", `waits for ${p.waits_for}`];
  if (p.paused) return ["‖", "paused by alignment"];
  if (p.caught_up) return ["○", `idle: caught up, silent ${duration(p.silence_ms)}`];
  if (p.h === null) return ["…", "no valid record yet"];
  if (p.silence_ms >= settings.idle_ms) return ["!", `silent ${duration(p.silence_ms)}, end not proven`];
  return ["●", p.silence_ms < 1500 ? "reading" : `reading, ${duration(p.silence_ms)} ago`];
}

function partitionRow() {
  return make("tr", "", make("th", "", make("bdi")), make("td", "track", make("div", "", make("i"))), make("td",
    "number"),
    make("td", "", make("span", "sign"), make("span")), make("td", "number"));
}

function partitions(s, now) {
  const marks = s.partitions.map((p) => p.watermark).filter((mark) => mark !== null);
  const low = Math.min(...marks), high = Math.max(...marks), width = Math.max(high - low, 1000);
  const at = (p) => p.watermark ?? -Infinity;
  const shown = s.partitions.toSorted((a, b) => b.holds_w - a.holds_w || at(a) - at(b)).slice(0, SHOWN_PARTITIONS);
  const all = shown.length === s.partitions.length ? "" : `${shown.length} of ${s.partitions.length}, `;
  put("partitions-note", `${all}furthest behind first`);
  put("track-from", marks.length > 0 ? `W ${moment(low, now)}` : "");
  put("track-to", marks.length > 0 ? clock(high, true) : "");
  each(body("partitions"), shown, partitionRow, (row, p) => {
    const [name, { firstChild: { firstChild: dot } }, lag, state, next] = row.children, [sign, words] = evidence(p,
      s.settings);
    data(row, "holdsW", p.holds_w);
    data(row, "paused", p.paused);
    data(row, "caughtUp", p.caught_up);
    text(name.firstChild, visible(p.name));
    dot.hidden = p.watermark === null;
    style(dot, "left", dot.hidden ? "0%" : `${(100 - (high - p.watermark) / width * 100).toFixed(2)}%`);
    text(lag, p.watermark === null ? "–" : duration(high - p.watermark));
    text(state.firstChild, sign);
    text(state.lastChild, words + (p.holds_w ? " – holds W" : ""));
    text(next, whole(p.next));
  });
}

// --- ledger (R11) ----------------------------------------------------------------------------------------------------

const readGap = (l) => l.read - l.counted - l.late - l.rejected - l.quarantined;
const countedGap = (l) => l.counted - l.held - l.retired;

/**
 * Whether every record that was read is in one place: what the committer says, and what the figures shown add up to.
 */
const balances = (l) => l.balances && readGap(l) === 0 && countedGap(l) === 0;

let fault = ""; // the last there was: a run ends by it, and the one that takes its place must not hide it

function ledger(s, now) {
  const panel = find("ledger"), l = s.ledger, good = balances(l), gap = readGap(l) || countedGap(l);
  data(panel, "balances", good);
  for (const cell of panel.querySelectorAll("[data-term]")) text(cell, whole(l[cell.dataset.term]));
  panel.querySelectorAll(".mark").forEach((mark, i) => text(mark, [readGap, countedGap][i](l) === 0 ? "✓" : "✗"));
  text(panel.querySelector(".verdict"), good ? "✓ balances" : "✗ does not balance");
  put("ledger-note", `Every record read is in exactly one place. ${several(l.keys, "minute")} of a symbol held.`);
  const what = gap === 0 ? "the committer says so"
    : `${several(Math.abs(gap), "record")} ${gap > 0 ? "missing" : "counted twice"}`;
  if (!good) {
    fault = `✗ The ledger did not balance at ${moment(s.now, now)} UTC: ${what}.`;
    put("alarm", `✗ The ledger does not balance: ${what}. Nothing is written while it does not.`);
  } else if (fault !== "") put("alarm", `${fault} What is shown now balances.`);
  find("alarm").hidden = good && fault === "";
}

// --- lateness advisor ------------------------------------------------------------------------------------------------

const short = (ms) => ms < 60_000 ? `${ms / 1000}s` : ms < 3_600_000 ? `${ms / 60_000}m` : `${ms / 3_600_000}h`;
const CHART_PX = { edges: 19, count: 15, lift: 24 }; // of style.css: below the bars, above each, and for lifted numbers

function lateness(s) {
  const { edges_ms: edges, counts } = s.lateness, { settings, records } = settingsOf(s.lateness);
  if (settings.length === 0) return;
  const now = s.settings.lateness_ms, slider = find("setting"), least = leastWithoutLoss(settings) ?? settings.at(-1);
  attribute(slider, "max", settings.length - 1);
  if (!slider.touched) slider.value = String(settings.indexOf(least));
  const tried = settings[Number(slider.value)] ?? settings.at(-1), present = edges.findLastIndex((edge) => edge <= now);
  put("advice", advice(settings, records, now));
  put("try", duration(tried.lateness_ms));
  put("outcome", records === 0 ? "" : outcome(tried, records, now));
  attribute(slider, "aria-valuetext", duration(tried.lateness_ms));
  attribute(find("bars"), "aria-label", `How far ${whole(records)} records were behind their partition`);
  const most = Math.log1p(Math.max(...counts, 1)), root = find("bars");
  const bar = () => make("div", "bar", make("span", "count"), make("i"), make("span", "edge"));
  const share = (count) => count === 0 ? 0 : Math.max(0.03, Math.log1p(count) / most);
  const room = root.clientHeight - CHART_PX.edges - CHART_PX.count - CHART_PX.lift;
  const number = (count) => count > 0 ? compact(count, 1000, 1).replace(" ", "") : "";
  const bars = counts.map((count) => ({ tall: share(count) * room, text: number(count) }));
  const lifted = lifts(bars, root.clientWidth / counts.length);
  each(root, counts, bar, (element, count, i) => {
    const [label, column, edge] = element.children, from = i === 0 ? 0 : edges[i - 1];
    style(column, "height", `${bars[i].tall.toFixed(1)}px`);
    style(label, "transform", `translateY(${-lifted[i]}px)`);
    data(element, "lost", i > 0 && from >= tried.lateness_ms);
    data(element, "present", i === present + 1);
    text(label, bars[i].text);
    text(edge, i === 0 ? "0" : short(from));
    const what = i === 0 ? `less than ${duration(edges[0])}` : `${duration(from)} or more`;
    attribute(element, "title", `${what} behind: ${several(count, "record")}`);
  });
}

// --- dead letters, checkpoint, sinks ---------------------------------------------------------------------------------

function letterRow() {
  const cell = (name, tag, inner = "") => make("td", name, make(tag, inner));
  return make("tr", "", cell("", "span"), cell("", "span", "tag"), cell("", "bdi"), cell("number", "span"),
    cell("", "bdi"), cell("number", "bdi"), cell("raw", "bdi"));
}

function letters(s, now) {
  const { recent, count, rejected: kinds } = s.dead_letters, { late, rejected, quarantined } = s.ledger;
  const why = kinds.length === 0 ? "" : ` (${kinds.slice(0, 3).map(byReason).join(", ")}${kinds.length > 3 ? ", …" : ""})`;
  const tally = `${whole(late)} late, ${whole(rejected)} rejected${why}, ${whole(quarantined)} quarantined`;
  put("dead-note", count === 0 ? "none" : tally);
  data(find("dead"), "empty", recent.length === 0);
  each(body("dead"), recent.slice(0, SHOWN_LETTERS), letterRow, (row, one) => {
    const raw = visible(one.raw ?? ""), why = visible(one.why ?? "");
    const reason = one.field === null ? one.reason : `${one.reason} ${visible(one.field)}`;
    const values = [moment(one.at, now), reason, visible(one.partition), whole(one.offset), visible(one.symbol ?? "–"),
      one.value ?? "–", raw];
    values.forEach((value, i) => text(row.children[i].firstChild, value));
    attribute(row.children[1], "title", why);
    attribute(row.lastChild, "title", raw);
  });
}

function sinkState(sink, now) {
  const refused = sink.unwritable > 0 ? `✗ ${several(sink.unwritable, "point")} refused, see unwritable.jsonl; ` : "";
  if (sink.trouble !== null) return `${refused}✗ ${visible(sink.trouble)}`;
  const remark = sink.remark ? `; ! ${visible(sink.remark)}` : "";
  const rounds = sink.begun === sink.stored ? "up to date" : `storing round ${whole(sink.begun)}`;
  return refused + (sink.line === null ? rounds : `${rounds}, final until ${moment(sink.line, now)}`) + remark;
}

function storage(s, now) {
  const c = s.checkpoint;
  put("checkpoint-age", c === null ? notSaved(s) : past(now - c.at));
  put("checkpoint-size", c === null ? "–" : `${bytes(c.bytes)} in ${several(c.objects, "object")}`);
  put("checkpoint-seq", c === null ? "–" : whole(c.seq));
  put("checkpoint-folder", visible(s.state ?? "–"));
  each(find("sinks"), s.sinks, () => make("li", "", make("bdi"), make("span", "note")), (item, sink) => {
    data(item, "mood", sink.trouble === null && sink.unwritable === 0 ? "" : "bad");
    text(item.firstChild, visible(sink.name));
    text(item.lastChild, sinkState(sink, now));
  });
}
