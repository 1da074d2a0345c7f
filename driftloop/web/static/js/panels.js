// The two panels with lines: realised score and label coverage. uPlot draws the lines and their
// scale; version bands, the gain between the lines and the marks are drawn beneath by us.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { signed } from "./format.js";
import { colour } from "./theme.js";

const FONT = '12px system-ui, -apple-system, "Segoe UI", sans-serif';
export const RIGHT = 16; // px right of every panel, so that the last tick's text has room

/** A panel on the shared axis. `scene()` gives {range, ticks, bands, marks, selected}. */
class Panel {
  constructor(root, { height, series, scale, values, beneath, scene, gutter }) {
    this.root = root;
    this.height = height;
    this.options = {
      width: 600,
      height,
      padding: [8, RIGHT, 6, 0],
      cursor: { show: false },
      legend: { show: false },
      select: { show: false },
      scales: { x: { time: false, range: () => scene().range }, y: { range: scale } },
      axes: [axisOfTime(scene), axisOfValues(gutter, values)],
      series: [{}, ...series],
      hooks: { drawClear: [(u) => beneath(u, scene())] },
    };
    this.plot = new uPlot(this.options, [[], ...series.map(() => [])], root);
    this.plot.root.setAttribute("aria-hidden", "true"); // the table view tells the same
  }

  show(data) {
    this.plot.setData(data, true);
  }

  resize(width) {
    if (width > 0 && width !== this.plot.width) {
      this.plot.setSize({ width, height: this.height });
    }
  }

  redraw() {
    this.plot.redraw(false, true);
  }

  /** y in CSS px from the panel's top. */
  y(value) {
    return this.plot.valToPos(value, "y") + this.plot.over.offsetTop;
  }
}

function axisOfTime(scene) {
  return {
    size: 0,
    splits: () => scene().ticks.map((tick) => tick.at),
    values: (u, splits) => splits.map(() => ""),
    grid: { stroke: () => colour("grid"), width: 1 },
    ticks: { show: false },
  };
}

function axisOfValues(gutter, values) {
  return {
    size: gutter,
    gap: 6,
    font: FONT,
    space: 34,
    stroke: () => colour("ink-3"),
    grid: { stroke: () => colour("grid"), width: 1 },
    ticks: { show: false },
    values,
  };
}

export function scorePanel(root, scene, gutter) {
  return new Panel(root, {
    height: 264,
    scene,
    gutter,
    scale: (u, low, high) => padded(low, high),
    values: (u, splits) => splits.map((each) => each.toFixed(decimals(splits))),
    series: [line("loop", { width: 2.25 }), line("frozen", { width: 1.75, dash: [6, 4] })],
    beneath: (u, now) => {
      bands(u, now);
      gain(u, now.better);
      marks(u, now);
    },
  });
}

/** By how much the loop is better, as bars about nought. */
export function gainPanel(root, scene, gutter) {
  const bars = uPlot.paths.bars({ size: [0.8, 14], align: 0 });
  const half = (name) => line(name, { width: 0, fill: () => colour(name), paths: bars });
  return new Panel(root, {
    height: 84,
    scene,
    gutter,
    scale: (u, low, high) => {
      const most = Math.max(Math.abs(low ?? 0), Math.abs(high ?? 0), 1e-4);
      return [Math.min(1.1 * (low ?? 0), -most / 4), Math.max(1.1 * (high ?? 0), most / 4)];
    },
    values: (u, splits) => splits.map((each) => (each ? signed(each, decimals(splits)) : "0")),
    series: [half("loop"), half("frozen")],
    beneath: (u, now) => {
      bands(u, now);
      marks(u, now);
    },
  });
}

export function coveragePanel(root, scene, gutter) {
  return new Panel(root, {
    height: 84,
    scene,
    gutter,
    scale: () => [0, 1],
    values: (u, splits) => splits.map((each) => `${Math.round(each * 100)} %`),
    series: [line("coverage", { width: 1.5, fill: () => colour("coverage-fill") })],
    beneath: (u, now) => {
      bands(u, now);
      marks(u, now);
    },
  });
}

function line(name, more) {
  return { stroke: () => colour(name), points: { show: false }, spanGaps: false, ...more };
}

function padded(low, high) {
  if (low === null || high === null) return [0, 1];
  const room = Math.max((high - low) * 0.08, 0.005);
  return [low - room, high + room];
}

const decimals = (splits) => (splits.length > 1 && splits[1] - splits[0] < 0.01 ? 3 : 2);

function bands(u, { bands: all, selected }) {
  for (const [at, band] of all.entries()) {
    stripe(u, band.from, band.to, colour(at % 2 ? "band-b" : "band-a"));
  }
  if (selected) stripe(u, selected.from, selected.to, colour("selected"));
}

function stripe({ ctx, bbox, valToPos, scales }, from, to, fill) {
  const [low, high] = [scales.x.min, scales.x.max];
  if (to < low || from > high) return;
  const left = valToPos(Math.max(from, low), "x", true);
  const right = valToPos(Math.min(to, high), "x", true);
  ctx.fillStyle = fill;
  ctx.fillRect(left, bbox.top, Math.max(right - left, devicePixelRatio), bbox.height);
}

function marks(u, { marks: all }) {
  const { ctx, bbox, valToPos, scales } = u;
  ctx.save();
  for (const { at, kind } of all) {
    if (at < scales.x.min || at > scales.x.max) continue;
    const x = Math.round(valToPos(at, "x", true)) + 0.5;
    ctx.strokeStyle = colour(kind);
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash(kind === "drift" ? [2 * devicePixelRatio, 4 * devicePixelRatio] : []);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** Between the lines: one tint where the loop is better, another where the frozen model is. */
function gain(u, better) {
  const [xs, loop, frozen] = u.data;
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (let at = 1; at < xs.length; at += 1) {
    const ends = [at - 1, at].map((i) => ({ x: xs[i], loop: loop[i], frozen: frozen[i] }));
    if (ends.every((end) => end.loop !== null && end.frozen !== null)) between(u, ends, better);
  }
  ctx.restore();
}

function between(u, [a, b], better) {
  const [before, after] = [a.loop - a.frozen, b.loop - b.frozen];
  if (before * after < 0) {
    const share = before / (before - after);
    const middle = {};
    for (const key of ["x", "loop"]) middle[key] = a[key] + share * (b[key] - a[key]);
    middle.frozen = middle.loop;
    between(u, [a, middle], better);
    between(u, [middle, b], better);
    return;
  }
  const won = better === "lower" ? before + after < 0 : before + after > 0;
  quad(u, [a, b], colour(won ? "gain" : "loss"));
}

function quad({ ctx, valToPos }, [a, b], fill) {
  const x = (end) => valToPos(end.x, "x", true);
  const y = (value) => valToPos(value, "y", true);
  ctx.fillStyle = fill;
  ctx.beginPath();
  ctx.moveTo(x(a), y(a.loop));
  ctx.lineTo(x(b), y(b.loop));
  ctx.lineTo(x(b), y(b.frozen));
  ctx.lineTo(x(a), y(a.frozen));
  ctx.closePath();
  ctx.fill();
}
