// The pipeline on one axis: versions, drifts, triggers, score, coverage and PSI above each other,
// with one cursor and one range for all.

import { announce, byId, h } from "./dom.js";
import { METRICS, count, fixed, gainOf, metricsOf, percent, signed } from "./format.js";
import { showBuckets } from "./buckets.js";
import { showControls } from "./controls.js";
import { interact } from "./interact.js";
import { RIGHT, coveragePanel, gainPanel, scorePanel } from "./panels.js";
import { PsiStrip } from "./psi.js";
import { current, extent, panned, patchOf, zoomed } from "./range.js";
import { Clock, STEPS, covered, nearest, points, stepFor } from "./series.js";
import { lanesOf, showLanes, showTicks, showVersions } from "./strips.js";
import { onTheme } from "./theme.js";
import { moment, span as spanOf, ticks } from "./time.js";

const WIDE = 176; // px of the gutter with names and scales; narrow screens have less
const NARROW = 48;
const NARROW_BELOW = 640;

export class LoopView {
  constructor(store, open) {
    this.store = store;
    this.open = open;
    this.cursor = null;
    this.stack = byId("stack");
    this.gutter = innerWidth < NARROW_BELOW ? NARROW : WIDE;
    this.scene = { range: [0, 1], full: [0, 1], ticks: [], bands: [], marks: [] };
    const scene = () => this.scene;
    this.score = scorePanel(byId("score"), scene, () => this.gutter);
    this.gain = gainPanel(byId("gain"), scene, () => this.gutter);
    this.coverage = coveragePanel(byId("coverage"), scene, () => this.gutter);
    this.psi = new PsiStrip(byId("psi"), () =>
      store.set({ features: store.get("features") ? null : "all" }),
    );
    this.line = h("div", { class: "cursor", hidden: true, "aria-hidden": "true" });
    this.dots = ["loop", "frozen"].map((name) => h("i", { class: `dot ${name}`, hidden: true }));
    this.stack.append(this.line);
    byId("score").append(...this.dots);
    interact(this.stack, byId("lanes"), this);
    this.listen();
  }

  listen() {
    const parts = ["buckets", "bands", "drifts", "triggers", "psi", "about"];
    const view = ["axis", "metric", "step", "span", "from", "to", "table", "features", "trigger"];
    this.store.on([...parts, ...view], () => this.soon());
    onTheme(() => this.soon());
    new ResizeObserver(() => this.soon()).observe(this.stack.parentElement);
  }

  /** The first time at once; then at most once a frame, and not at all while nobody looks. */
  soon() {
    if (!document.documentElement.dataset.drawn) {
      this.render();
      return;
    }
    this.due ??= requestAnimationFrame(() => {
      this.due = null;
      this.render();
    });
  }

  metric() {
    const known = metricsOf(this.store.get("about"));
    const chosen = this.store.get("metric");
    return known.includes(chosen) ? chosen : known[0];
  }

  render() {
    const { store } = this;
    if (!store.get("about")) return;
    showControls(byId("controls"), store, this, this.metric());
    const buckets = store.get("buckets");
    const empty = !buckets?.start_us.length && !store.get("triggers")?.length;
    byId("nothing").hidden = !empty;
    this.stack.hidden = byId("readout").hidden = byId("legend").hidden = empty;
    if (empty) return;
    this.measure();
    this.place(buckets);
    this.draw();
    showBuckets(byId("buckets"), this);
    document.documentElement.dataset.drawn ??= Math.round(performance.now()); // ms, for the bench
  }

  measure() {
    const wide = this.stack.clientWidth;
    this.gutter = wide < NARROW_BELOW ? NARROW : WIDE;
    this.stack.style.setProperty("--gutter", `${this.gutter}px`);
    this.plotWidth = Math.max(40, wide - this.gutter - RIGHT);
    for (const panel of [this.score, this.gain, this.coverage]) panel.resize(wide);
  }

