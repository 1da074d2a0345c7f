// The processes: state, how far behind, how fast, and the last error in full.

import { byId, h, replace, table } from "./dom.js";
import { count, rate } from "./format.js";
import { ago, wallMoment } from "./time.js";

export function showServices(store) {
  const all = store.get("services");
  const root = byId("service-list");
  if (!all) return;
  if (!all.length) {
    replace(
      root,
      h(
        "p",
        { class: "hint" },
        "No service has been heard of. They tell of themselves every second: are they running?",
      ),
    );
    return;
  }
  const columns = [
    { name: "Service" },
    { name: "State" },
    { name: "Records behind", number: true },
    { name: "Rows/s", number: true },
    { name: "CPU, s", number: true },
    { name: "Memory, MB", number: true },
    { name: "Up since" },
    { name: "Last error", wide: true },
  ];
  replace(
    root,
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of services" },
      table(
        "Services",
        columns,
        all.map((each) => row(each)),
      ),
    ),
  );
}

function row(each) {
  const state = stateOf(each);
  return {
    class: state.good ? "" : "troubled",
    cells: [
      h("span", { class: "name" }, h("b", {}, each.service), h("small", {}, ` ${each.replica}`)),
      h(
        "span",
        { class: `state ${state.good ? "good" : "ill"}` },
        h("i", { "aria-hidden": "true" }),
        state.says,
      ),
      count(each.lag_records),
      rate(each.rows_per_s),
      rate(each.cpu_s),
      count(each.rss_mb),
      wallMoment(each.started_ms),
      errors(each),
    ],
  };
}

function stateOf({ state, at_ms: at }) {
  return {
    good: state === "running",
    says: state === "silent" ? `silent, last heard ${ago(at)}` : state,
  };
}

/** The service's own, and those of loops that are not its own words again. */
function errors(each) {
  const loops = (each.loops ?? []).filter((loop) => loop.error && loop.error !== each.error);
  const lines = [
    each.error && h("p", { class: "error" }, each.error),
    ...loops.map((loop) =>
      h(
        "p",
        { class: "error" },
        h("b", {}, [loop.loop, loop.pipeline].filter(Boolean).join(" of ")),
        `: ${loop.error}`,
      ),
    ),
  ].filter(Boolean);
  return lines.length ? h("div", {}, lines) : h("span", { class: "dim" }, "none");
}
