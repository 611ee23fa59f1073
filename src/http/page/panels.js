// Everything on the page that comes from the server's status: vital signs, why a minute is open, partitions, ledger, lateness
// advisor, dead letters, checkpoint. Called when a status came, and once a second because ages grow.

import { leastWithoutLoss, settingsOf } from "./advisor.js";
import { attribute, data, each, find, make, style, text } from "./dom.js";
import { bytes, clock, compact, duration, moment, smallPercent, whole } from "./format.js";

const SHOWN_PARTITIONS = 64, SHOWN_LETTERS = 50;

function vital(id, value, note, mood = "") {
  const [, main, small] = find(id).children;
  text(main, value);
  text(small, note);
  data(find(id), "mood", mood);
}

/** Whether every record that was read is in one place: what the committer says, and what the figures shown add up to. */
export function balances(ledger) {
  return ledger.balances && readGap(ledger) === 0 && countedGap(ledger) === 0;
}

const readGap = (l) => l.read - l.counted - l.late - l.rejected - l.quarantined;
const countedGap = (l) => l.counted - l.held - l.retired;

function vitals(s, now) {
  const newest = Math.max(...s.partitions.map((p) => p.h ?? -Infinity));
  const idle = s.partitions.filter((p) => p.caught_up).length, paused = s.partitions.filter((p) => p.paused).length;
  vital("throughput", `${compact(s.records_per_s)}/s`, `records, ${s.partitions.length === 1 ? "1 partition" : `${s.partitions.length} partitions`}` +
    (paused > 0 ? `, ${paused} paused` : idle > 0 ? `, ${idle} idle` : ""));
  const age = Math.max(0, now - newest);
  if (age > 86_400_000 && Number.isFinite(age)) vital("freshness", "Replay", `events of ${clock(newest, false, true)}`);
  else vital("freshness", duration(age), "age of the newest event");
  vital("watermark", s.w === null ? "–" : moment(s.w, newest), s.w === null ? "no event time yet" : `${duration(Math.max(0, newest - s.w))} behind the newest`);
  const { ledger } = s;
  vital("balance", balances(ledger) ? "✓ Balances" : "✗ Does not balance", `${compact(ledger.read)} records read`, balances(ledger) ? "good" : "bad");
  const lost = ledger.late + ledger.rejected + ledger.quarantined;
  vital("lost", whole(lost), ledger.read > 0 ? `${smallPercent(lost / ledger.read)} of all records` : "of all records");
  const c = s.checkpoint;
  const stale = c !== null && now - c.at > Math.max(15_000, 10 * s.settings.checkpoint_interval_ms) && s.records_per_s > 0;
  vital("saved", c === null ? "none yet" : `${duration(Math.max(0, now - c.at))} ago`, c === null ? "" : `${bytes(c.bytes)}, number ${whole(c.seq)}`, stale ? "bad" : "");
}

function why(s, now) {
  const panel = find("why"), open = s.open_minute, { window_ms: windowMs } = s.settings;
  data(panel, "open", open !== null);
  text(find("why-title"), open === null ? "No minute is open" : `Why is ${moment(open.minute, now, windowMs < 60_000)} still open?`);
  const sentence = open !== null ? open.why : s.w === null ? "Nothing has been read yet." : "Every minute that was read has ended in all partitions.";
  text(find("why-sentence"), sentence.replace(/^[a-z](?=[a-z]* )/, (letter) => letter.toUpperCase()) + (/[.!?]$/.test(sentence) ? "" : "."));
  const share = open === null || s.w === null ? 0 : Math.max(0, Math.min(1, (s.w - open.minute) / windowMs));
  style(panel.querySelector(".meter i"), "transform", `scaleX(${share.toFixed(4)})`);
  text(find("why-progress"), open === null ? "" : s.w === null ? "W does not exist yet: a partition has shown no event time"
    : `W is ${duration(Math.max(0, Math.min(windowMs, s.w - open.minute)))} into it; ${duration(Math.max(0, open.minute + windowMs - s.w))} of event time to go`);
  const partition = s.partitions.find((p) => p.name === open?.partition);
  text(find("why-partition"), open?.partition ?? "–");
  text(find("why-offset"), whole(open?.offset));
  text(find("why-time"), open === null ? "–" : moment(open.event_time, now));
  text(find("why-since"), open === null || open.since_ms === null ? "–" : `${duration(open.since_ms)} ago`);
  text(find("why-paused"), !partition ? "–" : partition.paused ? "paused by alignment" : "not paused");
  data(find("why-paused"), "mood", partition?.paused ? "bad" : "");
}

