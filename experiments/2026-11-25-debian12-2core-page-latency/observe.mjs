// How old a tick is when the page shows it: `node observe.mjs URL SECONDS` opens the page on the symbol STAMP, whose
// price is the millisecond of the tick modulo 10^8, and watches the line of figures under the chart (its C, the price of
// the newest tick) with a MutationObserver. A tick is seen with the first text that shows it or a newer one. Prints
//
//   seen,p50_ms,p90_ms,p99_ms,most_ms,texts,longest_gap_ms,page_cpu_ms_per_s,symbols
//
// over all milliseconds with a tick; `page_cpu` is the renderer's main thread (Performance.getMetrics, TaskDuration).

import { createRequire } from "node:module";
import { join } from "node:path";

const { chromium } = createRequire(join(process.env.NODE_PATH, "x"))("playwright-core");
const [base, seconds] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"] });
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } }), tab = await context.newPage();
  tab.on("pageerror", (error) => { throw error; });
  await tab.goto(`${base}#s=STAMP`);
  await tab.waitForFunction(() => document.getElementById("chart").dataset.symbol === "STAMP" &&
    /C[\d,]{9,}/.test(document.getElementById("readout").textContent), null, { timeout: 30_000 });
  await tab.waitForTimeout(3000);
  const tools = await context.newCDPSession(tab);
  await tools.send("Performance.enable");
  const tasks = async () => (await tools.send("Performance.getMetrics")).metrics.find(({ name }) =>
    name === "TaskDuration").value;
  const before = await tasks();
  const seen = await tab.evaluate((ms) => new Promise((resolve) => {
    const texts = [], root = document.getElementById("readout");
    const observer = new MutationObserver(() => {
      const now = Date.now(), close = [...root.children].find((item) => item.firstChild.textContent === "C");
      const shown = Number(close?.lastChild.textContent.replaceAll(",", ""));
      if (shown > (texts.at(-1)?.[0] ?? 0)) texts.push([shown, now]);
    });
    observer.observe(root, { subtree: true, childList: true, characterData: true });
    setTimeout(() => { observer.disconnect(); resolve(texts); }, ms);
  }), Number(seconds) * 1000);
  const spent = (await tasks() - before) * 1000 / Number(seconds);
  const ages = [];
  let gap = 0;
  for (let i = 1; i < seen.length; i += 1) {
    const [shown, now] = seen[i], [last, then] = seen[i - 1];
    gap = Math.max(gap, now - then);
    for (let stamp = last + 1; stamp <= shown; stamp += 1) ages.push(now % 1e8 - stamp);
  }
  ages.sort((a, b) => a - b);
  const at = (share) => ages[Math.floor(share * (ages.length - 1))];
  const symbols = await tab.evaluate(async () => (await (await fetch("/api/symbols?limit=1")).json()).total);
  console.log([ages.length, at(0.5), at(0.9), at(0.99), at(1), seen.length, gap, Math.round(spent), symbols].join());
} finally {
  await browser.close();
}
