// The row of choices above the axis: metric, time, points, range, table.

import { h, replace } from "./dom.js";
import { METRICS, metricsOf } from "./format.js";
import { PRESETS } from "./range.js";

/** Radio buttons that look like one control; the arrows of the keyboard work by themselves. */
function choice(name, legend, options, chosen, pick) {
  return h(
    "fieldset",
    { class: "choice" },
    h("legend", { class: "unseen" }, legend),
    options.map(([value, text]) =>
      h(
        "label",
        {},
        h("input", {
          type: "radio",
          name,
          value,
          checked: value === chosen,
          data: { key: `${name}-${value}` },
          on: { change: () => pick(value) },
        }),
        h("span", {}, text),
      ),
    ),
  );
}

function press(text, label, click, more = {}) {
  return h(
    "button",
    {
      type: "button",
      class: "small",
      "aria-label": label,
      data: { key: label },
      on: { click },
      ...more,
    },
    text,
  );
}

/** Draws the row anew; `axis`: the view that is moved, `metric`: the one shown. */
export function showControls(root, store, axis, metric) {
  const set = (name) => (value) => store.set({ [name]: value });
  const metrics = metricsOf(store.get("about")).map((key) => [key, METRICS[key].name]);
  const times = [
    ["event", "event time"],
    ["wall", "wall time"],
  ];
  const steps = [
    ["auto", "auto"],
    ["bucket", "bucket"],
    ["day", "day"],
    ["week", "week"],
  ];
  replace(
    root,
    choice("metric", "Metric", metrics, metric, set("metric")),
    choice("axis", "Time of the axis", times, store.get("axis"), (to) => axis.turnTo(to)),
    labelled(
      "a point a",
      choice("step", "One point for each", steps, store.get("step"), set("step")),
    ),
    h("div", { class: "push" }, ranges(store, axis)),
    press(
      "Table",
      "Table of the buckets",
      () => store.set({ table: store.get("table") ? null : "1" }),
      { "aria-expanded": String(Boolean(store.get("table"))), "aria-controls": "buckets" },
    ),
  );
}

const labelled = (text, control) =>
  h("div", { class: "labelled" }, h("span", { "aria-hidden": "true" }, text), control);

function ranges(store, axis) {
  const wide = store.get("span")
    ? String(store.get("span"))
    : store.get("from") === null
      ? "all"
      : "";
  const presets = PRESETS[store.get("axis")].map(([text, s]) => [String(s), text]);
  const pick = (value) =>
    store.set({ span: value === "all" ? null : Number(value), from: null, to: null });
  return [
    choice("range", "Range, back from the newest", [["all", "all"], ...presets], wide, pick),
    h(
      "div",
      { class: "pair" },
      press("−", "Zoom out", () => axis.zoomBy(2)),
      press("+", "Zoom in", () => axis.zoomBy(0.5)),
    ),
  ];
}