function evidence(p, settings) {
  if (p.ended) return ["■", "ended"];
  if (p.paused) return ["‖", "paused by alignment"];
  if (p.caught_up) return ["○", `idle: caught up, silent ${duration(p.silence_ms)}`];
  if (p.h === null) return ["…", "no valid record yet"];
  if (p.silence_ms >= settings.idle_ms) return ["!", `silent ${duration(p.silence_ms)}, end not proven`];
  return ["●", p.silence_ms < 1500 ? "reading" : `reading, ${duration(p.silence_ms)} ago`];
}

function partitions(s, now) {
  const known = s.partitions.filter((p) => p.watermark !== null);
  const low = Math.min(...known.map((p) => p.watermark)), high = Math.max(...known.map((p) => p.watermark));
  const span = Math.max(high - low, 1000), left = high - span;
  const shown = s.partitions.toSorted((a, b) => b.holds_w - a.holds_w || (a.watermark ?? -Infinity) - (b.watermark ?? -Infinity));
  const more = shown.length - SHOWN_PARTITIONS;
  text(find("partitions-note"), more > 0 ? `${SHOWN_PARTITIONS} of ${shown.length}, furthest behind first` : "furthest behind first");
  text(find("track-from"), known.length > 0 ? `W ${moment(low, now)}` : "");
  text(find("track-to"), known.length > 0 ? clock(high, true) : "");
  each(find("partitions").querySelector("tbody"), shown.slice(0, SHOWN_PARTITIONS), () => make("tr", "",
    make("th", "", make("bdi")), make("td", "track", make("div", "", make("i"))), make("td", "number"), make("td", "", make("span", "sign"), make("span")),
    make("td", "number")), (row, p) => {
    const [name, track, lag, state, next] = row.children, [sign, words] = evidence(p, s.settings);
    text(name.firstChild, p.name);
    data(row, "holdsW", p.holds_w);
    data(row, "paused", p.paused);
    data(row, "caughtUp", p.caught_up);
    row.title = p.holds_w ? "holds W back" : "";
    track.hidden = false;
    style(track.firstChild.firstChild, "left", p.watermark === null ? "0%" : `${((p.watermark - left) / span * 100).toFixed(2)}%`);
    style(track.firstChild.firstChild, "visibility", p.watermark === null ? "hidden" : "visible");
    text(lag, p.watermark === null ? "–" : duration(high - p.watermark));
    text(state.firstChild, sign);
    text(state.lastChild, words + (p.holds_w ? " — holds W" : ""));
    text(next, whole(p.next));
  });
}

function ledger(s) {
  const panel = find("ledger"), l = s.ledger, good = balances(l);
  data(panel, "balances", good);
  for (const cell of panel.querySelectorAll("[data-term]")) text(cell, whole(l[cell.dataset.term]));
  const [read, counted] = panel.querySelectorAll(".mark");
  text(read, readGap(l) === 0 ? "✓" : "✗");
  text(counted, countedGap(l) === 0 ? "✓" : "✗");
  text(panel.querySelector(".verdict"), good ? "✓ balances" : "✗ does not balance");
  text(find("ledger-note"), `Every record read is in exactly one place. ${whole(l.keys)} minutes are held.`);
  const alarm = find("alarm"), gap = readGap(l) || countedGap(l);
  text(alarm, good ? "" : `✗ The ledger does not balance: ${gap === 0 ? "the committer refuses to commit" : `${whole(Math.abs(gap))} records ${gap > 0 ? "are missing" : "are there twice"}`}. ` +
    "Nothing is written while it does not.");
  alarm.hidden = good;
}

const wait = (ms) => ms < 1000 ? `${ms} ms` : duration(ms);

const short = (ms) => ms < 60_000 ? `${ms / 1000}s` : ms < 3_600_000 ? `${ms / 60_000}m` : `${ms / 3_600_000}h`;

