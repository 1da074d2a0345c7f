// The drawer with one trigger and its run. Which one is in the address; opening is setting it.

import * as api from "./api.js";
import { announce, byId, h, replace } from "./dom.js";
import { model } from "./format.js";
import { outcomeTag, word } from "./outcomes.js";
import { candidates, evidence, gate, stages, steps } from "./run_parts.js";
import { eventMoment, wallMoment } from "./time.js";

export class RunDrawer {
  constructor(store) {
    this.store = store;
    this.dialog = byId("run");
    this.body = byId("run-body");
    store.on(["trigger", "run", "pipeline", "triggers"], () => this.sync());
    this.dialog.addEventListener("close", () => this.closed());
    byId("run-close").addEventListener("click", () => this.dialog.close());
    byId("run-before").addEventListener("click", () => this.step(-1));
    byId("run-after").addEventListener("click", () => this.step(1));
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // beside the drawer
    });
    this.dialog.addEventListener("keydown", (event) => {
      if (!event.ctrlKey || !["PageUp", "PageDown"].includes(event.key)) return;
      event.preventDefault();
      this.step(event.key === "PageUp" ? -1 : 1);
    });
  }

  /** `mark`: {opens: trigger's id, run: its run's id}. */
  open = (mark) => {
    this.opener = document.activeElement?.dataset.key;
    this.store.set({ trigger: mark.opens || null, run: mark.opens ? null : mark.run || null });
  };

  trigger() {
    const [id, run] = [this.store.get("trigger"), this.store.get("run")];
    const all = this.store.get("triggers") ?? [];
    return id ? all.find((each) => each.id === id) : run && all.find((each) => each.run_id === run);
  }

  sync() {
    const wanted = this.store.get("trigger") ?? this.store.get("run");
    if (!wanted) {
      if (this.dialog.open) this.dialog.close();
      return;
    }
    if (!this.store.get("about")) return; // the pipeline is still on its way
    const trigger = this.trigger();
    const shown = `${wanted} ${trigger?.outcome} ${trigger?.run_id}`;
    if (!this.dialog.open) this.dialog.showModal();
    else if (shown === this.shown) return;
    this.shown = shown;
    this.show(trigger);
  }

  closed() {
    this.shown = null;
    this.store.set({ trigger: null, run: null });
    if (this.opener) {
      document.querySelector(`[data-key="${CSS.escape(this.opener)}"]`)?.focus();
    }
  }

  /** To the trigger before or after this one, as they stand on the axis. */
  step(by) {
    const all = this.store.get("triggers");
    const to = all[all.indexOf(this.trigger()) + by];
    if (to) this.store.set({ trigger: to.id, run: null });
  }

  async show(trigger) {
    const name = this.store.get("about").name;
    const id = trigger?.run_id || this.store.get("run");
    const turn = (this.turn = Symbol());
    this.title(trigger, name);
    replace(
      this.body,
      own(trigger, this.drift(trigger)),
      id ? h("p", { class: "hint" }, "Reading the run…") : null,
    );
    this.body.scrollTop = 0;
    if (!id) return;
    const parts = await api.run(name, id).then(
      (run) => whole(run, trigger, name),
      (error) => [
        own(trigger, this.drift(trigger)),
        h("p", { class: "bad" }, `The run ${id} can't be shown: ${error.message}`),
      ],
    );
    if (this.turn === turn) replace(this.body, parts);
  }

  drift(trigger) {
    return trigger && (this.store.get("drifts") ?? []).find((each) => each.id === trigger.drift_id);
  }

  title(trigger, name) {
    const all = this.store.get("triggers") ?? [];
    const at = all.indexOf(trigger);
    byId("run-before").disabled = at <= 0;
    byId("run-after").disabled = at < 0 || at === all.length - 1;
    const outcome = trigger?.outcome ?? "unanswered";
    const version = trigger?.version
      ? `${word(outcome)} as ${model(name, trigger.version)}`
      : word(outcome);
    replace(byId("run-title"), trigger ? outcomeTag(outcome, version) : "A run");
    announce(trigger ? `${trigger.trigger}, ${version}` : "A run");
  }
}

/** What the trigger itself says; all that there is where no run came of it. */
function own(trigger, drift) {
  if (!trigger) return null;
  return [
    h("p", { class: "lead" }, trigger.reason || `Asked for by ${trigger.trigger}.`),
    h(
      "dl",
      { class: "facts" },
      fact("Trigger", trigger.trigger),
      fact("Event time", eventMoment(trigger.at_us)),
      fact("Wall time", wallMoment(trigger.at_ms)),
      trigger.run_id ? fact("Run", h("code", {}, trigger.run_id)) : null,
    ),
    trigger.outcome_reason && !trigger.run_id
      ? h("p", { class: "note" }, `Outcome: ${word(trigger.outcome)}. ${trigger.outcome_reason}`)
      : null,
    drift ? evidence(drift) : null,
  ];
}

const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

function whole(run, trigger, name) {
  const head = trigger ? own(trigger, null) : h("p", { class: "lead" }, run.reason || run.trigger);
  const into =
    trigger?.outcome === "coalesced"
      ? h("p", { class: "note" }, "A run was open already: this was answered by it, shown below.")
      : null;
  return [
    head,
    into,
    run.outcome_reason
      ? h("p", { class: "note" }, `Outcome: ${word(run.outcome)}. ${run.outcome_reason}`)
      : null,
    run.evidence ? evidence(run.evidence) : null,
    gate(run, name),
    candidates(run.candidates ?? []),
    stages(run.stages ?? {}),
    steps(run.steps ?? []),
  ];
}
