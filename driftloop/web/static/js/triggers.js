// All triggers as a list, the newest first: what asked, what came of it, and why.

import { byId, h, replace, table } from "./dom.js";
import { model } from "./format.js";
import { outcomeTag } from "./outcomes.js";
import { eventMoment } from "./time.js";

const FEW = 8;

export class TriggerList {
  constructor(store, open) {
    this.store = store;
    this.open = open;
    this.all = false;
    store.on(["triggers", "about"], () => this.render());
  }

  render() {
    const triggers = (this.store.get("triggers") ?? []).toReversed();
    const shown = this.all ? triggers : triggers.slice(0, FEW);
    const columns = [
      { name: "Asked, event time" },
      { name: "Trigger" },
      { name: "Outcome" },
      { name: "Model" },
      { name: "Why", wide: true },
    ];
    const rows = shown.map((each) => ({ cells: this.cells(each) }));
    replace(
      byId("trigger-list"),
      triggers.length
        ? h(
            "div",
            { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of triggers" },
            table("Triggers, the newest first", columns, rows),
          )
        : h(
            "p",
            { class: "hint" },
            "Nothing has asked for a retrain yet: the first trigger waits for rows enough.",
          ),
      triggers.length > FEW ? this.more(triggers.length) : null,
    );
  }

  cells(trigger) {
    const name = this.store.get("about")?.name;
    const link = h(
      "button",
      {
        type: "button",
        class: "link",
        data: { key: `list-${trigger.id}` },
        on: { click: () => this.open({ opens: trigger.id, run: trigger.run_id }) },
      },
      eventMoment(trigger.at_us),
    );
    return [
      link,
      trigger.trigger,
      outcomeTag(trigger.outcome),
      trigger.version ? model(name, trigger.version) : "–",
      trigger.reason || "–",
    ];
  }

  more(many) {
    const turn = () => {
      this.all = !this.all;
      this.render();
    };
    return h(
      "button",
      {
        type: "button",
        class: "quiet",
        "aria-expanded": String(this.all),
        data: { key: "more-triggers" },
        on: { click: turn },
      },
      this.all ? `The newest ${FEW} only` : `All ${many} triggers`,
    );
  }
}
