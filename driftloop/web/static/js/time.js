// Instants as text, and the ticks of an axis. Event time is told in UTC, wall time as the clock on
// the reader's wall has it.

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
// Seconds, except for months, whose lengths differ.
const STEPS = [
  1,
  5,
  15,
  30,
  MINUTE,
  5 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  7 * DAY,
  14 * DAY,
];
const MONTH_STEPS = [1, 3, 6, 12, 24, 60, 120];
const MONTH = 30.44 * DAY;

const two = (value) => String(value).padStart(2, "0");

function parts(s, utc) {
  const at = new Date(s * 1000);
  return utc
    ? [
        at.getUTCFullYear(),
        at.getUTCMonth(),
        at.getUTCDate(),
        at.getUTCHours(),
        at.getUTCMinutes(),
        at.getUTCSeconds(),
      ]
    : [
        at.getFullYear(),
        at.getMonth(),
        at.getDate(),
        at.getHours(),
        at.getMinutes(),
        at.getSeconds(),
      ];
}

function instant(utc, year, month, day = 1) {
  return (utc ? Date.UTC(year, month, day) : new Date(year, month, day).getTime()) / 1000;
}

/** 12 Jun 2013 06:00; with seconds where they matter. */
export function moment(s, utc, exact = false) {
  if (s === null || s === undefined || Number.isNaN(s)) return "–";
  const [year, month, day, hour, minute, second] = parts(s, utc);
  const clock = `${two(hour)}:${two(minute)}${exact ? `:${two(second)}` : ""}`;
  return `${day} ${MONTHS[month]} ${year} ${clock}`;
}

export const eventMoment = (us) => (us ? `${moment(us / 1e6, true)} UTC` : "–");
export const wallMoment = (ms) => (ms ? moment(ms / 1000, false, true) : "–");

/** A span, saying what both ends share only once. */
export function span(from, to, utc) {
  const [a, b] = [parts(from, utc), parts(to, utc)];
  const exact = to - from < 2 * MINUTE;
  const [whole, end] = [moment(from, utc, exact), moment(to, utc, exact)];
  if (a[0] !== b[0] || a[1] !== b[1] || a[2] !== b[2]) return `${whole} – ${end}`;
  return `${whole} – ${end.split(" ").pop()}`;
}

/** How long ago, in the one unit that matters. */
export function ago(ms, now = Date.now()) {
  const s = Math.max(0, Math.round((now - ms) / 1000));
  if (s < 60) return `${s} s ago`;
  if (s < HOUR) return `${Math.round(s / 60)} min ago`;
  return s < 2 * DAY ? `${Math.round(s / HOUR)} h ago` : `${Math.round(s / DAY)} d ago`;
}

/** [{at, text, major}] for an axis from `min` to `max` that has room for `room` labels. */
export function ticks(min, max, room, utc) {
  const wanted = (max - min) / Math.max(1, room);
  const step = STEPS.find((each) => each >= wanted);
  const found = step && step < MONTH ? even(min, max, step, utc) : months(min, max, wanted, utc);
  return found.map((at, index) => label(at, found[index - 1], step ?? MONTH, utc));
}

function even(min, max, step, utc) {
  // From a local midnight on, so that steps of hours and days fall on round local times.
  const [year, month, day] = parts(min, utc);
  const begun = instant(utc, year, step >= 2 * DAY ? 0 : month, step >= 2 * DAY ? 1 : day);
  const found = [];
  for (let at = begun + Math.ceil((min - begun) / step) * step; at <= max; at += step) {
    found.push(at);
  }
  return found;
}

function months(min, max, wanted, utc) {
  const step = MONTH_STEPS.find((each) => each * MONTH >= wanted) ?? MONTH_STEPS.at(-1);
  const [year, month] = parts(min, utc);
  const found = [];
  for (let at = Math.floor(month / step) * step; ; at += step) {
    const s = instant(utc, year, at);
    if (s > max) return found;
    if (s >= min) found.push(s);
  }
}

function label(at, before, step, utc) {
  const [year, month, day, hour, minute, second] = parts(at, utc);
  const last = before === undefined ? [] : parts(before, utc);
  const newYear = year !== last[0];
  const newDay = newYear || month !== last[1] || day !== last[2];
  const major = step >= MONTH ? newYear : step >= DAY ? month !== last[1] : newDay;
  return { at, major, text: words() };

  function words() {
    if (step >= MONTH) return newYear ? `${MONTHS[month]} ${year}` : MONTHS[month];
    const date = `${day} ${MONTHS[month]}`;
    if (step >= DAY) return newYear ? `${date} ${year}` : date;
    const clock = `${two(hour)}:${two(minute)}${step < MINUTE ? `:${two(second)}` : ""}`;
    return newDay ? `${date} ${clock}` : clock;
  }
}
