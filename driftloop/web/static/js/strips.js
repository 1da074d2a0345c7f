// The strips of the axis that are made of elements: versions, lanes of drifts and triggers, ticks.
// Marks are buttons: one stop of the Tab key for all, the arrows go from one to the next.

import { h, replace } from "./dom.js";
import { OUTCOMES, glyph, word } from "./outcomes.js";

const NEAR = 40; // px outside the view within which a mark is still made

/** Version bands with as much of their name as fits. */
export function showVersions(root, { pipeline, bands, px, width, when }) {
  const shown = bands.filter((band) => px(band.to) > 0 && px(band.from) < width); // NaN: not yet
  const items = shown.map((band) => {
    const left = Math.max(0, px(band.from));
    const room = Math.min(width, px(band.to)) - left;
    const who = `${band.cause} by ${band.by}`;
    const says = `${pipeline}@${band.version}, from ${when(band.from)}, ${who}`;
    return h(
      "div",
      {
        role: "listitem",
        class: `version ${bands.indexOf(band) % 2 ? "b" : "a"}`,
        title: band.reason ? `${says}: ${band.reason}` : says,
        style: { left: `${left}px`, width: `${Math.max(1, room - 1)}px` },
      },
      h("span", { class: "unseen" }, says),
      h("span", { "aria-hidden": "true" }, shortened(pipeline, band.version, room)),
    );
  });
  replace(root, items);
}

function shortened(pipeline, version, room) {
  const texts = [`${pipeline}@${version}`, `@${version}`, `${version}`];
  return texts.find((text) => text.length * 7.2 + 10 <= room) ?? "";
}

/** Marks by lane: drifts first, then each outcome that there is. */
export function lanesOf(drifts, triggers, place) {
  const lanes = [];
  if (drifts.length) {
    lanes.push({ name: "drift", marks: drifts.map((drift) => driftMark(drift, place)) });
  }
  const others = [...new Set(triggers.map((each) => each.outcome))];
  const order = [...OUTCOMES, ...others.filter((outcome) => !OUTCOMES.includes(outcome))];
  for (const outcome of order) {
    const marks = triggers.filter((each) => each.outcome === outcome);
    if (marks.length) {
      lanes.push({ name: outcome, marks: marks.map((each) => triggerMark(each, place)) });
    }
  }
  return lanes;
}

function driftMark(drift, place) {
  const says = `drift in ${drift.lane} ${drift.statistic} of version ${drift.model_version}`;
  return {
    key: `drift-${drift.id}`,
    at: place(drift.to_us, drift.at_ms),
    says,
    opens: drift.request_id,
    run: drift.run_id,
  };
}

function triggerMark(trigger, place) {
  const version = trigger.version ? ` as version ${trigger.version}` : "";
  return {
    key: `trigger-${trigger.id}`,
    at: place(trigger.at_us, trigger.at_ms),
    says: `${trigger.trigger}: ${word(trigger.outcome)}${version}`,
    opens: trigger.id,
    run: trigger.run_id,
  };
}

export function showLanes(root, lanes, view) {
  view.stop = tabStop(root, lanes, view);
  const rows = lanes.map((lane) =>
    h(
      "div",
      { class: "lane", role: "group", "aria-label": `${word(lane.name)}, ${lane.marks.length}` },
      h(
        "span",
        { class: "lane-name", "aria-hidden": "true" },
        glyph(lane.name),
        word(lane.name),
        h("b", {}, lane.marks.length),
      ),
      h(
        "div",
        { class: "lane-body" },
        visible(lane, view).map((mark) => button(lane, mark, view)),
      ),
    ),
  );
  replace(root, rows);
}

/** Of all marks one is reached by Tab: the one that had the focus last, else the newest. */
function tabStop(root, lanes, { px, width }) {
  const seen = lanes
    .flatMap((lane) => lane.marks)
    .filter(({ at }) => px(at) >= 0 && px(at) <= width);
  const newest = seen.reduce((a, b) => (a && a.at > b.at ? a : b), null);
  return (seen.find((mark) => mark.key === root.dataset.stop) ?? newest)?.key;
}

function visible(lane, { px, width }) {
  return lane.marks.filter(({ at }) => px(at) > -NEAR && px(at) < width + NEAR);
}

function button(lane, mark, { px, width, when, open, selected, stop }) {
  const x = px(mark.at);
  const outside = x < 0 || x > width;
  return h(
    "button",
    {
      type: "button",
      class: `mark${mark.opens === selected ? " chosen" : ""}`,
      hidden: outside,
      tabindex: mark.key === stop ? "0" : "-1",
      title: `${mark.says}, ${when(mark.at)}`,
      "aria-label": `${mark.says}, ${when(mark.at)}. Opens its run.`,
      data: { key: mark.key, at: mark.at, opens: mark.opens ?? "", run: mark.run ?? "" },
      style: { left: `${x}px` },
      on: { click: () => open(mark) },
    },
    glyph(lane.name),
  );
}

function inOrder(root) {
  return [...root.querySelectorAll(".mark:not([hidden])")].sort(
    (a, b) => a.dataset.at - b.dataset.at,
  );
}

/** Arrows among the marks; true where the key was one of theirs. */
export function moveAmongMarks(root, event) {
  const marks = inOrder(root);
  const from = marks.indexOf(document.activeElement);
  const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: marks.length - 1 }[
    event.key
  ];
  if (from < 0 || to === undefined) return false;
  const next = marks[Math.min(Math.max(to, 0), marks.length - 1)];
  for (const mark of marks) mark.tabIndex = mark === next ? 0 : -1;
  root.dataset.stop = next.dataset.key;
  next.focus();
  return true;
}

export function showTicks(root, { ticks, px, width }) {
  replace(
    root,
    ticks
      .filter((tick) => px(tick.at) >= 0 && px(tick.at) <= width)
      .map((tick) => {
        const edge = px(tick.at) < 34 ? " first" : px(tick.at) > width - 34 ? " last" : "";
        return h(
          "span",
          {
            class: `tick${tick.major ? " major" : ""}${edge}`,
            style: { left: `${px(tick.at)}px` },
          },
          tick.text,
        );
      }),
  );
}