  /** Everything in seconds of the axis that is shown. */
  place(buckets) {
    const { store } = this;
    const event = store.get("axis") === "event";
    this.clock = new Clock(buckets);
    this.at = event
      ? (us, ms) => (us ?? this.clock.event(ms ?? NaN)) / 1e6
      : (us, ms) => (ms ?? this.clock.wall(us)) / 1e3;
    const last = buckets.start_us.length - 1;
    const bands = store.get("bands").map((band) => ({
      ...band,
      from: this.at(band.from_us, band.from_ms),
      to: band.to_ms === null ? Infinity : this.at(band.to_us, band.to_ms),
    }));
    const lanes = lanesOf(store.get("drifts"), store.get("triggers"), this.at);
    const full = extent([
      ...(last < 0 ? [] : [this.at(buckets.start_us[0]), this.at(buckets.end_us[last])]),
      ...lanes.flatMap((lane) => lane.marks.map((mark) => mark.at)),
    ]) ?? [0, 1];
    const range = current(store, full);
    const room = this.plotWidth / (this.gutter === NARROW ? 66 : 76);
    this.scene = {
      range,
      full,
      bands,
      lanes,
      ticks: ticks(...range, room, event),
      marks: marksOf(lanes),
      better: METRICS[this.metric()].better,
      selected: this.selected(),
    };
    this.points = points(buckets, {
      axis: store.get("axis"),
      stepUs: STEPS[this.step(range)],
      names: METRICS[this.metric()],
    });
  }

  step([from, to]) {
    const chosen = this.store.get("step");
    if (chosen !== "auto" && chosen in STEPS) return chosen;
    const wide =
      this.store.get("axis") === "event"
        ? (to - from) * 1e6
        : this.clock.event(to * 1e3) - this.clock.event(from * 1e3);
    return stepFor(wide, this.store.get("about").bucket_us);
  }

  /** The evidence of the trigger that is open, as a stripe. */
  selected() {
    const id = this.store.get("trigger");
    const trigger = id && this.store.get("triggers").find((each) => each.id === id);
    const drift = trigger && this.store.get("drifts").find((each) => each.id === trigger.drift_id);
    if (!drift) return null;
    return { from: this.at(drift.from_us), to: this.at(drift.to_us, drift.at_ms) };
  }

  draw() {
    const { scene, points: of, store } = this;
    const px = (s) => this.px(s);
    const event = store.get("axis") === "event";
    const when = (s) => `${moment(s, event, !event)}${event ? " UTC" : ""}`;
    const view = { px, width: this.plotWidth, when };
    const pipeline = store.get("about").name;
    showVersions(byId("versions"), { ...view, pipeline, bands: scene.bands });
    showLanes(byId("lanes"), scene.lanes, {
      ...view,
      open: this.open,
      selected: store.get("trigger"),
    });
    showTicks(byId("ticks"), { ...view, ticks: scene.ticks });
    this.score.show([of.x, of.loop, of.frozen]);
    this.gain.show([of.x, ...halves(this.metric(), of)]);
    this.coverage.show([of.x, of.coverage]);
    this.psi.show({
      ...view,
      psi: store.get("psi"),
      all: store.get("features"),
      gutter: this.gutter,
      narrow: this.gutter === NARROW,
      place: (us) => this.at(us),
    });
    byId("axis-note").textContent = this.note(scene.range);
    byId("score-name").textContent = METRICS[this.metric()].name;
    this.showCursor();
  }

  note(range) {
    const { name, better } = METRICS[this.metric()];
    const step = this.step(range);
    const of = step === "bucket" ? "each bucket" : `a ${step}'s buckets, weighted by rows`;
    const zone = this.store.get("axis") === "event" ? "event time, UTC" : "wall time, local";
    return `${name} (${better} is better), ${of}; ${zone}`;
  }

  // Where things are, for those who draw and those who touch.

  px(s) {
    const [from, to] = this.scene.range;
    return ((s - from) / (to - from)) * this.plotWidth;
  }

  seconds(px) {
    const [from, to] = this.scene.range;
    return from + (px / this.plotWidth) * (to - from);
  }

  left() {
    return this.gutter;
  }

  width() {
    return this.plotWidth;
  }

  // Moving about.

  to(range) {
    this.store.set(patchOf(range, this.scene.full));
  }

  zoomTo(from, to) {
    this.to(zoomed([from, to], this.scene.full, 1, this.store.get("axis")));
  }

  zoomBy(factor) {
    const { range, full } = this.scene;
    this.to(zoomed(range, full, factor, this.store.get("axis")));
  }

  panBy(share) {
    this.to(panned(this.scene.range, this.scene.full, share));
  }

  toStart() {
    this.panBy(-1e6);
  }

  toEnd() {
    this.panBy(1e6);
  }

  reset() {
    this.store.set({ span: null, from: null, to: null });
  }

  /** The other time on the axis, looking at the same part of it. */
  turnTo(axis) {
    const { range, full } = this.scene;
    const { from, span, to } = patchOf(range, full);
    const patch = { axis, from, span, to };
    if (from !== null) {
      const turn =
        axis === "wall"
          ? (s) => this.clock.wall(s * 1e6) / 1e3
          : (s) => this.clock.event(s * 1e3) / 1e6;
      [patch.from, patch.to] = [Math.floor(turn(from)), Math.ceil(turn(to))];
    }
    this.store.set(patch);
  }

