// The axis as tables, for those who read figures better than lines (or hear them).

import { h, replace, table } from "./dom.js";
import { METRICS, count, fixed, gainOf, percent, signed } from "./format.js";
import { ranked } from "./psi.js";
import { span } from "./time.js";

const MANY = 400; // rows; narrow the range or take longer steps to see others
const PSI_SPANS = 12;

/** The points that are in view, and the PSI of the newest spans; `view` is the loop's. */
export function showBuckets(root, view) {
  root.hidden = !view.store.get("table");
  if (root.hidden) return replace(root);
  const [from, to] = view.scene.range;
  const all = view.points.x.map((x, at) => at).filter((at) => inside(view.points.x[at], from, to));
  const shown = all.slice(-MANY);
  const cut =
    all.length > shown.length ? `The newest ${MANY} of ${all.length} points in view. ` : "";
  return replace(
    root,
    h("h3", {}, "Buckets in view"),
    h("p", { class: "hint" }, `${cut}Event time in UTC.`),
    h(
      "div",
      { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Buckets in view" },
      points(view.points, shown, view.metric()),
    ),
    h("h3", {}, "PSI by feature"),
    h(
      "div",
      { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "PSI by feature" },
      psi(view.store.get("psi")),
    ),
  );
}

const inside = (x, from, to) => x >= from && x <= to;

function points(of, shown, metric) {
  const { name } = METRICS[metric];
  const columns = [
    { name: "Event time" },
    { name: "Version", number: true },
    { name: `Loop ${name}`, number: true },
    { name: `Frozen ${name}`, number: true },
    { name: "Gain", number: true },
    { name: "Labelled", number: true },
    { name: "Rows", number: true },
  ];
  const rows = shown.map((at) => {
    return {
      cells: [
        span(of.from_us[at] / 1e6, of.to_us[at] / 1e6, true),
        of.version[at] || "none",
        fixed(of.loop[at]),
        fixed(of.frozen[at]),
        signed(gainOf(metric, of.loop[at], of.frozen[at])),
        percent(of.coverage[at]),
        count(of.rows[at]),
      ],
    };
  });
  return table("Realised scores and label coverage", columns, rows);
}

function psi(all) {
  const starts = (all?.start_us ?? []).slice(-PSI_SPANS);
  const columns = [
    { name: "Feature" },
    { name: "Largest", number: true },
    ...starts.map((us) => ({ name: new Date(us / 1e3).toISOString().slice(0, 10), number: true })),
  ];
  const rows = ranked(all).map(({ name, values, most }) => ({
    cells: [name, fixed(most, 3), ...values.slice(-PSI_SPANS).map((value) => fixed(value, 3))],
  }));
  return table("PSI by feature over the newest spans", columns, rows);
}
