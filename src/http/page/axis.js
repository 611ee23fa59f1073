// The chart's time axis: times of UTC, as minutes are, and under them the reader's where these are others.

import { clock, isLocalUtc, localClock } from "./format.js";

const ONE = 22, SECOND_LINE = 15; // CSS pixels
/** How tall it is, CSS pixels. */
export const AXIS = isLocalUtc() ? ONE : ONE + SECOND_LINE;
const SECOND = 1000, MIN = 60 * SECOND, HOUR = 60 * MIN;
const TIME_STEPS = [1, 2, 5, 10, 15, 30].map((n) => n * SECOND)
  .concat([1, 2, 5, 10, 15, 30].map((n) => n * MIN), [1, 2, 3, 6, 12, 24, 48, 168].map((n) => n * HOUR));

/** Writes the times between `view.from` and `view.to` below the plot. */
export function drawTimes(c, view, at) {
  const wanted = Math.max(view.settings.window_ms, (view.to - view.from) / Math.max(2, at.right / 84));
  const every = TIME_STEPS.find((s) => s >= wanted) ?? TIME_STEPS.at(-1), first = at.height - AXIS + 14, second = at.height - 8;
  c.textAlign = "center";
  for (let t = Math.ceil(view.from / every) * every; t <= view.to; t += every) {
    const x = at.x(t);
    if (x < 28 || x > at.right - 4) continue;
    c.fillText(clock(t, every < MIN, every >= 24 * HOUR), x, first);
    if (AXIS > ONE && every < 24 * HOUR) c.fillText(localClock(t, every < MIN), x, second);
  }
  if (AXIS === ONE) return;
  c.textAlign = "left";
  c.fillText("UTC", at.right + 10, first);
  c.fillText("local", at.right + 10, second);
}
