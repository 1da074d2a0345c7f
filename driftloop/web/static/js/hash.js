// What one looks at, in the address: so a view can be sent to somebody, and "back" works.

const KEYS = {
  pipeline: "p",
  axis: "t",
  metric: "m",
  step: "by",
  span: "last",
  from: "from",
  to: "to",
  trigger: "trigger",
  run: "run",
  pair: "compare",
  table: "table",
  features: "features",
};
const NUMBERS = new Set(["span", "from", "to"]);
export const VIEW = {
  pipeline: null,
  axis: "event",
  metric: null,
  step: "auto",
  span: null,
  from: null,
  to: null,
  trigger: null,
  run: null,
  pair: null,
  table: null,
  features: null,
};
export const NAMES = Object.keys(KEYS);

export function read(hash = location.hash) {
  const said = new URLSearchParams(hash.slice(1));
  const view = { ...VIEW };
  for (const [name, key] of Object.entries(KEYS)) {
    const text = said.get(key);
    if (text === null || text === "") continue;
    const value = NUMBERS.has(name) ? Number(text) : text;
    if (!Number.isNaN(value)) view[name] = value;
  }
  if (!["event", "wall"].includes(view.axis)) view.axis = VIEW.axis;
  return view;
}

/** Writes it; a step into a run or another pipeline is one that "back" undoes, a zoom is not. */
export function write(store) {
  const said = new URLSearchParams();
  for (const [name, key] of Object.entries(KEYS)) {
    const value = store.get(name);
    if (value !== VIEW[name] && value !== null) said.set(key, value);
  }
  const hash = `#${said}`.replaceAll("%2C", ",");
  if (hash === (location.hash || "#")) return;
  const before = read();
  const step = ["pipeline", "trigger", "run"].some((name) => before[name] !== store.get(name));
  history[step && before.pipeline ? "pushState" : "replaceState"](null, "", hash);
}
