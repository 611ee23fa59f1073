// The same 20 random lines of 1,200 minutes for both sides, and the same clock: an update every 100 ms, in which the
// newest minute of each line moves and, every tenth time, a new minute begins and the oldest goes.

export const LINES = 20, POINTS = 1200, MINUTE_MS = 60_000, START = Date.UTC(2026, 0, 5, 8);
let seed = 7;
const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;

export const lines = Array.from({ length: LINES }, (_, line) => {
  let value = 50 + line * 10;
  return Array.from({ length: POINTS }, (_, i) => [START + i * MINUTE_MS, value += random() - 0.5]);
});

export const trial = window.trial = { times: [], frames: 0, since: 0, firstChart: NaN, drawn: () => false };

function frame() {
  trial.frames += 1;
  requestAnimationFrame(frame);
}

/** Calls `draw(began)` ten times a second, `began` telling whether a minute did; notes what each call takes. */
export function go(draw) {
  let updates = 0;
  requestAnimationFrame(frame);
  setInterval(() => {
    updates += 1;
    const began = updates % 10 === 0;
    for (const line of lines) {
      const [minute, value] = line.at(-1);
      if (began) {
        line.push([minute + MINUTE_MS, value]);
        line.shift();
      }
      line.at(-1)[1] = value + random() - 0.5;
    }
    requestAnimationFrame(() => { // both sides draw where the page does
      const before = performance.now();
      draw(began);
      trial.times.push(performance.now() - before);
    });
  }, 100);
}
