// When what is drawn: each part of the page in an animation frame that a change asked for, and no more often than it says.

/**
 * `drawers` = {part: function}, `everyMs` = {part: ms between two drawings}. Gives {changed, changedNow}: that parts have
 * changed, and that somebody did something and looks, so that they are drawn in the next frame.
 */
export function schedule(drawers, everyMs) {
  const due = new Map(); // what has changed -> when it may be drawn
  const drawn = {}; // when each was last drawn
  let frame = 0;

  const draw = () => {
    frame = 0;
    const now = performance.now();
    for (const [part, drawer] of Object.entries(drawers)) {
      if (!(due.get(part) <= now + 4)) continue; // frames come every 16 ms: rather a little early than a frame late
      due.delete(part);
      drawn[part] = now;
      drawer();
    }
    if (due.size === 0 || frame) return;
    const next = Math.min(...due.values()) - now;
    if (next < 34) frame = requestAnimationFrame(draw);
    else setTimeout(() => { frame ||= requestAnimationFrame(draw); }, next - 16);
  };
  const changed = (...parts) => {
    for (const part of parts) {
      if (!due.has(part)) due.set(part, Math.max(performance.now(), (drawn[part] ?? -Infinity) + everyMs[part]));
    }
    frame ||= requestAnimationFrame(draw);
  };
  const changedNow = (...parts) => {
    for (const part of parts) due.set(part, 0);
    changed(...parts);
  };
  return { changed, changedNow };
}
