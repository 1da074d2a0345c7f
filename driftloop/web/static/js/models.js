// All released models: what they were, which is live, any two compared, promote and rollback.

import * as api from "./api.js";
import { confirmed } from "./ask.js";
import { byId, h, replace, table } from "./dom.js";
import { bytes, count, digest, fixed, model, plain } from "./format.js";
import { wallMoment } from "./time.js";

const ALIASES = { champion: "live", previous: "previous", baseline: "frozen" };

const shortened = (run) => run.replace(/^run-/, "").slice(0, 8);

export class Models {
  constructor(store, openRun) {
    this.store = store;
    this.openRun = openRun;
    store.on(["models", "about", "pair", "liveVersion"], () => this.render());
    store.on(["pair", "about"], () => this.compare());
    byId("rollback").addEventListener("click", () => this.rollback());
  }

  pair() {
    return (this.store.get("pair") ?? "").split(",").map(Number).filter(Boolean);
  }

  live() {
    const champion = this.store.get("models")?.find((each) => each.aliases?.includes("champion"));
    return champion?.version ?? this.store.get("liveVersion");
  }

  render() {
    const models = (this.store.get("models") ?? []).toSorted((a, b) => b.version - a.version);
    const columns = [
      { name: "Compare" },
      { name: "Model" },
      { name: "Released" },
      { name: "Learner" },
      { name: "Rows", number: true },
      { name: "AUC", number: true },
      { name: "Log-loss", number: true },
      { name: "Size", number: true, less: true },
      { name: "Digest", less: true },
      { name: "Run" },
      { name: "", unseen: "Change" },
    ];
    const rows = models.map((each) => ({
      class: each.version === this.live() ? "won" : "",
      cells: this.cells(each),
    }));
    byId("rollback").disabled = models.length < 2;
    replace(
      byId("model-list"),
      models.length
        ? h(
            "div",
            { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of models" },
            table("Models, the newest first", columns, rows),
          )
        : h("p", { class: "hint" }, "No model has been released yet."),
    );
    byId("pair-hint").hidden = models.length < 2 || this.pair().length === 2;
  }

  cells(each) {
    const name = model(this.store.get("about").name, each.version);
    const live = each.version === this.live();
    return [
      h("input", {
        type: "checkbox",
        "aria-label": `Compare ${name}`,
        checked: this.pair().includes(each.version),
        data: { key: `pair-${each.version}` },
        on: { change: (event) => this.pick(each.version, event.target.checked) },
      }),
      h("span", { class: "name" }, h("b", {}, name), this.aliases(each, live)),
      h(
        "span",
        {},
        wallMoment(each.released_ms),
        h("small", {}, each.released_by ? ` by ${each.released_by}` : ""),
      ),
      each.learner,
      count(each.rows),
      fixed(each.metrics?.auc),
      fixed(each.metrics?.log_loss),
      bytes(each.bytes),
      h("code", { title: each.digest }, digest(each.digest)),
      each.run_id ? this.run(each) : "–",
      live
        ? ""
        : h(
            "button",
            {
              type: "button",
              class: "small",
              "aria-label": `Promote ${name}`,
              data: { key: `promote-${each.version}` },
              on: { click: () => this.promote(each) },
            },
            "Promote",
          ),
    ];
  }

  aliases(each, live) {
    const names = (each.aliases ?? []).map((alias) => ALIASES[alias] ?? alias);
    if (live && !names.includes("live")) names.unshift("live");
    return names.map((alias) => h("span", { class: `chip is-${alias}` }, alias));
  }

  run(each) {
    return h(
      "button",
      {
        type: "button",
        class: "link",
        data: { key: `run-${each.run_id}` },
        "aria-label": `${shortened(each.run_id)}, the run of version ${each.version}`,
        on: { click: () => this.openRun({ opens: null, run: each.run_id }) },
      },
      shortened(each.run_id),
    );
  }

  /** At most two: a third pushes the first out. */
  pick(version, chosen) {
    const rest = this.pair().filter((each) => each !== version);
    const pair = chosen ? [...rest, version].slice(-2) : rest;
    this.store.set({ pair: pair.length ? pair.join(",") : null });
  }

  async compare() {
    const root = byId("comparison");
    const pair = this.pair().toSorted((a, b) => a - b);
    root.hidden = pair.length !== 2 || !this.store.get("about");
    if (root.hidden) return;
    const name = this.store.get("about").name;
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const parts = await api.compare(name, ...pair).then(
      ({ differences }) => this.difference(name, pair, differences),
      (error) => h("p", { class: "bad" }, `They can't be compared: ${error.message}`),
    );
    if (turn !== this.turn) return; // another pair was asked for meanwhile
    replace(root, h("h3", {}, `${model(name, pair[0])} against ${model(name, pair[1])}`), parts);
  }

  difference(name, [a, b], differences) {
    if (!differences.length) return h("p", { class: "hint" }, "They differ in nothing.");
    const columns = [{ name: "Differs in" }, { name: model(name, a) }, { name: model(name, b) }];
    const rows = differences.map((each) => ({
      cells: [each.field.replaceAll("_", " "), plain(each.a), plain(each.b)],
    }));
    return h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Comparison" },
      table("What differs", columns, rows),
    );
  }

  promote(each) {
    const pipeline = this.store.get("about").name;
    const name = model(pipeline, each.version);
    const now = model(pipeline, this.live());
    confirmed(
      {
        title: `Promote ${name}?`,
        yes: `Promote ${name}`,
        tokenWanted: this.tokenWanted(),
        says:
          `${name} answers from the next row on, in place of ${now}. The loop goes on by itself: ` +
          "its next run is judged against this model.",
      },
      (reason) => api.promote(pipeline, each.version, reason),
    );
  }

  rollback() {
    const pipeline = this.store.get("about").name;
    const previous = this.store.get("models").find((each) => each.aliases?.includes("previous"));
    const to = previous ? model(pipeline, previous.version) : "the model before it";
    confirmed(
      {
        title: `Roll back to ${to}?`,
        yes: "Roll back",
        tokenWanted: this.tokenWanted(),
        says: `${model(pipeline, this.live())} is taken back; ${to} answers from the next row on.`,
      },
      (reason) => api.rollback(pipeline, reason),
    );
  }

  tokenWanted() {
    return this.store.get("overview")?.writes === "token";
  }
}
