// What hands do to the chart: the wheel and +/- zoom, dragging and Shift with arrows move in time, 0 goes back to the newest,
// a click or Enter opens a minute. All of it ends in a view as span.js makes it.

import { find } from "./dom.js";
import { MINUTE } from "./rows.js";
import { pan, settle, zoom } from "./span.js";

const CLICK_PX = 4, ZOOM = 1.4, WHEEL = 0.0016, LINE_PX = 16;

/**
 * Listens on the canvas of `stage`. `on.view({range, from, to}, held)` is told of another view, and whether a hand still drags it, `on.hover(move)`
 * to call `move` and draw, `on.open(minute)` that somebody wants to see all of it.
 */
export function listen(stage, on) {
  const canvas = find("chart");
  let drag = null; // {x, extent, moved, view}

  const show = (extent) => {
    const facts = stage.facts();
    if (Number.isFinite(facts.end)) on.view(settle(extent, facts), false);
  };
  const width = () => Math.max(1, stage.chart.layout?.right ?? canvas.clientWidth);
  const move = (share) => {
    const extent = stage.extent();
    show(pan(extent, (extent.to - extent.from) * share, stage.facts().end));
  };
  const x = ({ clientX }) => clientX - canvas.getBoundingClientRect().left;

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const px = event.deltaMode === 1 ? LINE_PX : 1, across = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (Math.abs(across) > Math.abs(event.deltaY) || event.shiftKey) return move(across * px / width());
    const factor = Math.exp(Math.max(-300, Math.min(300, event.deltaY * px)) * WHEEL);
    return show(zoom(stage.extent(), factor, Math.max(0, Math.min(1, x(event) / width()))));
  }, { passive: false });

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    drag = { x: x(event), extent: stage.extent(), moved: false, view: null };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const by = drag === null ? 0 : drag.x - x(event);
    if (drag !== null && (drag.moved || Math.abs(by) > CLICK_PX)) {
      drag.moved = true;
      const { from, to } = drag.extent, facts = stage.facts();
      if (!Number.isFinite(facts.end)) return undefined;
      drag.view = settle(pan(drag.extent, by / width() * (to - from), facts.end), facts);
      return on.view(drag.view, true);
    }
    return on.hover(() => stage.point(x(event)));
  });
  const release = () => {
    if (drag?.view) on.view(drag.view, false);
    drag = null;
  };
  canvas.addEventListener("pointerup", (event) => {
    if (drag !== null && !drag.moved) {
      const minute = stage.chart.minuteAt(x(event));
      if (minute !== null) on.open(minute);
    }
    release();
  });
  canvas.addEventListener("pointercancel", release);
  for (const event of ["pointerleave", "blur"]) canvas.addEventListener(event, () => on.hover(() => { stage.view.hover = null; }));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Enter") {
      const row = stage.pointed();
      if (row) on.open(row[MINUTE]);
    } else if (step === undefined) return;
    else if (event.shiftKey && Number.isFinite(step)) move(step / 4);
    else on.hover(() => stage.step(step));
    event.preventDefault();
  });

  /** By a key: the end stays where a view follows it, else the middle. */
  const zoomBy = (factor) => show(zoom(stage.extent(), factor, stage.view.to === null ? 1 : 0.5));
  return { closer: () => zoomBy(1 / ZOOM), farther: () => zoomBy(ZOOM) };
}
