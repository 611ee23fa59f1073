// Everything on the page that comes from the server's status: vital signs, why a minute is open, partitions, ledger,
// lateness advisor, dead letters, checkpoint and sinks. Called when a status came, and once a second because ages grow.

import { advice, leastWithoutLoss, lifts, outcome, settingsOf } from "./advisor.js";
import { attribute, data, each, find, make, style, text } from "./dom.js";
import { bytes, clock, compact, duration, moment, several, visible, whole } from "./format.js";
import { banner, countedGap, eventsGap, evidence, isTakenApart, ledgerNote, lostOf, noMinute, noWatermark, noticesOf, offsetsOf,
  placeOf, readVital, tally, whose } from "./sentences.js";

const SHOWN_PARTITIONS = 64, SHOWN_LETTERS = 50, DAY_MS = 86_400_000;

const put = (id, value) => text(find(id), value);
const past = (ms) => duration(Math.max(0, ms));
const body = (id) => find(id).querySelector("tbody");

/** Shows `status`; `now` is the server's clock. */
export function panels(status, now) {
  for (const panel of [notices, vitals, why, partitions, ledger, lateness, letters, storage, processes]) panel(status, now);
}

// --- notices ---------------------------------------------------------------------------------------------------------

/** That nothing counts; what keeps the source from reading, and what an operator should know for as long as it holds. */
function notices(s) {
  const loud = banner(s), all = noticesOf(s);
  put("nothing-headline", loud?.headline ?? ""); // it alone is spoken: what follows changes with every record
  put("nothing-sentence", loud?.sentence ?? "");
  find("nothing").hidden = loud === null;
  each(find("notices"), all, () => make("li"), text);
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
  if (s.w === null) vital("watermark", "–", noWatermark(s));
  else vital("watermark", moment(s.w, newest), `${past(newest - s.w)} behind the newest`);
  const good = balances(s), { lost, share } = lostOf(s.ledger);
  vital("balance", good ? "✓ Balances" : "✗ Does not balance", readVital(s.ledger), good ? "good" : "bad");
  vital("lost", whole(lost), share, banner(s) === null ? "" : "bad");
  const c = s.checkpoint, limit = Math.max(15_000, 10 * s.settings.checkpoint_interval_ms);
  if (c === null) vital("saved", notSaved(s), s.state === null ? "--state none" : "");
  else {
    const stale = now - c.at > limit && s.records_per_s > 0;
    vital("saved", `${past(now - c.at)} ago`, `${bytes(c.bytes)}, number ${whole(c.seq)}`, stale ? "bad" : "");
  }
}

// --- why is this minute still open? ----------------------------------------------------------------------------------

function why(s, now) {
  find("suspicion").hidden = s.suspicion === null;
  put("suspicion", `⚠ ${s.suspicion}`);
  const open = s.open_minute, windowMs = s.settings.window_ms;
  data(find("why"), "open", open !== null);
  if (open === null) {
    put("why-title", "No minute is open");
    put("why-sentence", noMinute(s));
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

/**
 * Whether every record that was read is in one place: what the committer says, and what the figures shown add up to.
 */
const balances = (s) => s.ledger.balances && gapsOf(s).every((gap) => gap === 0);

/** What each equation lacks: of events, of counted events, of offsets. */
const gapsOf = (s) => [eventsGap(s.ledger), countedGap(s.ledger), offsetsOf(s).gap];

let fault = ""; // the last there was: a run ends by it, and the one that takes its place must not hide it

function ledger(s, now) {
  const panel = find("ledger"), l = s.ledger, good = balances(s), gap = gapsOf(s).find((one) => one !== 0) ?? 0;
  const offsets = offsetsOf(s);
  data(panel, "balances", good);
  for (const cell of panel.querySelectorAll("[data-term]")) text(cell, whole(l[cell.dataset.term]));
  for (const cell of panel.querySelectorAll("[data-offsets]")) text(cell, whole(offsets[cell.dataset.offsets]));
  for (const row of panel.querySelectorAll("[data-rare]")) row.hidden = l[row.dataset.rare] === 0;
  panel.querySelectorAll(".mark").forEach((mark, i) => text(mark, gapsOf(s)[i] === 0 ? "✓" : "✗"));
  find("ledger-offsets").hidden = !isTakenApart(s);
  put("ledger-events", l.events === l.read ? "read" : "events");
  text(panel.querySelector(".verdict"), good ? "✓ balances" : "✗ does not balance");
  put("ledger-note", ledgerNote(l));
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
  const { recent } = s.dead_letters;
  put("dead-note", tally(s));
  data(find("dead"), "empty", recent.length === 0);
  each(body("dead"), recent.slice(0, SHOWN_LETTERS), letterRow, (row, one) => {
    const raw = visible(one.raw ?? ""), why = visible(one.why ?? ""), found = visible(one.found ?? "–");
    const reason = one.field === null ? one.reason : `${one.reason} ${visible(one.field)}`;
    const values = [moment(one.at, now), reason, visible(one.partition), placeOf(one), whose(one), one.value ?? found, raw];
    values.forEach((value, i) => text(row.children[i].firstChild, value));
    for (const cell of [row.children[1], row.children[5]]) attribute(cell, "title", why);
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

// --- processes of a run of several -----------------------------------------------------------------------------------

function processes(s, now) {
  find("processes").hidden = s.processes.length === 0;
  each(body("processes"), s.processes, () => make("tr", "", ...["", "", "", ...Array(6).fill("number")].map((name) => make("td", name))), (row, one) => {
    data(row, "mood", one.alive ? "" : "bad");
    const heard = one.process === 0 ? "this one" : one.heard === null ? "not yet" : `${past(now - one.heard)} ago`;
    const step = one.step_age_ms === null ? "–" : `${past(one.step_age_ms)} ago`;
    const lag = one.lag_ms === null ? "–" : duration(one.lag_ms);
    const cells = [whole(one.process), visible(one.address), one.alive ? heard : `✗ ${heard}`, whole(one.partitions), whole(one.read), lag,
      bytes(one.sent_bytes), bytes(one.received_bytes), step];
    cells.forEach((cell, n) => text(row.children[n], cell));
  });
}
