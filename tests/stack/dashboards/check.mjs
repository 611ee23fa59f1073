// Type-checks dashboards: `check.mjs FOLDER`. And what types cannot say: panels do not overlap, identities are not
// twice there, the version is the one that this @grafana/schema writes.

import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const { defaultDashboard } = require('@grafana/schema');

const folder = process.argv[2];
const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
const mistakes = [];

// A literal keeps its texts as they are, which an imported JSON file would not.
let source = "import type { File } from './panels';\n";
const uids = new Set();
for (const name of names) {
  const text = readFileSync(join(folder, name), 'utf8');
  const board = JSON.parse(text);
  source += `\n// ${name}\nexport const board${uids.size}: File = ${text.trim()};\n`;
  if (uids.has(board.uid)) mistakes.push(`${name}: its uid is another's`);
  uids.add(board.uid);
  if (board.schemaVersion !== defaultDashboard.schemaVersion) {
    mistakes.push(`${name}: schemaVersion ${board.schemaVersion}, not ${defaultDashboard.schemaVersion}`);
  }
  const ids = new Set(board.panels.map((panel) => panel.id));
  if (ids.size !== board.panels.length) mistakes.push(`${name}: two panels have one id`);
  const taken = new Map();
  for (const { title, gridPos: { x, y, w, h } } of board.panels) {
    if (x < 0 || x + w > 24) mistakes.push(`${name}: ${title} is wider than the page`);
    for (let i = x; i < x + w; i++) {
      for (let j = y; j < y + h; j++) {
        const other = taken.get(`${i},${j}`);
        if (other && other !== title) mistakes.push(`${name}: ${title} lies on ${other}`);
        taken.set(`${i},${j}`, title);
      }
    }
  }
}
if (names.length === 0) mistakes.push(`no dashboard in ${folder}`);
writeFileSync(join(here, 'all.ts'), source);

let code = 0;
try {
  execFileSync(process.execPath, [require.resolve('typescript/bin/tsc'), '-p', here], { stdio: 'inherit' });
} catch {
  code = 1;
}
for (const mistake of [...new Set(mistakes)]) console.error(mistake);
if (mistakes.length > 0) code = 1;
if (code === 0) console.log(`${names.length} dashboards are of Grafana's types`);
process.exit(code);
