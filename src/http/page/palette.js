// Light or dark, and the colours the canvas draws with: those of style.css, resolved by the browser.

import { find, make } from "./dom.js";

export const MOST_LINES = 6;
const dark = matchMedia("(prefers-color-scheme: dark)");
const NAMES = { grid: "grid", rule: "rule-strong", muted: "muted", openBand: "open-band", flash: "flash",
  panel: "panel",
  onColor: "on-color", areaTop: "area-top", areaBottom: "area-bottom", up: "up", down: "down", upSoft: "up-soft",
  downSoft: "down-soft", final: "final", closed: "final", open: "open", partial: "partial" };

export const theme = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");

/** Every colour of NAMES, `lines` (one for each line of a chart) and the `font`. */
export function readPalette() {
  const probe = make("span");
  document.body.append(probe);
  const color = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  /** @type {any} */
  const palette = Object.fromEntries(Object.entries(NAMES).map(([key, name]) => [key, color(name)]));
  palette.lines = Array.from({ length: MOST_LINES }, (_, i) => color(`line-${i}`));
  palette.font = `12px ${getComputedStyle(probe).fontFamily}`;
  probe.remove();
  return palette;
}

/** The other theme, from now on (and for the next visit, where the browser stores anything). */
export function toggleTheme() {
  const next = theme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("minutely-theme", next);
  } catch { /* no storage: it lasts as long as the page */ }
}

/** Calls `on` whenever the theme may have changed. */
export function watchTheme(on) {
  find("theme").addEventListener("click", () => {
    toggleTheme();
    on();
  });
  dark.addEventListener("change", on);
}
