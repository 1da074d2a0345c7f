// How far each feature has moved from what the model was fitted on, as a strip of heat a feature,
// the largest first. Below .1 it is steady; from .25 on it has moved, from 1 on far. Where many
// spans share a few pixels, their mean is drawn.

import { h, replace } from "./dom.js";
import { fixed } from "./format.js";
import { colour } from "./theme.js";

const LIMITS = [0.1, 0.25, 1, 4];
const FEW = 8;
const ROW = 20; // px; on a narrow screen the name stands above its strip
const ROW_NARROW = 36;
const BAR = 14;
const CELL = 6; // px: narrower ones would be noise

/** [{name, values, most}], the largest first. */
export function ranked(psi) {
  return Object.entries(psi?.features ?? {})
    .map(([name, values]) => ({ name, values, most: Math.max(0, ...values.map((v) => v ?? 0)) }))
    .sort((a, b) => b.most - a.most || a.name.localeCompare(b.name));
}

export class PsiStrip {
  constructor(root, more) {
    this.names = h("ol", { class: "psi-names" });
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.more = h("button", { type: "button", class: "quiet", on: { click: more } });
    this.empty = h(
      "p",
      { class: "hint" },
      "No PSI yet: it is taken over spans wide enough to compare.",
    );
    root.append(this.names, this.canvas);
    root.after(this.more, this.empty);
    this.root = root;
  }

  /** `scene`: {psi, all, range, px, width, place, gutter, narrow}; `at`: seconds or null. */
  show(scene) {
    const features = ranked(scene.psi);
    this.scene = scene;
    this.features = scene.all ? features : features.slice(0, FEW);
    this.spans = spansOf(scene.psi, scene.place);
    this.root.hidden = !features.length;
    this.empty.hidden = features.length > 0;
    this.more.hidden = features.length <= FEW;
    this.more.textContent = scene.all
      ? `The ${FEW} largest only`
      : `All ${features.length} features`;
    this.more.setAttribute("aria-expanded", String(Boolean(scene.all)));
    this.label(null);
    this.draw();
  }

  /** Names, each with its value at the cursor, else with its largest. */
  label(at) {
    const row = this.scene.narrow ? ROW_NARROW : ROW;
    const span = at === null ? -1 : this.spans.findIndex(([from, to]) => from <= at && at < to);
    const items = this.features.map((feature) => {
      const value = span < 0 ? feature.most : feature.values[span];
      const says = `${feature.name}, largest PSI ${fixed(feature.most, 2)}`;
      return h(
        "li",
        { style: { height: `${row}px` }, title: says },
        h("span", {}, feature.name),
        h("b", {}, fixed(value, 2)),
      );
    });
    replace(this.names, items);
  }

  draw() {
    const { px, width, narrow, gutter } = this.scene;
    const row = narrow ? ROW_NARROW : ROW;
    const ctx = sized(this.canvas, width, this.features.length * row);
    this.canvas.style.left = `${gutter}px`;
    for (const [line, { values }] of this.features.entries()) {
      const top = line * row + row - BAR - 3;
      for (const { from, to, value } of cells(this.spans, values, px)) {
        const [left, right] = [Math.max(0, from), Math.min(width, to)];
        if (right <= left) continue;
        ctx.fillStyle = colour(`heat-${LIMITS.filter((limit) => value >= limit).length}`);
        ctx.fillRect(left, top, Math.max(0.5, right - left - 1), BAR);
      }
    }
  }
}

/**
 * [from, to] of each span on the axis, up to the next one; where that is far off (a new version
 * gathers rows to compare with first), only as far as spans commonly reach.
 */
function spansOf(psi, place) {
  const starts = psi?.start_us ?? [];
  const widths = starts
    .slice(1)
    .map((start, at) => start - starts[at])
    .sort((a, b) => a - b);
  const wide = widths.length ? 2 * widths[widths.length >> 1] : 86400e6;
  return starts.map((from, at) => [
    place(from),
    place(Math.min(starts[at + 1] ?? Infinity, from + wide)),
  ]);
}

/** Spans in px, neighbours drawn together to at least a cell's width. */
function cells(spans, values, px) {
  const found = [];
  let open = null;
  for (const [at, span] of spans.entries()) {
    if (values[at] === null || values[at] === undefined) continue;
    const [from, to] = span.map(px);
    if (open && open.to - open.from < CELL && from - open.to < 1) {
      open.to = to;
      open.values.push(values[at]);
    } else {
      open = { from, to, values: [values[at]] };
      found.push(open);
    }
  }
  for (const cell of found) {
    cell.value = cell.values.reduce((sum, value) => sum + value, 0) / cell.values.length;
  }
  return found;
}

function sized(canvas, width, height) {
  const dense = devicePixelRatio || 1;
  canvas.width = Math.round(width * dense);
  canvas.height = Math.round(height * dense);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const ctx = canvas.getContext("2d");
  ctx.scale(dense, dense);
  return ctx;
}
