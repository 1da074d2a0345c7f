// What the page knows, in one object, and who wants to hear of which part of it.

/** Values by name; listeners hear once a frame of all names that changed in it. */
export class Store {
  #values;
  #listeners = [];
  #changed = new Set();

  constructor(values) {
    this.#values = values;
  }

  get(name) {
    return this.#values[name];
  }

  set(patch) {
    for (const [name, value] of Object.entries(patch)) {
      if (Object.is(this.#values[name], value)) continue;
      this.#values[name] = value;
      if (!this.#changed.size) queueMicrotask(() => this.#tell());
      this.#changed.add(name);
    }
  }

  /** Calls `listener(store)` whenever one of `names` has changed. */
  on(names, listener) {
    this.#listeners.push([names, listener]);
  }

  #tell() {
    const changed = this.#changed;
    this.#changed = new Set();
    for (const [names, listener] of this.#listeners) {
      if (names.some((name) => changed.has(name))) listener(this);
    }
  }
}

const SECTIONS = ["bands", "drifts", "triggers", "psi", "totals", "models", "live"];

/** The store's patch that an update of the stream (or the whole pipeline) makes. */
export function patchOf(store, update) {
  const patch = {};
  for (const name of SECTIONS) if (update[name] !== undefined) patch[name] = update[name];
  if (update.live) patch.liveVersion = update.live.model_version;
  if (update.name) patch.about = aboutOf(store.get("about"), update);
  if (update.buckets) patch.buckets = spliced(store.get("buckets"), update);
  return patch;
}

/** The same object where nothing has changed, so that nobody draws for nothing. */
function aboutOf(about, { name, generation, declaration, bucket_us, kind, metric }) {
  const next = { name, generation, declaration, bucket_us, kind, metric };
  return about && Object.keys(next).every((key) => next[key] === about[key]) ? about : next;
}

/** Columns with those from `from_bucket` on replaced. */
function spliced(old, { from_bucket: from = 0, buckets }) {
  return Object.fromEntries(
    Object.entries(buckets).map(([name, column]) => [
      name,
      from ? (old?.[name] ?? []).slice(0, from).concat(column) : column,
    ]),
  );
}
