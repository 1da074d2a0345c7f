// Hands on the axis: drag to zoom, move to read, and all of it from the keyboard.

import { h } from "./dom.js";
import { moveAmongMarks } from "./strips.js";

const DRAG = 6; // px: less is a click

/**
 * `axis` offers: left() and width() of the plots in px, seconds(px), zoomTo(from, to),
 * zoomBy(factor), panBy(share), reset(), toStart(), toEnd(), cursorAt(px | null), cursorStep(by).
 */
export function interact(stack, lanes, axis) {
  const shade = h("div", { class: "shade", hidden: true });
  stack.append(shade);
  pointer(stack, shade, axis);
  stack.addEventListener("dblclick", (event) => {
    if (!event.target.closest("button")) axis.reset();
  });
  stack.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (moveAmongMarks(lanes, event) || key(event, axis)) event.preventDefault();
  });
}

function key(event, axis) {
  const act = {
    ArrowLeft: () => (event.shiftKey ? axis.cursorStep(-1) : axis.panBy(-0.2)),
    ArrowRight: () => (event.shiftKey ? axis.cursorStep(1) : axis.panBy(0.2)),
    "+": () => axis.zoomBy(0.5),
    "=": () => axis.zoomBy(0.5),
    "-": () => axis.zoomBy(2),
    Home: () => axis.toStart(),
    End: () => axis.toEnd(),
    0: () => axis.reset(),
    Escape: () => axis.reset(),
  }[event.key];
  if (!act) return false;
  act();
  return true;
}

function pointer(stack, shade, axis) {
  let begun = null;
  let dragged = false;
  const at = (event) => {
    const x = event.clientX - stack.getBoundingClientRect().left - axis.left();
    return Math.min(Math.max(x, 0), axis.width());
  };
  stack.addEventListener("pointerdown", (event) => {
    const inPlot = event.clientX - stack.getBoundingClientRect().left >= axis.left();
    if (event.button || !inPlot || event.target.closest("button")) return;
    begun = at(event);
    dragged = false;
    stack.setPointerCapture(event.pointerId);
  });
  stack.addEventListener("pointermove", (event) => {
    const x = at(event);
    axis.cursorAt(x);
    if (begun === null) return;
    dragged ||= Math.abs(x - begun) > DRAG;
    shade.hidden = !dragged;
    shade.style.left = `${axis.left() + Math.min(x, begun)}px`;
    shade.style.width = `${Math.abs(x - begun)}px`;
  });
  const end = (event, keep) => {
    if (begun !== null && dragged && keep) {
      const ends = [begun, at(event)].sort((a, b) => a - b);
      axis.zoomTo(axis.seconds(ends[0]), axis.seconds(ends[1]));
    }
    begun = null;
    shade.hidden = true;
  };
  stack.addEventListener("pointerup", (event) => end(event, true));
  stack.addEventListener("pointercancel", (event) => end(event, false));
  stack.addEventListener("pointerleave", () => begun === null && axis.cursorAt(null));
}
