// What the page holds and does, minute by minute: `node watch.mjs URL MINUTES PID` keeps the page open and prints
//
//   minute,heap_kb,nodes,listeners,cpu_ms_per_s,script_ms_per_s,renderer_rss_kb,server_rss_kb,draws_per_s,load_1m
//
// The heap is after a garbage collection; CPU is the renderer's main thread (Performance.getMetrics). PID: the server.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const { chromium } = createRequire(join(process.env.NODE_PATH, "x"))("playwright-core");
const [base, minutes, pid] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"] });
const rss = (of) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${of}/status`, "utf8"))[1]);
/** The greatest renderer. */
function renderer() {
  const all = execFileSync("pgrep", ["-f", "--", "--type=renderer"], { encoding: "utf8" }).trim().split("\n");
  return Math.max(...all.map((one) => { try { return rss(one); } catch { return 0; } }));
}
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } }), tab = await context.newPage();
  tab.on("pageerror", (error) => { throw error; });
  await tab.goto(base);
  await tab.waitForSelector("body[data-connection=live]");
  const tools = await context.newCDPSession(tab);
  await tools.send("Performance.enable");
  const facts = async () => {
    const { metrics } = await tools.send("Performance.getMetrics"), draws = await tab.evaluate(() =>
      Number(document.getElementById("chart").dataset.draws));
    return { at: Date.now(), draws, ...Object.fromEntries(metrics.map(({ name, value }) => [name, value])) };
  };
  let before = await facts();
  for (let minute = 1; minute <= Number(minutes); minute += 1) {
    await tab.waitForTimeout(60_000);
    const now = await facts(), seconds = (now.at - before.at) / 1000, rate = (name) =>
      (now[name] - before[name]) / seconds;
    await tools.send("HeapProfiler.collectGarbage");
    const held = await facts();
    console.log([minute, Math.round(held.JSHeapUsedSize / 1024), held.Nodes, held.JSEventListeners,
      Math.round(1000 * rate("TaskDuration")), Math.round(1000 * rate("ScriptDuration")), renderer(), rss(pid),
      rate("draws").toFixed(1), readFileSync("/proc/loadavg", "utf8").split(" ")[0]].join());
    before = await facts();
  }
} finally {
  await browser.close();
}
