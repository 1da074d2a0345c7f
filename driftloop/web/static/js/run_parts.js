// The parts of a run: evidence, the gate's numbers, candidates, stages, steps. Each gives an
// element, or null where the run has nothing of it.

import { h, table } from "./dom.js";
import { count, digest, fixed, model, plain, seconds, signed, tiny } from "./format.js";
import { eventMoment, span, wallMoment } from "./time.js";

const part = (title, ...children) => h("section", { class: "part" }, h("h3", {}, title), children);

/** Value against reference as two bars, and the detector's figure against its threshold. */
export function evidence(of) {
  const most = Math.max(of.value ?? 0, of.reference ?? 0) || 1;
  const bar = (name, value, kind) =>
    h(
      "div",
      { class: "bar" },
      h("span", {}, name),
      h(
        "span",
        { class: "track" },
        h("i", { class: kind, style: { width: `${((value ?? 0) / most) * 100}%` } }),
      ),
      h("b", {}, fixed(value)),
    );
  const detector = of.threshold
    ? `${of.detector} at ${plain(of.score)}, threshold ${plain(of.threshold)}`
    : of.detector;
  return part(
    "Evidence",
    h(
      "p",
      {},
      `${of.lane} ${of.statistic} of version ${of.model_version}, over ${count(of.rows)} rows, ` +
        `${during(of)}. `,
      detector ? `${detector}.` : "",
    ),
    bar("seen", of.value, "seen"),
    bar("before", of.reference, "before"),
  );
}

/** A window of event time; where only its end is known, that. */
function during({ from_us: from, to_us: to }) {
  return from ? `${span(from / 1e6, to / 1e6, true)} UTC` : eventMoment(to);
}

/** Each candidate's gain with the lower end of its interval, on one scale round nought. */
export function gate(run, name) {
  const verdicts = run.verdicts ?? [];
  if (!verdicts.length) return null;
  const opponent = run.champion?.version ? model(name, run.champion.version) : "the base rate";
  const hold = run.holdout;
  // Wide enough for the best one; one far worse ends at the edge, its figures tell the rest.
  const best = verdicts.reduce((a, b) => (b.gain > a.gain ? b : a));
  const most = 2 * Math.max(Math.abs(best.gain), Math.abs(best.gain_low), 1e-9);
  return part(
    "The gate",
    h(
      "p",
      {},
      `Judged against ${opponent}`,
      hold
        ? ` on ${count(hold.rows)} held-out rows, ` +
            `${span(hold.from_us / 1e6, hold.to_us / 1e6, true)} UTC`
        : "",
      ". ",
      run.rule ? `Rule: ${run.rule}. ` : "",
      "A candidate is eligible if its whole interval lies above nought.",
    ),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "The gate's numbers" },
      verdictTable(run, verdicts, most),
    ),
  );
}

function verdictTable(run, verdicts, most) {
  const columns = [
    { name: "Candidate" },
    { name: "Gain", number: true },
    { name: "Lower end", number: true },
    { name: "Interval" },
    { name: "p", number: true },
    { name: "AUC", number: true },
    { name: "Log-loss", number: true },
    { name: "Verdict", wide: true },
  ];
  const rows = verdicts.map((each) => ({
    class: each.name === run.winner ? "won" : "",
    cells: [
      each.name,
      signed(each.gain),
      signed(each.gain_low),
      interval(each, most),
      fixed(each.p_value, 3),
      fixed(each.metrics?.auc),
      fixed(each.metrics?.log_loss),
      verdict(each, run.winner),
    ],
  }));
  if (run.champion?.metrics) {
    const { metrics, version } = run.champion;
    rows.push({
      class: "champion",
      cells: [
        `version ${version}, live`,
        "–",
        "–",
        "–",
        "–",
        fixed(metrics.auc),
        fixed(metrics.log_loss),
        "the opponent",
      ],
    });
  }
  return table("The gate's numbers", columns, rows);
}

function verdict(each, winner) {
  const state = each.name === winner ? "wins" : each.eligible ? "eligible" : "not eligible";
  return each.reason ? `${state}: ${each.reason}` : state;
}

function interval({ gain, gain_low: low, eligible }, most) {
  const at = (value) => 50 + Math.min(Math.max(value / most, -1), 1) * 46;
  return h(
    "span",
    {
      class: `interval ${eligible ? "yes" : "no"}`,
      role: "img",
      "aria-label": `from ${signed(low)} upwards, mean ${signed(gain)}`,
    },
    h("i", { class: "zero" }),
    h("i", {
      class: "reach",
      style: { left: `${at(low)}%`, width: `${Math.max(1, at(gain) - at(low))}%` },
    }),
    h("i", { class: "mean", style: { left: `${at(gain)}%` } }),
  );
}

export function candidates(all) {
  if (!all.length) return null;
  const columns = [
    { name: "Name" },
    { name: "Learner" },
    { name: "Rows", number: true },
    { name: "Fitted on", wide: true },
    { name: "Fit", number: true },
    { name: "Export", number: true },
    { name: "Parity", number: true },
    { name: "Digest" },
  ];
  const rows = all.map((each) => ({
    cells: [
      each.name,
      each.kind,
      count(each.rows),
      each.error || (each.to_us ? span(each.from_us / 1e6, each.to_us / 1e6, true) : "–"),
      seconds(each.fit_s),
      seconds(each.export_s),
      tiny(each.parity_max),
      h("code", {}, digest(each.digest)),
    ],
  }));
  return part(
    "Candidates",
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Candidates" },
      table("Candidates", columns, rows),
    ),
    all
      .filter((each) => Object.keys(each.params ?? {}).length)
      .map((each) =>
        h(
          "details",
          { data: { key: `params-${each.name}` } },
          h("summary", {}, `Parameters of ${each.name}`),
          h(
            "dl",
            { class: "facts" },
            Object.entries(each.params).map(([key, value]) =>
              h("div", {}, h("dt", {}, key), h("dd", {}, plain(value))),
            ),
          ),
        ),
      ),
  );
}

const STAGES = ["detect", "decide", "train", "evaluate", "release", "swap"];

/** A bar of seconds. Append times may differ by a millisecond less than nought: drawn as nought. */
export function stages(of) {
  const known = STAGES.filter((name) => of[name] !== null && of[name] !== undefined);
  if (!known.length) return null;
  const total = known.reduce((sum, name) => sum + Math.max(0, of[name]), 0);
  return part(
    "Stages",
    h("p", {}, `${seconds(total)} in all.`),
    h(
      "div",
      { class: "stages", "aria-hidden": "true" },
      known.map((name) =>
        h("i", {
          class: `stage-${name}`,
          title: `${name} ${seconds(of[name])}`,
          style: { "flex-grow": String(Math.max(of[name], total * 0.004, 1e-6)) },
        }),
      ),
    ),
    h(
      "ul",
      { class: "keys" },
      STAGES.map((name) =>
        h(
          "li",
          {},
          h("i", { class: `swatch stage-${name}` }),
          name,
          " ",
          h("b", {}, seconds(of[name])),
        ),
      ),
    ),
  );
}

export function steps(all) {
  if (!all.length) return null;
  return part(
    "Step by step",
    h(
      "ol",
      { class: "steps" },
      all.map((step) =>
        h(
          "li",
          {},
          h("time", { datetime: new Date(step.at_ms).toISOString() }, wallMoment(step.at_ms)),
          h("span", {}, h("b", {}, step.kind), " ", step.says),
          step.details?.length
            ? h(
                "ul",
                {},
                step.details.map((each) => h("li", {}, each)),
              )
            : null,
        ),
      ),
    ),
  );
}
