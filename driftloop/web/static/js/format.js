// Numbers, sizes and names as people read them. What is unknown is a dash, never a nought.

const DASH = "–";
const WHOLE = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const unknown = (value) => value === null || value === undefined || Number.isNaN(value);

export function count(value) {
  return unknown(value) ? DASH : WHOLE.format(value);
}

/** A fixed number of decimals, so that figures stand under each other and equal the report's. */
export function fixed(value, digits = 4) {
  return unknown(value) ? DASH : value.toFixed(digits);
}

export function signed(value, digits = 4) {
  if (unknown(value)) return DASH;
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
}

export function percent(share, digits = 1) {
  return unknown(share) ? DASH : `${(share * 100).toFixed(digits)} %`;
}

export function bytes(value) {
  if (unknown(value)) return DASH;
  if (value < 1e3) return `${value} B`;
  return value < 1e6 ? `${(value / 1e3).toFixed(0)} kB` : `${(value / 1e6).toFixed(1)} MB`;
}

export function rate(value) {
  if (unknown(value)) return DASH;
  return value < 10 && value > 0 ? value.toFixed(1) : WHOLE.format(value);
}

/** 0.226 → 0.23 s; 95 → 1 min 35 s; 7,300 → 2 h 2 min */
export function seconds(value) {
  if (unknown(value)) return DASH;
  if (Math.abs(value) < 10) return `${value.toFixed(2)} s`;
  if (value < 60) return `${value.toFixed(1)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  if (value < 2 * 86400)
    return `${Math.floor(value / 3600)} h ${Math.round((value % 3600) / 60)} min`;
  return `${(value / 86400).toFixed(1)} d`;
}

/** 0.00000024 → 2.4e-7: small numbers that only say "as good as none". */
export function tiny(value) {
  return unknown(value) ? DASH : value === 0 ? "0" : value.toExponential(1);
}

/** The first eight digits of a digest are enough to tell models apart. */
export function digest(value) {
  return value ? value.replace(/^sha256:/, "").slice(0, 8) : DASH;
}

export function model(pipeline, version) {
  return version ? `${pipeline}@${version}` : "no model";
}

const loss = { loop: "loop_loss", frozen: "frozen_loss", better: "lower" };
export const METRICS = {
  log_loss: { name: "log-loss", ...loss },
  squared_error: { name: "squared error", ...loss },
  auc: { name: "AUC", loop: "loop_auc", frozen: "frozen_auc", better: "higher" },
};

/** The metrics of a pipeline: the loss that its gate looks at; AUC where there are two classes. */
export function metricsOf(about) {
  const loss = about?.metric ?? "log_loss";
  return (about?.kind ?? "binary") === "binary" ? [loss, "auc"] : [loss];
}

/** By how much the loop is better than the frozen model: above nought is good in any metric. */
export function gainOf(metric, loop, frozen) {
  if (unknown(loop) || unknown(frozen)) return null;
  return METRICS[metric].better === "lower" ? frozen - loop : loop - frozen;
}

/** Any leaf of the API's JSON in one line. */
export function plain(value) {
  if (unknown(value) || value === "") return DASH;
  if (typeof value === "number") {
    return Number.isInteger(value) ? WHOLE.format(value) : String(Number(value.toPrecision(5)));
  }
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
