// Buckets as the lines of the axis: placed in event or wall time, gathered by day or week with
// each bucket weighing as much as it has rows.

const DAY_US = 86400e6;
export const STEPS = { bucket: 0, day: DAY_US, week: 7 * DAY_US };

/** Which step gives some 60 to 400 points for a span of event time. */
export function stepFor(spanUs, bucketUs) {
  if (spanUs > 120 * DAY_US) return "week";
  return spanUs > 20 * DAY_US && bucketUs < DAY_US ? "day" : "bucket";
}

/** Event time (µs) ↔ wall time (ms), by when the buckets closed. */
export class Clock {
  constructor(buckets) {
    this.us = buckets.end_us;
    this.ms = rising(buckets.closed_ms);
  }

  wall(us) {
    return between(this.us, this.ms, us);
  }

  event(ms) {
    return between(this.ms, this.us, ms);
  }
}

function rising(values) {
  let last = -Infinity;
  return values.map((value) => (last = Math.max(last, value)));
}

/** Linear between neighbours; beyond the ends, the ends. */
function between(from, to, value) {
  if (!from.length) return NaN;
  let [low, high] = [0, from.length - 1];
  if (value <= from[low]) return to[low];
  if (value >= from[high]) return to[high];
  while (high - low > 1) {
    const mid = (low + high) >> 1;
    if (from[mid] <= value) low = mid;
    else high = mid;
  }
  const share = from[high] === from[low] ? 0 : (value - from[low]) / (from[high] - from[low]);
  return to[low] + share * (to[high] - to[low]);
}

/**
 * Columns of points: {x (seconds), from_us, to_us, merged (buckets), version, rows, unlabelled,
 * frozen, other_…}. `names`: the bucket columns of loop and frozen.
 */
export function points(buckets, { axis, stepUs, names }) {
  const clock = new Clock(buckets);
  const out = empty();
  let open = null;
  for (let at = 0; at < buckets.start_us.length; at += 1) {
    const group = stepUs ? Math.floor(buckets.start_us[at] / stepUs) : at;
    if (open === null || group !== open.group) {
      if (open) close(out, open, axis, clock);
      open = opened(group, buckets, at);
    }
    add(open, buckets, at, names);
  }
  if (open) close(out, open, axis, clock);
  return out;
}

function empty() {
  return {
    x: [],
    from_us: [],
    to_us: [],
    merged: [],
    version: [],
    rows: [],
    unlabelled: [],
    coverage: [],
    loop: [],
    frozen: [],
  };
}

function opened(group, buckets, at) {
  const sum = () => ({ weight: 0, total: 0 });
  return {
    group,
    from: buckets.start_us[at],
    to: buckets.end_us[at],
    merged: 0,
    version: 0,
    rows: 0,
    unlabelled: 0,
    loop: sum(),
    frozen: sum(),
  };
}

function add(open, buckets, at, names) {
  open.to = Math.max(open.to, buckets.end_us[at]);
  open.merged += 1;
  open.version = buckets.version[at] || open.version;
  open.rows += buckets.rows[at];
  open.unlabelled += buckets.unlabelled[at];
  weigh(open.loop, buckets[names.loop][at], buckets.rows[at]);
  weigh(open.frozen, buckets[names.frozen][at], buckets.rows[at]);
}

function weigh(sum, value, weight) {
  if (value === null || value === undefined || !weight) return;
  sum.weight += weight;
  sum.total += value * weight;
}

function close(out, open, axis, clock) {
  const mean = ({ weight, total }) => (weight ? total / weight : null);
  const x = axis === "event" ? (open.from + open.to) / 2e6 : clock.wall(open.to) / 1e3;
  out.x.push(Math.max(x, out.x.at(-1) ?? -Infinity));
  out.from_us.push(open.from);
  out.to_us.push(open.to);
  out.coverage.push(covered(open.rows, open.unlabelled));
  for (const name of ["merged", "version", "rows", "unlabelled"]) out[name].push(open[name]);
  for (const name of ["loop", "frozen"]) out[name].push(mean(open[name]));
}

/** The share that got a label of the rows whose fate is known; null where there are none. */
export function covered(labelled, unlabelled) {
  const known = labelled + unlabelled;
  return known ? labelled / known : null;
}

/** Index of the point nearest to x, or -1. */
export function nearest(xs, x) {
  if (!xs.length) return -1;
  let [low, high] = [0, xs.length - 1];
  while (high - low > 1) {
    const mid = (low + high) >> 1;
    if (xs[mid] < x) low = mid;
    else high = mid;
  }
  return x - xs[low] <= xs[high] - x ? low : high;
}