function lateness(s) {
  const { settings, records } = settingsOf(s.lateness), now = s.settings.lateness_ms, slider = find("setting");
  if (settings.length === 0) return;
  const present = settings.findLastIndex(({ lateness_ms: ms }) => ms <= now);
  attribute(slider, "max", settings.length - 1);
  const best = leastWithoutLoss(settings);
  if (!slider.touched) slider.value = String(best === null ? settings.length - 1 : settings.indexOf(best));
  const tried = settings[Number(slider.value)] ?? settings.at(-1);
  text(find("advice"), records === 0 ? "No record has been judged yet." : best === null
    ? `Some of ${compact(records)} records were more than ${wait(settings.at(-1).lateness_ms)} behind: no setting here loses none.`
    : best.lateness_ms < now ? `A lateness of ${wait(best.lateness_ms)} would have lost none of ${compact(records)} records, and minutes would be final ${wait(now - best.lateness_ms)} sooner.`
      : `The setting of ${wait(now)} fits: some of ${compact(records)} records came nearly as late.`);
  text(find("try"), wait(tried.lateness_ms));
  attribute(slider, "aria-valuetext", wait(tried.lateness_ms));
  const later = tried.lateness_ms - now;
  text(find("outcome"), records === 0 ? "" : `${tried.lost === 0 ? "Loses nothing" : `Loses at most ${whole(tried.lost)} records (${smallPercent(tried.lost / records)})`}; minutes are final ` +
    `${wait(tried.lateness_ms)} after they end${later === 0 ? ", as now" : `, ${wait(Math.abs(later))} ${later < 0 ? "sooner" : "later"} than now (${wait(now)})`}.`);
  const most = Math.log1p(Math.max(...s.lateness.counts));
  const edges = s.lateness.edges_ms;
  each(find("bars"), s.lateness.counts, () => make("div", "bar", make("span", "count"), make("i"), make("span", "edge")), (bar, count, i) => {
    style(bar.children[1], "height", `${count === 0 ? 0 : Math.max(4, Math.log1p(count) / most * 100).toFixed(1)}%`);
    data(bar, "lost", i > 0 && edges[i - 1] >= tried.lateness_ms);
    data(bar, "present", i === present + 1);
    text(bar.children[0], count > 0 ? compact(count, 1000, 10).replace(" ", "") : "");
    text(bar.children[2], i === 0 ? "0" : short(edges[i - 1]));
    bar.title = `${i === 0 ? "not behind, or less than" : "from"} ${wait(edges[Math.max(0, i - 1)])}: ${whole(count)} records`;
  });
  attribute(find("bars"), "aria-label", `How far ${whole(records)} records were behind: ${find("advice").textContent}`);
}

function letters(s, now) {
  const { count, recent } = s.dead_letters, l = s.ledger;
  text(find("dead-note"), count === 0 ? "none" : `${whole(l.late)} late, ${whole(l.rejected)} rejected, ${whole(l.quarantined)} quarantined`);
  data(find("dead"), "empty", recent.length === 0);
  each(find("dead").querySelector("tbody"), recent.slice(0, SHOWN_LETTERS), () => make("tr", "", make("td"), make("td", "", make("span", "tag")), make("td", "", make("bdi")),
    make("td", "number"), make("td", "", make("bdi")), make("td", "number"), make("td", "raw", make("bdi"))), (row, letter) => {
    const [at, reason, partition, offset, symbol, value, raw] = row.children;
    text(at, moment(letter.at, now));
    text(reason.firstChild, letter.reason);
    text(partition.firstChild, letter.partition);
    text(offset, whole(letter.offset));
    text(symbol.firstChild, letter.symbol ?? "–");
    text(value, letter.value ?? "–");
    text(raw.firstChild, letter.raw ?? "");
    raw.title = letter.raw ?? "";
  });
}

function storage(s, now) {
  const c = s.checkpoint;
  text(find("checkpoint-age"), c === null ? "none yet" : duration(Math.max(0, now - c.at)));
  text(find("checkpoint-size"), c === null ? "–" : `${bytes(c.bytes)} in ${c.objects === 1 ? "1 object" : `${whole(c.objects)} objects`}`);
  text(find("checkpoint-seq"), c === null ? "–" : whole(c.seq));
  text(find("checkpoint-folder"), c === null ? "–" : c.folder);
  each(find("sinks"), s.sinks, () => make("li", "", make("bdi"), make("span", "note")), (item, sink) => {
    text(item.firstChild, sink.name);
    data(item, "mood", sink.trouble === null ? "" : "bad");
    text(item.lastChild, sink.trouble !== null ? `✗ ${sink.trouble}` : `${sink.begun === sink.stored ? "up to date" : `storing round ${whole(sink.begun)}`}` +
      (sink.line === null ? "" : `, final until ${moment(sink.line, now)}`));
  });
}

/** Shows `status`; `now` is the server's clock. */
export function panels(status, now) {
  for (const panel of [vitals, why, partitions, ledger, lateness, letters, storage]) panel(status, now);
}
