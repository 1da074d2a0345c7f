// The head of the page: which model is live and why, and the figures that the report has too.

import { byId, h, replace } from "./dom.js";
import {
  METRICS,
  count,
  fixed,
  gainOf,
  metricsOf,
  model,
  percent,
  rate,
  signed,
} from "./format.js";
import { word } from "./outcomes.js";
import { ago, eventMoment } from "./time.js";

export function showTotals(store) {
  const [about, totals, live] = ["about", "totals", "live"].map((name) => store.get(name));
  if (!about || !totals) return;
  replace(byId("headline"), headline(store));
  replace(byId("score-totals"), scores(totals, about));
  replace(byId("tiles"), tiles(totals, live ?? {}));
}

function headline(store) {
  const about = store.get("about");
  const live = store.get("live") ?? {};
  const band = store.get("bands")?.at(-1);
  const version = live.model_version ?? band?.version;
  const said = band && band.version === version ? since(band) : "";
  return [
    h("h1", {}, version ? model(about.name, version) : about.name),
    h(
      "p",
      {},
      version ? `is live${said}.` : "has no model yet: none has been released.",
      " ",
      h(
        "span",
        { class: "dim" },
        `Generation ${about.generation}, declaration ${about.declaration}.`,
        live.event_time_us ? ` Event time has reached ${eventMoment(live.event_time_us)}.` : "",
      ),
    ),
  ];
}

function since(band) {
  const how = { release: "released", promote: "promoted", rollback: "rolled back to" }[band.cause];
  return ` since ${eventMoment(band.from_us)}, ${how ?? band.cause} by ${band.by}`;
}

/** Loop and frozen under each other, and what the loop has won. */
function scores({ loop, frozen }, about) {
  // AUC first, as in the report; a loss has one place in the totals, whatever its name.
  const columns = metricsOf(about).toReversed();
  const value = (lane, metric) => lane[metric === "auc" ? "auc" : "log_loss"];
  const row = (name, title, figure) =>
    h(
      "tr",
      {},
      h(
        "th",
        { scope: "row", title },
        name !== "gain" && h("i", { class: `swatch ${name}`, "aria-hidden": "true" }),
        name,
      ),
      columns.map((metric) =>
        h("td", { class: "n", data: { total: `${name}-${metric}` } }, figure(metric)),
      ),
    );
  const head = columns.map((metric) => h("th", { scope: "col", class: "n" }, METRICS[metric].name));
  return h(
    "table",
    { class: "scores" },
    h("caption", { class: "unseen" }, "Realised scores over all labelled rows"),
    h("thead", {}, h("tr", {}, h("td", {}), head)),
    h(
      "tbody",
      {},
      row("loop", "the models that the loop kept live", (name) => fixed(value(loop, name))),
      row("frozen", "the first release, never replaced", (name) => fixed(value(frozen, name))),
      row("gain", "by how much the loop is better", (name) =>
        signed(gainOf(name, value(loop, name), value(frozen, name))),
      ),
    ),
  );
}

function tiles(totals, live) {
  const runs = Object.entries(totals.runs ?? {});
  const all = runs.reduce((sum, [, many]) => sum + many, 0);
  const of = totals.predicted ? ` (${percent(totals.unlabelled / totals.predicted)})` : "";
  const lag = Object.values(live.lag_records ?? {}).filter((each) => each !== null);
  const each = [
    ["scored", "Scored rows", count(totals.loop.rows)],
    ["predicted", "Predicted", count(totals.predicted)],
    ["unlabelled", "Never labelled", count(totals.unlabelled), of],
    ["drifts", "Drifts", count(totals.drifts)],
    ["releases", "Releases", count(totals.releases)],
    ["runs", "Runs", count(all), runs.map(([name, many]) => ` ${many} ${word(name)}`).join(",")],
    ["rows", "Predictions a second", rate(live.rows_per_s?.predicted ?? sum(live.rows_per_s))],
    ["lag", "Records behind", lag.length ? count(Math.max(...lag)) : "–"],
    [
      "latency",
      "Source to score, median",
      ms(live.latency_p50_ms),
      live.latency_p99_ms ? ` p99 ${ms(live.latency_p99_ms)}` : "",
    ],
  ];
  return each.map(([key, name, value, more]) =>
    h(
      "div",
      { class: `tile ${key}` },
      h("dt", {}, name),
      h("dd", {}, h("b", { data: { total: key } }, value), more && h("small", {}, more)),
    ),
  );
}

function sum(values) {
  const known = Object.values(values ?? {}).filter((each) => each !== null);
  return known.length ? known.reduce((total, each) => total + each, 0) : null;
}

const ms = (value) =>
  value === null || value === undefined
    ? "–"
    : value < 2000
      ? `${Math.round(value)} ms`
      : `${(value / 1000).toFixed(1)} s`;

/** The state of the stream, in a word and the time since the last word from the server. */
export function showLive(store) {
  const { at, state } = store.get("connection");
  const root = byId("live");
  root.dataset.state = state;
  const says = { live: "live", waiting: "connecting…", lost: `away, last heard ${ago(at)}` };
  tell(root, says[state]);
  const trouble = store.get("trouble");
  byId("trouble").hidden = !trouble;
  tell(byId("trouble"), trouble ?? "");
}

/** A live region is read aloud whenever it is written, so only what is new is written. */
function tell(region, text) {
  if (region.textContent !== text) region.textContent = text;
}
