// What became of a trigger: always a shape, a colour and a word, so that none has to be seen.

import { h, svg } from "./dom.js";

// On a grid of 16; "fill" is filled with the colour, "line" drawn with it, "hole" with the paper's.
const SHAPES = {
  released: [["fill", "M8 1.8 15 14H1Z"]],
  "under way": [
    ["line", "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2Z"],
    ["fill", "M8 2a6 6 0 0 1 0 12Z"],
  ],
  rejected: [["line", "M3 3 13 13M13 3 3 13"]],
  failed: [
    ["fill", "M2 2h12v12H2Z"],
    ["hole", "M8 4.5v4.3M8 10.6v1.4"],
  ],
  timed_out: [["line", "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2ZM8 4.8V8l2.4 1.8"]],
  cancelled: [["line", "M2.8 2.8h10.4v10.4H2.8Z"]],
  suppressed: [["line", "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2ZM5 8h6"]],
  coalesced: [
    [
      "line",
      "M5.6 3.6a4.4 4.4 0 1 1 0 8.8a4.4 4.4 0 0 1 0-8.8Z" +
        "M10.4 3.6a4.4 4.4 0 1 1 0 8.8a4.4 4.4 0 0 1 0-8.8Z",
    ],
  ],
  refused: [["line", "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2ZM3.9 12.1 12.1 3.9"]],
  unanswered: [["line", "M5.6 6a2.4 2.4 0 1 1 3.3 2.2c-.6.3-.9.7-.9 1.5M8 12v1.4"]],
  drift: [["fill", "M8 1 15 8 8 15 1 8Z"]],
};
/** In the order in which their lanes stand. */
export const OUTCOMES = Object.keys(SHAPES).filter((name) => name !== "drift");
const WORDS = { timed_out: "timed out" };

export const word = (outcome) => WORDS[outcome] ?? outcome;
const known = (outcome) => (SHAPES[outcome] ? outcome : "unanswered");

export function colourClass(outcome) {
  return `o-${known(outcome).replace(/[ _]/, "-")}`;
}

export function glyph(outcome) {
  const paths = SHAPES[known(outcome)].map(([kind, d]) => svg("path", { class: kind, d }));
  return svg(
    "svg",
    { viewBox: "0 0 16 16", class: `glyph ${colourClass(outcome)}`, "aria-hidden": "true" },
    paths,
  );
}

/** The shape with its word beside it. */
export function outcomeTag(outcome, text = word(outcome)) {
  return h("span", { class: "tag" }, glyph(outcome), h("span", {}, text));
}
