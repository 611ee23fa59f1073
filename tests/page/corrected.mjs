// Watches one minute on the live page, in a real Chromium, while a late tick corrects it and what is derived from it.
//
//   node corrected.mjs URL#s=SYMBOL&minute=… BEFORE AFTER
//
// BEFORE and AFTER are texts that the page's numbers of that minute have before and after; it says `shown` once the first are
// there. From the environment, as for page.mjs: CHROMIUM, PATIENCE.

import { createRequire } from "node:module";

const { chromium } = createRequire(import.meta.url)("playwright-core");
const [url, before, after] = process.argv.slice(2), patience = Number(process.env.PATIENCE ?? 1);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
const tab = await browser.newPage();
const has = (text) => tab.waitForFunction((text) => document.body.innerText.replaceAll(/\s/g, "").includes(text), text,
  { timeout: 60_000 * patience });
try {
  await tab.goto(url);
  await has(before);
  console.log("shown");
  await has(after);
} catch (error) {
  console.error(`${error.message}\n${await tab.evaluate(() => document.body.innerText)}`);
  process.exitCode = 1;
}
await browser.close();
