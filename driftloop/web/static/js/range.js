// What part of the axis is seen: all of it, the newest so-and-so much, or from here to there.

const LEAST = { event: 3600, wall: 5 }; // seconds: closer than this there is nothing to see
export const PRESETS = {
  event: [
    ["90 d", 90 * 86400],
    ["30 d", 30 * 86400],
    ["7 d", 7 * 86400],
  ],
  wall: [
    ["24 h", 86400],
    ["1 h", 3600],
    ["10 min", 600],
    ["1 min", 60],
  ],
};

/** [min, max] of all that can be shown, with a little air; `ends`: arrays of seconds. */
export function extent(ends) {
  let [low, high] = [Infinity, -Infinity];
  for (const s of ends) {
    if (!Number.isFinite(s)) continue;
    low = Math.min(low, s);
    high = Math.max(high, s);
  }
  if (low > high) return null;
  const air = Math.max((high - low) * 0.012, 1);
  return [low - air, high + air];
}

/** The part that the store asks for, within `full`. */
export function current(store, full) {
  const { span, from, to } = Object.fromEntries(
    ["span", "from", "to"].map((name) => [name, store.get(name)]),
  );
  if (span) return [Math.max(full[0], full[1] - span), full[1]];
  if (from === null || to === null || to <= from) return full;
  return within([from, to], full);
}

/** `range` moved, and where it is too wide cut, so that it lies in `full`. */
function within([from, to], full) {
  const wide = Math.min(to - from, full[1] - full[0]);
  const low = Math.min(Math.max(from, full[0]), full[1] - wide);
  return [low, low + wide];
}

export function zoomed([from, to], full, factor, axis, centre = (from + to) / 2) {
  const wide = Math.max((to - from) * factor, LEAST[axis]);
  const share = (centre - from) / (to - from);
  return within([centre - wide * share, centre + wide * (1 - share)], full);
}

export function panned([from, to], full, share) {
  const by = (to - from) * share;
  return within([from + by, to + by], full);
}

/** The store's patch for a range; all of it is told by nulls, so that it grows as events come. */
export function patchOf(range, full) {
  if (range[0] <= full[0] && range[1] >= full[1]) return { span: null, from: null, to: null };
  return { span: null, from: Math.round(range[0]), to: Math.round(range[1]) };
}
