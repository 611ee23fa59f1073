// The measured trial behind src/http/page/chart.js: our canvas against plotly.js, 20 live lines of 1,200 points, ten
// updates a second, in headless Chromium under the page's own Content-Security-Policy. Prints one CSV row per run.
//
//   node trial.mjs ROUNDS SECONDS     (playwright-core and plotly.js-dist-min are where NODE_PATH says, see `run`)

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const from = createRequire(join(process.env.NODE_PATH ?? here, "x"));
const { chromium } = from("playwright-core");
const page = join(here, "../../src/http/page");
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "font-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const html = (scripts) => `<!doctype html><meta charset="utf-8"><title>trial</title><link rel="icon" href="data:,">` +
  `<link rel="stylesheet" href="/trial.css">${scripts}`;
const files = {
  "/canvas": ["text/html", html(`<canvas id="chart"></canvas><script type="module" src="/canvas.js"></script>`)],
  "/plotly": ["text/html", html(`<div id="chart"></div><script src="/plotly.min.js"></script>` +
    `<script type="module" src="/plotly.js"></script>`)],
  "/trial.css": ["text/css", "body { margin: 0 } #chart { display: block; width: 1200px; height: 600px }"],
  "/canvas.js": ["text/javascript", readFileSync(join(here, "canvas.js"))],
  "/plotly.js": ["text/javascript", readFileSync(join(here, "plotly.js"))],
  "/lines.js": ["text/javascript", readFileSync(join(here, "lines.js"))],
  "/plotly.min.js": ["text/javascript", readFileSync(from.resolve("plotly.js-dist-min/plotly.min.js"))],
};
for (const name of ["chart.js", "rows.js", "format.js"]) files[`/${name}`] = ["text/javascript",
  readFileSync(join(page, name))];
const server = createServer((request, response) => {
  const file = files[new URL(request.url, "http://x").pathname];
  response.writeHead(file ? 200 : 404, { "content-type": file?.[0] ?? "text/plain", "content-security-policy": CSP });
  response.end(file?.[1] ?? "");
}).listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));

const [rounds, seconds] = process.argv.slice(2).map(Number);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"] });
console.error(`chromium ${browser.version()}, plotly.js ${from("plotly.js-dist-min/package.json").version}`);
console.log("name,round,frames_per_s,updates,script_ms_per_update_median,script_ms_per_update_p95,task_ms_per_s," +
  "first_paint_ms," +
  "first_chart_ms,script_bytes,csp_violations,errors");
for (let round = 1; round <= rounds; round += 1) {
  for (const name of ["canvas", "plotly"]) {
    const context = await browser.newContext({ viewport: { width: 1200, height: 640 } });
    const tab = await context.newPage();
    let errors = 0;
    tab.on("pageerror", (error) => { errors += 1; console.error(name, String(error).slice(0, 200)); });
    await tab.addInitScript(() => {
      window.violations = [];
      document.addEventListener("securitypolicyviolation", (e) =>
        window.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
    });
    await tab.goto(`http://127.0.0.1:${server.address().port}/${name}`);
    await tab.waitForFunction(() => window.trial?.times.length > 10, null, { timeout: 60_000 });
    const tools = await context.newCDPSession(tab);
    await tools.send("Performance.enable");
    const tasks = async () => (await tools.send("Performance.getMetrics")).metrics.find((m) =>
      m.name === "TaskDuration").value;
    const before = await tasks();
    await tab.evaluate(() => { window.trial.times.length = 0; window.trial.frames = 0;
      window.trial.since = performance.now(); });
    await tab.waitForTimeout(seconds * 1000);
    const r = await tab.evaluate(() => {
      const { times, frames, since, firstChart, drawn } = window.trial, sorted = times.toSorted((a, b) => a - b);
      const at = (q) => sorted[Math.floor(q * (sorted.length - 1))];
      return { fps: frames / (performance.now() - since) * 1000, updates: times.length, median: at(0.5),
        p95: at(0.95), firstChart,
        paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN,
          violations: window.violations, drawn: drawn(),
        bytes: performance.getEntriesByType("resource").filter((e) => e.name.endsWith(".js")).reduce((n, e) => n +
          e.decodedBodySize, 0) };
    });
    if (!r.drawn) throw new Error(`${name}: nothing was drawn`);
    const spent = (await tasks() - before) * 1000 / seconds;
    for (const violation of new Set(r.violations)) console.error(`${name}: CSP ${violation}`);
    console.log([name, round, r.fps.toFixed(1), r.updates, r.median.toFixed(2), r.p95.toFixed(2), spent.toFixed(0),
      r.paint.toFixed(0),
      r.firstChart.toFixed(0), r.bytes, r.violations.length, errors].join(","));
    if (process.env.SHOTS) await tab.screenshot({ path: join(process.env.SHOTS, `${name}.png`) });
    await context.close();
  }
}
await browser.close();
server.close();