  cursorAt(px) {
    this.cursor = px === null ? null : nearest(this.points.x, this.seconds(px));
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = null;
      this.showCursor();
    });
  }

  cursorStep(by) {
    const [from, to] = this.scene.range;
    const first = nearest(this.points.x, by > 0 ? from : to);
    const next = this.cursor === null ? first : this.cursor + by;
    this.cursor = Math.min(Math.max(next, 0), this.points.x.length - 1);
    announce(this.showCursor());
  }

  /** Line, dots and figures at the cursor; without one, the figures of all that is in view. */
  showCursor() {
    const { points: of, cursor } = this;
    const s = cursor === null || cursor < 0 ? null : of.x[cursor];
    const x = s === null ? -1 : this.px(s);
    const shown = s !== null && x >= 0 && x <= this.plotWidth;
    this.line.hidden = !shown;
    this.line.style.left = `${this.gutter + x}px`;
    for (const [at, name] of ["loop", "frozen"].entries()) {
      const value = shown ? of[name][cursor] : null;
      this.dots[at].hidden = value === null;
      if (value !== null) {
        this.dots[at].style.left = `${this.gutter + x}px`;
        this.dots[at].style.top = `${this.score.y(value)}px`;
      }
    }
    if (this.psi.scene) this.psi.label(shown ? s : null);
    return this.read(shown ? [cursor, cursor] : inView(of.x, this.scene.range), shown);
  }

  read([first, last], one) {
    const sums = summed(this.points, first, last);
    const { name } = METRICS[this.metric()];
    const [oldest, newest] = [sums.versions[0], sums.versions.at(-1)];
    const versions = oldest === newest ? oldest && `@${oldest}` : `@${oldest}–${newest}`;
    const words = [
      ["", one || last >= first ? spanOf(sums.from / 1e6, sums.to / 1e6, true) : "nothing in view"],
      ["version", versions || "none"],
      [`loop ${name}`, fixed(sums.loop), "loop"],
      [`frozen ${name}`, fixed(sums.frozen), "frozen"],
      ["gain", signed(gainOf(this.metric(), sums.loop, sums.frozen))],
      ["labelled", percent(sums.coverage)],
      ["rows", count(sums.rows)],
    ];
    byId("readout").replaceChildren(
      // An AUC of parts can't be added up: of several buckets it is their mean, and says so.
      h("b", {}, one ? "At the cursor" : "In view", sums.merged > 1 && ", mean of buckets"),
      ...words.map(([title, value, kind]) =>
        h("span", { class: kind }, title && h("i", {}, title), h("span", {}, value)),
      ),
    );
    return words.map((each) => each.slice(0, 2).join(" ")).join(", ");
  }
}

function marksOf(lanes) {
  return lanes.flatMap(({ name, marks }) =>
    ["drift", "released"].includes(name) ? marks.map(({ at }) => ({ at, kind: name })) : [],
  );
}

/** Gains above and below nought as two columns, so that each has a colour of its own. */
function halves(metric, { loop, frozen }) {
  const gains = loop.map((value, at) => gainOf(metric, value, frozen[at]));
  return [
    gains.map((gain) => (gain > 0 ? gain : null)),
    gains.map((gain) => (gain < 0 ? gain : null)),
  ];
}

function inView(xs, [from, to]) {
  let [first, last] = [0, xs.length - 1];
  while (first <= last && xs[first] < from) first += 1;
  while (last >= first && xs[last] > to) last -= 1;
  return [first, last];
}

/** Points first … last as one. */
function summed(of, first, last) {
  const mean = (name, weight) => {
    let [total, weights] = [0, 0];
    for (let at = first; at <= last; at += 1) {
      if (of[name][at] === null) continue;
      total += of[name][at] * of[weight][at];
      weights += of[weight][at];
    }
    return weights ? total / weights : null;
  };
  const [loop, frozen] = [mean("loop", "rows"), mean("frozen", "rows")];
  const within = (name) => of[name].slice(first, last + 1);
  const sum = (name) => within(name).reduce((total, each) => total + each, 0);
  return {
    from: of.from_us[first],
    to: of.to_us[last],
    loop,
    frozen,
    merged: sum("merged"),
    coverage: covered(sum("rows"), sum("unlabelled")),
    rows: sum("rows"),
    versions: [...new Set(within("version").filter(Boolean))],
  };
}
